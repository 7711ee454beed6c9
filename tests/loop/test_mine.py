"""What users said becomes examples to review: from traces and feedback to a file that the project's loader reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from commands import slipway
from slipway import api
from slipway.builtin.tasks.answer import AnswerTask
from slipway.builtin.tasks.classify import ClassifyTask
from slipway.core.answer import Answer
from slipway.core.material import Example
from slipway.core.trace import Feedback, Trace
from slipway.loop.mine import mine
from slipway.store.gc import needed_by
from slipway.testing.catalogs import feedback_of, trace_of


def asked(text: str, answer: str, **more: Any) -> Trace:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
    return trace_of(request={"messages": messages}, answer=Answer(text=answer, raw=answer), **more)


def keep(folder: Path, traces: list[Trace], said: list[Feedback]) -> None:
    with api.open_project(folder) as project:
        project.store.catalog.add_traces(traces, said)


@pytest.fixture
def served(ran: Path) -> Path:
    corrected = asked("How heavy is the keel? Write to ada@example.org", "9 tonnes")
    liked = asked("How tall is the mast?", "20 metres")
    unliked = asked("What does a sail cost?", "nothing")
    again = asked("How tall is the mast?", "20 metres")
    failed = trace_of(request={"prompt": "x"}, status=503)
    keep(
        ran,
        [corrected, liked, unliked, again, failed],
        [
            feedback_of(corrected, thumb="down", correction="8 tonnes"),
            feedback_of(corrected, thumb=None, correction="13 tonnes, says bob@example.org"),
            feedback_of(liked),
            feedback_of(unliked),
            feedback_of(unliked, thumb="down"),
            feedback_of(again),
            feedback_of(failed),
            feedback_of(trace_of()),
        ],
    )
    return ran


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_corrections_and_liked_answers_are_written_for_review(served: Path, tmp_path: Path) -> None:
    file = tmp_path / "feedback.jsonl"
    done = slipway("feedback", "export", "--as-examples", str(file), "-C", str(served))
    assert done.returncode == 0, done.stderr
    assert "2 examples written" in done.stdout
    assert "no correction and no thumb up 2" in done.stdout
    assert "the same as another 1" in done.stdout
    assert "the trace is not kept any more 1" in done.stdout
    found = {row["from"]: row for row in rows(file)}
    assert set(found) == {"correction", "thumb-up"}
    assert found["correction"]["answer"] == "13 tonnes, says [email]", "the newest correction, personal data masked"
    assert found["correction"]["question"] == "How heavy is the keel? Write to [email]"
    assert (found["thumb-up"]["question"], found["thumb-up"]["answer"]) == ("How tall is the mast?", "20 metres")
    assert {row["review"] for row in rows(file)} == {"open"}
    assert all(row["lineage"].startswith("trace:") for row in rows(file))
    assert file.stat().st_mode & 0o077 == 0


def test_what_is_exported_is_read_by_the_project_and_keeps_its_traces(served: Path) -> None:
    file = served / "feedback.jsonl"
    with api.open_project(served) as project:
        api.export_examples(project, file)
        lineage = {row["lineage"] for row in rows(file)}
    with api.open_project(served, ["data.examples=[{path: questions.jsonl}, {path: feedback.jsonl}]"]) as project:
        examples = api.items(project, api.run(project, "data").datasets["examples"])
        mined = [e for e in examples if isinstance(e, Example) and "lineage" in e.meta]
        assert {e.meta["lineage"] for e in mined} == lineage
        assert {e.expected for e in mined} == {("13 tonnes, says [email]",), ("20 metres",)}
        traces = {trace for one in lineage for trace in one.split()}
        assert len(traces) == 3, "two asked the same, and are one row"
        assert {f"trace:{id}" for id in needed_by(project.store).traces} == traces, "retention leaves them"


def test_redaction_is_as_configured_or_as_asked(served: Path, tmp_path: Path) -> None:
    def answer(*more: str) -> str:
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl"
        done = slipway("feedback", "export", "--as-examples", str(file), "-C", str(served), *more)
        assert done.returncode == 0, done.stderr
        return next(row["answer"] for row in rows(file) if row["from"] == "correction")

    assert "bob@example.org" in answer("--redact", "off")
    assert "[email:" in answer("--redact", "hash")
    text = (served / "slipway.yaml").read_text("utf-8")
    (served / "slipway.yaml").write_text(text.replace("port: 0}", "port: 0, redact: hash}"), "utf-8")
    assert "[email:" in answer()


def test_a_file_is_never_written_over(served: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text("mine", "utf-8")
    done = slipway("feedback", "export", "--as-examples", str(file), "-C", str(served))
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert file.read_text("utf-8") == "mine"
    assert slipway("feedback", "export", "--as-examples", str(tmp_path / "x.csv"), "-C", str(served)).returncode == 2


def test_without_anything_to_write_there_is_no_file(ran: Path, tmp_path: Path) -> None:
    done = slipway("feedback", "export", "--as-examples", str(tmp_path / "x.jsonl"), "-C", str(ran))
    assert done.returncode == 0
    assert "nothing to write" in done.stdout
    assert not (tmp_path / "x.jsonl").exists()


def test_feedback_is_listed_with_question_and_answer(served: Path) -> None:
    done = slipway("feedback", "list", "-C", str(served), COLUMNS="240")
    assert "How tall is the mast?" in done.stdout
    assert "20 metres" in done.stdout
    told = json.loads(slipway("feedback", "list", "-C", str(served), "--json").stdout)
    assert [one["answer"] for one in told if one["asked"] == "How tall is the mast?"] == ["20 metres"] * 2
    assert told[0]["asked"] is None, "what it is about is not kept any more"


def test_traces_are_listed_with_question_and_answer_and_found(served: Path) -> None:
    def found(*options: str) -> list[str]:
        done = slipway("traces", "list", "-C", str(served), "--csv", *options)
        assert done.returncode == 0, done.stderr
        return [line.split(",")[5] for line in done.stdout.splitlines()[1:]]

    assert len(found()) == 5
    assert found("--text", "MAST 20") == ["How tall is the mast?"] * 2
    assert found("--status", "5xx") == ["x"]
    assert set(found("--thumb", "down")) == {
        "How heavy is the keel? Write to ada@example.org", "What does a sail cost?"}  # fmt: skip
    assert found("--since", "2026-01-03") == found("--slow", "1") == []
    shown = slipway("traces", "list", "-C", str(served), "-n", "2", COLUMNS="200").stdout
    assert "--before" in shown
    assert len(found("--before", shown.split("--before ")[1].split()[0])) == 3
    for wrong in (("--since", "soon"), ("--status", "20"), ("--text", "a b c d e f g h i"), ("--release", "nope"),
                  ("--before", "nope"), ("--thumb", "upp"), ("--slow", "-1")):  # fmt: skip
        done = slipway("traces", "list", "-C", str(served), *wrong)
        assert done.returncode == 2, wrong
        assert "defect" not in done.stderr


@pytest.mark.parametrize(
    ("answer", "correction"),
    [("It is 5 °C.", "It is -5 °C."), ("Use C++.", "Use C#."), ("It costs 10:30.", "It costs 10.30.")],
)
def test_a_correction_of_a_mark_that_means_something_is_one(answer: str, correction: str) -> None:
    """It was taken for agreement: what was wrong became the reference."""
    given = asked("What is it?", answer)
    found = mine(AnswerTask(AnswerTask.Config()), [(feedback_of(given, thumb=None, correction=correction), given)])
    assert [row["answer"] for row in found.examples] == [correction]
    assert [(row["chosen"], row["rejected"]) for row in found.preferences] == [(correction, answer)]


def test_labels_are_compared_as_labels_when_they_are_mined() -> None:
    task = ClassifyTask(ClassifyTask.Config(labels=["C", "C++", "C#", "not-a", "not a"]))  # pyright: ignore[reportArgumentType]
    given = asked("std::vector", "C")
    found = mine(task, [(feedback_of(given, thumb=None, correction="c++"), given)])
    assert [row["label"] for row in found.examples] == ["c++"]
    agreed = mine(task, [(feedback_of(given, thumb=None, correction="c."), given)])
    assert [(row["from"], row["votes"]) for row in agreed.examples] == [("correction", 1)]
    assert not agreed.preferences


def test_inputs_that_differ_by_a_mark_that_means_something_are_two() -> None:
    first, second = asked("What is C++?", "a language"), asked("What is C#?", "a note")
    found = mine(AnswerTask(AnswerTask.Config()), [(feedback_of(first), first), (feedback_of(second), second)])
    assert {(row["question"], row["answer"]) for row in found.examples} == {
        ("What is C++?", "a language"), ("What is C#?", "a note"),
    }  # fmt: skip
