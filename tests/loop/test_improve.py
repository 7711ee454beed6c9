"""`slipway improve`: from feedback to a release, everything that may stop it, and what must never happen."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import ready, slipway
from desk import FILE, WORDS
from disks import read_only
from slipway import api
from slipway.core.answer import Answer
from slipway.core.material import Example
from slipway.core.metrics import METRICS
from slipway.core.report import Score
from slipway.data.heldout import Heldout
from slipway.errors import Busy, ConfigError, EngineError, MissingPrerequisite
from slipway.loop.improve.choosing import best_of, plan_look
from slipway.loop.improve.gate_rules import rules_for
from slipway.loop.improve.record import Turn
from slipway.loop.improve.search import Spending, halve, rungs
from slipway.loop.simulate import InProcess, Pool, Traffic, pool_of, simulate
from slipway.project.fields import Budget
from slipway.release.planning import Known, Place
from slipway.testing.catalogs import feedback_of, trace_of

BROKEN = """
from typing import ClassVar
from pydantic import BaseModel

class Broken:
    class Config(BaseModel):
        model_config = {"extra": "forbid"}
    reads: ClassVar = ("train",)
    makes: ClassVar = "classifier"
    def __init__(self, config): pass
    def tune(self, job):
        job.progress(1, 2)
        raise MemoryError("no room")
"""


def texts(label: str, n: int, rng: random.Random) -> list[str]:
    return [
        f"{rng.choice(['my', 'the', 'our', 'this'])} {rng.choice(WORDS[label])} {rng.choice(['problem', 'question'])} "
        f"{rng.randrange(10**6)} {rng.choice(['today', 'now', 'again', 'since monday'])}"
        for _ in range(n)
    ]


def write(folder: Path, each: int = 40, text: str = FILE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(3)
    for name, n in (("rows", each), ("pool", 80)):
        lines = [f'"{one}","{label}"' for label in WORDS for one in texts(label, n, rng)]
        (folder / f"{name}.csv").write_text("\n".join(["text,label", *lines]) + "\n", "utf-8")
    (folder / "slipway.yaml").write_text(text, "utf-8")
    return folder


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose first release learnt from twelve examples, in a cell of its own."""
    folder = write(tmp_path_factory.mktemp("improve") / "desk")
    with api.open_project(folder) as opened:
        assert api.run(opened).release is not None
    return folder


@pytest.fixture
def folder(released: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(released, tmp_path / "desk"))


def told(folder: Path, n: int = 90, lie: bool = False, release: str = "") -> None:
    """What users said of `n` answers: each is corrected, to the truth or to something wrong."""
    rng, labels = random.Random(5), list(WORDS)
    with api.open_project(folder) as opened:
        for place in range(n):
            label = labels[place % 3]
            (text,) = texts(label, 1, rng)
            said = labels[(place + 1) % 3] if lie else label
            trace = trace_of(
                request={"messages": [{"role": "user", "content": text}]}, answer=Answer(text="?", raw="?"),
                release=release,
            )  # fmt: skip
            opened.store.catalog.add_traces([trace], [feedback_of(trace, thumb="down", correction=said)])


def looks(folder: Path) -> int:
    with api.open_project(folder) as opened:
        return len(api.gate_looks(opened))


def serving(folder: Path) -> str:
    """Digest of the release that serves, and of every byte of its files."""
    with api.open_project(folder) as opened:
        candidate, found = opened.champion(), hashlib.sha256(opened.store.catalog.channels()["production"].encode())
        for sha256 in sorted(candidate.files.values()):
            found.update(opened.store.blobs.get(sha256))
        return found.hexdigest()


def improve(folder: Path, *overrides: str, budget: str | None = None, dry_run: bool = False) -> Turn:
    with api.open_project(folder, overrides) as opened:
        return api.improve(opened, budget, dry_run=dry_run)


