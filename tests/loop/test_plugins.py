"""Plug-ins as a project names them: their options from slipway.yaml, what they pin, and two projects side by side."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from slipway import api
from slipway.core.candidate import Candidate
from slipway.errors import ConfigError
from slipway.plugins import KINDS, Plugins
from slipway.testing.projects import FILE, write_project

SHORT = """
from __future__ import annotations
from dataclasses import dataclass
from pydantic import BaseModel

@dataclass
class Kept:  # dataclasses look their module up by its name
    words: int

class Short:
    class Config(BaseModel):
        model_config = {"extra": "forbid"}
        words: int = 5
    higher_is_better = DIRECTION
    def __init__(self, config): self.kept = Kept(config.words)
    def score(self, example, answer):
        return 1.0 if len(answer.text.split()) <= self.kept.words else 0.0
"""


def short(folder: Path, direction: bool = True, more: str = "") -> None:
    (folder / "my.py").write_text(SHORT.replace("DIRECTION", str(direction)) + more, "utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = write_project(tmp_path / "demo").parent
    short(found)
    return found


def measured(folder: Path, *metrics: Any, overrides: tuple[str, ...] = ()) -> dict[str, Any]:
    with api.open_project(folder, [f"evaluate.metrics={json.dumps(metrics)}", *overrides]) as project:
        return api.run(project, "evaluate").reports["dev"]


# scorers -------------------------------------------------------------------------------------------------------------
def test_a_scorer_takes_options_and_may_have_a_name_of_its_own(folder: Path) -> None:
    found = measured(
        folder, "bleu", {"unigrams": {"scorer": "bleu", "max_order": 1}}, {"brief": {"scorer": "./my.py:Short"}},
        {"briefer": {"scorer": "./my.py:Short", "words": 0}},
    )["grounded"].metrics  # fmt: skip
    assert found["unigrams"].value > found["bleu"].value > 0
    assert found["briefer"].value == 0
    assert {"brief", "briefer", "unigrams", "bleu"} <= found.keys()
    assert measured(folder, {"bleu": {"max_order": 1}})["grounded"].metrics["bleu"] == found["unigrams"]


def test_the_gate_speaks_of_a_metric_by_its_name_and_knows_its_direction(folder: Path) -> None:
    short(folder, direction=False)
    metrics = f"evaluate.metrics={json.dumps(['token_f1', {'brief': {'scorer': './my.py:Short', 'words': 500}}])}"
    for bound, outcome in (("min=0.5", "pass"), ("max=0.5", None)):
        gate = f"gate={{brief: {{{bound.replace('=', ': ')}, confidence: point}}}}"
        with api.open_project(folder, [metrics, gate]) as project:
            found = api.run(project)
            assert (found.verdict.outcome if found.verdict else None) == outcome
            assert not found.reports["dev"]["plain"].meaning("brief").higher_is_better
            comparison = api.compare(project, "plain", "grounded", "brief")[0]
            assert not comparison.higher_is_better


WRONG = {
    "unknown option": ("metrics: [token_f1, {bleu: {max_ordr: 2}}]", "13:40: evaluate.metrics.1.bleu.max_ordr: unknown key; did you mean 'max_order'?"),
    "wrong type": ("metrics: [{bleu: {max_order: two}}]", "13:30: evaluate.metrics.0.bleu.max_order: must be a whole number"),
    "out of range": ("metrics: [{bleu: {max_order: 99}}]", "13:30: evaluate.metrics.0.bleu.max_order: must be <= 8"),
    "project's own": ("metrics: [{a: {scorer: './my.py:Short', word: 2}}]", "evaluate.metrics.0.a.word: unknown key; did you mean 'words'?"),
    "no such scorer": ("metrics: [{a: {scorer: blue}}]", "13:27: evaluate.metrics.0.a.scorer: no scorer is called 'blue'; did you mean 'bleu'?"),
    "no such file": ("metrics: [{a: {scorer: './your.py:Short'}}]", "evaluate.metrics.0.a.scorer: './your.py:Short' names no Python file"),
    "no such class": ("metrics: [{a: {scorer: './my.py:Long'}}]", "defines no 'Long'"),
    "no scorer": ("metrics: [{a: {scorer: './my.py:Kept'}}]", "'./my.py:Kept' is no scorer: it lacks Config, higher_is_better, score"),
    "two names": ("metrics: [{bleu: {}, rouge_l: {}}]", "write a name, or one name with its options"),
    "a list": ("metrics: [[bleu]]", "write a name, or one name with its options"),
    "twice": ("metrics: [bleu, {bleu: {max_order: 2}}]", "'bleu' is listed twice"),
    "none": ("metrics: []", "name at least one"),
    "somebody else's name": ("metrics: [{latency_p95: {scorer: './my.py:Short'}}]", "'latency_p95' is a metric of Slipway's own"),
    "index option": ("retrieve: {mode: lexical, lexical: {tantivy: {stm: true}}}", "candidates.grounded.retrieve.lexical.tantivy.stm: unknown key; did you mean 'stem'?"),
    "index type": ("retrieve: {mode: lexical, index: {faiss: {type: hnsw}}}", "candidates.grounded.retrieve.index.faiss.type: must be one of 'auto', 'flat', 'ivf'"),
    "no such index": ("retrieve: {mode: lexical, lexical: tantvy}", "candidates.grounded.retrieve.lexical: no index is called 'tantvy'; did you mean 'tantivy'?"),
}  # fmt: skip


@pytest.mark.parametrize(("written", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_about_a_plug_in_is_told_with_its_line(folder: Path, written: str, message: str) -> None:
    old = "metrics: [token_f1, retrieval_recall]" if "metrics" in written else "retrieve: {mode: lexical, top_k: 1}"
    assert old in FILE
    (folder / "slipway.yaml").write_text(FILE.replace(old, written), "utf-8")
    with pytest.raises(ConfigError) as caught, api.open_project(folder) as project:
        api.run(project)
    assert message in caught.value.message
    assert caught.value.message.startswith("slipway.yaml:")


# indexes -------------------------------------------------------------------------------------------------------------
COUNTING = """
from pathlib import Path
from pydantic import BaseModel

