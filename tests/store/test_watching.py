"""The monitor's tables: one look is written whole or not at all, alerts wait until they have arrived, on two databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.core.alert import Alert, Delivery
from slipway.store.catalog import Catalog
from slipway.store.postgres import Postgres
from slipway.store.sqlite import SQLite
from slipway.store.watching import MOST_UNITS, Look, Watching
from slipway.testing.catalogs import feedback_of, trace_of

Opener = Callable[[], Catalog]


def alert_of(id: str = "a1", at: str = "2026-01-02T00:00:00Z") -> Alert:
    return Alert(
        id=id, at=at, state="firing", project="p", channel="c", release="r", rule="m.before", metric="m",
        direction="up", against="before", seen=0.5, expected=0.2, n=9, since=at,
    )  # fmt: skip


class Contract:
    @pytest.fixture
    def opener(self, request: pytest.FixtureRequest) -> Opener:
        raise NotImplementedError

    def test_a_look_is_kept_whole_and_only_from_the_state_it_began_with(self, opener: Opener) -> None:
        one, two = (Watching(opener().database) for _ in range(2))
        assert one.state("c") == (0, b"")
        look = Look(
            b"s1", units=[("c:answers", 0.3, b"u")], hours={("m", "2026-01-02T00"): (2, 0.5)}, alerts=[alert_of()],
            sinks=["log", "ops"], more_states={"c:answers": b"l"},
        )  # fmt: skip
        assert one.keep("c", 0, look)
        assert not two.keep("c", 0, Look(b"other", alerts=[alert_of("a2")], sinks=["log"]))
        assert two.state("c") == (1, b"s1")
        assert two.state("c:answers") == (1, b"l")
        assert [found.id for found in two.alerts()] == ["a1"]
        assert {(found.sink, found.tries) for found in two.deliveries()} == {("log", 0), ("ops", 0)}
        assert two.keep("c", 1, Look(b"s2", forget_units=["c:answers"], hours={("m", "2026-01-02T00"): (1, 1.0)}))
        assert one.hours("c", "2026") == [("m", "2026-01-02T00", 3, 1.5)]
        assert one.units("c:answers") == []

    def test_a_delivery_is_taken_by_one_and_comes_back_when_that_one_died(self, opener: Opener) -> None:
        one, two = (Watching(opener().database) for _ in range(2))
        one.keep("c", 0, Look(b"", alerts=[alert_of()], sinks=["ops"]))
        taken = one.take("2026-01-02T00:00:01Z", "2026-01-02T00:01:00Z")
        assert taken is not None
        assert taken[1] == alert_of()
        assert two.take("2026-01-02T00:00:02Z", "2026-01-02T00:01:00Z") is None
        again = two.take("2026-01-02T00:02:00Z", "2026-01-02T00:03:00Z")
        assert again is not None
        two.tried(Delivery(alert="a1", sink="ops", tries=1, done="2026-01-02T00:02:01Z"))
        assert one.take("2026-01-03T00:00:00Z", "2026-01-03T00:01:00Z") is None
        assert one.deliveries()[0].done == "2026-01-02T00:02:01Z"

    def test_only_new_records_are_read_the_oldest_first(self, opener: Opener) -> None:
        catalog = opener()
        traces = [trace_of() for _ in range(5)]
        catalog.add_traces(traces, [feedback_of(traces[0]), feedback_of(traces[1])])
        watching = Watching(catalog.database)
        first = watching.served(0, 3)
        assert [trace.id for _, trace in first] == [trace.id for trace in traces[:3]]
        assert [trace.id for _, trace in watching.served(first[-1][0], 9)] == [trace.id for trace in traces[3:]]
        assert watching.newest() == watching.served(0, 9)[-1][0]
        said = watching.said(0, 1)
        assert [one.trace for _, one in watching.said(said[0][0], 9)] == [traces[1].id]

    def test_units_are_thinned_out(self, opener: Opener) -> None:
        watching = Watching(opener().database)
        count = MOST_UNITS + 100
        watching.keep("c", 0, Look(b"", units=[("c:a", n / count, str(n).encode()) for n in range(count)]))
        found = watching.units("c:a")
        assert len(found) == MOST_UNITS
        assert found[0] == b"0"
        assert watching.units_kept("c:a", 0.5) == pytest.approx(count / 2, abs=1)


class TestSQLite(Contract):
    @pytest.fixture
    def opener(self, request: pytest.FixtureRequest) -> Opener:
        path = request.getfixturevalue("tmp_path") / ".slipway" / "catalog.db"
        return lambda: Catalog(SQLite(path))


@pytest.mark.service
class TestPostgreSQL(Contract):
    @pytest.fixture
    def opener(self, request: pytest.FixtureRequest) -> Opener:
        address = request.getfixturevalue("database")
        return lambda: Catalog(Postgres(address))
