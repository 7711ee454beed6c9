"""The contract suites on what is built in; engines and indexes have files of their own, and none is left out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import gguf
import numpy as np
import pytest

from slipway.builtin.tools.calculator import Calculator
from slipway.builtin.tuners.quantize import QuantizeTuner
from slipway.core.candidate import ModelPin, ToolPin
from slipway.core.protocols import Scorer, Task
from slipway.plugins import BUILTIN, Plugins
from slipway.testing.scorers import ScorerContract
from slipway.testing.strategies import StrategyContract
from slipway.testing.tasks import TaskContract
from slipway.testing.tools import ToolContract
from slipway.testing.tuners import TunerContract

EACH = ("scorers", "tasks")
"""Kinds whose suite runs below on every name that there is."""


DOCUMENTS = tuple(
    f"Ship {n} lies in the harbour. The number of ship {n} is {n}00. 第{n}号船在港口。" for n in range(12)
)


class TestScorers(ScorerContract):
    @pytest.fixture(autouse=True, params=sorted(BUILTIN["scorers"]))
    def named(self, request: pytest.FixtureRequest) -> None:
        self.name = request.param

    def make_scorer(self) -> Scorer:
        return Plugins().make("scorers", self.name, {}, "here")


class TestTasks(TaskContract):
    @pytest.fixture(
        autouse=True, params=sorted(BUILTIN["tasks"].keys() - {"extract"})
    )  # it needs a schema: test_tasks_extract
    def named(self, request: pytest.FixtureRequest) -> None:
        self.name = request.param

    def make_task(self) -> Task:
        return Plugins().make("tasks", self.name, {}, "here")


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


@pytest.mark.parametrize("type", ["q8_0", "q4_0"])
class TestQuantize(TunerContract):
    base = ModelPin(name="writer", engine="llama", source="", files={"toy.gguf": "0" * 64})

    @pytest.fixture(autouse=True)
    def typed(self, type: str) -> None:
        self.type = type

    @pytest.fixture
    def files(self, tmp_path: Path) -> Mapping[str, Path]:
        """A GGUF file of two matrices and a vector, as the reference writer makes it."""
        rng = np.random.default_rng(1)
        writer = gguf.GGUFWriter(tmp_path / "toy.gguf", "llama")
        for name, shape in {
            "token_embd.weight": (100, 64),
            "blk.0.attn_q.weight": (64, 64),
            "norm.weight": (64,),
        }.items():
            writer.add_tensor(name, rng.normal(size=shape).astype(np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return {"toy.gguf": tmp_path / "toy.gguf"}

    def make_tuner(self) -> QuantizeTuner:
        return QuantizeTuner(QuantizeTuner.Config(type=self.type, measure=False))  # type: ignore[arg-type]


CONTRACTS = {
    "engines": "EngineContract", "indexes": "IndexContract", "strategies": "StrategyContract", "tools": "ToolContract",
    "tuners": "TunerContract",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in BUILTIN.items() if kind not in EACH for name in names]
)
def test_everything_built_in_has_its_suite(kind: str, name: str) -> None:
    """Some file beside this one names it, or imports its module, and derives from the suite of its kind."""
    module = BUILTIN[kind][name][0].partition(":")[0]
    said = (f"from {module} import", f'strategy = "{name}"')
    files = [path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("test_*.py"))]
    assert [text for text in files if f"({CONTRACTS[kind]})" in text and any(word in text for word in said)], name


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
