"""What of the store is still needed: which nouns and blobs something that is kept points at.

Roots are every release, the newest noun of each kind and name, every run that is recorded, and what is younger than
the grace period. From there whatever is named by 64 hex digits is needed as well: nouns point at each other by
digests, so a kind of noun that comes later is followed without being known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, select

from slipway.store import tables

_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


class Held(NamedTuple):
    """A noun in the catalog."""

    kind: str
    name: str
    digest: str
    size: int


@dataclass
class Reach:
    """`nouns` and `digests` that are needed; `unneeded` nouns, none of them young."""

    nouns: list[Held] = field(default_factory=list[Held])
    unneeded: list[Held] = field(default_factory=list[Held])
    digests: set[str] = field(default_factory=set[str])

    def names(self, kind: str) -> set[str]:
        """Digests of the needed nouns of a kind."""
        return {noun.digest for noun in self.nouns if noun.kind == kind}


def reach(connection: Connection, young: str, forgotten: frozenset[str] = frozenset()) -> Reach:
    """What is needed. `young`: nouns stored after this instant stay. `forgotten`: ids of runs that count as deleted."""
    nouns: dict[str, list[Held]] = {}
    points: dict[str, set[str]] = {}
    roots: set[str] = set()
    newest: set[tuple[str, str]] = set()
    for row in connection.execute(select(tables.nouns).order_by(tables.nouns.c.seq.desc())):
        nouns.setdefault(row.digest, []).append(Held(row.kind, row.name, row.digest, len(row.body)))
        points.setdefault(row.digest, set()).update(digests_in(row.body))
        if row.kind == "release" or row.at >= young or (row.kind, row.name) not in newest:
            roots.add(row.digest)
        newest.add((row.kind, row.name))
    for row in connection.execute(select(tables.runs.c.id, tables.runs.c.body)):
        if row.id not in forgotten:
            roots.update(digests_in(row.body))
    for row in connection.execute(select(tables.promotions.c.release).distinct()):
        roots.add(row.release)
    found, todo = set[str](), list(roots)
    while todo:
        digest = todo.pop()
        if digest not in found:
            found.add(digest)
            todo += points.get(digest, ())
    made = Reach(digests=found)
    for digest, held in nouns.items():
        (made.nouns if digest in found else made.unneeded).extend(held)
    return made


def digests_in(body: bytes | str) -> set[str]:
    """Every SHA-256 that a body names."""
    raw = body if isinstance(body, bytes) else body.encode()
    return {found.decode() for found in _DIGEST.findall(raw)}
