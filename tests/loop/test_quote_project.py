"""A project whose candidate asks no model: checked, measured, released, verified, asked; and what it must not lack."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway import api
from slipway.core.candidate import Candidate
from slipway.errors import ConfigError
from slipway.testing.projects import FILE, write_project

QUOTE = "retrieve: {mode: lexical, top_k: 3}, strategy: quote"
OLD = "  plain: {model: writer, prompt: plain.md}\n"
_HEAD = FILE.split("candidates:")[0].replace("models:\n  writer: {engine: echo}\n", "")
ALONE = f"{_HEAD}candidates:\n  quote: {{{QUOTE}}}\n" + FILE.split("top_k: 1}}\n")[1]


def test_a_project_without_any_model_is_released_and_answers(tmp_path: Path) -> None:
    file = write_project(tmp_path / "demo", ALONE)
    assert [f.what for f in api.check(file.parent) if f.level == "error"] == []
    with api.open_project(file.parent) as project:
        found = api.run(project)
        assert found.chosen == "quote"
        assert found.release is not None
        report = found.reports["dev"]["quote"]
        assert report.metrics["token_f1"].value > 0.3
        assert api.verify(project)
        answer = api.ask(project, "How much does the lighthouse weigh?")
        assert answer.text == "The lighthouse weighs exactly 8 tonnes when it is dry."
        assert next(c for c in answer.citations if c.cited).source == "docs/lighthouse.md"
        assert api.run(project).ran == []


def test_what_it_inherits_of_a_model_is_left_out(tmp_path: Path) -> None:
    text = FILE.replace(OLD, f"{OLD}  quote: {{extends: grounded, {QUOTE}}}\n")
    file = write_project(tmp_path / "demo", text)
    with api.open_project(file.parent) as project:
        api.run(project, "adapt")
        found = {name: project.store.catalog.list("candidate", Candidate, name)[0][1] for name in ("grounded", "quote")}
    assert found["grounded"].model is not None
    assert (found["quote"].model, found["quote"].prompt) == (None, "")


@pytest.mark.parametrize(
    "candidate",
    ["strategy: quote", "model: writer, prompt: plain.md, strategy: {direct: {fallback: quote}}"],
)
def test_one_that_retrieves_nothing_has_nothing_to_quote(tmp_path: Path, candidate: str) -> None:
    file = write_project(tmp_path / "demo", FILE.replace(OLD, f"  plain: {{{candidate}}}\n"))
    with api.open_project(file.parent) as project, pytest.raises(ConfigError, match=r"candidates\.plain quotes"):
        api.run(project, "adapt")


@pytest.mark.parametrize("lacking", ["prompt: plain.md", "model: writer"])
def test_a_strategy_that_asks_a_model_needs_one(tmp_path: Path, lacking: str) -> None:
    file = write_project(tmp_path / "demo", FILE.replace(OLD, f"  plain: {{{lacking}}}\n"))
    with api.open_project(file.parent) as project, pytest.raises(ConfigError, match="needs a model and a prompt"):
        api.run(project, "adapt")


def test_wrong_options_are_told_with_their_line(tmp_path: Path) -> None:
    text = FILE.replace(OLD, "  plain: {retrieve: {mode: lexical}, strategy: {quote: {treshold: 0.2}}}\n")
    file = write_project(tmp_path / "demo", text)
    errors = "\n".join(f.what for f in api.check(file.parent) if f.level == "error")
    assert "did you mean 'threshold'" in errors
    assert "slipway.yaml:1" in errors


OWN = """
from typing import ClassVar
from pydantic import BaseModel
from slipway.core.answer import Answer
from slipway.core.message import Delta


class Options(BaseModel):
    ask: bool = False


class Own:
    Config: ClassVar = Options
    asks_model: ClassVar[bool] = False

    def __init__(self, config):
        self.config = config

    async def respond(self, work):
        if self.config.ask:
            await work.complete(work.request())
        yield Delta(text="forty-two")
        yield Answer(text="forty-two", raw="forty-two")
"""


def test_a_strategy_of_the_project_may_ask_no_model_and_is_told_when_it_does(tmp_path: Path) -> None:
    text = FILE.replace(OLD, '  plain: {strategy: "./own.py:Own"}\n  asks: {strategy: {"./own.py:Own": {ask: true}}}\n')
    file = write_project(tmp_path / "demo", text)
    (file.parent / "own.py").write_text(OWN, "utf-8")
    for run in (False, True):
        assert [f.what for f in api.check(file.parent, run_plugins=run) if f.level == "error"] == []
    with api.open_project(file.parent) as project:
        api.run(project, "adapt")
        assert api.ask(project, "What is it?", "plain").text == "forty-two"
        with pytest.raises(ConfigError, match="asked a model, and the candidate has none"):
            api.ask(project, "What is it?", "asks")
