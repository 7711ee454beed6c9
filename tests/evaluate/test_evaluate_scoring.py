"""What an evaluation keeps of the examples that cannot be answered: the error, in English, whatever the language of the run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from slipway.core.candidate import Candidate, ModelPin
from slipway.core.material import Example
from slipway.errors import EngineError
from slipway.evaluate.scoring import evaluate, facets
from slipway.i18n import say, speaking, told
from slipway.project.schema import EvaluateConfig, Project
from slipway.runtime.cost import make_cost
from slipway.runtime.session import Session
from slipway.store.store import Store


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    project = Project.model_validate({"slipway": 1, "name": "a"})
    made = Session(Store(tmp_path / ".slipway"), lambda pin: {}, make_cost(project))
    yield made
    await made.close()


def example(**fields: Any) -> Example:
    return Example(input=fields, expected=("one",))


WRITER = ModelPin(name="writer", engine="echo", source="")
ASKING = Candidate(name="c", task="answer", model=WRITER, prompt="{{ question }}")


async def test_errors_are_kept_in_no_language_and_told_in_the_readers(session: Session) -> None:
    examples = [example(question="one"), example(other="two")]
    with speaking("zh"):
        good, bad = await evaluate(ASKING, examples, session, EvaluateConfig(), "code")
    assert (good.answer.error, good.metrics["token_f1"]) == ("", 1.0)
    assert bad.answer.error == say("the input has no '{field}'", field="question")
    assert set(bad.metrics.values()) == {0.0}
    with speaking("en"):
        again = await evaluate(ASKING, examples, session, EvaluateConfig(), "code")
        assert told(bad.answer.error) == "the input has no 'question'"
    assert again[1].answer.error == bad.answer.error
    assert again[1].answer.text == bad.answer.text == ""
    with speaking("zh"):
        assert told(bad.answer.error) != "the input has no 'question'"


async def test_an_answer_that_came_too_late_says_so_in_no_language(session: Session) -> None:
    slow = ModelPin(name="writer", engine="echo", source="", options={"delay": 5.0})
    late = Candidate(name="c", task="answer", model=slow, prompt="{{ question }}")
    config = EvaluateConfig.model_validate({"timeout": 0.05})
    with pytest.raises(EngineError) as caught:
        await evaluate(late, [example(question="one")], session, config, "code")
    assert caught.value.said.values["why"] == say("no answer within {n:g} s", n=0.05)


async def test_when_none_can_be_answered_the_reason_is_the_askers(session: Session) -> None:
    with speaking("zh"), pytest.raises(EngineError, match="一个样例也没能回答") as caught:
        await evaluate(ASKING, [example(other="two")], session, EvaluateConfig(), "code")
    assert "slipway check" in caught.value.hint


def test_short_values_of_meta_can_name_a_slice():
    assert facets({"topic": "billing", "year": 2026, "draft": True, "note": "x" * 41, "tags": ["a"], "empty": ""}) == {
        "draft": "True",
        "topic": "billing",
        "year": "2026",
    }