class Counting:
    class Config(BaseModel):
        first: str = ""
    def __init__(self, config): self.config, self.ids = config, []
    def add(self, chunks, vectors=None): self.ids += [c.id for c in chunks if self.config.first in c.source]
    def delete(self, ids): self.ids = [i for i in self.ids if i not in ids]
    def search(self, text, vector, k, filters=None): return [(i, 1.0) for i in sorted(self.ids)[:k]]
    def save(self, folder): Path(folder, "ids").write_text("\\n".join(self.ids))
    def load(self, folder): self.ids = Path(folder, "ids").read_text().split()
"""


def pinned(folder: Path, retrieve: str) -> tuple[Candidate, str]:
    with api.open_project(folder, [f"candidates.grounded.retrieve={retrieve}"]) as project:
        api.run(project, "evaluate")
        found = api.ask(project, "How much does the keel weigh?", "grounded")
        candidate = project.store.catalog.list("candidate", Candidate, "grounded")[0][1]
        return candidate, found.citations[0].source if found.citations else ""


@pytest.mark.slow
def test_the_choice_of_an_index_and_its_options_are_pinned_and_used(folder: Path) -> None:
    (folder / "count.py").write_text(COUNTING, "utf-8")
    plain, source = pinned(folder, "{mode: lexical, top_k: 1}")
    assert source == "docs/keel.md"
    own, source = pinned(folder, "{mode: lexical, top_k: 1, lexical: {./count.py:Counting: {first: mast}}}")
    assert source == "docs/mast.md"
    other, source = pinned(folder, "{mode: lexical, top_k: 1, lexical: {./count.py:Counting: {first: winch}}}")
    assert source == "docs/winch.md"
    assert len({plain.digest, own.digest, other.digest}) == 3
    assert own.retrieve is not None
    assert (own.retrieve.lexical, own.retrieve.lexical_options) == ("./count.py:Counting", {"first": "mast"})
    again, source = pinned(folder, "{mode: lexical, top_k: 1}")
    assert (again.digest, source) == (plain.digest, "docs/keel.md")


def test_a_changed_index_of_the_project_is_built_again(folder: Path) -> None:
    (folder / "count.py").write_text(COUNTING, "utf-8")
    asked = "{mode: lexical, top_k: 1, lexical: {./count.py:Counting: {first: mast}}}"
    assert pinned(folder, asked)[1] == "docs/mast.md"
    (folder / "count.py").write_text(COUNTING.replace("self.config.first in c.source", "'sail' in c.source"), "utf-8")
    assert pinned(folder, asked)[1] == "docs/sail.md"


def test_a_retrieval_without_choices_is_the_candidate_it_always_was() -> None:
    from slipway.core.candidate import Retrieval
    from slipway.core.ref import Ref, canonical

    assert b"index" not in canonical(Retrieval(chunks=Ref("dataset", "c", "0" * 64), embedder=None))


def test_an_extending_candidate_takes_another_index_without_the_options_of_the_first(folder: Path) -> None:
    more = (
        'candidates.grounded.retrieve={mode: lexical, lexical: {tantivy: {stem: false}}}',
        'candidates.other={extends: grounded, retrieve: {lexical: {./count.py:Counting: {first: mast}}}}',
    )  # fmt: skip
    (folder / "count.py").write_text(COUNTING, "utf-8")
    with api.open_project(folder, more) as project:
        api.run(project, "adapt")
        found = project.store.catalog.list("candidate", Candidate, "other")[0][1].retrieve
    assert found is not None
    assert (found.mode, found.lexical, found.lexical_options) == ("lexical", "./count.py:Counting", {"first": "mast"})


# two projects --------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_two_projects_in_one_process_keep_their_own_plug_ins(tmp_path: Path) -> None:
    folders = [write_project(tmp_path / name).parent for name in ("one", "two")]
    for folder, value in zip(folders, ("0.25", "0.75"), strict=True):
        (folder / "helper.py").write_text(f"VALUE = {value}\n", "utf-8")
        short(folder)
        text = (folder / "my.py").read_text("utf-8").replace("return 1.0 if", "return VALUE if True or")
        (folder / "my.py").write_text(text + "\nfrom .helper import VALUE\n", "utf-8")
    asked = [f"evaluate.metrics={json.dumps(['token_f1', './my.py:Short'])}"]
    with api.open_project(folders[0], asked) as one:
        with api.open_project(folders[1], asked) as two:
            first = api.run(one, "evaluate").reports["dev"]["plain"]
            second = api.run(two, "evaluate").reports["dev"]["plain"]
        api.check(folders[1], asked)
        again = one.plugins.load("scorers", "./my.py:Short")
        assert again is one.plugins.load("scorers", "./my.py:Short")
        assert sys.modules[again.__module__].VALUE == 0.25
    assert first.metrics["./my.py:Short"].value == 0.25
    assert second.metrics["./my.py:Short"].value == 0.75


PLUG_INS = """
from typing import ClassVar
from pydantic import BaseModel
from slipway.builtin.strategies.agent import AgentStrategy
from slipway.builtin.tasks.answer import AnswerTask
from .helper import VALUE

