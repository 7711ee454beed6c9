"""The difference of two candidates estimated with what else is known: covariates, shares of strata, a judge, repeats.

Turns scores into the arrays of `stats.estimators`. Examples that lack the metric under both candidates, because they
have no reference, are those that covariates and judges learn from. Judges nothing: the gate does not ask this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slipway.core.material import Example
from slipway.core.metrics import MetricInfo
from slipway.core.report import Score
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.stats.estimators.protocol import Estimated, Measured
from slipway.stats.estimators.regression import Predictions, Regression
from slipway.stats.estimators.repeats import Repeats
from slipway.stats.estimators.strata import Strata
from slipway.stats.pairs import Pair, difference_values, pair
from slipway.stats.samples import group_codes, sample

if TYPE_CHECKING:
    from slipway.stats.grouping import Floats

LENGTH, RETRIEVAL = "length", "retrieval"


@dataclass(frozen=True)
class Adjust:
    """What to estimate with. `covariates`: `length` of the input, the champion's best `retrieval` score, or metrics of
    the champion that need no reference. `weights`: share in production of each value of `by`, which is `language` or a
    key of the examples' meta. `judge`: a metric that needs no reference.
    """

    covariates: tuple[str, ...] = ()
    by: str = "language"
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    judge: str = ""


@dataclass(frozen=True)
class _Sides:
    """Both candidates' scores by example, and the examples; the metric is that of `info`."""

    first: Mapping[str, Score]
    second: Mapping[str, Score]
    examples: Mapping[str, Example]
    info: MetricInfo
    both: Pair
    rest: tuple[str, ...]  # examples without the metric


def estimates(
    sides: tuple[Sequence[Score], Sequence[Score]],
    examples: Mapping[str, Example],
    info: MetricInfo,
    adjust: Adjust,
    meanings: Mapping[str, MetricInfo],
) -> list[Estimated]:
    """One estimate of challenger minus champion for each thing asked for, and for repeated answers where there are any.

    `sides`: scores of champion and challenger. `meanings`: of the metrics named in `adjust`. Raises ConfigError for a
    metric that is no mean, and where an estimator has not enough.
    """
    asked = bool(adjust.covariates or adjust.weights or adjust.judge)
    if info.form != "mean":
        if asked:
            raise ConfigError(
                t("'{metric}' is no mean over examples, so nothing more can be estimated", metric=info.name),
                t("choose another metric, or leave out --adjust, --weights and --judge"),
            )
        return []
    if any(score.folds for scores in sides for score in scores):  # an estimator takes its groups to be independent
        if asked:
            raise ConfigError(
                t("these answers are out of folds, so nothing more can be estimated from them"),
                t("leave out --adjust, --weights and --judge, or use --set evaluate.folds=null"),
            )
        return []
    found = _sides(*sides, examples, info)
    made: list[Estimated] = []
    if adjust.covariates:
        columns = [_covariate(found, name, meanings) for name in adjust.covariates]
        made.append(Regression().estimate(_measured(found, columns)))
    if adjust.weights:
        made.append(Strata(adjust.weights).estimate(_measured(found, by=adjust.by)))
    if adjust.judge:
        _other(adjust.judge, info)
        first, second = (_values(scores, meanings[adjust.judge]) for scores in (found.first, found.second))
        judged = {name: value - first[name] for name, value in second.items() if name in first}
        made.append(Predictions().estimate(_measured(found, [judged])))
    repeated = _measured(found)
    return [*made, Repeats().estimate(repeated)] if repeated.answers > 1 else made


def _sides(
    champion: Sequence[Score], challenger: Sequence[Score], examples: Mapping[str, Example], info: MetricInfo
) -> _Sides:
    first, second = ({score.example: score for score in scores} for scores in (champion, challenger))
    operational = info.kind == "operational"

    def valued(name: str) -> bool:
        return operational or any(name in side and info.name in side[name].metrics for side in (first, second))

    ours, theirs = ([s for s in scores if valued(s.example)] for scores in (challenger, champion))
    both = pair(theirs, ours, info)
    rest = tuple(name for name in first if name in second and not valued(name))
    return _Sides(first, second, examples, info, both, rest)


def _measured(found: _Sides, columns: Sequence[Mapping[str, float]] = (), by: str = "") -> Measured:
    """`columns`: covariates by example; every example with a value needs all of them."""
    import numpy as np

    values, support = difference_values(found.info, found.both)
    ids = found.both.champion.ids
    missing = sum(any(name not in column for column in columns) for name in ids)
    if missing:
        raise ConfigError(
            t("{n} examples that have {metric} lack what it is to be adjusted by", n=missing, metric=found.info.name),
            t("name a covariate or a judge that every example has"),
        )
    rest = [name for name in found.rest if all(name in column for column in columns)]
    codes = group_codes([found.first[name].group or f"e:{name}" for name in [*ids, *rest]])
    within, answers = _draws(found, ids)
    shape = (len(columns),)

    def table(names: Sequence[str]) -> Floats:
        made = [[column[name] for column in columns] for name in names]
        return np.array(made, dtype=np.float64).reshape(len(names), *shape)

    return Measured(
        values, codes[: len(ids)], support, table(ids), table(rest), codes[len(ids) :],
        strata=tuple(_stratum(found.first[name], by) for name in ids), within=within, answers=answers,
    )  # fmt: skip


def _stratum(score: Score, by: str) -> str:
    return score.language if by == "language" else score.facets.get(by, "")


def _draws(found: _Sides, ids: Sequence[str]) -> tuple[Floats, int]:
    """Variance of one answer's difference for each example, and how many answers it has; a side with one adds none."""
    import numpy as np

    within, answers = np.zeros(len(ids)), 1
    for side in (found.first, found.second):
        draws = [side[name].draws.get(found.info.name, ()) for name in ids]
        count = min((len(drawn) for drawn in draws), default=0)
        if count > 1:
            within += np.array([np.var(drawn, ddof=1) for drawn in draws])
            answers = count if answers == 1 else min(answers, count)
    return within, answers


def _covariate(found: _Sides, name: str, meanings: Mapping[str, MetricInfo]) -> dict[str, float]:
    """By example. A metric's value is the champion's."""
    if name == LENGTH:
        return {key: math.log1p(len(example.text)) for key, example in found.examples.items()}
    if name == RETRIEVAL:
        best = {key: [c.score for c in score.answer.citations] for key, score in found.first.items()}
        if not any(best.values()):
            raise ConfigError(
                t("the champion retrieved nothing, so there are no retrieval scores"),
                t("put a candidate that retrieves first, or adjust by something else"),
            )
        return {key: max(scores, default=0.0) for key, scores in best.items()}
    _other(name, found.info)
    return _values(found.first, meanings[name])


def _other(name: str, info: MetricInfo) -> None:
    if name == info.name:
        raise ConfigError(
            t("'{metric}' cannot be adjusted by itself", metric=name),
            t("name a metric that needs no reference answer, such as a judge"),
        )


def _values(scores: Mapping[str, Score], info: MetricInfo) -> dict[str, float]:
    made = sample(list(scores.values()), info)
    return dict(zip(made.ids, made.values.tolist(), strict=True))
