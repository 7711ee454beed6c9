"""What a tuner may ask of the project: another model's answers as they would be served, and the project's metric."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slipway import api
from slipway.core.artifact import Artifact
from slipway.errors import ConfigError, NotFound
from slipway.loop.context import Silent
from slipway.testing.projects import FILE, write_project

TUNER = """
import json
from typing import ClassVar
from pydantic import BaseModel
from slipway.core.artifact import Made

class Taught:
    class Config(BaseModel):
        model_config = {"extra": "forbid"}
        teacher: str = ""
        metric: str = ""
        other: str = ""
    reads: ClassVar = ("train", "scores")
    models: ClassVar = ("teacher",)
    def __init__(self, config): self.config = config
    def tune(self, job):
        examples = job.examples("train")
        told = {"answers": list(job.answers(self.config.teacher, examples)) if self.config.teacher else [],
                "sent": [job.messages(e)[-1].content for e in examples],
                "engine": job.model(self.config.other or self.config.teacher)[0].engine,
                "right": [job.score(e, e.expected[0], self.config.metric) for e in examples],
                "wrong": [job.score(e, "xyzzy", self.config.metric) for e in examples]}
        out = job.folder / "told.json"
        out.write_text(json.dumps(told))
        return Made(kind="model", files={"told.json": out}, engine="echo", options={"reply": "x"})
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    text = FILE.replace("prompt: plain.md}", "prompt: plain.md, tune: {./tune.py:Taught: {teacher: wise}}}")
    text = text.replace("writer: {engine: echo}", "writer: {engine: echo}\n  wise: {engine: echo, reply: so it is}")
    found = write_project(tmp_path / "demo", text).parent
    (found / "tune.py").write_text(TUNER)
    return found


def told(folder: Path, *overrides: str) -> tuple[dict[str, Any], list[str]]:
    """What the tuner was given, and the steps that ran."""
    with api.open_project(folder, overrides) as opened:
        ran = api.run(opened, "adapt").ran
        (_, made), *_ = opened.store.catalog.list("artifact", Artifact, "plain")
        return json.loads(opened.store.blobs.get(made.files["told.json"])), ran


def test_a_teacher_answers_the_prompt_that_is_served(folder: Path) -> None:
    found, ran = told(folder)
    assert "tune:plain" in ran
    assert found["engine"] == "echo"
    assert found["answers"] == ["so it is"] * len(found["sent"])
    assert found["answers"]
    assert all(text.startswith("Answer briefly.\n") for text in found["sent"])
    assert "tune:plain" not in told(folder)[1], "nothing has changed"
    assert "tune:plain" in told(folder, "models.wise.reply=never")[1], "another teacher is another job"


def test_a_text_is_scored_by_the_metric_of_the_project(folder: Path) -> None:
    found, _ = told(folder)
    assert set(found["right"]) == {1.0}
    assert set(found["wrong"]) == {0.0}


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ("teacher: wize", NotFound, "the project has no model 'wize'"),
        ("teacher: wise, metric: rouge", ConfigError, "no metric 'rouge' scores answers without a model"),
        ("teacher: wise, other: writer", ConfigError, "does not say that it uses the model 'writer'"),
    ],
)
def test_what_cannot_be_asked_is_told(folder: Path, options: str, error: type[Exception], said: str) -> None:
    with pytest.raises((error, ConfigError), match=said):
        told(folder, f"candidates.plain.tune={{./tune.py:Taught: {{{options}}}}}")


def test_why_another_model_did_not_answer_is_said(folder: Path) -> None:
    said: list[str] = []

    class Hears(Silent):
        def say(self, text: str) -> None:
            said.append(text)

    with api.open_project(folder, ["models.wise.fail=the server is away"], Hears()) as opened:
        api.run(opened, "adapt")
        (_, made), *_ = opened.store.catalog.list("artifact", Artifact, "plain")
        answers = json.loads(opened.store.blobs.get(made.files["told.json"]))["answers"]
    assert set(answers) == {""}
    n = len(answers)
    assert f"  teach:plain: {n} of {n} examples were not answered; the first: the server is away" in said
