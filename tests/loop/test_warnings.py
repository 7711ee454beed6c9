"""What a verdict warns of and why nothing was released: in run, eval list and release verdict, in both languages."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from commands import slipway
from slipway import api
from slipway.core.candidate import Candidate, Retrieval
from slipway.core.ref import Ref
from slipway.core.report import Aggregate, Report
from slipway.i18n import told
from slipway.release.planning import Place
from slipway.release.rules import Rule
from slipway.release.warnings import warnings
from slipway.testing.projects import write_project


def candidate(name: str, *, retrieves: bool) -> Candidate:
    retrieve = Retrieval(chunks=Ref("dataset", "chunks", "0" * 64), embedder=None, mode="lexical")
    return Candidate(name=name, task="answer", model=None, prompt="", retrieve=retrieve if retrieves else None)


def measured(**values: float) -> Report:
    metrics = {name: Aggregate(value=value, low=None, high=None, n=10) for name, value in values.items()}
    return Report(
        candidate=Ref("candidate", "c", "0" * 64), dataset=Ref("dataset", "d", "0" * 64), split="gate", scores="0" * 64,
        metrics=metrics,
    )  # fmt: skip


PLACES = {"gate": [Place(group="a", language="en", facets={"product": "x"})], "dev": [Place(group="b", language="en")]}
QUESTIONS = [("a",), ("b",), ("c",), ("d",)]
STRICT = {"token_f1": Rule(min=0.5)}


def found(
    rules: dict[str, Rule] = STRICT, one: Candidate | None = None, report: Report | None = None,
    places: dict[str, list[Place]] = PLACES, references: list[tuple[str, ...]] = QUESTIONS, declared: tuple[str, ...] = (),
) -> str:  # fmt: skip
    others = {"grounded": candidate("grounded", retrieves=True), "plain": candidate("plain", retrieves=False)}
    one, report = one or others["grounded"], report or measured(token_f1=0.8)
    return told(warnings(rules, one, report, others, places, references, declared))


def test_a_sound_verdict_has_no_warnings() -> None:
    assert found() == ""
    assert found(report=measured(token_f1=0.8, retrieval_recall=0.1)) == ""
    assert found({"latency_p95": Rule(max=100.0)}, report=measured(latency_p95=0.1)) == ""


def test_a_candidate_that_retrieves_nothing() -> None:
    assert "'plain' retrieves nothing, while grounded do" in found(one=candidate("plain", retrieves=False))
    assert "source of none of 10" in found(report=measured(token_f1=0.8, retrieval_recall=0.0))


@pytest.mark.parametrize(
    ("rule", "weak"),
    [(Rule(min=0.1), True), (Rule(min=0.39), True), (Rule(min=0.4), False), (Rule(min=0.1, against="p"), False),
     (Rule(max=0.9), False)],
)  # fmt: skip
def test_a_bound_far_below_what_was_measured(rule: Rule, weak: bool) -> None:
    assert ("weak bound" in found({"token_f1": rule})) is weak


def test_a_bound_that_one_answer_to_everything_would_reach() -> None:
    labels = [("Yes",), ("yes",), ("no",), ("yes ",)]
    said = found({"accuracy": Rule(min=0.7, against="p")}, report=measured(accuracy=0.9), references=labels)
    assert "always answering 'yes' would reach 0.750" in said
    assert found({"accuracy": Rule(min=0.8)}, report=measured(accuracy=0.9), references=labels) == ""
    assert found({"accuracy": Rule(min=0.5)}, report=measured(accuracy=0.9)) == "", "every reference is another"


def test_a_language_or_slice_that_no_gate_example_has() -> None:
    more = {**PLACES, "dev": [Place(group="b", language="zh", facets={"product": "y"})]}
    assert "no gate example has language zh" in found(places=more)
    assert "product" not in found(places=more), "no rule is sliced by it"
    assert "no gate example has product y" in found({"token_f1": Rule(min=0.5, slices=("product",))}, places=more)
    assert "no gate example has language fr" in found(declared=("en", "fr"))


def test_a_label_that_no_gate_example_has() -> None:
    """Macro F1 is over the labels that the examples have, so nothing else tells that one was never measured."""
    one = msgspec.structs.replace(
        candidate("grounded", retrieves=True), task_options={"labels": dict.fromkeys(("A", "b", "c", "d", "rare"), "")}
    )
    assert "no gate example has the label rare:" in found(one=one)
    assert found(one=one, references=[*QUESTIONS, ("Rare",)]) == ""


@pytest.fixture
def weak(tmp_path: Path) -> Path:
    """A project whose cheapest candidate retrieves nothing, and passes a bound that is no bound."""
    file = write_project(tmp_path)
    file.write_text(
        file.read_text("utf-8").replace("prefer: quality", "prefer: cost").replace("0.05", "0.001"), "utf-8"
    )
    return tmp_path


@pytest.mark.slow
def test_warnings_stand_in_the_verdict_and_change_nothing(weak: Path) -> None:
    done = slipway("run", "-C", str(weak))
    assert done.returncode == 0, done.stderr
    assert "chosen: plain" in done.stdout
    for command in (("release", "verdict"), ("release", "verdict", "--why"), ("release", "show", "production")):
        shown = slipway(*command, "-C", str(weak)).stdout
        for shown_by in (done.stdout, shown):
            assert "warning: 'plain' retrieves nothing, while grounded do" in shown_by, command
            assert "weak bound" in shown_by
    chinese = slipway("--lang", "zh", "release", "verdict", "-C", str(weak)).stdout
    assert "警告：" in chinese
    assert "warning" not in chinese
    assert len(json.loads(slipway("release", "verdict", "--json", "-C", str(weak)).stdout)["warnings"]) == 2
    with api.open_project(weak) as project:
        assert api.run(project).ran == []


def test_why_nothing_was_released_on_dev(ran: Path) -> None:
    done = slipway("run", "-C", str(ran), "--set", "gate.token_f1.min=0.99")
    assert done.returncode == 1
    assert "plain: token_f1:" in done.stdout
    assert "grounded: token_f1:" in done.stdout
    assert "at least 0.990 asked: missed by 0." in done.stdout
    assert "up to date" not in done.stdout
    (ran / "slipway.yaml").write_text((ran / "slipway.yaml").read_text("utf-8").replace("0.05", "0.99"), "utf-8")
    listed = json.loads(slipway("eval", "list", "--split", "dev", "--json", "-C", str(ran)).stdout)
    assert all("missed by" in one["missed"][0]["text"] for one in listed)


def test_why_nothing_was_released_on_the_gate(ran: Path) -> None:
    more = ("--set", "gate={token_f1: {min: 0.2}}")
    done = slipway("run", "-C", str(ran), *more)
    assert done.returncode == 1
    assert "0.200 asked: kept, but only" in done.stdout
    shown = slipway("release", "verdict", "-C", str(ran), COLUMNS="200").stdout
    assert "short of it" in shown
    told_by = slipway("eval", "list", "--split", "gate", "--csv", "-C", str(ran)).stdout
    assert "short of it" in told_by


def test_a_split_that_is_none_is_told(ran: Path) -> None:
    for command in (("eval", "list"), ("eval", "show", "plain")):
        done = slipway(*command, "--split", "geat", "-C", str(ran))
        assert done.returncode == 2
        assert "did you mean 'gate'" in done.stderr
