"""Plug-ins that fail, wherever they are called: an error that says whose it is, in no case a traceback, and where single
answers fail, the worst value of every metric.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import slipway
from everyday import some
from slipway import api
from slipway.core.report import Report
from slipway.errors import EngineError
from slipway.testing.projects import FILE, write_project

BAD = """
import math, sys
from typing import ClassVar
from pydantic import BaseModel
from slipway.builtin.engines.echo import EchoEngine
from slipway.builtin.indexes.lexical import TantivyIndex
from slipway.builtin.strategies.direct import DirectStrategy
from slipway.builtin.tasks.answer import AnswerTask
from slipway.core.artifact import Made

class Options(BaseModel):
    model_config = {"extra": "forbid"}
    at: str = ""
    when: str = ""
    error: str = "KeyError"

def fail(config, at, text=""):
    if config.at == at and config.when in text:
        if config.error == "SystemExit": sys.exit(0)
        raise {"KeyError": KeyError, "RecursionError": RecursionError}[config.error]("the table")

class Scorer:
    Config = Options
    higher_is_better = True
    def __init__(self, config):
        self.config = config
        fail(config, "init")
    def score(self, example, answer):
        fail(self.config, "score")
        return {"nan": math.nan, "inf": math.inf, "seven": 7.0, "text": "much"}.get(self.config.at, 0.5)

class Lower(Scorer):
    higher_is_better = False

class Task(AnswerTask):
    Config = Options
    def __init__(self, config):
        self.config = config
        fail(config, "init")
    def input(self, given):
        fail(self.config, "input")
        return super().input(given)
    def text(self, input):
        fail(self.config, "text")
        return super().text(input)
    def expected(self, text):
        fail(self.config, "expected")
        return super().expected(text)
    def output(self, text):
        fail(self.config, "output", text)
        return super().output(text)

class DirectOptions(Options, DirectStrategy.Config):
    pass

class Strategy(DirectStrategy):
    Config = DirectOptions
    def __init__(self, config):
        self.config = config
        fail(config, "init")
    async def respond(self, work):
        fail(self.config, "respond", work.task.text(work.input))
        async for piece in super().respond(work):
            yield piece

class Tool:
    Config = Options
    name: ClassVar = "tool"
    description: ClassVar = "A tool."
    parameters: ClassVar = {"type": "object", "properties": {}}
    def __init__(self, config):
        self.config = config
        fail(config, "init")
    async def call(self, arguments): return ""

class Tuner:
    Config = Options
    reads: ClassVar = ()
    def __init__(self, config):
        self.config = config
        fail(config, "init")
    def tune(self, job):
        fail(self.config, "tune")

class Index(TantivyIndex):
    Config = Options
    def __init__(self, config):
        self.mine = config
        fail(config, "init")
        super().__init__(TantivyIndex.Config())
    def add(self, chunks, vectors=None):
        fail(self.mine, "add")
        super().add(chunks, vectors)
    def search(self, text, vector, k, filters=None):
        fail(self.mine, "search")
        return super().search(text, vector, k, filters)

class Engine(EchoEngine):
    class Config(EchoEngine.Config):
        at: str = ""
        when: str = ""
        error: str = "KeyError"
    def __init__(self, config, **more):
        fail(config, "init")
        super().__init__(config, **more)
    async def start(self): fail(self.config, "start")
    async def generate(self, request):
        fail(self.config, "generate")
        async for delta in super().generate(request):
            yield delta
