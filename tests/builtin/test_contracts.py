"""The contract suites of the plug-in kinds on what is built in; engines and indexes have files of their own."""

from __future__ import annotations

import json
from pathlib import Path

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

class TestAnswerTask(TaskContract):
    def make_task(self) -> AnswerTask:
        return AnswerTask(AnswerTask.Config())


class TestDirect(StrategyContract):
    strategy = "direct"


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
