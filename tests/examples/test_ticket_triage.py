"""The example of labels: its tickets are varied and split without leaks, both project files agree, and its loop runs."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import combinations
from pathlib import Path

import pytest

from slipway import api
from slipway.adapt.candidates import effective
from slipway.builtin.tasks.classify import ClassifyTask
from slipway.core.material import Dataset, Example
from slipway.core.report import Report
from slipway.data.examples import make_examples
from slipway.data.leaks import alike
from slipway.data.preview import preview
from slipway.plugins import BUILTIN
from slipway.project.load import load
from slipway.project.schema import Project
from slipway.store.store import Store

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "ticket-triage"
ROWS = [
    json.loads(line) for file in sorted((EXAMPLE / "tickets").glob("*.jsonl")) for line in file.open(encoding="utf-8")
]
PROJECT = load(EXAMPLE / "slipway.yaml")
TRAINED = load(EXAMPLE / "slipway.train.yaml")
TASK = ClassifyTask(ClassifyTask.Config.model_validate(PROJECT.task.options))


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dataset, list[Example]]]:
    with closing(Store(tmp_path_factory.mktemp("triage"))) as store:
        made = make_examples(PROJECT.data, EXAMPLE, store, TASK)
        yield made, list(store.blobs.get_lines(made.items, Example))


def test_every_label_has_tickets_enough_in_both_languages() -> None:
    assert set(TASK.labels) == {row["label"] for row in ROWS}
    assert len(TASK.labels) >= 12
    assert all(TASK.labels.values()), "each label says what it means"
    for label in TASK.labels:
        languages = Counter(row["language"] for row in ROWS if row["label"] == label)
        assert 50 <= languages.total() <= 60, label
        assert min(languages["en"], languages["zh"]) >= 24, label
    assert all(set(row) == {"text", "label", "language", "case"} for row in ROWS)
    assert all(row["case"].startswith(f"{row['label']}-") for row in ROWS)


def test_tickets_are_short_and_long_and_none_is_another_with_a_word_changed() -> None:
    texts = [row["text"] for row in ROWS]
    lengths = sorted(map(len, texts))
    assert lengths[0] < 15
    assert lengths[-1] > 200
    assert list(alike(texts, 0.5)) == []
    for language in ("en", "zh"):
        beginnings = Counter(row["text"][:12] for row in ROWS if row["language"] == language)
        assert max(beginnings.values()) <= 2, beginnings.most_common(1)


def test_no_split_knows_another_and_each_has_every_label(frozen: tuple[Dataset, list[Example]]) -> None:
    _, examples = frozen
    assert preview(PROJECT.data, EXAMPLE, TASK) == []
    assert len(examples) == len(ROWS)
    splits = {split: [e for e in examples if e.split == split] for split in ("train", "dev", "gate")}
    for split, found in splits.items():
        assert {e.expected[0] for e in found} == set(TASK.labels), split
    for one, other in combinations(splits.values(), 2):
        assert {e.group for e in one}.isdisjoint(e.group for e in other)


def test_both_project_files_are_one_project() -> None:
    def rest(project: Project) -> dict[str, object]:
        return project.model_dump(exclude={"candidates"})

    assert rest(TRAINED) == rest(PROJECT)
    assert effective(TRAINED, "probe") == effective(PROJECT, "probe")
    needs_torch = {c.tune.name for c in TRAINED.candidates.values() if c.tune and c.tune.name != "probe"}
    assert needs_torch == {"encoder", "textcnn", "lora"}
    extras = {name: BUILTIN["tuners"].get(name, ("", ""))[1] for name in needs_torch}
    assert set(extras.values()) <= {"train", ""}
    used = {c.tune.name for name in PROJECT.candidates if (c := effective(PROJECT, name)).tune}
    assert all(BUILTIN["tuners"][name][1] == "" for name in used), "the first run needs no extra for training"


def test_the_first_run_has_every_kind_of_candidate() -> None:
    assert set(PROJECT.candidates) == {
        "majority", "nearest", "probe", "words", "zero-shot", "few-shot", "nearest-few-shot",
    }  # fmt: skip
    for name in ("zero-shot", "few-shot", "nearest-few-shot"):
        prompt = effective(PROJECT, name).prompt
        assert prompt is not None
        assert (EXAMPLE / prompt).is_file()


@pytest.mark.slow
def test_the_loop_runs_in_short_without_any_model(tmp_path: Path) -> None:
    """Candidates without a model only, and a lower bound: what is tested is that the project holds together."""
    folder = tmp_path / "triage"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".slipway"))
    sets = ["candidates={majority: {tune: majority}, words: {tune: {probe: {strength: 64}}}}", "models={}",
            "gate={accuracy: {min: 0.08, confidence: point}}"]  # fmt: skip
    with api.open_project(folder, sets) as project:
        outcome = api.run(project)
        assert outcome.chosen == "words"
        assert outcome.promoted
        answer = api.ask(project, "the card reader shows a red light")
    assert answer.label in TASK.labels


@pytest.mark.slow
def test_the_probe_passes_the_gate_of_the_example(tmp_path: Path) -> None:
    """The encoder is the real one; the language models, which take minutes, are left out."""
    folder = tmp_path / "triage"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".slipway"))
    kept = "candidates={majority: {tune: majority}, nearest: {model: embedder, tune: nearest}, probe: {model: embedder, tune: probe}}"
    with api.open_project(folder, [kept]) as project:
        outcome = api.run(project)
        reports: dict[str, Report] = outcome.reports["dev"]
        written = api.report(project, tmp_path / "triage.html")
    assert outcome.chosen == "probe"
    assert outcome.release is not None
    assert reports["probe"].metrics["accuracy"].value > 0.6
    assert reports["majority"].metrics["accuracy"].value < 0.15
    page = written.read_text("utf-8")
    assert "accuracy against cost_per_query" in page
