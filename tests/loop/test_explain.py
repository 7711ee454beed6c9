"""Plan the gate, ask why, and do the arithmetic again: on a whole project, from the command line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from commands import slipway
from slipway import api
from slipway.core.answer import Answer
from slipway.core.ref import Ref
from slipway.core.release import Verdict
from slipway.core.report import Score
from slipway.errors import NotFound
from slipway.evaluate.aggregate import build_report
from slipway.release.gate import Rule, judge
from slipway.release.recount import recount
from slipway.render import csv as csv_text
from slipway.render.pages.arithmetic import rules_table, values_table
from slipway.stats.right_or_wrong import Turned, tail_at
from slipway.testing.projects import FILE, write_project

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "recompute_verdict.py"
PAIRS = ROOT / "examples" / "recompute_pairs.py"
GATE = """\
gate:
  token_f1: {min: 0.05, against: production, margin: 0.9, slices: [language]}
  retrieval_recall: {min: 0.1}
  prompt_tokens: {max: 900, limit: 1000}
  latency_p50: {max: 60 s}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    text = FILE[: FILE.index("gate:\n")] + GATE + FILE[FILE.index("release:") :]
    return write_project(tmp_path / "demo", text.replace("group_by: source", "seed: 3")).parent


def looks(folder: Path) -> int:
    with api.open_project(folder) as project:
        return len(api.gate_looks(project))


@pytest.mark.slow
def test_a_plan_needs_no_answer_and_costs_no_look(folder: Path) -> None:
    done = slipway("gate", "plan", "-C", str(folder))
    assert done.returncode == 0, done.stderr
    assert "No candidate was measured on dev yet" in done.stdout
    with api.open_project(folder) as project:
        before = api.plan_gate(project)
        assert before.candidate == ""
        assert {one.basis for one in before.prospects} <= {"assumed", "unknown"}
        api.run(project, "evaluate")
        after = api.plan_gate(project)
        assert api.plan_gate(project, "plain").candidate == "plain"
    assert after.candidate == "grounded"
    assert after.rivals == {"production": "plain"}
    assert {one.basis for one in after.prospects} == {"pilot"}
    assert (after.used, looks(folder)) == (0, 0)
    assert [one.look for one in after.looks] == [1, 2, 3, 4, 5]
    assert after.gate == 8
    assert after.total == 20


