"""The contract suites of the plug-in kinds on what is built in; engines and indexes have files of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import pytest

from slipway import api
from slipway.builtin.strategies.agent import AgentConfig, AgentStrategy
from slipway.builtin.tasks.answer import AnswerTask
from slipway.builtin.tools.calculator import Calculator
from slipway.core.candidate import ToolPin
from slipway.errors import ConfigError
from slipway.testing.projects import FILE, write_project
from slipway.testing.strategies import StrategyContract
from slipway.testing.tasks import TaskContract
from slipway.testing.tools import ToolContract

TOOL = """
import asyncio
from typing import ClassVar
from pydantic import BaseModel

class Lookup:
    class Config(BaseModel):
        model_config = {"extra": "forbid"}
        fail: str = ""
        pause: float = 0.0
    name: ClassVar = "lookup"
    description: ClassVar = "Looks a word up."
    parameters: ClassVar = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
    def __init__(self, config): self.config = config
    async def call(self, arguments):
        await asyncio.sleep(self.config.pause)
        if self.config.fail == "crash": raise KeyError("the table")
        if self.config.fail: raise ValueError(self.config.fail)
        return "found: " + arguments["word"]
"""


DOCUMENTS = tuple(
    f"Ship {n} lies in the harbour. The number of ship {n} is {n}00. 第{n}号船在港口。" for n in range(12)
)


class TestAnswerTask(TaskContract):
    def make_task(self) -> AnswerTask:
        return AnswerTask(AnswerTask.Config())


class TestDirect(StrategyContract):
    strategy = "direct"


class TestDirectWithAFallback(StrategyContract):
    strategy = "direct"
    options: ClassVar = {"fallback": "quote"}
    documents = DOCUMENTS


class TestQuote(StrategyContract):
    strategy = "quote"
    options: ClassVar = {"sentences": 3}
    documents = DOCUMENTS


class TestAgent(StrategyContract):
    strategy = "agent"
    tools = (ToolPin(tool="calculator"),)


class TestCalculator(ToolContract):
    arguments = ({"expression": "2*(3+4)"}, {"expression": "1/3"})

    def make_tool(self) -> Calculator:
        return Calculator(Calculator.Config())


@pytest.mark.parametrize(
    ("expression", "value"),
    [("2*(3+4)", "14"), ("2^10", "1024"), ("-7 // 2", "-4"), ("0.1+0.2", "0.3"), ("1/3", "0.333333333333")],
)
async def test_the_calculator_computes(expression: str, value: str) -> None:
    assert await Calculator(Calculator.Config()).call({"expression": expression}) == value


@pytest.mark.parametrize(
    "expression",
    ["1/0", "9**9**9**9", "(-8)**0.5", "__import__('os')", "a", "'a'*9", "1 if 1 else 2", "(" * 400, "True", "1e999"],
)
async def test_the_calculator_refuses_with_words(expression: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        await Calculator(Calculator.Config()).call({"expression": expression})


def ask(folder: Path, options: str, text: str, agent: str = "agent") -> api.Answer:
    file = FILE.replace("prompt: plain.md}", f"prompt: plain.md, strategy: {agent}, tools: [{options}]}}")
    write_project(folder, file)
    (folder / "lookup.py").write_text(TOOL, "utf-8")
    with api.open_project(folder) as project:
        api.run(project, "evaluate")
        return api.ask(project, text, candidate="plain")


def test_an_agent_calls_a_tool_and_answers_with_what_it_found(tmp_path: Path) -> None:
    found = ask(tmp_path, "./lookup.py:Lookup", "please lookup the keel")
    (step,) = found.steps
    assert (step.name, step.error) == ("lookup", "")
    assert "keel" in json.loads(step.input)["word"]
    assert step.output.startswith("found: ")
    assert found.text == step.output


def test_an_agent_that_needs_no_tool_answers_at_once(tmp_path: Path) -> None:
    assert ask(tmp_path, "./lookup.py:Lookup", "hello").steps == ()


@pytest.mark.parametrize(
    ("options", "error"),
    [("fail: crash", "KeyError"), ("fail: no such word", "no such word"), ("pause: 5", "no result within 0.1 s")],
)
def test_a_tool_that_fails_is_a_step_and_the_model_is_told(tmp_path: Path, options: str, error: str) -> None:
    tool = f"{{./lookup.py:Lookup: {{{options}}}}}"
    found = ask(tmp_path, tool, "please lookup the keel", "{agent: {seconds: 0.1}}")
    assert error in found.steps[0].error
    assert found.text.startswith("error: ")


def test_tools_that_do_not_exist_are_named_with_their_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="slipway.yaml:\\d+"):
        ask(tmp_path, "no_such_tool", "hello")


def test_an_agent_needs_a_number_of_turns() -> None:
    assert AgentStrategy(AgentConfig()).config.turns == 5
    with pytest.raises(ValueError, match="turns"):
        AgentConfig(turns=0)