# a turn --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_feedback_becomes_a_better_release_and_the_next_turn_finds_nothing(folder: Path) -> None:
    told(folder, release="f" * 64)  # which is gone: what was said of it is feedback all the same
    before, spent = serving(folder), looks(folder)
    dry = improve(folder, dry_run=True)
    assert (dry.ended, bool(dry.tried), serving(folder)) == ("dry-run", True, before)
    assert not (folder / "feedback").exists(), "nothing is written"
    turn = improve(folder)
    assert (turn.ended, turn.promoted, turn.learnt) == ("released", True, 90)
    assert turn.compared is not None
    assert turn.compared.p_value <= turn.compared.alpha
    assert turn.look is not None
    assert turn.look.number == spent + 1
    assert looks(folder) == spent + 1, "one look for the whole turn"
    best = next(one for one in turn.tried if one.state == "best")
    assert best.name == turn.now
    assert all(one.state in ("dropped", "measured", "best") and one.examples for one in turn.tried)
    with api.open_project(folder) as opened:
        assert opened.champion().name == turn.now
        assert turn.now in opened.project.candidates, "improved.yaml makes it a candidate of the project"
        assert api.verify(opened, "production")
        record = json.loads((opened.store.folder / "improve" / f"turn-{turn.number:04}.json").read_text())
        assert [one["name"] for one in record["tried"]] == [one.name for one in turn.tried]
    after = serving(folder)
    again = improve(folder)
    assert (again.ended, serving(folder)) == ("nothing-better", after)
    assert looks(folder) == spent + 1, "no look without something better on dev"
    with api.open_project(folder) as opened:
        assert turn.now in {*api.run(opened).certified, opened.champion().name}, "a run knows what improve released"


@pytest.mark.slow
def test_what_goes_on_serving_after_its_rows_were_forgotten_is_told(folder: Path) -> None:
    told(folder)
    assert improve(folder).ended == "released"
    with api.open_project(folder) as opened:
        (trace,) = api.traces(opened, 1)
        digest = opened.store.catalog.channels()["production"]
        found = {
            one.digest: one.done for one in api.forget(opened, trace.id, yes=True).affected if one.kind == "release"
        }
        assert found == {digest: "goes on serving production"}
    assert improve(folder).learnt == 89


@pytest.mark.slow
def test_nothing_close_to_a_gate_example_is_learnt(folder: Path) -> None:
    with api.open_project(folder) as opened:
        examples = api.run(opened, "data").datasets["examples"]
        gate = [e for e in api.items(opened, examples) if isinstance(e, Example) and e.split == "gate"]
        for one in gate:
            trace = trace_of(
                request={"messages": [{"role": "user", "content": one.text.upper()}]}, answer=Answer(text="?", raw="?")
            )
            opened.store.catalog.add_traces([trace], [feedback_of(trace, correction=one.expected[0])])
    told(folder, 30)
    turn = improve(folder)
    assert turn.harvest is not None
    assert sum(turn.harvest.held_out["examples"].values()) == len(gate)
    known = Heldout([one.text for one in gate])
    rows = (folder / "feedback" / "mined.examples.jsonl").read_text("utf-8").splitlines()
    assert len(rows) == turn.learnt == 30
    assert not [row for row in rows if known.close(json.loads(row)["text"])]


@pytest.mark.slow
def test_poison_leaves_what_serves_as_it_is(folder: Path) -> None:
    told(folder, lie=True)
    before, spent = serving(folder), looks(folder)
    turn = improve(folder)
    assert turn.ended == "nothing-better"
    assert (serving(folder), looks(folder)) == (before, spent)
    assert not (folder / "improved.yaml").exists()


@pytest.mark.slow
def test_without_feedback_it_says_so_and_spends_no_look(folder: Path) -> None:
    spent = looks(folder)
    turn = improve(folder)
    assert (turn.ended, turn.learnt, looks(folder)) == ("nothing-better", 0, spent)
    shown = slipway("improve", str(folder))
    assert shown.returncode == 0
    assert "no feedback gave a row to learn from" in shown.stdout
    assert "production goes on serving probe" in shown.stdout
    shown = slipway("--lang", "zh", "improve", str(folder), "--dry-run")
    assert "配置不变，用全部数据行" in shown.stdout