@pytest.mark.slow
def test_a_plan_is_a_table_for_programs_and_a_picture(folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "power.svg"
    done = slipway("gate", "plan", "-C", str(folder), "--json", "--picture", str(picture))
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["gate"] == 8
    assert data["looks"][0]["alpha"] == 0.025
    texts = [one.text or "" for one in ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert "now: 8" in texts
    assert any("at most 0.900 worse than production" in text for text in texts)
    done = slipway("gate", "plan", "-C", str(folder), "--csv", "--set", "gate.latency_p50.max=1 s")
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert {"metric", "power", "needed", "in all splits"} <= set(rows[0])
    assert float(rows[0]["power"]) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("command", [("gate", "plan"), ("release", "verdict", "--why")])
def test_a_picture_that_cannot_be_is_refused(folder: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    if command[0] == "release":
        with api.open_project(folder) as project:
            api.run(project)
    for name, words in (("power.png", "does not end in .svg"), ("none/power.svg", "cannot be written")):
        done = slipway(*command, "-C", str(folder), "--picture", str(tmp_path / name))
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    taken = tmp_path / "mine.svg"
    taken.write_text("mine")
    done = slipway(*command, "-C", str(folder), "--picture", str(taken))
    assert done.returncode == 2
    assert taken.read_text() == "mine"


@pytest.mark.slow
def test_without_a_verdict_a_gate_or_a_report_it_is_said_what_to_do(folder: Path) -> None:
    done = slipway("release", "verdict", "--why", "-C", str(folder))
    assert done.returncode != 0
    assert "the gate has not judged anything yet" in done.stderr
    assert "slipway run" in done.stderr
    done = slipway("gate", "plan", "-C", str(folder), "--candidate", "grounded")
    assert "no report of 'grounded' on dev" in done.stderr
    file = folder / "slipway.yaml"
    file.write_text(file.read_text("utf-8").replace(GATE, "gate: {}\n"), "utf-8")
    done = slipway("gate", "plan", "-C", str(folder))
    assert done.returncode == 2
    assert "there is nothing to plan" in done.stderr


@pytest.mark.slow
def test_a_refused_run_is_explained(folder: Path) -> None:
    done = slipway("run", "-C", str(folder), "--set", "gate.retrieval_recall.min=0.99")
    assert done.returncode == 1
    done = slipway("release", "verdict", "--why", "-C", str(folder))
    assert done.returncode == 0, done.stderr
    assert "is not released, though nothing speaks clearly against it" in done.stdout
    assert "look 1 of 10" in done.stdout
    chinese = slipway("--lang", "zh", "release", "verdict", "--why", "-C", str(folder))
    assert "不予发布" in chinese.stdout
    data = json.loads(slipway("release", "verdict", "--why", "--json", "-C", str(folder)).stdout)
    assert len(data["sentences"]) == 5
    assert data["verdict"]["outcome"] == "insufficient"


def recomputed(folder: Path) -> dict[str, str]:
    done = subprocess.run([sys.executable, str(SCRIPT), str(folder)], capture_output=True, text=True, check=True)
    return {line.rpartition("  ")[0] or line: line for line in done.stdout.splitlines()}


@pytest.mark.slow
def test_the_script_is_short_and_comes_to_the_bounds_of_the_verdict(folder: Path, tmp_path: Path) -> None:
    assert len(SCRIPT.read_text("utf-8").splitlines()) <= 30
    with api.open_project(folder) as project:
        api.run(project)
        with_champion = ["candidates.plain.retrieve.mode=lexical", "candidates.plain.retrieve.top_k=2"]
    with api.open_project(folder, [*with_champion, "release.prefer=cost", "release.tolerance=0"]) as project:
        api.run(project)
        found = api.verdict(project)
        api.export_verdict(project, tmp_path / "out")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "out")], capture_output=True, text=True, check=True
    )
    told = done.stdout.splitlines()
    rules = list(csv.DictReader((tmp_path / "out" / "rules.csv").open(encoding="utf-8", newline="")))
    assert len(told) == len(rules) == len(found.rules)
    means = 0
    for line, rule, result in zip(told, rules, found.rules, strict=True):
        if result.metric == "latency_p50":
            assert "nothing to recompute here" in line
            continue
        means += 1
        bound, asked = (float(word.rstrip(":")) for word in line.split() if word.rstrip(":").lstrip("-")[:1].isdigit())
        low, high = float(rule["least"]), float(rule["most"])
        assert bound == pytest.approx(float(rule["bound"]), abs=0.004 * (high - low)), line
        assert asked == pytest.approx(float(rule["target"]))
        assert line.endswith(": pass") == (result.outcome == "pass"), line
    assert means >= 5
    assert any(one.rule == "non-inferiority" and one.comparison for one in found.rules)


@pytest.mark.slow
@pytest.mark.parametrize(("better", "superior"), [(10, False), (15, True)])
def test_a_second_short_script_comes_to_the_p_values_of_right_or_wrong(better, superior, tmp_path: Path) -> None:
    """60 answers, 3 became wrong; superiority, and at most 0.05 worse, which is shown by both, at the first look's 2.5%."""
    assert len(PAIRS.read_text("utf-8").splitlines()) <= 32
    base = [0.0] * 30 + [1.0] * 30
    ours = [1.0] * better + base[better:57] + [0.0] * 3
    sides = [
        [
            Score(example=f"e{n}", group="", language="en", answer=Answer(text="x", raw="x"),
                  metrics={"exact_match": value, "token_f1": value})
            for n, value in enumerate(values)
        ]
        for values in (ours, base)
    ]  # fmt: skip
    report, theirs = (
        build_report(Ref("candidate", name, "0" * 64), Ref("dataset", "d", "1" * 64), "gate", side, "b", "CNY")
        for name, side in zip("ab", sides, strict=True)
    )
    rules = {
        "exact_match": Rule(against="production", better=True, margin=0.05),
        "token_f1": Rule(against="production", better=True),
    }
    champions = {"production": (Ref("release", "r", "2" * 64), theirs, sides[1])}
    found = judge(rules, report, sides[0], champions, alpha=0.025)
    made = recount(found, report, sides[0], {"production": sides[1]})
    for name, table in (("rules.csv", rules_table(made)), ("scores.csv", values_table(made))):
        (tmp_path / name).write_text(csv_text.write(table), "utf-8")
    done = subprocess.run([sys.executable, str(PAIRS), str(tmp_path)], capture_output=True, text=True, check=True)
    exact = [one for one in found.rules if one.metric == "exact_match"]
    told = done.stdout.splitlines()
    assert len(told) == len(exact) == 2  # token F1 is the other script's
    for line, one in zip(told, exact, strict=True):
        passes = superior if one.rule == "superiority" else True
        assert line.endswith(": pass" if passes else ": no pass"), line
        assert (one.outcome == "pass") == passes
        p_value = tail_at(Turned(better, 3, 60), 0.0 if one.rule == "superiority" else -0.05)
        assert float(line.partition("p = ")[2].split()[0]) == pytest.approx(p_value, abs=0.002)


