"""A changed file of a project's own plug-in runs the steps that use it again, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway import api
from slipway.testing.projects import FILE, write_project

HEAD = """
from typing import ClassVar
from pydantic import BaseModel

class Options(BaseModel):
    pass
"""
FILES = {
    "task.py": "from slipway.builtin.tasks.answer import AnswerTask\n\nclass Task(AnswerTask):\n    pass\n",
    "strategy.py": "from slipway.builtin.strategies.agent import AgentStrategy\n\nclass Strategy(AgentStrategy):\n    pass\n",
    "scorer.py": HEAD
    + """
class Scorer:
    Config = Options
    higher_is_better = True
    def __init__(self, config): pass
    def score(self, example, answer): return 0.5
""",
    "tool.py": HEAD
    + """
from . import table
class Tool:
    Config = Options
    name: ClassVar = "tool"
    description: ClassVar = "A tool."
    parameters: ClassVar = {"type": "object", "properties": {}}
    def __init__(self, config): pass
    async def call(self, arguments): return table.TEXT
""",
    "table.py": "TEXT = 'found'\n",
    "tuner.py": HEAD
    + """
from slipway.core.artifact import Made
class Tuner:
    Config = Options
    reads: ClassVar = ("train",)
    def __init__(self, config): pass
    def tune(self, job):
        (job.folder / "model.json").write_text("{}")
        return Made(kind="model", files={"model.json": job.folder / "model.json"}, engine="echo")
""",
    "index.py": "from slipway.builtin.indexes.lexical import TantivyIndex\n\nclass Index(TantivyIndex):\n    pass\n",
    "engine.py": "from slipway.builtin.engines.echo import EchoEngine\n\nclass Engine(EchoEngine):\n    pass\n",
    "unused.py": "TEXT = 'nobody imports this'\n",
}
PROJECT = FILE.replace("name: demo", "name: demo\ntask: ./task.py:Task").replace(
    "writer: {engine: echo}", "writer: {engine: echo}\n  own: {engine: ./engine.py:Engine}"
).replace("[token_f1, retrieval_recall]", "[token_f1, ./scorer.py:Scorer]").replace(
    "mode: lexical,", "mode: lexical, lexical: ./index.py:Index,"
).replace(
    "evaluate:",
    """  agent: {model: writer, prompt: plain.md, strategy: ./strategy.py:Strategy, tools: [./tool.py:Tool]}
  tuned: {model: writer, prompt: plain.md, tune: ./tuner.py:Tuner}
  own: {model: own, prompt: plain.md}
evaluate:""",
)  # fmt: skip
EVALUATE = {f"evaluate:{name}:dev" for name in ("plain", "grounded", "agent", "tuned", "own")}
RUNS = {
    "task.py": {"examples", "tune:tuned", *EVALUATE},  # it makes the prompts that the tuner reads
    "strategy.py": {"evaluate:agent:dev"},
    "scorer.py": EVALUATE,
    "tool.py": {"evaluate:agent:dev"},
    "table.py": {"evaluate:agent:dev"},  # the tool imports it
    "tuner.py": {"tune:tuned"},  # and made the same again
    "index.py": {"index:words", "evaluate:grounded:dev"},
    "engine.py": {"evaluate:own:dev"},
    "unused.py": set(),
}  # fmt: skip


def ran(folder: Path) -> set[str]:
    with api.open_project(folder) as project:
        return set(api.run(project, "evaluate").ran)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = write_project(tmp_path_factory.mktemp("keys") / "demo", PROJECT).parent
    for name, text in FILES.items():
        (found / name).write_text(text, "utf-8")
    assert ran(found) == {"documents", "chunks", "examples", "index:words", "tune:tuned", *EVALUATE}
    assert ran(found) == set()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("file", list(FILES))
def test_a_changed_file_runs_what_uses_it(folder: Path, file: str) -> None:
    path = folder / file
    path.write_text(f"{path.read_text('utf-8')}\n# a comment\n", "utf-8")
    assert ran(folder) == set()
    path.write_text(f"{path.read_text('utf-8')}\nANOTHER = 1\n", "utf-8")
    assert ran(folder) == RUNS[file]
    assert ran(folder) == set()
    path.write_text(FILES[file], "utf-8")
    assert ran(folder) == set(), "what was made with it before is still known"


def test_a_tuner_that_makes_something_else_has_its_candidate_measured_again(folder: Path) -> None:
    path = folder / "tuner.py"
    path.write_text(FILES["tuner.py"].replace('"{}"', '"{1}"'), "utf-8")
    assert ran(folder) == {"tune:tuned", "evaluate:tuned:dev"}
    path.write_text(FILES["tuner.py"], "utf-8")
    assert ran(folder) == set()
