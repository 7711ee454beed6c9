"""Score the answers of a candidate. Computed again each time: it is cheap, and what a scorer does may have changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from slipway.core.answer import Answer
from slipway.core.candidate import Candidate, ModelPin
from slipway.core.material import Example
from slipway.core.metrics import METRICS, of_accuracy
from slipway.core.protocols import Scorer
from slipway.core.report import Score
from slipway.errors import EngineError
from slipway.evaluate.answering import Asked, Progress, answer_all
from slipway.evaluate.encoders import teach
from slipway.i18n import t
from slipway.plugins import Plugins, is_file, reporting
from slipway.project.plugin_config import MetricConfig
from slipway.project.schema import EvaluateConfig
from slipway.runtime.session import Session


async def evaluate(
    candidate: Candidate,
    examples: Sequence[Example],
    session: Session,
    config: EvaluateConfig,
    code: str,
    progress: Progress | None = None,
    encoders: Mapping[str, ModelPin] = MappingProxyType({}),
) -> list[Score]:
    """Answer with one candidate, and score: one Score an example, in the order of the examples.

    `encoders`: metric -> the model that embeds for it, of scorers that compare meanings.
    """
    (answers,) = await answer_all([Asked(candidate, code)], examples, session, config, progress=progress)
    scorers = make_scorers(config.metrics, session.plugins)
    await teach(scorers, encoders, examples, answers, session)
    return score_all(candidate, examples, answers, scorers)


def score_all(
    candidate: Candidate,
    examples: Sequence[Example],
    answers: Sequence[Sequence[Answer]],
    scorers: Mapping[str, Scorer],
) -> list[Score]:
    """One Score an example, in the order of the examples; of several answers it has the first, and each metric's mean.

    An example that could not be answered has `answer.error` set and scores 0; when none could, the first error is
    raised.
    """
    if examples and all(got.error for every in answers for got in every):
        raise EngineError(
            t("{candidate} could not answer any example: {why}", candidate=candidate.name, why=answers[0][0].error),
            t("fix the cause and run again; `slipway check` looks at models and engines"),
        )
    return [
        averaged([score(example, got, scorers) for got in every])
        for example, every in zip(examples, answers, strict=True)
    ]


def averaged(scores: Sequence[Score]) -> Score:
    """Several answers to one example as one score: the first, with the mean of what each scored in every metric."""
    first = scores[0]
    if len(scores) == 1:
        return first
    names = dict.fromkeys(name for one in scores for name in one.metrics)
    draws = {name: tuple(one.metrics[name] for one in scores if name in one.metrics) for name in names}
    metrics = {name: sum(values) / len(values) for name, values in draws.items()}
    return msgspec.structs.replace(first, metrics=metrics, draws=draws)


def score(example: Example, answer: Answer, scorers: Mapping[str, Scorer]) -> Score:
    """Apply the scorers to one answer; one without an answer gets the worst wherever it could have scored.

    Raises EngineError that names a scorer that fails, and the example.
    """
    metrics: dict[str, float] = {}
    for name, scorer in scorers.items():
        with reporting("scorers", f"{name} ({example.source})"):
            value = scorer.score(example, answer)
            if value is not None:
                if not 0 <= value <= 1:
                    raise ValueError(f"{value} does not lie between 0 and 1")
                worst = 0.0 if scorer.higher_is_better else 1.0
                metrics[name] = worst if answer.failed else float(value)
    return Score(
        example=example.id,
        group=example.group or example.id,
        language=example.language,
        answer=answer,
        metrics=metrics,
        expected=example.expected,
        facets=facets(example.meta),
    )


def facets(meta: Mapping[str, Any]) -> dict[str, str]:
    """What of an example's `meta` can name a slice: single values of at most 40 characters, as text."""
    found = {key: str(value) for key, value in sorted(meta.items()) if isinstance(value, str | int)}
    return {key: value for key, value in found.items() if 0 < len(value) <= 40}


def scorers_of(metrics: Sequence[MetricConfig], plugins: Plugins) -> list[MetricConfig]:
    """The metrics that scorers make; the others (latency, cost, ...) are aggregates of what was measured anyway."""
    known = plugins.known("scorers")
    found = [metric for metric in metrics if metric.scorer in known or is_file(metric.scorer)]
    names = {metric.name for metric in metrics}
    if "accuracy" not in names and any(name in METRICS and of_accuracy(METRICS[name]) for name in names):
        found.append(MetricConfig(name="accuracy", scorer="accuracy"))
    return found


def make_scorers(metrics: Sequence[MetricConfig], plugins: Plugins) -> dict[str, Scorer]:
    """Metric -> the scorer that makes it, with its options."""
    return {
        one.name: plugins.make("scorers", one.scorer, one.options, f"evaluate.metrics.{one.name}")
        for one in scorers_of(metrics, plugins)
    }
