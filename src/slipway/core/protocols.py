"""What a plug-in must be able to do. Each protocol has at most six methods and two real implementations in `builtin`.

A plug-in is made by calling its class with one argument, an instance of its `Config` (a pydantic model, found as the
class attribute `Config`), plus keyword arguments named below. Contract suites for each are in `slipway.testing`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from slipway.core.answer import Answer
from slipway.core.material import Chunk, Example
from slipway.core.message import Delta, GenerateRequest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]  # [n, dimension], each row of unit length

Capability = Literal["generate", "embed", "logprobs", "json_schema", "choices", "adapters", "tokenize"]

OnEvent = Callable[[str, Mapping[str, Any]], None]
"""Told what an engine does by itself, as (event, details): a child process was restarted, tokens are not counted."""


class Engine(Protocol):
    """A model that answers. Made as `Engine(config, name=..., files={file name: path}, on_event=OnEvent | None)`.

    Every method may raise EngineError; a method whose capability is missing raises EngineError with status 400.
    Cancelling the task that awaits a method, or closing the iterator, frees the model at once.
    Engines are safe for concurrent calls from one event loop. Two methods may be there besides: `complete(request)`,
    the whole answer for less work, and `trouble()`, why it cannot answer now (empty when it can), within a second.
    """

    Config: ClassVar[type[Any]]
    capabilities: frozenset[Capability]

    async def start(self) -> None:
        """Load the model; returns when it can answer. Idempotent."""
        ...

    async def close(self) -> None:
        """Free everything, child processes included. Idempotent."""
        ...

    def generate(self, request: GenerateRequest) -> AsyncIterator[Delta]:
        """Stream an answer; the last delta carries `finish` and true `usage`."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, [len(texts), dimension], float32."""
        ...

    async def score(self, prompt: str, continuations: Sequence[str]) -> list[float]:
        """Natural-log probability of each continuation after the raw prompt, summed over its tokens."""
        ...

    async def count_tokens(self, text: str) -> int:
        """Tokens of raw `text`, without special tokens."""
        ...


class Index(Protocol):
    """Passages that can be searched. A cache: it can be rebuilt from chunks (and vectors) at any time.

    Made as `Index(config)`. Dense implementations need `vectors` in `add` and a vector query; lexical ones ignore
    vectors and take the text.
    """

    Config: ClassVar[type[Any]]

    def add(self, chunks: Sequence[Chunk], vectors: Vectors | None = None) -> None:
        """Add passages, replacing those with the same id."""
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Forget passages by id; unknown ids are ignored."""
        ...

    def search(
        self, text: str, vector: Vectors | None, k: int, filters: Mapping[str, Any] | None = None
    ) -> list[tuple[str, float]]:
        """The `k` best (id, score), best first; `filters` are equalities on source, language and meta keys.

        Ties are broken by id, so that a search is repeatable. `vector`: [dimension] or [1, dimension].
        """
        ...

    def save(self, folder: str) -> None:
        """Write the index into an existing empty folder."""
        ...

    def load(self, folder: str) -> None:
        """Read what `save` wrote; raises IntegrityError when it cannot."""
        ...


class Scorer(Protocol):
    """One metric of one answer. Made as `Scorer(config)`; offline evaluation and online monitoring share it."""

    Config: ClassVar[type[Any]]
    higher_is_better: ClassVar[bool]

    def score(self, example: Example, answer: Answer) -> float | None:
        """The metric for this example, or None when it does not apply (no reference, nothing retrieved, ...)."""
        ...