def test_before_the_first_release_there_is_nothing_to_improve(tmp_path: Path) -> None:
    write(tmp_path / "desk")
    with pytest.raises(MissingPrerequisite, match="nothing serves on 'production' yet"):
        improve(tmp_path / "desk")
    assert slipway("improve", str(tmp_path / "desk")).returncode == 3


@pytest.mark.slow
def test_what_serves_may_have_fallen_below_the_gate(folder: Path) -> None:
    told(folder)
    turn = improve(folder, "gate.accuracy.min=0.8")
    assert turn.notes == ["what serves does not keep the gate's bounds on dev any more"]
    assert turn.ended in ("released", "refused")


def test_a_budget_that_is_too_small_is_told_and_the_next_turn_goes_on(folder: Path) -> None:
    told(folder)
    turn = improve(folder, budget="1ms")
    assert (turn.ended, {one.state for one in turn.tried}) == ("budget", {"budget"})
    with pytest.raises(ConfigError, match="--budget"):
        improve(folder, budget="soon")


def test_a_gate_split_that_is_used_up_is_told_before_anything_is_made(folder: Path) -> None:
    told(folder)
    turn = improve(folder, "release.looks=1")
    assert (turn.ended, turn.tried) == ("used-up", [])
    assert "slipway gate rotate" in turn.hint
    assert slipway("improve", str(folder), "--set", "release.looks=1").returncode == 1


def test_a_dev_split_that_is_too_small_is_told(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "desk", 8, FILE.replace("train: 0.1, dev: 0.45, gate: 0.45", "train: 0.5, dev: 0.1, gate: 0.4")
    )
    with api.open_project(folder, ["gate.accuracy.min=0.01"]) as opened:
        assert api.run(opened).release is not None
    told(folder, 30)
    turn = improve(folder, "gate.accuracy.min=0.01")
    assert (turn.ended, looks(folder)) == ("dev-too-small", 1)


@pytest.mark.slow
def test_a_tuner_that_fails_stops_only_its_own_recipe(folder: Path) -> None:
    told(folder)
    (folder / "tune.py").write_text(BROKEN, "utf-8")
    turn = improve(folder, "candidates.broken={tune: './tune.py:Broken'}")
    failed = [one for one in turn.tried if one.state == "failed"]
    assert [one.parent for one in failed] == ["broken"]
    assert "no room" in failed[0].why
    assert turn.ended == "released"


def test_in_a_run_a_tuner_that_fails_lets_the_others_be_measured_and_no_look_is_spent(folder: Path) -> None:
    (folder / "tune.py").write_text(BROKEN.replace("MemoryError", "ValueError"), "utf-8")
    spent, before = looks(folder), serving(folder)
    more = ["candidates.broken={tune: './tune.py:Broken'}", "candidates.zebra={tune: {probe: {strength: 4}}}"]
    with api.open_project(folder, more) as opened:
        with pytest.raises(EngineError, match=r"candidates\.broken.*no room"):
            api.run(opened)
        assert {one.candidate.name for _, one, _ in api.reports(opened, "dev")} == {"probe", "zebra"}
        assert api.compare(opened, "probe", "zebra").comparison.n > 1
        with pytest.raises(EngineError, match="no room"):
            api.compare(opened, "probe", "broken")
    assert (looks(folder), serving(folder)) == (spent, before)