class Task(AnswerTask):
    def output(self, text):
        found = super().output(text)
        return type(found)(text=VALUE + " " + found.text)

class Strategy(AgentStrategy):
    pass

class Tool:
    class Config(BaseModel):
        pass
    name: ClassVar = "tool"
    description: ClassVar = VALUE
    parameters: ClassVar = {"type": "object", "properties": {}}
    def __init__(self, config): pass
    async def call(self, arguments): return "from " + VALUE
"""


def test_two_projects_answer_at_once_each_with_its_own_task_strategy_and_tool(tmp_path: Path) -> None:
    text = FILE.replace("name: demo", "name: demo\ntask: ./my.py:Task").replace(
        "prompt: plain.md}", "prompt: plain.md, strategy: ./my.py:Strategy, tools: [./my.py:Tool]}"
    )
    folders = {value: write_project(tmp_path / value, text).parent for value in ("one", "two")}
    for value, folder in folders.items():
        (folder / "helper.py").write_text(f"VALUE = {value!r}\n", "utf-8")
        (folder / "my.py").write_text(PLUG_INS, "utf-8")
    with (
        api.open_project(folders["one"]) as one,
        api.open_project(folders["two"]) as two,
        ThreadPoolExecutor(8) as pool,
    ):
        opened = {"one": one, "two": two}
        list(pool.map(lambda project: api.run(project, "adapt"), opened.values()))
        asked = [(value, pool.submit(api.ask, opened[value], "use the tool", "plain")) for value in [*opened] * 20]
        for value, answer in asked:
            assert answer.result().text == f"{value} from {value}"
            assert [step.output for step in answer.result().steps] == [f"from {value}"]


def test_a_plug_in_changed_within_a_second_is_run_as_it_is(tmp_path: Path) -> None:
    """Same size, same second: what Python's cache of bytecode cannot tell apart."""
    for number in range(1, 4):
        (tmp_path / "beside.py").write_text(f"N = {number}\n", "utf-8")
        (tmp_path / "mine.py").write_text(
            f"from . import beside\nclass Mine:\n    higher_is_better = True\n    N = ({number}, beside.N)\n"
            "    class Config: pass\n    def score(self, example, answer): ...\n",
            "utf-8",
        )
        for name in ("beside.py", "mine.py"):
            os.utime(tmp_path / name, (1_700_000_000, 1_700_000_000))
        assert (number, number) == Plugins(tmp_path).load("scorers", "./mine.py:Mine").N


