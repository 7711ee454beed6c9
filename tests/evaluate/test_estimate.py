"""Estimates from scores: what is a value, what a covariate, and what cannot be estimated."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from slipway.core.answer import Answer, Citation
from slipway.core.candidate import Candidate, ModelPin
from slipway.core.material import Example
from slipway.core.message import Sampling
from slipway.core.metrics import MetricInfo, metric_info
from slipway.core.report import Score
from slipway.errors import ConfigError
from slipway.evaluate.aggregate import aggregates
from slipway.evaluate.answering import Asked, answer_all
from slipway.evaluate.compare import compare
from slipway.evaluate.estimate import Adjust, estimates
from slipway.evaluate.scoring import averaged, evaluate
from slipway.plugins import Plugins
from slipway.project.schema import EvaluateConfig, Project
from slipway.runtime.cost import make_cost
from slipway.runtime.session import Session
from slipway.store.store import Store

INFO = metric_info("token_f1")
JUDGE = {"judge": MetricInfo(name="judge")}


def cited(score: float) -> tuple[Citation, ...]:
    return (Citation(chunk="c", source="s", path=(), start=0, end=1, text="t", score=score),)


def sides(n=60, rest=240, seed=0, judge=True):
    """Scores of two candidates; the first n examples have a reference. The judge errs a little, with a bias."""
    rng = np.random.default_rng(seed)
    hard = rng.random(n + rest)
    made: list[list[Score]] = []
    for ease in (0.5, 0.6):
        values = np.clip(ease + 0.4 * (hard - 0.5) + rng.normal(0, 0.1, n + rest), 0, 1)
        made.append(
            [
                Score(
                    example=f"e{i}", group=f"g{i}", language="zh" if i % 4 else "en", facets={"topic": "ab"[i % 2]},
                    answer=Answer(text="x", raw="x", citations=cited(float(hard[i]))),
                    expected=("x",) if i < n else (),
                    metrics={
                        **({"token_f1": float(values[i])} if i < n else {}),
                        **({"judge": float(0.1 + 0.8 * values[i])} if judge else {}),
                    },
                )
                for i in range(n + rest)
            ]
        )  # fmt: skip
    examples = {f"e{i}": Example(input={"question": "w" * (1 + int(90 * hard[i]))}) for i in range(n + rest)}
    return (made[0], made[1]), examples


def test_each_thing_asked_for_is_estimated():
    both, examples = sides()
    plain = compare(*both, INFO)
    asked = Adjust(("length", "retrieval", "judge"), "language", {"zh": 0.6, "en": 0.4}, "judge")
    regression, strata, predictions = estimates(both, examples, INFO, asked, JUDGE)
    assert [one.method for one in (regression, strata, predictions)] == ["regression", "strata", "predictions"]
    assert len(regression.coefficients) == 3
    assert predictions.coefficients[0] > 0.7
    assert predictions.effective > 2 * plain.n == 120
    assert predictions.low < 0.1 < predictions.high
    assert predictions.high - predictions.low < 0.9 * (plain.high - plain.low)
    first, second = both
    by = {
        name: np.mean([b.metrics["token_f1"] - a.metrics["token_f1"] for a, b in zip(first[:60], second[:60], strict=True) if a.language == name])
        for name in ("zh", "en")
    }  # fmt: skip
    assert strata.value == pytest.approx(0.6 * by["zh"] + 0.4 * by["en"])
    topics = estimates(both, examples, INFO, Adjust(by="topic", weights={"a": 0.5, "b": 0.5}), {})
    assert topics[0].method == "strata"
    assert estimates(both, examples, INFO, Adjust(), {}) == []


def test_what_failed_without_a_reference_is_unlabelled_and_its_judge_score_the_worst():
    both, examples = sides()
    failed = [[msgspec.structs.replace(s, answer=Answer(text="", raw="", error="no"), metrics={"judge": 0.0})
               if s.example == "e200" else s for s in side] for side in both]  # fmt: skip
    found = estimates((failed[0], failed[1]), examples, INFO, Adjust(judge="judge"), JUDGE)[0]
    assert found.n == 60 == compare(*failed, INFO).n


@pytest.mark.parametrize(
    ("asked", "metric", "why"),
    [
        (Adjust(judge="token_f1"), "token_f1", "by itself"),
        (Adjust(("token_f1",)), "token_f1", "by itself"),
        (Adjust(("judge",)), "latency_p95", "no mean over examples"),
        (Adjust(("length",)), "judge", "every example has a value"),
        (Adjust(judge="token_f1"), "judge", "240 examples that have judge lack"),
        (Adjust(by="topic", weights={"x": 1.0}), "token_f1", "'a', which has no weight"),
        (Adjust(by="colour", weights={"x": 1.0}), "token_f1", "'', which has no weight"),
    ],
)
def test_what_cannot_be_estimated_is_said(asked, metric, why):
    both, examples = sides()
    info = JUDGE.get(metric) or metric_info(metric)
    with pytest.raises(ConfigError, match=why):
        estimates(both, examples, info, asked, {**JUDGE, "token_f1": INFO})


def test_a_champion_that_retrieves_nothing_has_no_retrieval_scores():
    both, examples = sides()
    bare = [[msgspec.structs.replace(s, answer=Answer(text="x", raw="x")) for s in side] for side in both]
    with pytest.raises(ConfigError, match="retrieved nothing"):
        estimates((bare[0], bare[1]), examples, INFO, Adjust(("retrieval",)), {})


DRAWING = '''
from slipway.core.answer import Answer
from slipway.core.message import Delta
from pydantic import BaseModel

class Draw:
    """Says whether its seed, in units of 64, is even."""
    class Config(BaseModel):
        fails: int = -1
    def __init__(self, config):
        self.config = config
    async def respond(self, work):
        nth = (work.candidate.sampling.seed or 0) // 64
        if nth == self.config.fails:
            from slipway.errors import EngineError
            raise EngineError("broken", "mend it")
        yield Delta(text="x")
        yield Answer(text=("even", "odd")[nth % 2], raw="x")
'''


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    (tmp_path / "draw.py").write_text(DRAWING, "utf-8")
    project = Project.model_validate({"slipway": 1, "name": "a"})
    made = Session(Store(tmp_path / ".slipway"), lambda pin: {}, make_cost(project), plugins=Plugins(tmp_path))
    yield made
    await made.close()


def drawing(temperature: float, fails: int = -1) -> Candidate:
    return Candidate(
        name="c", task="answer", model=ModelPin(name="writer", engine="echo", source=""), prompt="{{ question }}",
        strategy="./draw.py:Draw", strategy_options={"fails": fails}, sampling=Sampling(temperature=temperature, seed=0),
    )  # fmt: skip


EXAMPLES = [Example(input={"question": str(n)}, expected=("even",)) for n in range(3)]


@pytest.mark.parametrize(("temperature", "value", "draws"), [(0.7, 2 / 3, (1.0, 0.0, 1.0)), (0.0, 1.0, None)])
async def test_where_tokens_are_drawn_each_example_is_answered_several_times(
    session: Session, temperature: float, value: float, draws: tuple[float, ...] | None
) -> None:
    told: list[tuple[int, int]] = []
    config = EvaluateConfig.model_validate({"metrics": ["exact_match"], "repeats": 3})
    scores = await evaluate(
        drawing(temperature), EXAMPLES, session, config, "code", lambda done, of: told.append((done, of))
    )
    assert [one.metrics["exact_match"] for one in scores] == [pytest.approx(value)] * 3
    assert {one.draws.get("exact_match") for one in scores} == {draws}
    assert told[-1] == ((9, 9) if draws else (3, 3))
    assert aggregates(scores)["exact_match"].value == pytest.approx(value)
    assert scores[0].answer.text == "even"


async def test_candidates_that_take_turns_are_repeated_each_by_its_own_temperature(session: Session) -> None:
    config = EvaluateConfig.model_validate({"repeats": 3, "parallel": 1})
    asked = [Asked(drawing(0.7), "code"), Asked(drawing(0.0, fails=5), "code")]
    told: list[tuple[int, int]] = []
    examples = [Example(input={"question": str(n)}) for n in range(20)]
    warm, cold = await answer_all(asked, examples, session, config, progress=lambda done, of: told.append((done, of)))
    assert [[answer.text for answer in every] for every in warm] == [["even", "odd", "even"]] * 20
    assert [[answer.text for answer in every] for every in cold] == [["even"]] * 20
    assert told[-1] == (80, 80)


async def test_another_candidate_answers_for_one_and_is_repeated_as_often(session: Session) -> None:
    """As folds do: each example by the one that was fitted without it."""
    config = EvaluateConfig.model_validate({"repeats": 2})
    steady, failing = drawing(0.7), drawing(0.7, fails=0)  # the latter fails in its first draw
    (found,) = await answer_all([Asked(steady, "code", [steady, failing, steady])], EXAMPLES, session, config)
    assert [[bool(answer.error) for answer in every] for every in found] == [
        [False, False], [True, False], [False, False]
    ]  # fmt: skip


@pytest.mark.parametrize("fails", [0, 1])
async def test_an_answer_of_several_that_failed_counts_for_itself_only(session: Session, fails: int) -> None:
    config = EvaluateConfig.model_validate({"metrics": ["exact_match"], "repeats": 4})
    if fails == 0:  # then no first answer could be made
        scores = [averaged([failing(), answering(), answering()])]
    else:
        scores = await evaluate(drawing(0.7, fails), EXAMPLES, session, config, "code")
    expected = 2 / 3 if fails == 0 else 1 / 2
    assert aggregates(scores)["exact_match"].value == pytest.approx(expected)


def failing() -> Score:
    return Score(example="e", group="e", language="en", answer=Answer(text="", raw="", error="no"), expected=("x",),
                 metrics={"exact_match": 0.0})  # fmt: skip


def answering() -> Score:
    return Score(example="e", group="e", language="en", answer=Answer(text="x", raw="x"), expected=("x",),
                 metrics={"exact_match": 1.0})  # fmt: skip


def test_repeats_are_estimated_without_being_asked_for():
    rng = np.random.default_rng(4)

    def answered(i: int, chance: float) -> Score:
        right = [{"exact_match": float(rng.random() < chance)} for _ in range(4)]
        one = msgspec.structs.replace(answering(), example=f"e{i}", group=f"g{i}")
        return averaged([msgspec.structs.replace(one, metrics=metrics) for metrics in right])

    both = [[answered(i, chance) for i in range(80)] for chance in (0.5, 0.7)]
    found = estimates((both[0], both[1]), {}, metric_info("exact_match"), Adjust(), {})
    assert [one.method for one in found] == ["repeats"]
    spread = found[0].spread
    assert spread is not None
    assert spread.answers == 4
    assert spread.within == pytest.approx(0.25 + 0.21, rel=0.1)
    assert found[0].effective > 200
    plain = compare(*both, "exact_match")
    assert (found[0].value, found[0].low, found[0].high) == pytest.approx((plain.effect, plain.low, plain.high))
    once = [[msgspec.structs.replace(one, draws={}) for one in both[0]], both[1]]
    assert estimates((once[0], once[1]), {}, metric_info("exact_match"), Adjust(), {})[0].spread.within < spread.within
