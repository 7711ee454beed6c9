"""Queues from traces, examples and documents; what is drawn, judged, adjudicated, written, exchanged and forgotten."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from commands import slipway
from slipway import api
from slipway.api.labelling import Labelling
from slipway.core.answer import Answer
from slipway.core.labelling import Criterion, Item
from slipway.core.material import Example
from slipway.core.trace import Trace
from slipway.errors import Busy, ConfigError, MissingPrerequisite, NotFound
from slipway.loop.context import Context
from slipway.loop.labelling.drawing import Unit, draw, novelty
from slipway.loop.labelling.room import Person, Plan
from slipway.loop.labelling.values import spans_of
from slipway.store.gc import needed_by
from slipway.testing.catalogs import feedback_of, trace_of

ADA, BOB, CY = Person("ada"), Person("bob"), Person("cy")
EMOJI = "👩‍🚀 says: pay 12 EUR to Ada Q."


def asked(text: str, answer: str, **more: Any) -> Trace:
    confidence = more.pop("confidence", None)
    return trace_of(
        request={"messages": [{"role": "user", "content": text}]},
        answer=Answer(text=answer, raw=answer, confidence=confidence), **more,
    )  # fmt: skip


@pytest.fixture
def project(ran: Path) -> Any:
    with api.open_project(ran) as opened:
        yield opened


def traffic(project: Context, n: int = 40, bad: int = 6) -> list[Trace]:
    """Requests of which the first few got a thumb down; the confidence rises."""
    made = [
        asked(f"Where does vessel number {k} moor on day {k * 7}?", f"at pier {k}", confidence=k / n) for k in range(n)
    ]
    said = [feedback_of(one, thumb="down") for one in made[:bad]]
    project.store.catalog.add_traces(made, said)
    return made


def judge_all(queues: Labelling, name: str, person: Person, value: Any) -> int:
    done = 0
    while work := queues.next(name, person):
        queues.judge(name, work.item.id, person, value(work.item) if callable(value) else value)
        done += 1
    return done


def rows(project: Context, file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (project.root / file).read_text("utf-8").splitlines()]


# drawing -------------------------------------------------------------------------------------------------------------


def test_the_wanted_are_taken_and_the_rest_is_drawn_with_its_probability() -> None:
    units = [Unit(input={}, text=f"t{n}", wanted={"thumbs-down": n / 50} if n < 5 else {}) for n in range(50)]
    drawn = draw(units, 20, ["thumbs-down", "random"], 0.2, seed=1)
    wanted = [unit.text for unit, pick, _ in drawn if pick == "thumbs-down"]
    assert sorted(wanted) == ["t0", "t1", "t2", "t3", "t4"]
    assert {p for _, pick, p in drawn if pick == "thumbs-down"} == {1.0}
    assert {p for _, pick, p in drawn if pick == "random"} == {15 / 45}
    assert len(drawn) == 20
    few = draw(units, 4, ["thumbs-down"], 0.5, seed=1)
    assert sorted(pick for _, pick, _ in few) == ["random", "random", "thumbs-down", "thumbs-down"]
    assert {unit.text for unit, pick, _ in few if pick == "thumbs-down"} == {"t4", "t3"}, "the most wanted"
    assert draw(units, 20, ["thumbs-down"], 0.2, seed=1) == drawn
    assert [pick for _, pick, _ in draw(units, 3, ["novelty"], 0.2, seed=0)] == ["random"] * 3
    assert draw([], 5, ["novelty"], 0.2, seed=0) == []


def test_over_many_drawings_each_unit_is_taken_as_often_as_its_probability_says() -> None:
    units = [Unit(input={}, text=f"t{n}", wanted={"novelty": 1.0} if n < 2 else {}) for n in range(12)]
    taken = dict.fromkeys(range(12), 0)
    for seed in range(2000):
        for unit, pick, probability in draw(units, 6, ["novelty"], 0.4, seed=seed):
            taken[int(unit.text[1:])] += 1
            assert probability == (1.0 if pick == "novelty" else 4 / 10)
    assert taken[0] == taken[1] == 2000
    assert all(abs(n / 2000 - 0.4) < 0.05 for place, n in taken.items() if place > 1)


def test_what_is_new_is_far_from_all_that_is_known() -> None:
    same, near, far = novelty(
        ["the red crane", "the red crane sinks", "quantum soup"], ["the red crane", "a blue sail"]
    )
    assert same == pytest.approx(0)
    assert 0 < near < 1
    assert far == 1
    assert novelty(["x"], []) == [1.0]


# queues --------------------------------------------------------------------------------------------------------------


def test_a_queue_of_bad_answers_becomes_rows_with_lineage(project: Context) -> None:
    made = traffic(project)
    queues = api.labelling(project)
    queue = queues.create(Plan(name="bad", size=10, picks=("thumbs-down",), seed=3))
    assert (queue.kind, queue.population) == ("answer", 40)
    items = queues.labels.items("bad")
    assert sum(item.pick == "thumbs-down" for item in items) == 6
    assert {item.probability for item in items} == {1.0, 4 / 34}
    decide = {"thumbs-down": {"decision": "correct", "text": "at the harbour office"}, "random": {"decision": "accept"}}
    assert judge_all(queues, "bad", ADA, lambda item: decide[item.pick]) == 10
    found = queues.standing("bad")
    assert found.states == {"open": 0, "done": 10, "conflict": 0, "skipped": 0}
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(34 / 40)
    assert found.estimate.low < 34 / 40 <= found.estimate.high
    written = queues.make_rows("bad")
    assert written.rows == {"examples": 10, "preferences": 6, "thumbs": 10}
    examples = rows(project, "feedback/bad.examples.jsonl")
    traces = {one.id for one in made}
    for row in examples:
        trace, queue_, item, annotator = row["lineage"].split()
        assert trace.removeprefix("trace:") in traces
        assert (queue_, annotator) == ("queue:bad", "annotator:ada")
        assert item.removeprefix("item:") in {one.id for one in items}
        assert "review" not in row
    assert {row["answer"] for row in examples} >= {"at the harbour office"}
    pair = rows(project, "feedback/bad.preferences.jsonl")[0]
    assert pair["chosen"] == "at the harbour office"
    assert pair["rejected"].startswith("at pier")
    text = (project.root / "slipway.yaml").read_text("utf-8")
    listed = "[{path: questions.jsonl}, {path: feedback/bad.examples.jsonl, split: train}]"
    (project.root / "slipway.yaml").write_text(text.replace("[{path: questions.jsonl}]", listed), "utf-8")
    with api.open_project(project.root) as again:
        frozen = api.items(again, api.run(again, "evaluate").datasets["examples"])
    learnt = [one for one in frozen if isinstance(one, Example) and "queue:bad" in str(one.meta.get("lineage"))]
    assert len(learnt) == 10
    assert {one.split for one in learnt} == {"train"}


def test_nothing_that_is_held_out_is_shown_or_written(project: Context) -> None:
    examples = [one for one in api.items(project, api.find(project, "dataset", "examples")) if isinstance(one, Example)]
    held = [one for one in examples if one.split != "train"]
    project.store.catalog.add_traces(
        [asked(one.text, "x") for one in held] + [asked("Who paints the fog signal?", "Bo")]
    )
    queues = api.labelling(project)
    queue = queues.create(Plan(name="q"))
    assert [item.text for item in queues.labels.items("q")] == ["Who paints the fog signal?"]
    assert queue.left_out == {"held-out": len(held)}
    with pytest.raises(ConfigError):
        queues.create(Plan(name="gate", source="examples", split="gate"))
    queues.create(Plan(name="train", source="examples", kind="answer", split="train"))
    shown = {item.text for item in queues.labels.items("train")}
    assert shown <= {one.text for one in examples if one.split == "train"}
    queues.create(Plan(name="dev", source="examples", kind="answer", split="dev"))
    dev = {item.text for item in queues.labels.items("dev")}
    assert dev
    assert dev <= {one.text for one in examples if one.split == "dev"}
    judge_all(queues, "dev", ADA, {"decision": "accept"})
    written = queues.make_rows("dev")
    assert (written.rows, written.held_out) == ({}, 2 * len(dev))
    assert not (project.root / "feedback").exists() or not list((project.root / "feedback").glob("dev.*"))


def test_documents_and_comparisons_and_rubrics_and_spans(project: Context) -> None:
    queues = api.labelling(project)
    with pytest.raises(ConfigError, match="documents have no answers"):
        queues.create(Plan(name="x", source="documents", kind="answer"))
    queues.create(Plan(name="spans", source="documents", kind="spans", labels=("thing", "number"), size=5))
    item = queues.labels.items("spans")[0]
    assert item.lineage.startswith("document:docs/")
    word = item.text.split()[1]
    start = item.text.find(word)
    judge_all(queues, "spans", ADA, lambda one: {"spans": [[0, 3, "thing"]]})
    written = queues.make_rows("spans")
    assert written.rows["spans"] + written.held_out == 5
    assert all(row["spans"] == [{"start": 0, "end": 3, "label": "thing", "text": row["marked"][:3]}]
               for row in rows(project, "feedback/spans.spans.jsonl"))  # fmt: skip
    assert spans_of(f"thing: {word}\n number {start}-{start + 2}\n\n", item) == [
        [start, start + len(word), "thing"], [start, start + 2, "number"]]  # fmt: skip
    accented = msgspec.structs.replace(item, text="Un caf\u00e9 \u00e0 Paris")
    assert spans_of("thing: cafe\u0301 a\u0300", accented) == [[3, 9, "thing"]], "as a keyboard may write it"
    for wrong in ("thing: nowhere to be found", "just words", "thing 5"):
        with pytest.raises(ConfigError):
            spans_of(wrong, item)

    twice = [
        asked("Which hull is tested first of all?", said) for said in ("the steel one", "the oak one", "the oak one")
    ]
    project.store.catalog.add_traces(twice)
    queues.create(Plan(name="pairs", kind="compare"))
    (pair,) = queues.labels.items("pairs")
    assert {pair.answer, pair.other} == {"the steel one", "the oak one"}
    assert len(pair.lineage.split()) == 2
    judge_all(queues, "pairs", ADA, {"choice": "second"})
    assert queues.make_rows("pairs").rows == {"preferences": 1}
    assert rows(project, "feedback/pairs.preferences.jsonl")[0]["chosen"] == pair.other

    queues.create(Plan(name="points", kind="rubric", rubric=(Criterion("kind", 1, 3), Criterion("true", 0, 1))))
    judge_all(queues, "points", ADA, {"scores": {"kind": 3, "true": 1}})
    assert queues.make_rows("points").rows["thumbs"] >= 1
    for wrong in ({}, {"kind": 4, "true": 1}, {"kind": True, "true": 1}, {"kind": 2}):
        with pytest.raises(ConfigError):
            queues.judge("points", queues.labels.items("points")[0].id, BOB, {"scores": wrong})


def test_what_cannot_be_asked_is_told(project: Context) -> None:
    queues = api.labelling(project)
    with pytest.raises(MissingPrerequisite, match="nothing to label"):
        queues.create(Plan(name="empty"))
    traffic(project, 5, 0)
    queues.create(Plan(name="q"))
    wrong: list[dict[str, Any]] = [
        {"name": "q"}, {"name": "../x"}, {"name": "mined"}, {"name": "UP"}, {"name": "a", "size": 0},
        {"name": "a", "share": 0.0}, {"name": "a", "kind": "poem"}, {"name": "a", "picks": ("worst",)},
        {"name": "a", "kind": "label"}, {"name": "a", "kind": "label", "labels": ("x", "x")},
        {"name": "a", "kind": "label", "labels": ("x\ny",)}, {"name": "a", "kind": "rubric"},
        {"name": "a", "annotators": 0}, {"name": "a", "kind": "compare", "blind": True},
        {"name": "a", "kind": "rubric", "rubric": (Criterion("x", 3, 1),)},
    ]  # fmt: skip
    for one in wrong:
        with pytest.raises(ConfigError):
            queues.create(Plan(**one))
    with pytest.raises(NotFound):
        queues.standing("nope")
    item = queues.labels.items("q")[0]
    for value in (
        {},
        {"decision": "maybe"},
        {"decision": "correct", "text": " "},
        {"decision": "correct", "text": "x" * 20_001},
    ):
        with pytest.raises(ConfigError):
            queues.judge("q", item.id, ADA, value)
    with pytest.raises(NotFound):
        queues.judge("q", "f" * 32, ADA, {"skip": True})


# judging -------------------------------------------------------------------------------------------------------------


def three(project: Context, annotators: int = 3) -> Labelling:
    traffic(project, 12, 0)
    queues = api.labelling(project)
    labels = ("harbour", "cargo")
    queues.create(Plan(name="q", kind="label", labels=labels, annotators=annotators, size=12, picks=()))
    return queues


def test_several_annotators_agree_disagree_and_somebody_decides(project: Context) -> None:
    queues = three(project)
    items = queues.labels.items("q")
    even = {item.id: n % 2 for n, item in enumerate(items)}
    said = {0: {"label": "harbour"}, 1: {"label": "cargo"}}
    for person in (ADA, BOB):
        assert judge_all(queues, "q", person, lambda item: said[even[item.id]]) == 12
    assert (
        judge_all(queues, "q", CY, lambda item: {"skip": True} if item.id == items[0].id else {"label": "harbour"})
        == 12
    )
    assert queues.next("q", Person("dee")) is None, "each has its three"
    found = queues.standing("q")
    assert found.states == {"open": 0, "done": 12, "conflict": 0, "skipped": 0}, "two of three decide"
    measures = {(one.measure, one.between): one.found.value for one in found.agreement}
    assert measures["cohen", ("ada", "bob")] == pytest.approx(1)
    assert measures["cohen", ("ada", "cy")] == pytest.approx(0)
    assert 0 < measures["krippendorff nominal", ()] < 1
    assert ("fleiss", ()) not in measures, "one item has two labels"
    queues.undo("q", BOB)
    last = next(one for one in queues.labels.judgements("q") if one.by == "cy" and not one.skipped)
    assert queues.standing("q").states["open"] == 1
    queues.labels.erase(judgements=[last.id])
    queues.create(Plan(name="two", kind="label", labels=("harbour", "cargo"), annotators=2, size=4))
    judge_all(queues, "two", ADA, {"label": "harbour"})
    judge_all(queues, "two", BOB, {"label": "cargo"})
    assert queues.standing("two").states["conflict"] == 4
    item, given = queues.conflicts("two")[0]
    assert {one.value["label"] for one in given} == {"harbour", "cargo"}
    settled = queues.adjudicate("two", item.id, CY, {"label": "cargo"})
    assert queues.standing("two").states == {"open": 0, "done": 1, "conflict": 3, "skipped": 0}
    with pytest.raises(Busy, match="nothing was overwritten"):
        queues.adjudicate("two", item.id, ADA, {"label": "harbour"})
    queues.adjudicate("two", item.id, CY, {"label": "harbour"}, settled.id)
    with pytest.raises(Busy, match="adjudicated"):
        queues.judge("two", item.id, Person("dee"), {"label": "cargo"})
    queues.make_rows("two")
    row = rows(project, "feedback/two.examples.jsonl")[0]
    assert (row["answer"], row["from"]) == ("harbour", "adjudication")
    assert row["lineage"].split()[-3:] == ["annotator:ada", "annotator:bob", "annotator:cy"]


def test_nobody_overwrites_what_they_have_not_seen(project: Context) -> None:
    queues = three(project, 1)
    item = queues.labels.items("q")[0]
    first = queues.judge("q", item.id, ADA, {"label": "cargo"})
    assert queues.judge("q", item.id, ADA, {"label": "cargo"}) == first, "sent twice"
    with pytest.raises(Busy, match="nothing was overwritten"):
        queues.judge("q", item.id, ADA, {"label": "harbour"})
    second = queues.judge("q", item.id, ADA, {"label": "harbour"}, first.id)
    with pytest.raises(Busy):
        queues.judge("q", item.id, ADA, {"label": "cargo"}, first.id)
    with pytest.raises(Busy):
        queues.judge("q", item.id, BOB, {"label": "cargo"}, second.id), "not his to replace"
    assert [one.value["label"] for one in queues.judgements("q", item.id)] == ["harbour"]
    assert queues.undo("q", ADA) == second
    with pytest.raises(Busy, match="taken back"):
        queues.judge("q", item.id, ADA, {"label": "cargo"}, second.id)
    assert queues.undo("q", ADA) is None


def test_two_people_at_once_share_the_work(project: Context) -> None:
    queues = three(project, 1)
    done: dict[str, int] = {}

    def label(person: Person) -> None:
        done[person.name] = judge_all(queues, "q", person, {"label": "cargo"})

    threads = [threading.Thread(target=label, args=(person,)) for person in (ADA, BOB, CY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done.values()) == 12
    assert len({one.item for one in queues.labels.judgements("q")}) == 12


def test_a_blind_guess_is_kept_before_the_model_is_shown(project: Context) -> None:
    made = [asked(f"Does crane number {n} lift {n * 31} boxes?", "yes" if n % 2 else "no") for n in range(6)]
    project.store.catalog.add_traces(made)
    queues = api.labelling(project)
    queues.create(Plan(name="b", kind="label", labels=("yes", "no"), blind=True))
    seen = 0
    while work := queues.next("b", ADA):
        if work.reveal:
            assert work.mine is not None
            assert work.mine.guess == {"label": "yes"}
            assert work.item.answer == "no", "no second look where both say the same"
            queues.judge("b", work.item.id, ADA, {"label": "no" if seen else "yes"}, work.mine.id)
            seen += 1
        else:
            queues.judge("b", work.item.id, ADA, {"label": "yes"})
    assert seen == 3
    found = queues.standing("b")
    assert (found.blind, found.changed) == (6, 2)
    assert found.labels == {"yes": 4, "no": 2}
    queues.create(Plan(name="own", kind="answer", blind=True, size=1))
    work = queues.next("own", ADA)
    assert work is not None
    queues.judge("own", work.item.id, ADA, {"decision": "correct", "text": "perhaps"})
    again = queues.next("own", ADA)
    assert again is not None
    assert again.reveal
    queues.judge("own", work.item.id, ADA, {"decision": "accept"}, again.mine.id if again.mine else "")
    assert queues.next("own", ADA) is None
    assert queues.standing("own").changed == 1


# other tools ---------------------------------------------------------------------------------------------------------


def test_label_studio_there_and_back(project: Context, tmp_path: Path) -> None:
    traffic(project, 8, 0)
    project.store.catalog.add_traces([asked(EMOJI, "x"), asked("Which hull is tested first of all?", "the oak one"),
                                      asked("Which hull is tested first of all?", "the steel one")])  # fmt: skip
    queues = api.labelling(project, "off")
    plans: dict[str, tuple[Plan, Any]] = {
        "answer": (Plan(name="answer", annotators=2), {"decision": "correct", "text": "鍵 & <b>bold</b>"}),
        "label": (Plan(name="label", kind="label", labels=("yes & <no>", "否")), {"label": "yes & <no>"}),
        "compare": (Plan(name="compare", kind="compare"), {"choice": "second"}),
        "rubric": (Plan(name="rubric", kind="rubric", rubric=(Criterion("true"),)), {"scores": {"true": 2}}),
        "spans": (Plan(name="spans", kind="spans", source="documents", labels=("a", "b")), {"spans": [[0, 3, "a"]]}),
    }
    for name, (plan, value) in plans.items():
        queues.create(plan)
        judge_all(queues, name, ADA, value)
        first = queues.next(name, BOB)
        if first is not None:
            queues.judge(name, first.item.id, BOB, {"skip": True})
        tasks, interface = queues.tasks(name)
        assert interface.startswith("<View>")
        assert interface.count("<Choice ") in (0, 2, 3)
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(tasks), "utf-8")
        before = {(one.item, one.by, one.skipped): one.value for one in queues.labels.judgements(name)}
        same = queues.take(name, file)
        assert (same.judgements, same.standing, same.left_out) == (0, len(before), {})
        queues.labels.erase(judgements=[one.id for one in queues.labels.judgements(name)])
        back = queues.take(name, file)
        assert (back.created, back.judgements, back.standing) == (False, len(before), 0)
        assert {(one.item, one.by, one.skipped): one.value for one in queues.labels.judgements(name)} == before
        queues.remove(name)
        new = queues.take(name, file)
        assert new.created
        assert queues.queue(name).kind == plan.kind or name == "answer"
        assert new.judgements == len(before), new.left_out
        assert queues.standing(name).estimate is None, "nobody drew them"
        assert all(one.lineage.startswith(("trace:", "document:")) for one in queues.labels.items(name))


def test_label_studios_own_spans_whatever_their_units(project: Context, tmp_path: Path) -> None:
    at = EMOJI.find("Ada Q")
    units = len(EMOJI[:at].encode("utf-16-le")) // 2
    assert units != at
    result = [{"from_name": "label", "to_name": "text", "type": "labels", "id": "x",
               "value": {"start": start, "end": start + 5, "text": "Ada Q", "labels": ["person"]}}
              for start in (at, units)]  # fmt: skip
    task = {"id": 1, "data": {"text": EMOJI}, "annotations": [
        {"id": 1, "completed_by": 7, "result": result, "was_cancelled": False},
        {"id": 2, "completed_by": {"email": "x@y"}, "result": [{**result[0], "value": {**result[0]["value"], "start": 1}}]},
        {"id": 3, "result": result},
    ]}  # fmt: skip
    file = tmp_path / "ls.json"
    file.write_text(json.dumps([task, {"data": {}}, {"data": 5, "annotations": "x"}]), "utf-8")
    queues = api.labelling(project, "off")
    taken = queues.take("ls", file)
    (one,) = queues.labels.judgements("ls")
    text = queues.labels.items("ls")[0].text
    ((start, end, label),) = one.value["spans"]
    assert (one.by, text[start:end], label) == ("7", "Ada Q", "person")
    assert taken.left_out == {"no-text": 2, "not-of-this-queue": 1, "nobody": 1}
    for wrong in ("{", "{}", "[1]", "[]", json.dumps([{"data": {"text": "x"}}])):
        file.write_text(wrong, "utf-8")
        with pytest.raises(ConfigError):
            queues.take("other", file)
    with pytest.raises(ConfigError, match="cannot be read"):
        queues.take("other", tmp_path / "none.json")


# taking out ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["trace", "annotator", "matching"])
def test_forgetting_takes_items_labels_and_rows(project: Context, by: str) -> None:
    secret = asked("Where does Paulina Quistgaard moor her boat?", "at pier 3")
    project.store.catalog.add_traces([secret, asked("Where is the tide table kept?", "in the office")])
    id_, _ = api.create_key(project, "ann")
    queues = api.labelling(project)
    queues.create(Plan(name="q", annotators=2))
    judge_all(queues, "q", Person("ann", id_), {"decision": "correct", "text": "ask Paulina Quistgaard"})
    judge_all(queues, "q", BOB, {"decision": "accept"})
    for item, _ in queues.conflicts("q"):
        queues.adjudicate("q", item.id, CY, {"decision": "accept"})
    assert queues.make_rows("q").rows["examples"] == 2
    options = {"trace": {"trace": secret.id}, "annotator": {"user": "ann"}, "matching": {"matching": "paulina quist"}}
    told = api.forget(project, **options[by])
    assert told.labels == {"trace": 4, "annotator": 2, "matching": 5}[by]
    assert len(queues.labels.judgements()) == 6
    api.forget(project, **options[by], yes=True)
    left = rows(project, "feedback/q.examples.jsonl")
    assert len(left) == {"trace": 1, "annotator": 0, "matching": 1}[by]
    assert not [one for one in queues.labels.judgements() if by == "annotator" and one.key == id_]
    assert len(queues.labels.items("q")) == (2 if by == "annotator" else 1)
    again = api.forget(project, **options[by], yes=True)
    assert (again.labels, again.rows) == (0, {})


def test_what_was_adjudicated_is_not_undone_and_traces_stay_as_long_as_their_queue(project: Context) -> None:
    queues = three(project, 2)
    item = queues.labels.items("q")[0]
    queues.judge("q", item.id, ADA, {"label": "cargo"})
    queues.judge("q", item.id, BOB, {"label": "harbour"})
    queues.adjudicate("q", item.id, CY, {"skip": True})
    assert queues.standing("q").states["skipped"] == 1
    with pytest.raises(Busy, match="adjudicated"):
        queues.undo("q", ADA)
    trace = item.lineage.removeprefix("trace:")
    assert trace in needed_by(project.store).traces
    queues.remove("q")
    assert trace not in needed_by(project.store).traces


def test_what_was_forgotten_stands_for_nothing(project: Context) -> None:
    traffic(project)
    queues = api.labelling(project)
    queues.create(Plan(name="q", size=10, picks=("thumbs-down",)))
    judge_all(queues, "q", ADA, lambda item: {"decision": "wrong" if item.pick == "thumbs-down" else "accept"})
    drawn = [item for item in queues.labels.items("q") if item.pick == "random"]
    queues.labels.erase(items=[one.id for one in drawn[:2]])
    found = queues.standing("q").estimate
    assert found is not None
    assert found.value == pytest.approx((2 / 4 * 34) / (2 / 4 * 34 + 6), abs=0.02)


@pytest.mark.parametrize("picks", [("low-confidence",), ("random",)])
def test_what_a_classifier_abstained_from_is_not_right(project: Context, picks: tuple[Any, ...]) -> None:
    """It got no label; it took no part, so that what was answered stood for it, or there was no estimate at all."""

    def one(k: int) -> Trace:
        answer = Answer(
            text="" if k % 2 else "pier", raw="pier", confidence=0.2 + 0.6 * (k % 2 == 0), abstained=k % 2 > 0
        )
        return msgspec.structs.replace(asked(f"Where does vessel number {k} moor on day {k * 7}?", ""), answer=answer)

    project.store.catalog.add_traces([one(k) for k in range(40)])
    queues = api.labelling(project)
    queues.create(Plan(name="q", kind="label", labels=("pier", "dock"), size=40, picks=picks))
    judge_all(queues, "q", ADA, {"label": "pier"})
    found = queues.standing("q").estimate
    assert found is not None
    assert (found.value, found.n) == (0.5, 40)


def test_labels_that_are_not_what_serves_say_nothing_of_it(project: Context) -> None:
    traffic(project)
    queues = api.labelling(project)
    queues.create(Plan(name="topics", kind="label", labels=("mooring", "weather"), size=10))
    judge_all(queues, "topics", ADA, {"label": "mooring"})
    found = queues.standing("topics")
    assert (found.estimate, found.estimable) == (None, False)


@pytest.mark.parametrize("annotators", [1, 2])
def test_conflicts_and_what_was_skipped_may_be_right_or_wrong(project: Context, annotators: int) -> None:
    """Half of the wrong answers are hard to judge: what is decided is no random part of the whole."""
    traffic(project, 60)
    queues = api.labelling(project)
    queues.create(Plan(name="q", size=60, annotators=annotators))
    hard = {item.id: k % 4 for k, item in enumerate(queues.labels.items("q"))}  # 0: hard and wrong, 1: wrong
    for person in (ADA, BOB)[:annotators]:

        def say(item: Item, person: Person = person) -> dict[str, Any]:
            if hard[item.id] == 0 and annotators == 1:
                return {"skip": True}
            return {"decision": "accept" if hard[item.id] > 1 or (hard[item.id] == 0 and person is BOB) else "wrong"}

        assert judge_all(queues, "q", person, say) == 60
    found = queues.standing("q")
    assert found.states["conflict"] + found.states["skipped"] == 15
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(2 / 3)
    assert (found.estimate.low, found.estimate.high) == pytest.approx((0.5, 0.75))


def test_personal_data_is_masked_before_anybody_labels_it(project: Context) -> None:
    project.store.catalog.add_traces(
        [asked("Call me under paula@example.org please, is it open?", "yes, paula@example.org")]
    )
    queues = api.labelling(project)
    queues.create(Plan(name="q"))
    (item,) = queues.labels.items("q")
    assert "paula@" not in item.text + item.answer + json.dumps(item.input)


def test_labelled_rows_outrank_what_users_said(project: Context) -> None:
    one = asked("Which lamp burns on the outer mole?", "the red one")
    project.store.catalog.add_traces([one], [feedback_of(one, correction="the blue one")])
    queues = api.labelling(project)
    queues.create(Plan(name="q"))
    judge_all(queues, "q", ADA, {"decision": "correct", "text": "the green one"})
    queues.make_rows("q")
    assert api.mine_feedback(project).rows["examples"] == 0


@pytest.mark.slow
def test_the_commands(ran: Path, tmp_path: Path) -> None:
    with api.open_project(ran) as project:
        traffic(project)
    where = ("-C", str(ran))
    done = slipway("label", "create", "bad", "--by", "thumbs-down", "--by", "low-confidence", "--size", "10",
                   "--since", "1d", *where, "--json")  # fmt: skip
    assert done.returncode == 3, "those traces are old"
    done = slipway("label", "create", "bad", "--by", "thumbs-down", "--by", "low-confidence", "--size", "10", *where)
    assert done.returncode == 0, done.stderr
    assert slipway("label", "create", "bad", *where).returncode == 2
    with api.open_project(ran) as project:
        queues = api.labelling(project)
        assert {item.pick for item in queues.labels.items("bad")} == {"thumbs-down", "low-confidence", "random"}
        judge_all(queues, "bad", ADA, {"decision": "wrong"})
    status = json.loads(slipway("label", "status", "bad", *where, "--json").stdout)
    assert status["states"]["done"] == 10
    assert status["estimate"]["value"] == 0
    assert "bad" in slipway("label", "status", *where, "--csv").stdout
    file = tmp_path / "tasks.json"
    done = slipway("label", "export", "bad", str(file), "--format", "label-studio", *where)
    assert done.returncode == 0, done.stderr
    assert "<View>" in done.stdout
    assert slipway("label", "import", "again", str(file), *where).returncode == 0
    told = json.loads(slipway("label", "export", "bad", *where, "--json").stdout)
    assert told["rows"] == {"thumbs": 10}
    assert slipway("label", "export", "bad", str(file), *where).returncode == 2
    assert "--yes" in slipway("label", "remove", "again", *where).stdout
    assert slipway("label", "remove", "again", "--yes", *where).returncode == 0
    assert slipway("label", "status", "again", *where).returncode == 2


def test_the_place_of_an_answer_changes_with_who_looks() -> None:
    from slipway.console.label_forms import flipped

    item = Item(id="x", input={}, text="")
    assert {flipped(item, f"person {n}") for n in range(20)} == {True, False}
