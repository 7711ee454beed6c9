"""The contract that every catalog passes. Subclass it in a test file:

    class TestMine(CatalogContract):
        def opener(self, request):
            folder = request.getfixturevalue("tmp_path")
            return lambda: Catalog(Mine(folder))

`opener` gets pytest's `request`, once a test, where the catalog begins empty. What it returns is called several times
and opens the same catalog once more each time, as another process would. The suite owns no database.
"""

# ruff: noqa: D102 -- the name of a test says what it tests

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from slipway.core.answer import Answer
from slipway.core.material import Dataset, Document
from slipway.core.ref import Ref
from slipway.core.run import Run
from slipway.core.trace import Feedback, Trace, Wanted
from slipway.errors import IntegrityError, NotFound
from slipway.testing.at_once import AT, TEXTS, at_once
from slipway.testing.label_catalogs import LabelContract

if TYPE_CHECKING:
    from slipway.core.catalog import Catalog


def trace_of(**more: Any) -> Trace:
    """A trace with an id of its own."""
    fields: dict[str, Any] = {
        "id": uuid.uuid4().hex, "at": AT, "endpoint": "/generate", "channel": "p", "release": "", "status": 200,
        "request": {},
    }  # fmt: skip
    return Trace(**{**fields, **more})


def feedback_of(trace: Trace, **more: Any) -> Feedback:
    """A thumb for a trace."""
    fields: dict[str, Any] = {"id": uuid.uuid4().hex, "trace": trace.id, "at": AT, "thumb": "up"}
    return Feedback(**{**fields, **more})


def dataset_of(size: int) -> Dataset:
    """A dataset that differs by its size."""
    return Dataset(name="d", kind="documents", items="0" * 64, size=size)


