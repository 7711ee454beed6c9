"""What the rest of Slipway may ask of a catalog: roles of at most eight methods each, and all of them together.

Its contract suite is `slipway.testing.catalogs`. Every method may raise SlipwayError: the disk is full, the server is
down, somebody holds a lock. A write that returned survives `kill -9` and a power cut.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from slipway.core.labelling import Item, Judgement, Queue
from slipway.core.look import Kind, Look
from slipway.core.ref import Noun, Ref
from slipway.core.release import Release
from slipway.core.run import Run
from slipway.core.trace import Feedback, Trace, Wanted
from slipway.core.traffic import Traffic

N = TypeVar("N", bound=Noun)


class Nouns(Protocol):
    """Frozen things by kind, name and digest."""

    def put(self, kind: str, name: str, noun: Noun) -> Ref:
        """Store a noun; the same noun again is the same row, now the newest of its name."""
        ...

    def get(self, kind: str, digest: str, type_: type[N]) -> N:
        """The noun with this digest or this unambiguous beginning of one; raises NotFound, IntegrityError."""
        ...

    def has(self, kind: str, digest: str) -> bool:
        """Whether there is a noun of this kind and whole digest."""
        ...

    def list(self, kind: str, type_: type[N], name: str | None = None) -> list[tuple[str, N]]:
        """(when, noun) of a kind, the last stored first, whatever the clock said."""
        ...

    def release(self, digest: str) -> Release:
        """A release by digest or its beginning."""
        ...


class Work(Protocol):
    """Executed steps, and results of pure work by the digest of all that went into it."""

    def record(self, run: Run) -> None:
        """Write a run, or its new state."""
        ...

    def finished(self, key: str) -> Run | None:
        """The newest finished run with this key."""
        ...

    def runs(self, limit: int = 50, status: str | None = None) -> list[Run]:
        """Newest first."""
        ...

    def recall(self, kind: str, keys: Iterable[str]) -> dict[str, bytes]:
        """What is remembered of these keys; unknown and damaged ones are absent."""
        ...

    def remember(self, kind: str, values: Mapping[str, bytes]) -> None:
        """Remember results, all or none of them; the first result stays."""
        ...


class Decisions(Protocol):
    """Where channels point, each decision bound to all before it by the ledger."""

    def promote(self, channel: str, release: str, *, by: str, why: str, action: str = "promote") -> None:
        """Point a channel at a release, by digest."""
        ...

    def channels(self) -> dict[str, str]:
        """Channel -> digest of the release it points at."""
        ...

    def history(self, channel: str | None = None) -> list[dict[str, Any]]:
        """Promotions and rollbacks, newest first: channel, release, at, by, why, action."""
        ...

    def head(self) -> str:
        """`<entries>:<digest>`: stands for all that was decided up to now."""
        ...

    def verify_history(self, anchors: Iterable[str] = ()) -> str:
        """Follow the ledger; returns its head. Raises IntegrityError where history was changed."""
        ...


class Looks(Protocol):
    """Every use of gate answers, by the examples whose answers they are; in the ledger."""

    def look(
        self, examples: Collection[str], kind: Kind, candidates: Sequence[str], asked: str, project: str, who: str
    ) -> Look:
        """Enter a look at these examples (ids, in any order). The same kind and `asked` about the same examples again
        is the look that was entered first, unless `asked` is empty.
        """
        ...

    def looks(self, examples: Collection[str], older: Collection[str] = ()) -> list[Look]:
        """Every look at any of these examples, the first first. `older`: names under which an older version counted."""
        ...


class Records(Protocol):
    """What was served and what users said. Written thousands of times a second."""

    @property
    def where(self) -> str:
        """What a person is shown of the place; never a password."""
        ...

    def add_traces(self, traces: Sequence[Trace], feedback: Sequence[Feedback] = ()) -> None:
        """Write traces and feedback, all or none of them, with one sync to disk."""
        ...

    def trace(self, id: str) -> Trace:
        """One trace; raises NotFound."""
        ...

    def traces(
        self, limit: int = 50, after: int = 0, channel: str | None = None, wanted: Wanted | None = None
    ) -> list[tuple[int, Trace]]:
        """(sequence number, trace), newest first; `after` leaves out what is older or equal, `wanted` much more."""
        ...

    def feedback(self, trace: str | None = None, limit: int = 1000) -> list[Feedback]:
        """Newest first."""
        ...

    def try_writing(self) -> None:
        """Write and delete a piece as large as a long trace."""
        ...

    def room(self) -> tuple[int, int] | None:
        """(free, in all) bytes of the disk that records go to; None when that cannot be seen from here.

        Raises the SlipwayError that says why nothing could be written now, where that shows without writing.
        """
        ...


class Counts(Protocol):
    """Sums over what was recorded, for people who look at them."""

    def traffic(self, since: str) -> Traffic:
        """What was served since a moment (RFC 3339, UTC)."""
        ...

    def newer(self, trace: str, wanted: Wanted | None = None) -> str:
        """Id of the trace that was written next after this one, of those that are wanted; empty where there is none."""
        ...

    def feedback_on(self, traces: Sequence[str]) -> dict[str, list[Feedback]]:
        """Trace -> feedback on it, newest first, of at most some hundred traces."""
        ...


class Keys(Protocol):
    """API keys, as hashes."""

    def add_key(self, id: str, name: str, hash_: str, scopes: str = "", tenant: str = "") -> None:
        """Store one. `scopes`: what it is for, with spaces between them; empty: everything."""
        ...

    def api_keys(self) -> list[dict[str, Any]]:
        """Every key in the order they were made, revoked ones too: id, name, hash, at, revoked, scopes, tenant."""
        ...

    def revoke_key(self, id: str) -> bool:
        """Returns whether there was such a key, not yet revoked."""
        ...


class Labels(Protocol):
    """Queues of items to label, and what annotators said of them."""

    def add(self, queue: Queue, items: Sequence[Item]) -> bool:
        """Store a queue with its items; False, and nothing is stored, where the name is taken."""
        ...

    def queues(self) -> list[Queue]:
        """The newest first."""
        ...

    def items(self, queue: str) -> list[Item]:
        """In the order in which they are shown."""
        ...

    def erase(
        self, queues: Collection[str] = (), items: Collection[str] = (), judgements: Collection[str] = ()
    ) -> None:
        """Delete queues by name, items by id with what was said of them, and judgements by id."""
        ...

    def judge(self, queue: str, judgement: Judgement, replaces: str = "") -> Judgement | None:
        """Store a judgement in the place of the one named; returns the one that stands, None without the item."""
        ...

    def judgements(self, queue: str | None = None, item: str | None = None) -> list[Judgement]:
        """Of a queue, of all, or of one item; the first first."""
        ...

    def withdraw(self, queue: str, who: str) -> Judgement | None:
        """Delete and return the last judgement that somebody gave in a queue."""
        ...

    def claim(self, queue: str, who: str, at: str, since: str, needed: int) -> Item | None:
        """The next item for somebody, held for them; None where nothing is left."""
        ...


class Catalog(Nouns, Work, Decisions, Looks, Records, Counts, Keys, Protocol):
    """All of it. Safe for several threads and processes at once."""

    @property
    def labels(self) -> Labels:
        """What people label."""
        ...

    def close(self) -> None:
        """Release files and connections."""
        ...