"""
PLACES = {
    "Scorer": ("init", "score"),
    "Task": ("init", "input", "text", "expected", "output"),
    "Strategy": ("init", "respond"),
    "Tool": ("init",),
    "Tuner": ("init", "tune"),
    "Index": ("init", "add", "search"),
    "Engine": ("init", "start", "generate"),
}
CASES = [(kind, at) for kind, places in PLACES.items() for at in places]


def use(kind: str, options: str) -> str:
    """A project file that uses the bad one."""
    name = f"./bad.py:{kind}"
    old, new = {
        "Scorer": ("[token_f1, retrieval_recall]", f"[token_f1, {{{name}: {{{options}}}}}]"),
        "Task": ("name: demo", f"name: demo\ntask: {{{name}: {{{options}}}}}"),
        "Strategy": ("prompt: plain.md}", f"prompt: plain.md, strategy: {{{name}: {{{options}}}}}}}"),
        "Tool": ("prompt: plain.md}", f"prompt: plain.md, strategy: agent, tools: [{{{name}: {{{options}}}}}]}}"),
        "Tuner": ("prompt: plain.md}", f"prompt: plain.md, tune: {{{name}: {{{options}}}}}}}"),
        "Index": ("mode: lexical,", f"mode: lexical, lexical: {{{name}: {{{options}}}}},"),
        "Engine": ("{engine: echo}", f"{{engine: {name}, {options}}}"),
    }[kind]
    assert old in FILE
    return FILE.replace(old, new)


def project(folder: Path, kind: str, options: str) -> Path:
    found = write_project(folder / "demo", use(kind, options)).parent
    (found / "bad.py").write_text(BAD, "utf-8")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("case", some(CASES, 4), ids="-".join)
def test_whoever_fails_is_named_with_what_to_do(tmp_path: Path, case: tuple[str, str]) -> None:
    kind, at = case
    folder = project(tmp_path, kind, f"at: {at}")
    with api.open_project(folder) as opened, pytest.raises(EngineError) as caught:
        api.run(opened, "evaluate")
    told = caught.value.message + caught.value.hint
    assert f"the {kind.lower()} './bad.py:{kind}" in told
    assert "KeyError: 'the table'" in told
    assert "SLIPWAY_TRACEBACK=1 shows where" in told or "fix the cause and run again" in told


@pytest.mark.parametrize("error", some(["SystemExit", "RecursionError"], 2))
def test_a_plug_in_cannot_end_the_command_as_if_all_were_well(tmp_path: Path, error: str) -> None:
    folder = project(tmp_path, "Scorer", f"at: score, error: {error}")
    with api.open_project(folder) as opened, pytest.raises(EngineError, match=f"Scorer.*failed: {error}"):
        api.run(opened, "evaluate")


@pytest.mark.parametrize("at", some(["nan", "inf", "seven", "text"], 2))
def test_a_score_that_is_no_number_from_0_to_1_is_the_scorers_error(tmp_path: Path, at: str) -> None:
    folder = project(tmp_path, "Scorer", f"at: {at}")
    with (
        api.open_project(folder) as opened,
        pytest.raises(EngineError, match=r"Scorer \(questions.jsonl:\d+\)' failed"),
    ):
        api.run(opened, "evaluate")


@pytest.mark.slow
def test_the_command_line_shows_words_and_no_traceback(tmp_path: Path) -> None:
    folder = project(tmp_path, "Strategy", "at: respond")
    done = slipway("run", "evaluate", "-C", str(folder))
    assert done.returncode == 4
    assert "./bad.py:Strategy" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "a defect in Slipway" not in done.stderr
    done = slipway("check", "-C", str(project(tmp_path / "other", "Task", "at: init")))
    assert "./bad.py:Task" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "a defect in Slipway" not in done.stderr


ALL = "[token_f1, exact_match, bleu, rouge_l, accuracy, macro_f1, retrieval_recall, './bad.py:Lower']"


@pytest.mark.parametrize(("kind", "at", "when"), [("Strategy", "respond", "weigh"), ("Task", "output", "weigh")])
def test_an_answer_that_fails_counts_as_the_worst_in_every_metric(
    tmp_path: Path, kind: str, at: str, when: str
) -> None:
    """Half of the questions ask for a weight; the engine answers with the question, so both plug-ins see the word."""
    folder = project(tmp_path, kind, f"at: {at}, when: {when}")
    file = folder / "slipway.yaml"
    file.write_text(file.read_text("utf-8").replace("[token_f1, retrieval_recall]", ALL), "utf-8")
    with api.open_project(folder) as opened:
        report: Report = api.run(opened, "evaluate").reports["dev"]["plain"]
        pairs = api.items(opened, report)
    failed = [score for _, score in pairs if score.answer.error]
    assert {score.example for score in failed} == {e.id for e, _ in pairs if "weigh" in e.text}
    assert 0 < len(failed) == report.errors < len(pairs)
    for score in failed:
        assert "./bad.py" in str(score.answer.error)
        assert {m: v for m, v in score.metrics.items() if v != 0} == {"./bad.py:Lower": 1.0}
        assert score.metrics.keys() >= {"token_f1", "exact_match", "bleu", "rouge_l", "accuracy"}
    good = [score for _, score in pairs if not score.answer.error]
    share = len(failed) / len(pairs)
    assert report.metrics["error_rate"].value == share
    for name in ("token_f1", "rouge_l"):
        mean = sum(score.metrics[name] for score in good) / len(pairs)
        assert report.metrics[name].value == pytest.approx(mean), "over all examples, with nothing for those that fail"
    assert report.metrics["./bad.py:Lower"].value == pytest.approx(0.5 * (1 - share) + share)
    slowest = max(score.answer.seconds for score in good)
    assert report.metrics["latency_p95"].value >= slowest, "failing is not fast"
    assert {found.n for name, found in report.metrics.items() if name not in ("cost_per_query",)} == {len(pairs)}
