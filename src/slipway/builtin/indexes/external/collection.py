"""An index in another program: passages are gathered here, put there as one collection, and searched there.

A collection is named by the digest of what it holds: equal content is one collection, and no content is put over
another. It is read back and compared whenever it is opened. What an unfinished build left, or someone changed, is made
right by putting only what differs. Safe for threads that search.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from slipway.builtin.indexes.external.payload import Row, checked, content_digest, facets_wanted, rows_of
from slipway.builtin.indexes.saved import check_manifest, unusable, write_manifest
from slipway.core.material import Chunk
from slipway.errors import ConfigError, EngineError, MissingPrerequisite
from slipway.i18n import t

if TYPE_CHECKING:
    from slipway.core.protocols import Vectors

FORMAT = 1
DIGITS = 6
EVERY = 10.0  # seconds between two questions whether a collection is still there
_MORE = 16  # results beyond those wanted, to see whether passages tie


class Server(Protocol):
    """The other program. All methods are safe for threads, and raise EngineError with what to do when it fails.

    `where`: its address as a person is shown it, without secrets. `limit`: the most results of one search.
    """

    where: str
    limit: int

    def rows(self, name: str) -> Iterator[Row]:
        """Everything in a collection, in any order; nothing when there is no such collection."""
        ...

    def create(self, name: str, dimension: int) -> None:
        """Make an empty collection, unless it is there. `dimension` is 0 for one of words."""
        ...

    def put(self, name: str, rows: Sequence[Row]) -> None:
        """Add rows, replacing those with the same id; they can be searched when this returns."""
        ...

    def remove(self, name: str, ids: Sequence[str]) -> None:
        """Take rows out."""
        ...

    def count(self, name: str) -> int | None:
        """How many rows there are; None when there is no such collection."""
        ...

    def nearest(self, name: str, asked: Any, limit: int, facets: Sequence[str]) -> list[tuple[str, float]]:
        """At most `limit` (id, score) of the rows with all `facets`, best first. `asked`: a vector, or words."""
        ...

    def drop(self, name: str) -> None:
        """Delete a collection, if it is there."""
        ...

    def answers(self) -> None:
        """Ask it something small."""
        ...


class ServerIndex:
    """What all of them share. `connects`: the class of its `Server`, made of a config; `BATCH` rows are put at once."""

    Config: ClassVar[type[Any]]
    KIND: ClassVar[str]
    connects: ClassVar[type[Any]]
    BATCH: ClassVar[int] = 256
    settings: ClassVar[tuple[str, ...]] = ()  # options that change how a collection is made, beside its rows

    def __init__(self, config: Any = None) -> None:
        self.config: Any = config or self.Config()
        self._made: Server | None = None
        self._rows: dict[str, Row] | None = {}  # None: they are there alone
        self._name = ""  # of the collection that holds them; empty: not put yet
        self._count = 0
        self._dimension = 0
        self._asked_at, self._is_sound = 0.0, True
        self._putting = threading.Lock()

    def connect(self) -> Server:
        """Make the connection; raises MissingPrerequisite for a secret that is not there."""
        return self.connects(self.config)

    @property
    def server(self) -> Server:
        """The connection, made when it is first needed."""
        if self._made is None:
            self._made = self.connect()
        return self._made

    @property
    def words(self) -> bool:
        """Whether it searches words instead of vectors."""
        return False

    def __len__(self) -> int:
        return self._count if self._rows is None else len(self._rows)

    def add(self, chunks: Sequence[Chunk], vectors: Vectors | None = None) -> None:
        """Gather passages, replacing those with the same id; `save`, or the first search, puts them on the server.

        Raises ConfigError when vectors are missing, not finite, or of another dimension than those already here.
        """
        if not chunks:
            return
        rows = rows_of(chunks, vectors, words=self.words)
        held = self._held()
        dimension = len(rows[0].vector) // 4
        if held and dimension != self._dimension:
            raise self._wrong_dimension(dimension)
        self._dimension = dimension
        held.update((row.id, row) for row in rows)

    def delete(self, ids: Sequence[str]) -> None:
        """Forget passages by id; unknown ids are ignored. The collection that held them stays as it is."""
        held = self._held()
        for one in ids:
            held.pop(one, None)

    def search(
        self, text: str, vector: Vectors | None, k: int, filters: Mapping[str, Any] | None = None
    ) -> list[tuple[str, float]]:
        """The `k` best (id, score), best first, ties by id. Raises EngineError when the server fails."""
        asked = self._asked(text, vector)
        if k < 1 or not len(self):
            return []
        if not self.words and len(asked) != self._dimension:
            raise self._wrong_dimension(len(asked))
        facets = facets_wanted(filters)
        with self._putting:  # two searches at once put once
            if not self._name:
                self._put_all()
        most = min(len(self), self.server.limit)
        limit = min(k + _MORE, most)
        while True:
            found = self.server.nearest(self._name, asked, limit, facets)
            best = [(name, round(score, DIGITS)) for name, score in found]
            if limit >= most or len(best) < limit or best[-1][1] < best[k - 1][1]:
                return sorted(best, key=lambda pair: (-pair[1], pair[0]))[:k]
            limit = min(limit * 2, most)  # passages that tie with the last one wanted may lie beyond the limit

    def _asked(self, text: str, vector: Vectors | None) -> Any:
        """What the server is asked: here the vector."""
        if vector is None:
            raise ConfigError(t("a dense index needs a vector to search for"), t("configure an embedder"))
        return checked(vector)

    def save(self, folder: str) -> None:
        """Put everything on the server, and write into the folder how the collection is called."""
        if not self._name and len(self):
            self._put_all()
        about = {"collection": self._name, "rows": len(self), "dimension": self._dimension, "place": self._place()}
        write_manifest(folder, self.KIND, FORMAT, about)

    def load(self, folder: str) -> None:
        """Open what `save` put there, comparing every row (with `compare: count` their number).

        Raises IntegrityError when it is not what it was, and EngineError when the server does not answer.
        """
        about = check_manifest(folder, self.KIND, FORMAT)
        name, rows, dimension = str(about["collection"]), int(about["rows"]), int(about["dimension"])
        if about["place"] != self._place(name):
            raise unusable(folder, t("it was put on another server"))
        if rows and not self._is_whole(name, rows, dimension):
            raise unusable(
                folder, t("the collection {name} on {where} does not hold what was put there", name=name,
                          where=self.server.where),
            )  # fmt: skip
        self._rows, self._name, self._count, self._dimension = (None if rows else {}), name, rows, dimension
        self._asked_at, self._is_sound = time.monotonic(), True

    def sound(self) -> bool:
        """Whether the server still holds as many passages as were put there. True when it cannot be asked."""
        if self._name and time.monotonic() > self._asked_at + EVERY:
            self._asked_at = time.monotonic()
            with contextlib.suppress(EngineError, MissingPrerequisite):  # the next search says so
                self._is_sound = self.server.count(self._name) == len(self)
        return self._is_sound

    def places(self, folder: str) -> list[str]:
        """Where the collection of a saved index lies: for comparing, and for `forget`."""
        about = check_manifest(folder, self.KIND, FORMAT)
        return [str(about["place"])] if about["rows"] else []

    def forget(self, place: str) -> bool:
        """Delete the collection that lies there; False when that is not the server that this index uses."""
        name = place.rpartition(" ")[2]
        if place != self._place(name) or not name.startswith(self._prefix):
            return False
        self.server.drop(name)
        return True

    def answers(self) -> str:
        """Where its server is. Raises EngineError when it does not answer."""
        self.server.answers()
        return self.server.where

    # -- content -----------------------------------------------------------------------------------------------------
    @property
    def _prefix(self) -> str:
        return f"{self.config.prefix}_"

    def _place(self, name: str | None = None) -> str:
        return f"{self.KIND} {self.server.where} {self._name if name is None else name}"

    def _held(self) -> dict[str, Row]:
        """The rows, here, where they may be changed; no collection is."""
        if self._rows is None:
            self._rows = {row.id: row for row in self.server.rows(self._name)}
        self._name = ""
        return self._rows

    def _wrong_dimension(self, dimension: int) -> ConfigError:
        return ConfigError(
            t("a vector has {n} dimensions, the index has {known}", n=dimension, known=self._dimension),
            t("passages and questions must come from the same embedder; rebuild the index after changing it"),
        )

    def _called(self, digest: str) -> str:
        return f"{self._prefix}{digest}"

    def _settings(self) -> list[Any]:
        return [getattr(self.config, name) for name in self.settings]

    def _is_whole(self, name: str, count: int, dimension: int) -> bool:
        if self.server.count(name) != count:
            return False
        if self.config.compare == "count":
            return True
        return self._called(content_digest(self.server.rows(name), dimension, *self._settings())) == name

    def _put_all(self) -> None:
        """Make the collection hold the rows that are here, and no others."""
        assert self._rows is not None
        name = self._called(content_digest(self._rows.values(), self._dimension, *self._settings()))
        server = self.server
        server.create(name, self._dimension)
        there = {row.id: row.digest for row in server.rows(name)}
        server_only = [one for one in there if one not in self._rows]
        todo = [row for row in self._rows.values() if there.get(row.id) != row.digest]
        for start in range(0, len(server_only), self.BATCH):
            server.remove(name, server_only[start : start + self.BATCH])
        for start in range(0, len(todo), self.BATCH):
            server.put(name, todo[start : start + self.BATCH])
        if not self._is_whole(name, len(self._rows), self._dimension):
            raise EngineError(
                t("the collection {name} on {where} does not hold what was put there", name=name, where=server.where),
                t("is another program writing to it? run the same command again"),
            )
        self._name = name
