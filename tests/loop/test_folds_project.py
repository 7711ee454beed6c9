"""`evaluate.folds` in whole projects: who answers what, what is fitted and cached, and what its intervals count."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from slipway import api
from slipway.api.finding import scored as scored_with
from slipway.core.material import Example
from slipway.core.report import Report, Score
from slipway.errors import ConfigError
from slipway.evaluate.aggregate import aggregates
from slipway.evaluate.estimate import Adjust
from slipway.loop.run import Outcome
from slipway.render.document import Table
from slipway.render.pages.data import datasets
from slipway.testing.projects import FILE, write_project

TUNER = '''
from typing import ClassVar
from pydantic import BaseModel
from slipway.core.artifact import Made

class Recite:
    """Answers with every question that it was fitted to, those of train and, in brackets, those of dev."""
    class Config(BaseModel): pass
    reads: ClassVar = ("train", "dev")
    def __init__(self, config): pass
    def tune(self, job):
        learnt = " ".join(job.text(e) for e in job.examples("train"))
        chosen = " ".join(f"[{job.text(e)}]" for e in job.examples("dev"))
        out = job.folder / "model.json"
        out.write_text("{}")
        return Made(kind="model", files={"model.json": out}, engine="echo", options={"reply": learnt + chosen})
'''
ASKS = FILE.replace("metrics: [token_f1, retrieval_recall]", "folds: 4, metrics: [token_f1]").replace(
    "train: 0.2, dev: 0.4", "train: 0.4, dev: 0.2"
)
CANDIDATES = """\
candidates:
  plain: {model: writer, prompt: plain.md}
  recite: {model: writer, prompt: plain.md, tune: ./tune.py:Recite, sampling: {max_tokens: 2000}}
  shown: {model: writer, prompt: shown.md, few_shot: {k: 2}}
"""
LABELS = """\
slipway: 1
name: desk
task: classify
data:
  examples: [{path: rows.csv, fields: {label: kind}}]
  split: {train: 0.5, dev: 0.25, gate: 0.25}
candidates:
  nearest: {tune: {nearest: {k: 1}}}
  majority: {tune: majority}
