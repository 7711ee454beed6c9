"""Queues of items to label and what annotators said of them, kept in the catalog. Knows no statistics and no page.

Two people never overwrite one another, and nobody overwrites what they have not seen: each annotator has one judgement
of an item, and it is replaced only by whoever names the one that stands.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from slipway.core.labelling import Item, Judgement, Queue
from slipway.core.ref import canonical
from slipway.store import tables
from slipway.store.database import Database
from slipway.store.rows import decoded

_BATCH = 500
SETTLED = "settled"


class Labels:
    """Part of a catalog. Every write is one transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # queues ----------------------------------------------------------------------------------------------------
    def add(self, queue: Queue, items: Sequence[Item]) -> bool:
        """Store a queue with its items, in this order; False, and nothing is stored, where the name is taken."""
        with self.database.engine.begin() as connection:
            self.database.alone(connection)
            if self._queue(connection, queue.name) is not None:
                return False
            connection.execute(insert(tables.label_queues).values(name=queue.name, body=canonical(queue)))
            rows = [{"id": one.id, "queue": queue.name, "body": canonical(one)} for one in items]
            if rows:
                connection.execute(insert(tables.label_items), rows)
            return True

    def queues(self) -> list[Queue]:
        """All of them, the newest first."""
        of = tables.label_queues.c
        with self.database.reader.connect() as connection:
            rows = connection.execute(select(of.name, of.body).order_by(of.seq.desc())).all()
        return [decoded("queue", row.name, row.body, Queue) for row in rows]

    def items(self, queue: str) -> list[Item]:
        """Those of a queue, in the order in which they are shown."""
        return [item for _, item in self.every_item(queue)]

    def every_item(self, queue: str | None = None) -> list[tuple[str, Item]]:
        """(queue, item) of one queue or of all."""
        of = tables.label_items.c
        query = select(of.queue, of.id, of.body).order_by(of.seq)
        query = query if queue is None else query.where(of.queue == queue)
        with self.database.reader.connect() as connection:
            return [(row.queue, decoded("item", row.id, row.body, Item)) for row in connection.execute(query)]

    def erase(
        self, queues: Collection[str] = (), items: Collection[str] = (), judgements: Collection[str] = ()
    ) -> None:
        """Delete queues by name, items by id with what was said of them, and judgements by id: all of it or nothing."""
        queued, placed, said, claims = tables.label_queues, tables.label_items, tables.judgements, tables.label_claims
        with self.database.engine.begin() as connection:
            self.database.alone(connection)
            for name in queues:
                connection.execute(delete(claims).where(claims.c.item.in_(_items_of(name))))
                for table, column in ((said, said.c.queue), (placed, placed.c.queue), (queued, queued.c.name)):
                    connection.execute(delete(table).where(column == name))
            for column, ids in (
                (said.c.item, items), (claims.c.item, items), (placed.c.id, items), (said.c.id, judgements)
            ):  # fmt: skip
                wanted = sorted(ids)
                for start in range(0, len(wanted), _BATCH):
                    connection.execute(delete(column.table).where(column.in_(wanted[start : start + _BATCH])))

    # judgements ------------------------------------------------------------------------------------------------
    def judge(self, queue: str, judgement: Judgement, replaces: str = "") -> Judgement | None:
        """Store what somebody said of an item. `replaces`: id of the judgement that it takes the place of.

        Returns the judgement that stands afterwards: this one, or another that came in between, in whose place nothing
        was put; None where the item is not there any more.
        """
        said = tables.judgements
        slot = SETTLED if judgement.settles else f"by:{judgement.who}"
        row = {"id": judgement.id, "queue": queue, "item": judgement.item, "slot": slot, "body": canonical(judgement)}
        with self.database.engine.begin() as connection:
            self.database.alone(connection)
            here = select(tables.label_items.c.id).where(tables.label_items.c.id == judgement.item)
            if connection.execute(here.where(tables.label_items.c.queue == queue)).first() is None:
                return None
            of = (said.c.item == judgement.item, said.c.slot == slot)
            found = connection.execute(select(said.c.id, said.c.body).where(*of)).first()
            if (found.id if found else "") != replaces:
                return decoded("judgement", found.id, found.body, Judgement) if found else None
            if found:
                connection.execute(delete(said).where(*of))
            connection.execute(insert(said).values(row))
            self._let_go(connection, judgement.item, judgement.who)
            return judgement

    def judgements(self, queue: str | None = None, item: str | None = None) -> list[Judgement]:
        """What was said of the items of a queue, or of all, the first first; or of one `item`."""
        of = tables.judgements.c
        query = select(of.id, of.body).order_by(of.seq)
        query = query if queue is None else query.where(of.queue == queue)
        query = query if item is None else query.where(of.item == item)
        with self.database.reader.connect() as connection:
            return [decoded("judgement", row.id, row.body, Judgement) for row in connection.execute(query)]

    def withdraw(self, queue: str, who: str) -> Judgement | None:
        """Delete the last judgement that somebody gave in a queue, and return it; None where there is none.

        An adjudication is not withdrawn by this.
        """
        of = tables.judgements
        query = select(of.c.id, of.c.body).where(of.c.queue == queue, of.c.slot == f"by:{who}")
        with self.database.engine.begin() as connection:
            self.database.alone(connection)
            found = connection.execute(query.order_by(of.c.seq.desc()).limit(1)).first()
            if found is None:
                return None
            connection.execute(delete(of).where(of.c.id == found.id))
            return decoded("judgement", found.id, found.body, Judgement)

    def claim(self, queue: str, who: str, at: str, since: str, needed: int) -> Item | None:
        """The next item for somebody: the one that they hold, else the first that they have not judged and for which
        fewer than `needed` others have judged or, since a moment, hold it. None where nothing is left for them.

        `at`: now; both are RFC 3339, UTC. Two who ask at once get items so that no item has more than it needs.
        """
        claims = tables.label_claims
        with self.database.engine.begin() as connection:
            self.database.alone(connection)
            judged, settled, mine = self._judged(connection, queue, who)
            held = self._held(connection, queue, since)
            of = tables.label_items.c
            ids = connection.execute(select(of.id).where(of.queue == queue).order_by(of.seq)).scalars().all()
            open_ = [id for id in ids if id not in mine and id not in settled]
            first = next((id for id in open_ if who in held.get(id, ())), None) or next(
                (id for id in open_ if judged.get(id, 0) + len(held.get(id, ())) < needed), None
            )
            if first is None:
                return None
            self._let_go(connection, first, who)
            connection.execute(insert(claims).values(item=first, by=who, at=at))
            body = connection.execute(select(of.body).where(of.id == first)).scalar_one()
            return decoded("item", first, body, Item)

    def _judged(self, connection: Connection, queue: str, who: str) -> tuple[dict[str, int], set[str], set[str]]:
        """Item -> how many judged it, those that are settled, and those that one person judged."""
        said, judged, settled, mine = tables.judgements.c, dict[str, int](), set[str](), set[str]()
        for item, slot in connection.execute(select(said.item, said.slot).where(said.queue == queue)):
            if slot == SETTLED:
                settled.add(item)
            else:
                judged[item] = judged.get(item, 0) + 1
                mine |= {item} if slot == f"by:{who}" else set()
        return judged, settled, mine

    def _held(self, connection: Connection, queue: str, since: str) -> dict[str, set[str]]:
        """Item -> who holds it since a moment."""
        claims, found = tables.label_claims.c, dict[str, set[str]]()
        query = select(claims.item, claims.by).where(claims.item.in_(_items_of(queue)), claims.at >= since)
        for item, holder in connection.execute(query):
            found.setdefault(item, set()).add(holder)
        return found

    def _let_go(self, connection: Connection, item: str, who: str) -> None:
        claims = tables.label_claims
        connection.execute(delete(claims).where(claims.c.item == item, claims.c.by == who))

    def _queue(self, connection: Connection, name: str) -> Any:
        of = tables.label_queues.c
        return connection.execute(select(of.name).where(of.name == name)).first()


def _items_of(queue: str) -> Any:
    return select(tables.label_items.c.id).where(tables.label_items.c.queue == queue)
