"""Indexes: passages that can be searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from slipway.core.material import Chunk

if TYPE_CHECKING:
    from slipway.core.protocols.engines import Vectors


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


@runtime_checkable
class Elsewhere(Protocol):
    """An index whose passages another program holds: its searches wait for that program, from a thread of their own.

    The folder that `save` writes only says where they are: the place.
    """

    def sound(self) -> bool:
        """Whether the other program still holds what was put there, as far as can be told at once."""
        ...

    def places(self, folder: str) -> Sequence[str]:
        """Where the passages of an index saved in a folder are; equal for indexes that share them."""
        ...

    def forget(self, place: str) -> bool:
        """Delete what is there; False for a place that is not this index's to delete."""
        ...

    def answers(self) -> str:
        """Where the program is, for a person to read. Raises EngineError or MissingPrerequisite when it fails."""
        ...
