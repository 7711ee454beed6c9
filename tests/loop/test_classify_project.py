"""A project of labels from `init` to `ask` and feedback: the gate, what is pinned, and what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway import api
from slipway.core.artifact import Artifact
from slipway.core.candidate import Candidate
from slipway.core.material import Example
from slipway.core.release import Release
from slipway.core.trace import Feedback, Trace
from slipway.errors import ConfigError, EngineError, IntegrityError
from slipway.loop.mine import mine

WITHOUT_MODELS = (
    "candidates={majority: {tune: majority}, nearest: {tune: nearest}, probe: {tune: probe}}",
    "models={}",
)
FILE = """\
slipway: 1
name: desk
task: classify
models: {writer: {engine: echo}}
data:
  examples: [{path: rows.csv, fields: {label: kind}}]
  split: {train: 0.5, dev: 0.25, gate: 0.25}
candidates:
  probe: {tune: {probe: {strength: 16}}}
evaluate: {metrics: [accuracy, coverage, selective_risk, calibration_error]}
gate: {accuracy: {min: 0.5, confidence: point}}
"""
WORDS = {"billing": "invoice", "delivery": "parcel", "登录": "密码"}


def write(folder: Path, rows: list[tuple[str, str]] | None = None, text: str = FILE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = rows or [(f"{word} of customer {n}", label) for label, word in WORDS.items() for n in range(16)]
    lines = ["text,kind", *(f'"{text}","{label}"' for text, label in rows)]
    (folder / "rows.csv").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "slipway.yaml").write_text(text, "utf-8")
    return folder


def test_the_template_from_init_to_ask_without_its_models(tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    api.init(folder, "classify")
    assert [found.what for found in api.check(folder) if found.level == "error"] == []
    with api.open_project(folder, WITHOUT_MODELS) as project:
        found = api.run(project)
        assert found.chosen == "probe"
        assert found.release is not None
        reports = found.reports["dev"]
        assert reports["majority"].metrics["accuracy"].value < reports["probe"].metrics["accuracy"].value
        assert reports["probe"].metrics["coverage"].value == 1.0
        assert {"selective_risk", "calibration_error", "macro_f1"} <= reports["probe"].metrics.keys()
        assert api.verify(project, "production")
        answer = api.ask(project, "The invoice was charged twice.")
        assert (answer.text, answer.label) == ("billing", "billing")
        assert 0 < (answer.confidence or 0) < 1
        assert api.run(project).ran == []


def test_labels_are_learned_from_train_and_dev_and_the_classifier_is_pinned(tmp_path: Path) -> None:
    folder = write(tmp_path / "desk")
    with api.open_project(folder) as project:
        assert api.run(project).chosen == "probe"
        (_, candidate), *_ = project.store.catalog.list("candidate", Candidate, "probe")
        (_, artifact), *_ = project.store.catalog.list("artifact", Artifact, "probe")
        (_, release), *_ = project.store.catalog.list("release", Release)
        assert candidate.task_options == {"labels": {"billing": "", "delivery": "", "登录": ""}}
        assert (candidate.strategy, candidate.model, candidate.files) == ("classifier", None, artifact.files)
        assert artifact.data
        assert artifact.measured["dev_accuracy"] > 0.9
        (sha256,) = artifact.files.values()
        assert release.pins["blob:file classifier.npz"] == sha256
        assert api.ask(project, "忘记密码").label == "登录"
        path = project.store.blobs.path(sha256)
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        with pytest.raises(IntegrityError, match=r"classifier\.npz"):
            api.verify(project, "production")


def test_the_same_examples_make_the_same_bytes_and_others_other_ones(tmp_path: Path) -> None:
    made: list[str] = []
    for name, rows in (("a", None), ("b", None), ("c", [("one", "x"), ("two", "y")] * 1 + [
        (f"{word} number {n}", label) for label, word in WORDS.items() for n in range(16)])):  # fmt: skip
        with api.open_project(write(tmp_path / name, rows)) as project:
            api.run(project, "adapt")
            (_, artifact), *_ = project.store.catalog.list("artifact", Artifact, "probe")
            made.append(artifact.files["classifier.npz"])
    assert made[0] == made[1] != made[2]


def test_an_abstention_is_wrong_and_stays_in_the_comparison(tmp_path: Path) -> None:
    rows = [(f"{word} of customer {n}", label) for label, word in WORDS.items() for n in range(16)]
    rows += [(f"hello number {n}", list(WORDS)[n % 3]) for n in range(24)]
    text = FILE.replace("strength: 16}}}", "strength: 16}}}\n  shy: {tune: {probe: {strength: 16, risk: 0}}}")
    with api.open_project(write(tmp_path / "desk", rows, text)) as project:
        found = api.run(project, "evaluate").reports["dev"]
        shy, plain = found["shy"].metrics, found["probe"].metrics
        assert shy["coverage"].value < 1 == plain["coverage"].value
        assert shy["selective_risk"].value == 0 < plain["selective_risk"].value
        assert shy["selective_risk"].n < shy["accuracy"].n == plain["accuracy"].n
        assert shy["accuracy"].value <= plain["accuracy"].value
        compared = api.compare(project, "probe", "shy", "accuracy", "dev")
        assert compared.comparison.n == plain["accuracy"].n
        with pytest.raises(ConfigError, match="not the same examples"):
            api.compare(project, "probe", "shy", "selective_risk", "dev")
        answer = api.ask(project, "zzz", candidate="shy")
        assert answer.abstained
        assert answer.text == answer.label == ""
        assert answer.steps[0].output


def test_a_rule_cannot_compare_what_two_candidates_answered(tmp_path: Path) -> None:
    text = FILE.replace("gate: {", "gate: {selective_risk: {max: 0.2, against: production}, ")
    found = api.check(write(tmp_path / "desk", text=text))
    assert any("not the same examples" in one.what for one in found if one.level == "error")


def test_labels_that_nothing_can_learn_are_told_before_a_run(tmp_path: Path) -> None:
    rows = [(f"{word} of customer {n}", label) for label, word in WORDS.items() for n in range(16)]
    rows += [("a single one", "rare"), ("invoice again", "Billing")]
    folder = write(tmp_path / "desk", rows)
    overrides = ["data.split={train: 0.2, dev: 0.2, gate: 0.6}"]  # a single example lies in the middle: in the gate
    told = {loss.reason: loss.items for loss in _losses(folder, overrides)}
    assert told["label-spelling"] == ["label:billing (Billing, billing)"]
    assert told["label-untrained"] == ["label:rare (gate 1)"]
    assert any("no example of train has this label" in found.what for found in api.check(folder, overrides))
    with api.open_project(folder, overrides) as project:
        assert {e.expected[0]: e.split for e in _examples(project)}["rare"] == "gate"
        api.run(project, "adapt")
        (_, candidate), *_ = project.store.catalog.list("candidate", Candidate, "probe")
        assert "rare" not in candidate.task_options["labels"]
        assert "rare" not in str(api.ask(project, "a single one", candidate="probe").steps)


def _examples(project: api.Context) -> list[Example]:
    api.run(project, "data")
    found = api.items(project, api.find(project, "dataset", "examples"))
    return [one for one in found if isinstance(one, Example)]


def _losses(folder: Path, overrides: list[str] | None = None) -> list:  # type: ignore[type-arg]
    with api.open_project(folder, overrides or []) as project:
        return api.run(project, "data").losses


def test_every_label_is_in_every_split(tmp_path: Path) -> None:
    rows = [(f"text {n} of {label}", f"label {label}") for label in range(12) for n in range(8)]
    with api.open_project(write(tmp_path / "desk", rows)) as project:
        found = _examples(project)
    for label in {example.expected[0] for example in found}:
        counts = [sum(e.expected[0] == label and e.split == split for e in found) for split in ("train", "dev", "gate")]
        assert counts == [4, 2, 2]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([(f"text {n}", "one") for n in range(20)], "have only the label 'one'"),
        ([(f"text {n}", "") for n in range(20)], "no exa"),
    ],
)
def test_one_label_or_none_stops_with_words(tmp_path: Path, rows: list[tuple[str, str]], why: str) -> None:
    with api.open_project(write(tmp_path / "desk", rows)) as project, pytest.raises(ConfigError, match=why):
        api.run(project, "adapt")


def test_a_declared_set_drops_other_labels_and_empty_texts(tmp_path: Path) -> None:
    rows = [(f"{word} of customer {n}", label) for label, word in WORDS.items() for n in range(16)]
    text = FILE.replace("task: classify", "task: {classify: {labels: [billing, delivery, 登录]}}")
    folder = write(tmp_path / "desk", [*rows, ("who", "nobody"), (" ", "billing")], text)
    told = {loss.reason: loss.count for loss in _losses(folder)}
    assert (told["invalid"], told["missing-input"]) == (1, 1)
    with api.open_project(folder) as project:
        api.run(project, "adapt")
        for asked in ("", " \n"):
            with pytest.raises(ConfigError, match="no 'text'"):
                api.ask(project, asked, candidate="probe")


def test_a_language_model_is_held_to_the_labels_and_sees_them(tmp_path: Path) -> None:
    text = FILE.replace(
        "candidates:\n",
        "candidates:\n  zero: {model: writer, prompt: p.md}\n  votes: {extends: zero, samples: 3}\n"
        "  plain: {extends: zero, strategy: {direct: {labels: {prior: 0}}}}\n"
        "  written: {extends: zero, strategy: {direct: {labels: {by: write}}}}\n"
        "  unsure: {extends: zero, strategy: {direct: {threshold: 0.99}}}\n"
        "  taught: {extends: zero, prompt: taught.md, few_shot: {k: 2, choose: fixed}}\n"
        "  scored: {extends: votes, strategy: {direct: {labels: {by: score}}}}\n"
        "  free: {extends: zero, model: writer, answer_pattern: 'so: (.*)'}\n",
    )
    folder = write(tmp_path / "desk", text=text)
    (folder / "p.md").write_text(
        "{% for label in labels %}[{{ label.name }}]{% endfor %} {{ text }}. so: delivery\n", "utf-8"
    )
    (folder / "taught.md").write_text(
        "{% for example in examples %}{{ example.label }} {% endfor %}{{ text }}\n", "utf-8"
    )
    with api.open_project(folder) as project:
        api.run(project, "adapt")
        zero, plain, votes, free, written, unsure, taught = (
            api.ask(project, "登录 please", candidate=name)
            for name in ("zero", "plain", "votes", "free", "written", "unsure", "taught")
        )
        # it repeats the label of the first worked example, which is the same for every input: that is its prior, too
        assert taught.confidence == pytest.approx(1 / 3)
        assert zero.label == "billing"  # the echo engine takes the first choice it sees
        assert zero.confidence == pytest.approx(1 / 3)  # it says the same whatever it is asked: that is its prior
        assert (plain.label, plain.confidence) == ("billing", pytest.approx(100 / 102))
        assert plain.steps[0].output.startswith("billing 0.98, ")
        assert (written.label, written.confidence) == ("billing", None)
        assert (unsure.label, unsure.abstained) == ("", True)
        with pytest.raises(EngineError, match="cannot be scored"):
            api.ask(project, "登录 please", candidate="scored")
        assert (votes.label, votes.confidence) == ("billing", 1.0)
        assert free.label == "delivery"


def test_what_a_model_says_that_is_no_label_is_an_error_and_counts_as_wrong(tmp_path: Path) -> None:
    text = FILE.replace("engine: echo", "engine: echo, reply: a banana").replace(
        "  probe: {", "  free: {model: writer, prompt: p.md, answer_pattern: '(.*)'}\n  probe: {"
    )
    folder = write(tmp_path / "desk", text=text)
    (folder / "p.md").write_text("{{ text }}\n", "utf-8")
    with api.open_project(folder) as project:
        answer = (api.run(project, "adapt"), api.ask(project, "invoice", candidate="free"))[1]
        assert "names no label" in str(answer.error)


def test_a_corrected_label_becomes_an_example(tmp_path: Path) -> None:
    with api.open_project(write(tmp_path / "desk")) as project:
        asked = {"messages": [{"role": "user", "content": "invoice?"}]}
        trace = Trace(id="t1", at="2026-11-28T00:00:00Z", endpoint="chat", channel="", release="", status=200,
                      request=asked, answer=None, error="", seconds=0.1, overhead_seconds=0.0)  # fmt: skip
        said = Feedback(id="f1", trace="t1", at="2026-11-28T00:00:01Z", correction="delivery")
        (row,) = mine(project.task, [(said, trace)]).examples
        assert {name: row[name] for name in ("text", "label")} == {"text": "invoice?", "label": "delivery"}
        with pytest.raises(ConfigError, match="labels"):
            api.draft(project, 5)


def test_labels_of_another_tool_are_imported(tmp_path: Path) -> None:
    folder = write(tmp_path / "desk")
    (tmp_path / "theirs.jsonl").write_text(
        "".join(json.dumps({"utterance": f"u{n}", "intent": "pay"}) + "\n" for n in range(3)), "utf-8"
    )
    with api.open_project(folder) as project:
        for names in ({}, {"text": "utterance", "label": "intent"}):
            out = folder / f"in{len(names)}.jsonl"
            found = api.import_examples(project, tmp_path / "theirs.jsonl", "parquet", names, out)
            assert found.imported == 3
            assert json.loads(out.read_text("utf-8").splitlines()[0]) == {"text": "u0", "label": "pay"}
