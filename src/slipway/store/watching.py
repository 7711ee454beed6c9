"""What the monitor keeps: its state, what it learns from, what it measured, and alerts until they have arrived.

A look is one transaction: the place up to which traces were read, the evidence, and the alerts that follow from it are
written together or not at all, so that a restart neither forgets nor repeats one. Two monitors of one project do not
get in each other's way: the state has a version, and whoever comes second starts again from what the first one wrote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, func, insert, select, update

from slipway.core.alert import Alert, Delivery
from slipway.core.ref import canonical
from slipway.core.trace import Feedback, Trace
from slipway.store import tables
from slipway.store.database import Database
from slipway.store.rows import decoded

MOST_UNITS = 4000  # that a reference is learnt from; more and they are thinned out at random


@dataclass
class Look:
    """What one look found, to be written at once. `hours`: (metric, hour) -> (n, sum)."""

    state: bytes
    units: list[tuple[str, float, bytes]] = field(default_factory=list[tuple[str, float, bytes]])
    forget_units: list[str] = field(default_factory=list[str])
    more_states: dict[str, bytes] = field(default_factory=dict[str, bytes])
    hours: Mapping[tuple[str, str], tuple[int, float]] = field(default_factory=dict[tuple[str, str], tuple[int, float]])
    alerts: list[Alert] = field(default_factory=list[Alert])
    sinks: Sequence[str] = ()


class Watching:
    """The monitor's tables in an open catalog's database."""

    def __init__(self, database: Database) -> None:
        self._database, self._engine, self._reader = database, database.engine, database.reader

    # what was served -------------------------------------------------------------------------------------------
    def served(self, after: int, limit: int) -> list[tuple[int, Trace]]:
        """(sequence number, trace) after a number, the oldest first."""
        of = tables.traces.c
        query = select(of.seq, of.body).where(of.seq > after).order_by(of.seq).limit(limit)
        with self._reader.connect() as connection:
            return [(row.seq, decoded("trace", row.seq, row.body, Trace)) for row in connection.execute(query)]

    def said(self, after: int, limit: int) -> list[tuple[int, Feedback]]:
        """(sequence number, feedback) after a number, the oldest first."""
        of = tables.feedback.c
        query = select(of.seq, of.id, of.body).where(of.seq > after).order_by(of.seq).limit(limit)
        with self._reader.connect() as connection:
            return [(row.seq, decoded("feedback", row.id, row.body, Feedback)) for row in connection.execute(query)]

    def newest(self) -> int:
        """The number of the newest trace; 0 when there is none."""
        with self._reader.connect() as connection:
            return connection.execute(select(func.max(tables.traces.c.seq))).scalar() or 0

    # what is known ---------------------------------------------------------------------------------------------
    def state(self, name: str) -> tuple[int, bytes]:
        """(version, body) of a state; (0, empty) where there is none."""
        of = tables.watch_states.c
        with self._reader.connect() as connection:
            row = connection.execute(select(of.version, of.body).where(of.name == name)).first()
        return (row.version, bytes(row.body)) if row else (0, b"")

    def keep(self, name: str, version: int, look: Look) -> bool:
        """Write a look whose state had this version; False, and nothing is written, when it has another one by now."""
        with self._engine.begin() as connection:
            self._database.alone(connection)
            of = tables.watch_states
            now = connection.execute(select(of.c.version).where(of.c.name == name)).scalar() or 0
            if now != version:
                return False
            for key, body in {name: look.state, **look.more_states}.items():
                row = {"name": key, "version": version + 1, "body": body}
                kept = self._database.upsert(of).values(row)
                connection.execute(kept.on_conflict_do_update(index_elements=["name"], set_=row))
            for key in look.forget_units:
                connection.execute(delete(tables.watch_units).where(tables.watch_units.c.name == key))
            if look.units:
                rows = [{"name": key, "place": place, "body": body} for key, place, body in look.units]
                connection.execute(insert(tables.watch_units), rows)
            self._add_hours(connection, name, look.hours)
            for alert in look.alerts:
                connection.execute(insert(tables.alerts).values(id=alert.id, at=alert.at, body=canonical(alert)))
                for sink in look.sinks:
                    row = {"alert": alert.id, "sink": sink, "tries": 0, "due": alert.at, "done": "", "error": ""}
                    connection.execute(insert(tables.deliveries).values(row))
        return True

    def _add_hours(self, connection: Connection, name: str, hours: Mapping[tuple[str, str], tuple[int, float]]) -> None:
        of = tables.watch_hours
        for (metric, hour), (n, total) in sorted(hours.items()):
            kept = self._database.upsert(of).values(channel=name, metric=metric, hour=hour, n=n, total=total)
            more = {"n": of.c.n + kept.excluded.n, "total": of.c.total + kept.excluded.total}
            connection.execute(kept.on_conflict_do_update(index_elements=["channel", "metric", "hour"], set_=more))

    def units(self, name: str, below: float = 1.0) -> list[bytes]:
        """What was kept to learn from, in the order it came, of those drawn below a share; at most MOST_UNITS."""
        of = tables.watch_units.c
        query = select(of.place, of.body).where(of.name == name, of.place < below).order_by(of.seq)
        with self._reader.connect() as connection:
            rows = connection.execute(query).all()
        most = sorted(row.place for row in rows)[MOST_UNITS - 1] if len(rows) > MOST_UNITS else 1.0
        return [bytes(row.body) for row in rows if row.place <= most]

    def units_kept(self, name: str, below: float = 1.0) -> int:
        """How many there are."""
        of = tables.watch_units
        query = select(func.count()).select_from(of).where(of.c.name == name, of.c.place < below)
        with self._reader.connect() as connection:
            return connection.execute(query).scalar() or 0

    def hours(self, name: str, since: str) -> list[tuple[str, str, int, float]]:
        """(metric, hour, n, sum) since an hour, the oldest first."""
        of = tables.watch_hours.c
        query = select(of.metric, of.hour, of.n, of.total).where(of.channel == name, of.hour >= since)
        with self._reader.connect() as connection:
            return [tuple(row) for row in connection.execute(query.order_by(of.hour, of.metric))]

    # alerts ----------------------------------------------------------------------------------------------------
    def alerts(self, limit: int = 50) -> list[Alert]:
        """Newest first."""
        of = tables.alerts.c
        query = select(of.id, of.body).order_by(of.seq.desc()).limit(limit)
        with self._reader.connect() as connection:
            return [decoded("alert", row.id, row.body, Alert) for row in connection.execute(query)]

    def deliveries(self, limit: int = 200) -> list[Delivery]:
        """Of the newest alerts."""
        newest = select(tables.alerts.c.id).order_by(tables.alerts.c.seq.desc()).limit(limit)
        query = select(tables.deliveries).where(tables.deliveries.c.alert.in_(newest))
        with self._reader.connect() as connection:
            return [Delivery(**dict(row._mapping)) for row in connection.execute(query)]  # pyright: ignore[reportPrivateUsage]

    def take(self, now: str, until: str) -> tuple[Delivery, Alert] | None:
        """A delivery that is due, which nobody else tries before `until`; None when there is none."""
        of, about = tables.deliveries, tables.alerts
        query = select(of, about.c.body).join(about, about.c.id == of.c.alert)
        query = query.where(of.c.due != "", of.c.due <= now).order_by(of.c.due, about.c.seq).limit(1)
        with self._engine.begin() as connection:
            self._database.alone(connection)
            row = connection.execute(query).first()
            if row is None:
                return None
            this = (of.c.alert == row.alert) & (of.c.sink == row.sink)
            connection.execute(update(of).where(this).values(due=until))
        found = Delivery(alert=row.alert, sink=row.sink, tries=row.tries, due=row.due, done=row.done, error=row.error)
        return found, decoded("alert", row.alert, row.body, Alert)

    def tried(self, delivery: Delivery) -> None:
        """What became of it."""
        of = tables.deliveries
        this = (of.c.alert == delivery.alert) & (of.c.sink == delivery.sink)
        new = {"tries": delivery.tries, "due": delivery.due, "done": delivery.done, "error": delivery.error}
        with self._engine.begin() as connection:
            connection.execute(update(of).where(this).values(new))