def test_a_closed_project_leaves_no_modules_behind(tmp_path: Path) -> None:
    import gc

    short(tmp_path)
    plugins = Plugins(tmp_path)
    module = plugins.load("scorers", "./my.py:Short").__module__
    assert {module, module.rpartition(".")[0]} <= set(sys.modules)
    del plugins
    gc.collect()
    assert not {module, module.rpartition(".")[0]} & set(sys.modules)


def test_every_kind_loads_by_name_entry_point_and_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "somebody-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: somebody\nVersion: 1.2\n")
    lines = [f"[slipway.{kind}]\ntheirs = somebodys:Thing\n" for kind in KINDS]
    (info / "entry_points.txt").write_text("\n".join(lines))
    everything = sorted({n for p in KINDS.values() for n in (*vars(p), *p.__annotations__) if not n.startswith("_")})
    body = "class Thing:\n" + "".join(f"    {name} = None\n" for name in everything)
    (tmp_path / "somebodys.py").write_text(body)
    (tmp_path / "own.py").write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins = Plugins(tmp_path)
    for kind in KINDS:
        assert plugins.load(kind, "theirs").__module__ == "somebodys"
        assert plugins.load(kind, "./own.py:Thing") is not plugins.load(kind, "theirs")
        assert plugins.load(kind, sorted(plugins.known(kind))[0])
        before = plugins.code(kind, "theirs")
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: somebody\nVersion: 1.3\n")
        assert Plugins(tmp_path).code(kind, "theirs") != before
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: somebody\nVersion: 1.2\n")


@pytest.mark.parametrize("kind", ["guards", "exporters", "stores"])
def test_a_further_kind_needs_one_line_and_no_mechanism(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = type(kind[:-1].title(), (), {"apply": lambda self, text: text, "__annotations__": {}})
    monkeypatch.setitem(KINDS, kind, protocol)
    info = tmp_path / "somebody-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: somebody\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[slipway.{kind}]\ntheirs = somebodys_{kind}:Thing\n")
    body = """
from pydantic import BaseModel
class Thing:
    class Config(BaseModel, extra="forbid"):
        most: int = 3
    def __init__(self, config): self.most = config.most
    def apply(self, text): return text[: self.most]
class Lame:
    Config = Thing.Config
"""
    (tmp_path / f"somebodys_{kind}.py").write_text(body)
    (tmp_path / "own.py").write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins = Plugins(tmp_path)
    for name in ("theirs", "./own.py:Thing"):
        assert plugins.make(kind, name, {"most": 2}, "here").apply("abc") == "ab"
        assert plugins.code(kind, name)
        with pytest.raises(ConfigError, match=r"here: mots"):
            plugins.make(kind, name, {"mots": 2}, "here")
    with pytest.raises(ConfigError, match=r"it lacks apply"):
        plugins.load(kind, "./own.py:Lame")
