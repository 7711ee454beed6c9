"""What a turn proposes to try: the same for the same situation, and made, measured and told like anything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway import api
from slipway.builtin.tuners.probe import ProbeTuner
from slipway.loop.improve.attempts import _shortened  # pyright: ignore[reportPrivateUsage]
from slipway.loop.improve.prompts import Prompts
from slipway.loop.improve.proposers import Retrain, Retrieval, Shots
from slipway.loop.improve.recipes import Miss, Situation, gather
from slipway.loop.state import Loop
from slipway.project.schema import CandidateConfig
from slipway.testing.projects import FILE, write_project


def situation(misses: tuple[Miss, ...] = (), prompt: str = "Answer.\n{{ question }}", **parents: object) -> Situation:
    return Situation(
        parents={name: CandidateConfig.model_validate(config) for name, config in parents.items()},
        tuner=lambda name: ProbeTuner, prompt=lambda path: prompt, misses=lambda: misses,
    )  # fmt: skip


def test_what_is_tuned_is_made_again_then_with_one_option_changed() -> None:
    found = list(Retrain().propose(situation(probe={"tune": {"probe": {"strength": 4}}}, plain={"model": "w"})))
    assert [one.change for one in found] == ["as it is, with all rows", "strength: None", "strength: 64.0"]
    assert {one.parent for one in found} == {"probe"}
    assert [one.config.tune.options for one in found if one.config.tune] == [
        {"strength": 4}, {"strength": None}, {"strength": 64.0},
    ]  # fmt: skip
    again = list(Retrain().propose(situation(probe={"tune": {"probe": {"strength": 4}}})))
    assert [one.name for one in again] == [one.name for one in found], "a name says the content"
    other = list(Retrain().propose(situation(**{again[1].name: {"tune": {"probe": {"strength": None}}}})))
    assert other[0].name == again[1].name, "what was released is the same recipe in the next turn"


def test_worked_examples_need_a_prompt_that_shows_them() -> None:
    parent = {"model": "w", "prompt": "p.md", "few_shot": {"k": 4}, "retrieve": {"embedder": "e"}}
    assert list(Shots().propose(situation(few=parent))) == []
    shown = "{% for e in examples %}{{ e.question }}{% endfor %}{{ question }}"
    changes = [one.change for one in Shots().propose(situation(prompt=shown, few=parent))]
    assert "4 fixed examples" not in changes
    assert {"the 4 nearest examples", "2 fixed examples", "other fixed examples"} <= set(changes)


def test_passages_and_quotes() -> None:
    parent = {"retrieve": {"mode": "lexical", "top_k": 4}, "strategy": {"quote": {"threshold": 0.2}}}
    found = list(Retrieval().propose(situation(quote=parent, plain={"model": "w"})))
    assert [one.change for one in found] == [
        "top_k: 2", "top_k: 5", "top_k: 8", "rerank: 20", "excerpt_chars: 600", "sentences: 2",
    ]  # fmt: skip
    assert found[0].config.retrieve is not None
    assert (found[0].config.retrieve.top_k, found[0].config.retrieve.mode) == (2, "lexical")
    assert found[-1].config.strategy.options == {"threshold": 0.2, "sentences": 2}


@pytest.mark.parametrize(
    ("expected", "answer", "kind"),
    [
        ("40 tonnes", "The crane of the harbour weighs about forty tonnes when it is dry", "shorter"),
        ("it is painted every spring by the crew of the harbour", "yes", "whole"),
        ("每年春天粉刷", "It is painted in spring", "language"),
        ("40 tonnes", "forty tonnes", "numbers"),
    ],
)
def test_an_instruction_is_drawn_from_a_kind_of_mistake(expected: str, answer: str, kind: str) -> None:
    misses = (Miss("q", (expected,), answer, 0.0),) * 2
    asks = {"model": "w", "prompt": "p.md"}
    found = list(Prompts().propose(situation(misses, plain=asks)))
    kinds = [one.change.removeprefix("instructions: ") for one in found]
    assert kind in kinds
    assert "careful" in kinds
    assert all(one.prompt.endswith("Answer.\n{{ question }}") for one in found)
    assert list(Prompts().propose(situation(misses[:1], plain=asks))) == [], "one mistake is no kind"
    chinese = list(Prompts().propose(situation(misses, "请回答。\n{{ question }}", plain=asks)))
    assert all("。" in one.prompt.splitlines()[0] for one in chinese)


def test_every_proposer_has_its_turn_before_the_limit() -> None:
    misses = (Miss("q", ("40",), "forty and more words than that are here", 0.0),) * 3
    made = situation(misses, probe={"tune": "probe"}, plain={"model": "w", "prompt": "p.md", "retrieve": {"top_k": 4}})
    found = gather([Retrain(), Prompts(), Retrieval()], made, 4)
    assert [one.by for one in found] == ["retrain", "prompt", "retrieval", "retrain"]


@pytest.mark.slow
def test_prompts_and_passages_are_tried_through_the_code_that_serves(tmp_path: Path) -> None:
    text = FILE.replace("plain: {model: writer, prompt: plain.md}\n  ", "").replace("top_k: 1", "top_k: 4")
    folder = write_project(tmp_path / "demo", text).parent
    with api.open_project(folder) as opened:
        assert api.run(opened).release is not None
        turn = api.improve(opened, "5m")
    by = {one.change: one for one in turn.tried}
    assert {one.by for one in turn.tried} == {"prompt", "retrieval"}
    fewer, served = by["top_k: 2"], turn.served
    assert served is not None
    assert fewer.state == "measured"
    assert fewer.score is not None
    assert fewer.score > served.metrics["token_f1"].value, "echo says what it reads: fewer passages are nearer"
    assert not [one for one in turn.tried if one.state == "failed"], "prompts of its own are found and read"
    assert turn.ended == "nothing-better", "so few documents show nothing"


EPOCHS = """
from typing import ClassVar
from pydantic import BaseModel

class Long:
    class Config(BaseModel):
        epochs: int = 9
    reads: ClassVar = ("train",)
    def __init__(self, config): pass
    def tune(self, job): ...
"""


def test_early_rungs_train_shorter(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "demo").parent
    (folder / "tune.py").write_text(EPOCHS, "utf-8")
    with api.open_project(folder) as opened:
        loop = Loop(opened)

        def epochs(tune: object, share: float) -> object:
            made = _shortened(CandidateConfig.model_validate({"tune": tune}), loop, share)
            return made.tune.options.get("epochs") if made.tune else None

        assert epochs("./tune.py:Long", 1 / 9) == 1
        assert epochs({"./tune.py:Long": {"epochs": 30}}, 1 / 3) == 10
        assert epochs("./tune.py:Long", 1.0) is None, "the last rung is the recipe as it is"
        assert epochs("probe", 1 / 9) is None, "which has no such option"