evaluate: {metrics: [accuracy], folds: 5}
gate: {accuracy: {min: 0.01, confidence: point, against: production, margin: 0.9}}
"""


def answering(tmp_path: Path) -> Path:
    text = ASKS[: ASKS.index("candidates:")] + CANDIDATES + ASKS[ASKS.index("evaluate:") :]
    folder = write_project(tmp_path / "demo", text).parent
    (folder / "tune.py").write_text(TUNER)
    shown = "{% for e in examples %}{{ e.question }} {% endfor %}NOW {{ question }}\n"
    (folder / "shown.md").write_text(shown)
    return folder


def labels(tmp_path: Path, text: str = LABELS) -> Path:
    folder = tmp_path / "desk"
    folder.mkdir()
    words = {"billing": "invoice", "delivery": "parcel", "login": "password"}
    lines = [f'"{word} {label}{n} of customer{n}","{label}"' for label, word in words.items() for n in range(16)]
    (folder / "rows.csv").write_text("\n".join(["text,kind", *lines]) + "\n", "utf-8")
    (folder / "slipway.yaml").write_text(text, "utf-8")
    return folder


class Made(NamedTuple):
    """A project that was run, and what came out."""

    folder: Path
    outcome: Outcome


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Questions, measured."""
    folder = answering(tmp_path_factory.mktemp("asked"))
    return Made(folder, run(folder))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Labels, released."""
    folder = labels(tmp_path_factory.mktemp("desk"))
    return Made(folder, run(folder, until="release"))


def run(folder: Path, *overrides: str, until: str = "evaluate") -> Outcome:
    with api.open_project(folder, overrides) as opened:
        return api.run(opened, until)  # pyright: ignore[reportArgumentType]


def scored(folder: Path, report: Report) -> list[tuple[Example, Score]]:
    with api.open_project(folder) as opened:
        return scored_with(opened, report)


def test_each_example_is_answered_once_by_what_was_fitted_without_it_and_its_group(asked: Made) -> None:
    folder, reports = asked.folder, asked.outcome.reports["dev"]
    rows = scored(folder, reports["recite"])
    assert {example.split for example, _ in rows} == {"train", "dev"}
    assert len({example.id for example, _ in rows}) == len(rows) == 12
    grouped = {example.group: [e.text for e, _ in rows if e.group == example.group] for example, _ in rows}
    assert max(len(texts) for texts in grouped.values()) > 1 or len(grouped) == len(rows)
    for example, score in rows:
        assert score.answer.text, example
        assert all(text not in score.answer.text for text in grouped[example.group]), "neither it nor its group"
        others = [e.text for e, _ in rows if e.text in score.answer.text]
        assert len(others) >= len(rows) // 2, "the rest of train was learnt from, and dev was chosen on"
    assert {score.folds for _, score in rows} == {4}
    assert reports["recite"].folds == 4


def test_worked_examples_are_never_of_the_fold_that_is_answered(asked: Made) -> None:
    rows = scored(asked.folder, asked.outcome.reports["dev"]["shown"])
    for example, score in rows:
        shown = score.answer.text.partition("NOW")[0]
        assert example.text not in shown
        assert sum(other.text in shown for other, _ in rows) == 2, "two of train, and none of dev or gate"


def test_what_fits_nothing_answers_the_same_examples_once(asked: Made) -> None:
    folder, outcome = asked
    plain, recite = outcome.reports["dev"]["plain"], outcome.reports["dev"]["recite"]
    rows = scored(folder, plain)
    assert {example.id for example, _ in rows} == {example.id for example, _ in scored(folder, recite)}
    assert {score.folds for _, score in rows} == {0}, "its answers are independent, and count in full"
    assert [step for step in outcome.ran if "fold" in step] == [
        "folds", *(f"tune:recite:fold-{n}-of-4" for n in range(1, 5))
    ]  # fmt: skip


def test_the_sets_of_the_folds_are_one_line_for_people_and_all_there_for_programs(asked: Made) -> None:
    with api.open_project(asked.folder) as opened:
        document = datasets(api.datasets(opened))
        names = [one["dataset"].name for one in document.data]
        folds = [name for name in names if "fold-" in name]
        assert sorted(folds) == [f"examples:fold-{n}-of-4" for n in range(1, 5)]
        (table,) = document.parts
        assert isinstance(table, Table)
        assert [row[1] for row in table.rows] == ["examples [4 folds]", *(name for name in names if name not in folds)]
        assert document.rows is not None
        assert [row[1] for row in document.rows.rows] == names
        assert api.find(opened, "dataset", folds[0]).size == api.find(opened, "dataset", "examples").size


@pytest.mark.slow
def test_folds_are_fitted_once_and_gate_has_none(desk: Made) -> None:
    folder, first = desk
    assert sum("fold-" in step for step in first.ran) == 10
    assert first.release is not None
    gate = first.reports["gate"][first.chosen]
    assert {score.folds for _, score in scored(folder, gate)} == {0}
    assert gate.folds == 0
    again = run(folder, until="release")
    assert again.ran == []
    assert again.reports["dev"]["nearest"].digest == first.reports["dev"]["nearest"].digest
    other = run(folder, "evaluate.folds=null")
    assert [step for step in other.ran if step.startswith("tune")] == [], "the candidates themselves are the same"
    assert other.reports["dev"]["nearest"].metrics["accuracy"].n == 12


def test_a_memory_is_no_better_than_it_is(tmp_path: Path) -> None:
    """Labels that nothing tells: the nearest neighbour knows every row of train, and out of fold it knows nothing."""
    folder = labels(tmp_path)
    lines = [f'"ticket{n * 7919} word{n * 104729}","{"ab"[n * 31 % 7 % 2]}"' for n in range(60)]
    (folder / "rows.csv").write_text("\n".join(["text,kind", *lines]) + "\n", "utf-8")
    found = run(folder).reports["dev"]["nearest"].metrics["accuracy"]
    assert found.n == 45
    assert 0.2 < found.value < 0.8


def test_intervals_of_what_was_fitted_are_wider_than_of_as_many_independent_answers(desk: Made) -> None:
    folder, report = desk.folder, desk.outcome.reports["dev"]["majority"]
    found = report.metrics["accuracy"]
    with api.open_project(folder) as opened:
        scores = opened.store.blobs.get_lines(report.scores, Score)
        alone = aggregates([msgspec.structs.replace(score, folds=0) for score in scores])["accuracy"]
        compared = api.compare(opened, "majority", "nearest").comparison
    assert alone.low is not None
    assert alone.high is not None
    assert found.low is not None
    assert found.high is not None
    assert found.value == alone.value
    assert 1.3 < (found.high - found.low) / (alone.high - alone.low) < 1.6
    assert compared.test.startswith("folds-")


def test_what_asks_for_independent_answers_is_refused_out_of_folds(desk: Made) -> None:
    with api.open_project(desk.folder) as opened, pytest.raises(ConfigError, match="out of folds"):
        api.compare(opened, "majority", "nearest", adjust=Adjust(covariates=("length",)))


@pytest.mark.slow
def test_a_champion_that_cannot_be_fitted_again_is_compared_on_dev(desk: Made) -> None:
    folder, first = desk
    assert first.release is not None
    text = LABELS.replace("nearest: {k: 1}", "nearest: {k: 3}")
    (folder / "slipway.yaml").write_text(text.replace("majority: {tune: majority}", "words: {tune: probe}"), "utf-8")
    second = run(folder, until="release")
    assert second.verdicts, second.refused
    with api.open_project(folder) as opened:
        rows = api.reports(opened, "dev")
        theirs = [r for _, r, _ in rows if r.candidate.digest == first.release.candidate.digest]
        assert {(report.metrics["accuracy"].n, report.folds) for report in theirs} == {(36, 5), (12, 0)}
        assert api.plan_gate(opened).candidate
    (folder / "slipway.yaml").write_text(LABELS, "utf-8")


def test_the_file_tells_what_is_refused_and_check_what_it_costs(tmp_path: Path) -> None:
    folder = labels(tmp_path)
    told = [found.what for found in api.check(folder) if "evaluate.folds" in found.what]
    assert told == ["evaluate.folds: 10 trainings more, 5 of each of: nearest, majority"]
    with pytest.raises(ConfigError, match=r"evaluate\.folds"):
        run(folder, "evaluate.folds=1")
    with pytest.raises(ConfigError, match="without fold 2 of 2: there is nothing to learn: train has 1 example,"):
        run(folder, "evaluate.folds=2", "data.split.train=0.03", "data.split.dev=0.57", "data.split.gate=0.4")
    with pytest.raises(ConfigError, match="20 folds need as many independent groups"):
        run(folder, "evaluate.folds=20", "data.split.train=0.2", "data.split.dev=0.1", "data.split.gate=0.7")