@pytest.mark.parametrize(
    "budget", ["0", "-5m", "0s", "nan", "inf", "1e400", "0 CNY", "-1 CNY", "10 parsecs", "", "5 cny"]
)
def test_a_budget_that_is_none_is_told_in_the_language_in_force(folder: Path, budget: str) -> None:
    shown = slipway("--lang", "zh", "improve", str(folder), "--budget", budget)
    assert shown.returncode == 2
    assert "--budget 不能用" in shown.stderr
    assert "Input should" not in shown.stderr
    with pytest.raises(ConfigError, match=r"improve\.budget"):
        improve(folder, f"improve.budget={budget or '[]'}")
    with pytest.raises(ConfigError, match=r"improve\.budget"):
        improve(folder, "improve.budget=.inf")


@pytest.mark.parametrize("place", ["improved.yaml/x", "improved", "feedback"])
def test_what_lies_where_a_release_is_written_is_told_before_a_look_is_spent(folder: Path, place: str) -> None:
    told(folder)
    before, spent = serving(folder), looks(folder)
    path = folder / place
    path.parent.mkdir(exist_ok=True)
    path.write_text("in the way", "utf-8")
    with pytest.raises(MissingPrerequisite, match=f"desk/{place.partition('/')[0]} cannot be written: .*folder"):
        improve(folder)
    assert (serving(folder), looks(folder)) == (before, spent)


def test_a_folder_that_cannot_be_written_is_told_before_a_look_is_spent(folder: Path, tmp_path: Path) -> None:
    told(folder)
    spent = looks(folder)
    (tmp_path / "seen").mkdir()
    with read_only(folder, tmp_path / "seen") as seen:
        subprocess.run(["mount", "--bind", folder / ".slipway", seen / ".slipway"], check=True)
        try:
            with pytest.raises(MissingPrerequisite, match=r"seen is on a file system that is read-only"):
                improve(seen)
            assert improve(seen, dry_run=True).ended == "dry-run"
        finally:
            subprocess.run(["umount", seen / ".slipway"], check=True)
    assert looks(folder) == spent


@pytest.mark.parametrize("pending", ["{", "[1]", "{}", '{"candidate": 3}', "\udcff"])
def test_what_others_leave_among_the_records_is_passed_over(folder: Path, pending: str) -> None:
    records = folder / ".slipway" / "improve"
    for name in ("turn-0003 (copy).json", "turn-abc.json", "turn-.json", "turn-0002.json"):
        (records / name).parent.mkdir(exist_ok=True)
        (records / name).write_bytes(b"\xff{")
    (records / "pending.json").write_bytes(pending.encode("utf-8", "surrogateescape"))
    turn = improve(folder, dry_run=True)
    assert (turn.ended, turn.number, turn.file) == ("dry-run", 3, "")