@pytest.mark.slow
def test_an_export_is_the_same_look_as_the_answers_shown_and_is_never_refused(folder: Path, tmp_path: Path) -> None:
    with api.open_project(folder) as project:
        api.run(project)
    assert looks(folder) == 1
    done = slipway("release", "verdict", "-C", str(folder), "--export", str(tmp_path / "one"))
    assert done.returncode == 0, done.stderr
    assert looks(folder) == 2
    slipway("eval", "show", "grounded", "--split", "gate", "-C", str(folder))
    slipway("release", "verdict", "-C", str(folder), "--export", str(tmp_path / "two"))
    assert looks(folder) == 2
    assert (tmp_path / "one" / "scores.csv").read_bytes() == (tmp_path / "two" / "scores.csv").read_bytes()
    rows = list(csv.DictReader((tmp_path / "one" / "scores.csv").open(encoding="utf-8", newline="")))
    assert len(rows) == 8
    assert {"example", "group", "language", "token_f1", "token_f1 [language=en]"} <= set(rows[0])
    again = slipway("release", "verdict", "-C", str(folder), "--export", str(tmp_path / "two"))
    assert again.returncode == 2
    assert "cannot be written" in again.stderr


def test_a_picture_that_cannot_be_written_costs_no_look(folder: Path, tmp_path: Path) -> None:
    with api.open_project(folder) as project:
        api.run(project)
    wrong = str(tmp_path / "none" / "why.svg")
    done = slipway("release", "verdict", "-C", str(folder), "--picture", wrong, "--export", str(tmp_path / "out"))
    assert done.returncode == 2
    assert not (tmp_path / "out").exists()
    assert looks(folder) == 1


@pytest.mark.slow
def test_a_price_has_the_currency_of_the_project_before_there_is_a_report(folder: Path) -> None:
    done = slipway("gate", "plan", "-C", str(folder), "--set", "gate.cost_per_query.max=0.1 CNY",
                   "--set", "machine.per_hour=0.5 CNY")  # fmt: skip
    assert "0.05 CNY" in done.stdout, done.stderr


def test_after_the_last_look_a_verdict_can_still_be_checked(folder: Path, tmp_path: Path) -> None:
    with api.open_project(folder, ["release.looks=1"]) as project:
        api.run(project)
        assert [file.name for file in api.export_verdict(project, tmp_path / "out")] == ["rules.csv", "scores.csv"]
        assert len(api.gate_looks(project)) == 2


def test_an_export_without_a_verdict_writes_nothing(folder: Path, tmp_path: Path) -> None:
    with api.open_project(folder) as project, pytest.raises(NotFound):
        api.export_verdict(project, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_verdict_that_an_older_version_made_is_explained_and_exported(folder: Path, tmp_path: Path) -> None:
    with api.open_project(folder) as project:
        api.run(project)
        found = api.verdict(project)
        rules = [
            {key: value for key, value in vars_of(one).items() if key not in ("low", "high", "limit")}
            for one in found.rules
        ]
        older = Verdict(outcome="pass", rules=tuple(type(found.rules[0])(**one) for one in rules), report=found.report)
        project.store.catalog.put("verdict", "grounded", older)
        assert api.verdict(project) == older
        api.export_verdict(project, tmp_path / "out")
    done = slipway("release", "verdict", "--why", "-C", str(folder))
    assert done.returncode == 0, done.stderr
    assert "made no allowance for looks" in done.stdout


def vars_of(one: object) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__struct_fields__}  # type: ignore[attr-defined]
