"""Every plug-in of this package passes the contract of its kind."""

from __future__ import annotations

from my_plugins.engine import TableEngine
from my_plugins.index import ExactIndex
from my_plugins.scorer import LabelMatch
from my_plugins.task import RouteTask
from my_plugins.tool import Glossary
from my_plugins.tuner import TableTuner

from slipway.testing.engines import EngineContract
from slipway.testing.indexes import IndexContract
from slipway.testing.scorers import ScorerContract
from slipway.testing.strategies import StrategyContract
from slipway.testing.tasks import TaskContract
from slipway.testing.tools import ToolContract
from slipway.testing.tuners import TunerContract


class TestEngine(EngineContract):
    capabilities = TableEngine.capabilities
    can_score = False

    @classmethod
    def make_engine(cls, request):
        return TableEngine(TableEngine.Config(), name="mine")


class TestIndex(IndexContract):
    def make_index(self):
        return ExactIndex(ExactIndex.Config())


class TestScorer(ScorerContract):
    def make_scorer(self):
        return LabelMatch(LabelMatch.Config())


class TestTask(TaskContract):
    references = ("billing", "账单")

    def make_task(self):
        return RouteTask(RouteTask.Config())


class TestStrategy(StrategyContract):
    strategy = "twice"


class TestTool(ToolContract):
    arguments = ({"word": "Slipway"}, {"word": "keel"})

    def make_tool(self):
        return Glossary(Glossary.Config())


class TestTuner(TunerContract):
    def make_tuner(self):
        return TableTuner(TableTuner.Config())


class TestTaughtTuner(TunerContract):
    def make_tuner(self):
        return TableTuner(TableTuner.Config(teacher="large", least=0.5))