def test_labels_that_users_bring_and_what_feedback_was_no_use_are_told(folder: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    said = {
        "my parcel": "Delivery",
        "my dragon": "dragons",
        "my griffin": "dragons",
        "my phoenix": "x" * 90 + "\x1b[2J",
    }
    with api.open_project(folder) as opened:
        for text, correction in said.items():
            trace = trace_of(
                request={"messages": [{"role": "user", "content": text}]}, answer=Answer(text="?", raw="?")
            )
            opened.store.catalog.add_traces([trace], [feedback_of(trace, thumb="down", correction=correction)])
        trace = trace_of(request={"messages": turns}, answer=Answer(text="?", raw="?"))
        opened.store.catalog.add_traces([trace], [feedback_of(trace, thumb="down", correction="login")])
    shown = slipway("improve", str(folder))
    assert shown.returncode == 0, shown.stderr
    told_ = " ".join(shown.stdout.split())
    assert "of no use here: it continues a conversation (1)" in told_
    assert f"2 labels that what serves does not know: dragons (2), {'x' * 40} (1); to leave such rows out" in told_
    declared = "task={classify: {labels: [billing, delivery, login]}}"
    assert improve(folder, declared, "candidates.probe.tune={probe: {strength: 8}}").notes == []


def test_two_at_once_are_one_too_many(folder: Path) -> None:
    with api.open_project(folder) as opened, opened.store.lock(), pytest.raises(Busy):
        improve(folder)


@pytest.mark.slow
def test_a_kill_between_the_release_and_its_file_loses_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told(folder)
    with monkeypatch.context() as patched:
        patched.setattr("slipway.loop.improve.record.Records.fulfil", _killed)
        with pytest.raises(KeyboardInterrupt):
            improve(folder)
    assert not (folder / "improved.yaml").exists()
    turn = improve(folder, "release.looks=2")  # both are spent: what was begun is ended all the same
    assert turn.file == "improved.yaml"
    with api.open_project(folder) as opened:
        assert opened.champion().name in opened.project.candidates


def _killed(records: object, serving: str) -> str:
    """As `kill -9` after the release, before the file: it does nothing at the turn's beginning, too."""
    if getattr(records, "promised"):  # noqa: B009
        raise KeyboardInterrupt
    return ""


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on(folder: Path) -> None:
    told(folder)
    command = [sys.executable, "-m", "slipway", "improve", str(folder)]
    for wait in (1.5, 2.5):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            time.sleep(wait)
            child.send_signal(signal.SIGKILL)
    turn = improve(folder)
    assert turn.ended in ("released", "nothing-better")
    with api.open_project(folder) as opened:
        assert opened.champion().name in opened.project.candidates
        assert opened.champion().name != "probe"
        assert api.verify(opened, "production")


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "slipway", "serve", "-C", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        url = next(word.rstrip(";") for word in line.split() if word.startswith("http"))
        ready(url)
        yield url
        child.send_signal(signal.SIGTERM)


@pytest.mark.slow
def test_beside_a_server_that_is_asked_and_then_serves_the_better_one(folder: Path, server: str) -> None:
    with api.open_project(folder) as opened:
        said = api.simulate(opened, folder / "pool.csv", Traffic(60, noise=0.0, corrections=1.0), server)
        assert (said.requests, said.failed, said.wrong) == (60, 0, 0)
        assert said.corrections == said.down == 60 - said.right
        assert len(api.traces(opened)) == 50, "the server has kept them"
    assert improve(folder).ended == "released"
    with api.open_project(folder) as opened:
        end = time.monotonic() + 20
        while True:
            api.simulate(opened, folder / "pool.csv", Traffic(1), server)
            newest = api.traces(opened, 1)[0].release
            if newest == opened.store.catalog.channels()["production"]:
                break
            assert time.monotonic() < end, "the server never served it"
            time.sleep(0.2)


# improved.yaml -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("candidates: {probe: {tune: probe}}", "is in slipway.yaml, too"),
        ("candidate: {}", "candidate"),
        ("examples: [/etc/passwd]", "examples"),
        ("candidates: [", "improved.yaml"),
    ],
)
def test_a_file_of_improve_that_is_wrong_is_told(tmp_path: Path, text: str, what: str) -> None:
    folder = write(tmp_path / "desk")
    (folder / "improved.yaml").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=what):
        api.open_project(folder)


def test_rows_that_are_gone_are_not_missed(tmp_path: Path) -> None:
    folder = write(tmp_path / "desk")
    (folder / "improved.yaml").write_text(
        "candidates: {more: {tune: probe}}\nexamples: ['feedback/*.examples.jsonl']\n", "utf-8"
    )
    with api.open_project(folder) as opened:
        assert list(opened.project.candidates) == ["probe", "more"]
        assert len(opened.project.data.examples) == 1
    (folder / "feedback").mkdir()
    (folder / "feedback" / "mined.examples.jsonl").write_text('{"text": "a parcel", "label": "delivery"}\n', "utf-8")
    with api.open_project(folder) as opened:
        assert opened.project.data.examples[1].split == "train"


# the search, the choice, the look ------------------------------------------------------------------------------------


def test_rungs_grow_to_the_whole_of_dev() -> None:
    assert rungs(900, 27) == [100, 300, 900]
    assert rungs(900, 3) == [900]
    assert rungs(40, 27) == [40], "a rung of more than half is the whole"
    assert rungs(0, 5) == []