class CatalogContract(LabelContract):
    """What every catalog does alike. Override `opener`."""

    def opener(self, request: pytest.FixtureRequest) -> Callable[[], Catalog]:
        """What opens the catalog of this test."""
        raise NotImplementedError

    @pytest.fixture
    def again(self, request: pytest.FixtureRequest) -> Callable[[], Catalog]:
        return self.opener(request)

    @pytest.fixture
    def catalog(self, again: Callable[[], Catalog]) -> Iterator[Catalog]:
        found = again()
        yield found
        found.close()

    @pytest.fixture
    def other(self, again: Callable[[], Catalog], catalog: Catalog) -> Iterator[Catalog]:
        """The same catalog, as a second process has it."""
        found = again()
        yield found
        found.close()

    # nouns ---------------------------------------------------------------------------------------------------------
    @pytest.mark.parametrize("text", TEXTS)
    def test_a_noun_comes_back_as_it_was(self, catalog: Catalog, other: Catalog, text: str) -> None:
        noun = Document(source="a", text=text, media_type="text/plain", raw_sha256="0" * 64, meta={"k": text})
        ref = catalog.put("document", text[:50] or "-", noun)
        assert ref == Ref("document", text[:50] or "-", noun.digest)
        assert other.get("document", ref.digest, Document) == noun
        assert other.list("document", Document, text[:50] or "-")[0][1] == noun

    def test_a_noun_is_found_by_the_beginning_of_its_digest(self, catalog: Catalog) -> None:
        ref = catalog.put("dataset", "d", dataset_of(1))
        assert catalog.get("dataset", ref.digest[:8], Dataset) == dataset_of(1)
        assert catalog.has("dataset", ref.digest)
        assert not catalog.has("report", ref.digest)
        for wrong in (ref.digest[:7], "%" * 8, "_" * 64, "f" * 64, "", "0" * 8):
            with pytest.raises(NotFound):
                catalog.get("dataset", wrong, Dataset)
        with pytest.raises(NotFound):
            catalog.get("report", ref.digest, Dataset)

    def test_the_last_stored_is_the_newest(self, catalog: Catalog, other: Catalog) -> None:
        for size in (0, 1, 2, 0):
            catalog.put("dataset", "d", dataset_of(size))
        other.put("dataset", "e", dataset_of(7))
        assert [found.size for _, found in catalog.list("dataset", Dataset, "d")] == [0, 2, 1]
        assert [found.size for _, found in catalog.list("dataset", Dataset)] == [7, 0, 2, 1]

    def test_nouns_stored_at_once_are_all_there_in_one_order(self, catalog: Catalog, other: Catalog) -> None:
        def put(where: Catalog, first: int) -> Callable[[], None]:
            def work() -> None:
                for n in range(10):
                    where.put("dataset", "d", dataset_of(first + n))

            return work

        at_once(*(put(where, 100 * n) for n, where in enumerate((catalog, other, catalog, other))))
        found = [dataset.size for _, dataset in catalog.list("dataset", Dataset)]
        assert sorted(found) == sorted(100 * n + m for n in range(4) for m in range(10))
        for n in range(4):  # each writer's own stand in the order it stored them
            own = [size for size in found if size // 100 == n]
            assert own == sorted(own, reverse=True)

    # work ----------------------------------------------------------------------------------------------------------
    def test_a_run_changes_its_state_and_keeps_its_place(self, catalog: Catalog) -> None:
        for n in range(3):
            catalog.record(Run(id=f"r{n}", step="documents", status="running", started=AT, key="k"))
        assert catalog.finished("k") is None
        for n in (1, 0):
            catalog.record(Run(id=f"r{n}", step="documents", status="done", started=AT, key="k", seconds=float(n)))
        assert [run.id for run in catalog.runs()] == ["r2", "r1", "r0"]
        assert [run.id for run in catalog.runs(status="running")] == ["r2"]
        assert [run.id for run in catalog.runs(limit=1)] == ["r2"]
        found = catalog.finished("k")
        assert found is not None
        assert found.id == "r1"

    def test_work_is_remembered_once(self, catalog: Catalog, other: Catalog) -> None:
        catalog.remember("answer", {"a": b"1", "b": bytes(range(256)), "": b""})
        other.remember("answer", {"a": b"2", "c": b"3"})
        assert catalog.recall("answer", ["a", "b", "c", "", "d"]) == {
            "a": b"1",
            "b": bytes(range(256)),
            "c": b"3",
            "": b"",
        }
        assert catalog.recall("other", ["a"]) == {}
        catalog.remember("answer", {})
        assert catalog.recall("answer", []) == {}
        many = {f"{n}": b"x" for n in range(1500)}
        catalog.remember("many", many)
        assert other.recall("many", many) == many

    def test_two_who_remember_the_same_at_once(self, catalog: Catalog, other: Catalog) -> None:
        values = {f"{n}": b"x" for n in range(200)}
        backwards = dict(reversed(list(values.items())))
        for turn in range(5):
            at_once(
                lambda: catalog.remember(f"k{turn}", values),  # noqa: B023 -- joined within the turn
                lambda: other.remember(f"k{turn}", backwards),  # noqa: B023
            )
            assert catalog.recall(f"k{turn}", values) == values

    # decisions -----------------------------------------------------------------------------------------------------
    def test_a_channel_points_where_it_was_last_told(self, catalog: Catalog, other: Catalog) -> None:
        catalog.promote("production", "r1", by="ada", why="first")
        other.promote("production", "r2", by="bob", why="更好")
        catalog.promote("staging", "r1", by="ada", why="", action="rollback")
        assert other.channels() == {"production": "r2", "staging": "r1"}
        assert [row["why"] for row in other.history("production")] == ["更好", "first"]
        assert [row["action"] for row in other.history()] == ["rollback", "promote", "promote"]

    def test_the_ledger_follows_every_decision(self, catalog: Catalog, other: Catalog) -> None:
        before = catalog.head()
        assert catalog.verify_history() == before
        catalog.promote("p", "r", by="ada", why="")
        middle = other.head()
        assert other.look(["a", "b"], "verdict", ["c"], "q", "p", "ada").seq == 1
        assert catalog.look(["b", "a"], "verdict", ["c"], "q", "p", "bob").who == "ada"  # asked before: no entry
        catalog.look(["a"], "answers", ["c", "d"], "", "", "")
        catalog.look(["a"], "answers", ["c", "d"], "", "", "")
        catalog.add_key("k", "ada", "hash")
        assert catalog.revoke_key("k")
        assert catalog.head().startswith("6:")
        assert other.verify_history([before, middle]) == catalog.head()
        with pytest.raises(IntegrityError):
            catalog.verify_history(["1:" + "f" * 64])

    def test_decisions_made_at_once_stand_in_one_ledger(self, catalog: Catalog, other: Catalog) -> None:
        def decide(where: Catalog, n: int) -> Callable[[], None]:
            def work() -> None:
                for m in range(8):
                    where.promote(f"c{n}", f"r{m}", by="ada", why="")
                    where.look([f"e{m}", "e"], "verdict", [f"c{n}"], f"{n} {m}", "", "")
                    where.add_key(f"{n}-{m}", "ada", "hash")

            return work

        at_once(*(decide(where, n) for n, where in enumerate((catalog, other, catalog, other))))
        assert catalog.verify_history().startswith("96:")
        assert set(catalog.channels().values()) == {"r7"}
        assert len(catalog.looks(["e"])) == 32
        assert len(catalog.looks(["e3"])) == 4

    def test_looks_are_found_by_any_example(self, catalog: Catalog, other: Catalog) -> None:
        many = [f"e{n}" for n in range(1200)]
        first = catalog.look(many, "verdict", ["c", "d"], "q1", "demo", "ada")
        second = other.look([*reversed(many), "more"], "verdict", ["c", "d"], "q1", "demo", "ada")  # other examples
        third = other.look(["x"], "comparison", ["c"], "q1", "demo", "ada")
        again = catalog.look(many[::-1], "verdict", ["c", "d"], "q1", "other", "bob")
        assert again == first
        assert (first.candidates, first.project, first.kind) == (("c", "d"), "demo", "verdict")
        assert other.looks(["e1199", "x"]) == [first, second, third]
        assert catalog.looks(["more"]) == [second]
        assert catalog.looks(["nobody"]) == catalog.looks([]) == []
        assert catalog.verify_history().startswith("3:")

    def test_a_decision_that_fails_leaves_no_gap(self, catalog: Catalog) -> None:
        catalog.add_key("k", "ada", "hash")
        with pytest.raises(Exception):  # noqa: B017, PT011 -- each database has its own words for it
            catalog.add_key("k", "bob", "other")
        catalog.promote("p", "r", by="ada", why="")
        assert catalog.verify_history().startswith("2:")

    # keys ----------------------------------------------------------------------------------------------------------
    def test_keys_in_the_order_they_were_made(self, catalog: Catalog, other: Catalog) -> None:
        for id_ in ("b", "a", "c"):
            catalog.add_key(id_, "ada", f"hash-{id_}")
        assert other.revoke_key("a")
        assert not catalog.revoke_key("a")
        assert not catalog.revoke_key("nobody")
        found = catalog.api_keys()
        assert [key["id"] for key in found] == ["b", "a", "c"]
        assert [bool(key["revoked"]) for key in found] == [False, True, False]
        assert found[0].keys() == {"id", "name", "hash", "at", "revoked", "scopes", "tenant"}
        assert (found[0]["scopes"], found[0]["tenant"]) == ("", "")
        catalog.add_key("d", "bob", "hash-d", "ask read", "acme")
        assert (other.api_keys()[-1]["scopes"], other.api_keys()[-1]["tenant"]) == ("ask read", "acme")
        other.verify_history()

    # records -------------------------------------------------------------------------------------------------------
    def test_what_was_served_is_counted_from_a_moment_on(self, catalog: Catalog) -> None:
        early = [trace_of(at=f"2026-01-01T00:00:{n:02}.000000Z") for n in range(3)]
        late = [trace_of(at=f"2026-01-02T00:00:{n:02}.000000Z", seconds=n / 10) for n in range(10, 30)]
        bad = trace_of(at="2026-01-02T00:01:00.000000Z", status=503, seconds=99.0)
        said = [
            feedback_of(late[0], thumb="up"),
            feedback_of(late[1], thumb="down"),
            feedback_of(late[2], thumb=None, score=0.5),
        ]
        catalog.add_traces([*early, *late, bad], said)
        found = catalog.traffic("2026-01-02")
        assert (found.requests, found.errors, found.up, found.down) == (21, 1, 1, 1)
        assert found.median == pytest.approx(1.9)
        assert found.slow == pytest.approx(2.8)
        assert catalog.traffic("2027").requests == 0
        assert catalog.traffic("2027").median is None
        assert catalog.traffic("").requests == 24
        assert [catalog.newer(one.id) for one in (early[0], late[-1], bad)] == [early[1].id, bad.id, ""]
        assert catalog.newer("f" * 32) == ""

    def test_traces_and_feedback(self, catalog: Catalog, other: Catalog) -> None:
        first, second = (
            trace_of(request={"messages": [{"content": "你好 😀 \x00"}]}),
            trace_of(channel="q", seconds=0.1),
        )
        said = feedback_of(first, comment="不错")
        catalog.add_traces([first, second], [said])
        assert other.trace(first.id) == first
        assert [trace.id for _, trace in other.traces()] == [second.id, first.id]
        assert [trace.id for _, trace in other.traces(channel="q")] == [second.id]
        (newest, _), (oldest, _) = other.traces()
        assert newest > oldest
        assert [trace.id for _, trace in other.traces(after=oldest)] == [second.id]
        assert [trace.id for _, trace in other.traces(limit=1)] == [second.id]
        assert other.feedback(first.id) == other.feedback() == [said]
        assert other.feedback(second.id) == []
        with pytest.raises(NotFound):
            catalog.trace("nope")
        catalog.add_traces([])

    def test_traces_that_are_wanted(self, catalog: Catalog, other: Catalog) -> None:
        def asked(text: str, answer: str = "", **more: Any) -> Trace:
            said = Answer(text=answer, raw=answer) if answer else None
            return trace_of(request={"messages": [{"role": "user", "content": text}]}, answer=said, **more)

        old = asked("When does the Opening begin?", "at 7:30", at="2026-01-01T00:00:00.000000Z", status=404)
        slow = asked("Was kostet GRÖSSE 100%_x?", 'Straße \\ "5"', seconds=2.5, release="f" * 64)
        chinese = asked("港口几点开门？", "早上七点半。", status=503, channel="q")
        broken = asked("answer content role", status=500)
        catalog.add_traces([old, slow, chinese, broken])
        catalog.add_traces(
            [], [feedback_of(old, thumb="down"), feedback_of(slow, thumb="up", comment='"thumb":"down"')]
        )

        def found(**wanted: Any) -> list[Trace]:
            return [trace for _, trace in other.traces(wanted=Wanted(**wanted))]

        assert found() == [broken, chinese, slow, old]
        assert found(since="2026-01-02T00:00:00") == [broken, chinese, slow]
        assert found(status="404") == [old]
        assert found(status="5xx") == [broken, chinese]
        assert found(thumb="up") == [slow]
        assert found(thumb="down") == [old]
        assert found(release="f" * 64) == found(slow=2.5) == [slow]
        assert found(channel="q", status="503") == [chinese]
        assert found(before=chinese.id) == [slow, old]
        assert found(ids=(old.id, slow.id)) == [slow, old]
        assert found(ids=()) == found(before="nobody") == []
        for words in (("opening",), ("BEGIN", "7:30"), ("at 7",)):
            assert found(words=words) == [old], words
        for words in (("größe",), ("100%_x",), ("\\",), ('"5"',), ("STRAßE",), ("!",)):
            assert found(words=words) == ([] if words == ("!",) else [slow]), words
        assert found(words=("开门", "七点半")) == [chinese]
        assert found(words=("content",)) == [broken], "the names of fields are not what anybody said"
        assert found(words=("openin_",)) == found(words=("open%g",)) == found(words=("nowhere",)) == []

    def test_words_are_found_among_many(self, catalog: Catalog) -> None:
        hay = [trace_of(request={"prompt": "x"}, endpoint="/needle") for _ in range(450)]
        needle = trace_of(request={"prompt": "the needle"})
        catalog.add_traces([needle, *hay])
        assert [trace for _, trace in catalog.traces(1, wanted=Wanted(words=("needle",)))] == [needle]

    def test_all_of_a_batch_or_none(self, catalog: Catalog) -> None:
        one, two = trace_of(), trace_of()
        catalog.add_traces([one])
        with pytest.raises(Exception):  # noqa: B017, PT011 -- each database has its own words for it
            catalog.add_traces([two, one], [feedback_of(two)])
        assert [trace.id for _, trace in catalog.traces()] == [one.id]
        assert catalog.feedback() == []
        catalog.add_traces([two])

    def test_writers_at_once_lose_no_row(self, catalog: Catalog, other: Catalog) -> None:
        def write(where: Catalog) -> Callable[[], None]:
            def work() -> None:
                for _ in range(10):
                    traces = [trace_of() for _ in range(3)]
                    where.add_traces(traces, [feedback_of(traces[0])])

            return work

        at_once(*(write(where) for where in (catalog, other, catalog, other)))
        assert len(catalog.traces(limit=1000)) == 120
        assert len(catalog.feedback()) == 40

    def test_trying_to_write_leaves_nothing(self, catalog: Catalog) -> None:
        catalog.try_writing()
        catalog.try_writing()
        assert catalog.recall("try", ["x"]) == {}
        room = catalog.room()
        assert room is None or 0 < room[0] <= room[1]
        assert catalog.where

    def test_two_that_open_a_new_catalog_at_once(self, again: Callable[[], Catalog]) -> None:
        at_once(*([lambda: again().close()] * 4))
        catalog = again()
        catalog.promote("p", "r", by="ada", why="")
        assert catalog.verify_history().startswith("1:")
        catalog.close()
