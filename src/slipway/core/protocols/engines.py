"""Engines: a model that answers, and what else it may be able to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from slipway.core.message import Completion, Delta, GenerateRequest, LikelihoodRequest, Likelihoods
from slipway.errors import EngineError
from slipway.i18n import t

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]  # [n, dimension], each row of unit length

Capability = Literal[
    "generate", "embed", "logprobs", "json_schema", "choices", "adapters", "tokenize", "tools", "images", "rank",
    "score",
]  # fmt: skip


class OnEvent(Protocol):
    """Told what an engine does by itself: a child process was restarted, tokens are not counted."""

    def __call__(self, event: str, details: Mapping[str, Any], /) -> None:
        """`event`: its name; `details`: what is known of it, as plain data."""
        ...


class Engine(Protocol):
    """A model that answers. Made as `Engine(config, name=..., files={file name: path}, on_event=OnEvent | None)`.

    Every method may raise EngineError; what is asked for without its capability raises EngineError with status 400.
    Cancelling the task that awaits a method, or closing the iterator, frees the model at once.
    Engines are safe for concurrent calls from one event loop. What else an engine can do is told by the protocols
    below: `Completes`, `Embeds`, `Scores`, `ScoresAnswers`, `CountsTokens`, `TellsTrouble`, `OutOfVocabulary`,
    `Windows`, `Ranks`. Ask `isinstance(engine, Embeds)`; an engine that cannot does not have the method.
    """

    Config: ClassVar[type[Any]]

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What may be asked for; settled when `start` returns."""
        ...

    async def start(self) -> None:
        """Load the model; returns when it can answer. Idempotent."""
        ...

    async def close(self) -> None:
        """Free everything, child processes included. Idempotent."""
        ...

    def generate(self, request: GenerateRequest) -> AsyncIterator[Delta]:
        """Stream an answer; the last delta carries `finish` and true `usage`."""
        ...


@runtime_checkable
class Completes(Protocol):
    """An engine that makes a whole answer with less work than the deltas of a streamed one."""

    async def complete(self, request: GenerateRequest) -> Completion:
        """What `generate` would stream, at once."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """An engine with the capability `embed`."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, [len(texts), dimension], float32."""
        ...


@runtime_checkable
class EmbedsQuestions(Protocol):
    """An engine that embeds a question in another way than what is searched: encoders are trained with two prefixes."""

    async def embed_question(self, text: str) -> Vectors:
        """A unit vector, [1, dimension], to compare with those of `embed`."""
        ...


@runtime_checkable
class Windows(Protocol):
    """An engine that embeds no more than the beginning of a long text, and can cut it so that nothing is lost."""

    async def windows(self, texts: Sequence[str], heads: Sequence[str]) -> list[list[str]]:
        """For each text what to embed, at least one: `head + text` where it is read whole, else parts of the text.

        Each part stands after its head where that is short.
        """
        ...


@runtime_checkable
class Ranks(Protocol):
    """An engine that reads a question and a text together: slower than comparing vectors, and more exact."""

    async def rank(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers the question, [len(texts)]: more is better. Compare only within one call."""
        ...


@runtime_checkable
class Scores(Protocol):
    """An engine that tells how likely a given text is."""

    async def score(self, prompt: str, continuations: Sequence[str]) -> list[float]:
        """Natural-log probability of each continuation after the raw prompt, summed over its tokens."""
        ...


@runtime_checkable
class ScoresAnswers(Protocol):
    """An engine with the capability `score`: it tells how likely given answers are after the prompt of a request."""

    async def likelihoods(self, asked: LikelihoodRequest) -> Likelihoods:
        """How likely the model is to say exactly each answer: after its chat template, with the request's adapters."""
        ...


@runtime_checkable
class CountsTokens(Protocol):
    """An engine with the capability `tokenize`."""

    async def count_tokens(self, text: str) -> int:
        """Tokens of raw `text`, without special tokens."""
        ...


@runtime_checkable
class TellsTokens(Protocol):
    """An engine that tells which tokens it reads: what is trained on must be what is served."""

    async def prompt_ids(self, request: GenerateRequest) -> list[int]:
        """Token ids of a request as the model reads them, chat template and beginning included."""
        ...

    async def token_ids(self, text: str) -> list[int]:
        """Of raw text within an answer; control tokens that it spells out are text."""
        ...

    async def text_of(self, ids: Sequence[int]) -> str:
        """The text of token ids."""
        ...

    async def answer_ids(self, request: GenerateRequest) -> list[int]:
        """Token ids of an answer, the one that ends it included where it was not cut off. `stop` is not looked for."""
        ...


@runtime_checkable
class TellsTrouble(Protocol):
    """An engine that may be unable to answer for a while, and knows it."""

    async def trouble(self) -> str:
        """Why it cannot answer now, for a person to read; empty when it can. Takes a second at most."""
        ...


@runtime_checkable
class OutOfVocabulary(Protocol):
    """An engine whose vocabulary does not hold every text."""

    async def out_of_vocabulary(self, text: str) -> float:
        """Share of the text's tokens that it does not know, 0 to 1. A vector of such a text means little."""
        ...


def missing(name: str, capability: str) -> EngineError:
    """The error of asking the model `name` for what its engine cannot do: status 400, not retryable."""
    return EngineError(
        t("the model '{name}' cannot do this: its engine has no '{capability}'", name=name, capability=capability),
        t(
            "an engine that has it is needed: `llama` for log-probabilities and adapters, `onnx` for embeddings, "
            "`cross-encoder` to rank, `openai` for tools"
        ),
        status=400,
    )