def test_halving_keeps_the_best_third_and_asks_the_others_no_more() -> None:
    asked: list[tuple[str, int]] = []
    dropped: list[tuple[str, int]] = []
    names = [f"r{n}" for n in range(9)]

    def measure(name: str, rung: int, size: int) -> float | None:
        asked.append((name, size))
        return None if name == "r8" else float(name[1:])

    found = halve(names, [10, 30, 90], measure, lambda name, rung: dropped.append((name, rung)))
    assert found == [("r7", 7.0)]
    assert [name for name, size in asked if size == 30] == ["r5", "r6", "r7"]
    assert len(dropped) == 7, "the one that failed is not dropped: it is gone"


@pytest.mark.parametrize(("budget", "prices", "why"), [
    ("5 CNY", [], "never be used up"), ("5 EUR", ["machine.per_hour=1 CNY"], "prices here are in CNY"),
])  # fmt: skip
def test_a_budget_of_money_that_nothing_costs_is_refused(
    tmp_path: Path, budget: str, prices: list[str], why: str
) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        improve(write(tmp_path / "desk"), *prices, budget=budget)
    assert "--budget 10m" in caught.value.hint


def test_a_budget_of_time_and_of_money() -> None:
    now = [0.0]
    time_ = Spending(Budget(seconds=60), 0.0, lambda: now[0])
    assert time_.affords(59, 0)
    now[0] = 30
    assert not time_.affords(31, 0)
    money = Spending(Budget.model_validate("5 CNY"), per_hour=3600.0, clock=lambda: now[0])
    assert money.pay(1.0, 3.0) == 4.0
    assert money.affords(1e9, 1.0)
    assert not money.affords(0, 1.1)


def scores(right: str) -> list[Score]:
    answer = Answer(text="", raw="")
    return [
        Score(example=f"{n}", group=f"{n}", language="en", answer=answer, metrics={"accuracy": float(one)})
        for n, one in enumerate(right)
    ]


def test_the_best_of_several_has_to_show_more_than_one_alone() -> None:
    info, champion = METRICS["accuracy"], scores("0" * 4 + "1" * 46)
    gained = scores("1" * 50)
    alone = best_of(info, champion, {"a": gained})
    assert alone is not None
    assert (alone.outcome, alone.p_value) == ("better", pytest.approx(0.024, abs=0.002))
    three = best_of(info, champion, {"a": gained, "b": champion, "c": champion})
    assert three is not None
    assert (three.name, three.outcome) == ("a", "not-shown")
    few = best_of(info, scores("00011"), {"a": scores("11111")})
    assert few is not None
    assert few.outcome == "too-small"
    assert best_of(info, champion, {"a": gained}, gain=0.1).outcome == "not-shown"  # pyright: ignore[reportOptionalMemberAccess]


def test_a_look_is_worth_it_where_gate_may_show_the_gain(released: Path) -> None:
    with api.open_project(released) as opened:
        rules = rules_for(opened.project, "accuracy")
    small, places = scores("0" * 10 + "1" * 190), [Place(group=f"{n}", language="en") for n in range(30)]
    known = Known(scores=scores("1" * 200), rivals={"production": small})
    made = plan_look(rules, "accuracy", known, places, 230, [], 10, 0.5)
    assert not made.worth
    assert made.power is not None
    assert made.power < 0.5
    assert made.needed is not None
    assert made.needed > 30
    large = Known(scores=scores("1" * 200), rivals={"production": scores("0" * 100 + "1" * 100)})
    assert plan_look(rules, "accuracy", large, places, 230, [], 10, 0.5).worth


def test_a_rule_by_the_measured_value_is_asked_with_its_interval(released: Path) -> None:
    with api.open_project(released) as opened:
        rule = rules_for(opened.project, "accuracy")["accuracy"]
    assert (rule.min, rule.against, rule.better, rule.confidence) == (0.2, "production", True, "interval")
    other = "gate.accuracy={min: 0.2, against: staging}"
    with api.open_project(released, [other]) as opened, pytest.raises(ConfigError, match="compares with 'staging'"):
        rules_for(opened.project, "accuracy")


def test_a_gain_that_gate_would_hardly_show_costs_no_look(folder: Path) -> None:
    told(folder)
    spent = looks(folder)
    turn = improve(folder, "improve.power=0.999999", "gate.accuracy.min=0.97")
    assert turn.ended in ("gate-too-small", "refused", "nothing-better")
    assert looks(folder) == spent


# simulate ------------------------------------------------------------------------------------------------------------


def test_what_is_asked_is_close_to_nothing_that_is_held_out(folder: Path) -> None:
    rows = (folder / "rows.csv").read_text("utf-8").splitlines()
    pool = (folder / "pool.csv").read_text("utf-8").splitlines()
    (folder / "pool.csv").write_text("\n".join([*pool, *(row.upper() for row in rows[1:])]).replace("BILLING", "billing")
                                     .replace("DELIVERY", "delivery").replace("LOGIN", "login") + "\n", "utf-8")  # fmt: skip
    with api.open_project(folder) as opened:
        found = pool_of(opened, folder / "pool.csv", untouched=0.3)
        examples = [
            e for e in api.items(opened, api.run(opened, "data").datasets["examples"]) if isinstance(e, Example)
        ]
    held = {e.text.casefold() for e in examples if e.split != "train"}
    assert found.refused["exact"] == len(held)
    assert held.isdisjoint(e.text.casefold() for e in [*found.asked, *found.untouched])
    assert {e.id for e in found.asked}.isdisjoint(e.id for e in found.untouched)
    (folder / "pool.csv").write_text("\n".join(rows) + "\n", "utf-8")
    with api.open_project(folder) as opened:
        assert len(pool_of(opened, folder / "pool.csv").asked) == sum(e.split == "train" for e in examples)


def test_users_are_mistaken_and_lie_as_often_as_they_are_told_to(folder: Path) -> None:
    with api.open_project(folder) as opened:
        pool = pool_of(opened, folder / "pool.csv")
        honest = simulate(opened, pool, Traffic(80, noise=0.0, corrections=1.0), InProcess(opened))
        assert (honest.up, honest.down) == (honest.right, 80 - honest.right)
        assert (honest.corrections, honest.wrong, honest.lies, honest.mistakes) == (honest.down, 0, 0, 0)
        liars = simulate(opened, pool, Traffic(80, noise=0.0, adversarial=1.0, corrections=1.0), InProcess(opened))
        assert (liars.up, liars.down, liars.lies) == (80 - liars.right, liars.right, 80)
        assert liars.wrong == liars.corrections == liars.right
        some = simulate(opened, pool, Traffic(80, noise=0.3), InProcess(opened))
        assert 10 <= some.mistakes <= 40
        said = api.feedback(opened, 300)
        assert len(said) == 240
        assert {one.thumb for one, _ in said} == {"up", "down"}
        quiet = simulate(opened, Pool(pool.asked, [], {}), Traffic(20, said=0.0), InProcess(opened))
        assert (quiet.up, quiet.down) == (0, 0)
        assert len(api.traces(opened, 300)) == 260


@pytest.mark.slow
def test_the_learning_curve_rises_and_is_drawn(folder: Path) -> None:
    shown = slipway(
        "simulate", "--from", str(folder / "pool.csv"), "-C", str(folder), "--requests", "60", "--noise", "0.1",
        "--corrections", "1", "--turns", "1", "--picture", str(folder / "curve.svg"), "--json",
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    first, last = json.loads(shown.stdout)["points"]
    assert (first["feedback"], last["feedback"], last["ended"]) == (0, 60, "released")
    assert last["low"] > first["high"]
    assert (folder / "curve.svg").read_text("utf-8").startswith("<svg")
