"""From scores per example to a metric's value and its interval. Knows metrics and statistics, but no rules.

Both `evaluate` (to report and compare) and `release` (to judge) stand on it and on `pairs`, so that the number shown
is the number that decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from slipway.core.metrics import METRICS, MetricInfo
from slipway.core.report import Aggregate, Score
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.stats import likelihoods
from slipway.stats.calibration import contributions, directions, gap
from slipway.stats.folds import counted
from slipway.stats.macro_f1 import NOTHING, credited, macro_f1, macro_f1_influence
from slipway.stats.means import mean_bounds
from slipway.stats.quantiles import quantile, quantile_high, quantile_low
from slipway.text.words import normalize_label

if TYPE_CHECKING:
    from slipway.stats.grouping import Bools, Codes, Floats


@dataclass(frozen=True)
class Sample:
    """One metric of some examples: `values` [n], `groups` [n]; `gold` and `predicted` labels for macro F1 only.

    `failed` [n]: there is no answer, so that the value is what stands in for it. `averaged`: a value may be the mean of
    several answers. `counted`: as what part of one each group counts; below 1 for out-of-fold answers (`folds`).
    `weights` [n]: how much each example counts, for a ratio of totals only.
    """

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    values: Floats
    failed: Bools
    gold: tuple[str, ...] = ()
    predicted: tuple[str, ...] = ()
    averaged: bool = False
    counted: float = 1.0
    weights: Floats | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def codes(self) -> Codes:
        """Groups as integers 0..G-1, [n]."""
        return group_codes(self.groups)

    @property
    def group_count(self) -> int:
        """Independent units."""
        return len(set(self.groups))

    @property
    def late(self) -> Floats:
        """The values for an upper bound of a quantile: what failed is later than anything, [n]."""
        import numpy as np

        return np.where(self.failed, np.inf, self.values)


def group_codes(groups: Sequence[str]) -> Codes:
    """Group names as integers in order of first appearance, [n]."""
    import numpy as np

    known: dict[str, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in groups], dtype=np.intp)


def sample(scores: Sequence[Score], info: MetricInfo) -> Sample:
    """The metric's value for every example that has one.

    An example without an answer, be it for an error or because the candidate declined, has the worst value of every
    quality metric. In what was measured it counts as the highest possible value (`info.high`) or, where none is known,
    as the highest that was seen, its own included: failing makes nothing faster or cheaper.
    """
    import numpy as np

    found = [(score, _value(score, info)) for score in scores]
    kept = [(score, value) for score, value in found if value is not None and not math.isnan(value)]
    failed = np.array([score.answer.failed and info.kind != "likelihood" for score, _ in kept], dtype=bool)
    predicted = tuple(_prediction(score) for score, _ in kept) if info.form == "macro_f1" else ()
    made = Sample(
        ids=tuple(score.example for score, _ in kept),
        groups=tuple(f"g:{score.group}" if score.group else f"e:{score.example}" for score, _ in kept),
        values=np.array([value for _, value in kept], dtype=np.float64),
        failed=failed,
        gold=tuple(
            credited([normalize_label(reference) for reference in score.expected], label)
            for (score, _), label in zip(kept, predicted, strict=False)  # no predictions: no labels
        ),
        predicted=predicted,
        averaged=any(score.draws for score in scores),
        counted=counted(max((score.folds for score in scores), default=0)),
        weights=likelihoods.weights([score for score, _ in kept], info) if info.kind == "likelihood" else None,
    )
    return worst_filled(made, info, float(made.values.max(initial=-math.inf)))


def worst_filled(found: Sample, info: MetricInfo, largest: float) -> Sample:
    """The sample with what failed at `info.high`, or at the `largest` value seen where no highest is known."""
    import numpy as np

    if info.kind == "quality" or info.name == "error_rate" or not found.failed.any():
        return found
    return replace(found, values=np.where(found.failed, largest if info.high is None else info.high, found.values))


def point(info: MetricInfo, found: Sample) -> float:
    """The metric over the sample, of perplexity its logarithm; raises ConfigError for an empty one."""
    import numpy as np

    if not len(found):
        raise ConfigError(t("no example has the metric '{metric}'", metric=info.name))
    if info.form == "quantile":
        return quantile(found.values, info.q)
    if info.form == "mean":
        return float(found.values.mean())
    if info.form == "ratio":
        return float(np.average(found.values, weights=found.weights))
    if info.form == "calibration":
        return float(contributions(found.values).mean())
    return float(macro_f1(found.gold, found.predicted)(np.ones((1, len(found))))[0])


def as_mean(info: MetricInfo, found: Sample) -> tuple[Floats, float | None, float | None]:
    """Values [n] whose mean is the metric, and the range a value can have: exact for a mean, first order for macro F1
    and for the calibration error.

    Not for quantiles.
    """
    if info.form == "macro_f1":
        return macro_f1_influence(found.gold, found.predicted)
    if info.form == "calibration":
        return contributions(found.values), -1.0, 1.0
    return found.values, 0.0 if info.form == "ratio" else info.low, info.high


def bounds(info: MetricInfo, found: Sample, tail: float = 0.025) -> tuple[float | None, float | None]:
    """Confidence bounds of `point`, each with one-sided error `tail`; None where the data give none."""
    value, codes = point(info, found), found.codes
    if info.form == "quantile":
        low = quantile_low(found.values, codes, info.q, tail)
        high = quantile_high(found.late, codes, info.q, tail)
        return None if low is None else min(low, value), None if high is None else max(high, value)
    values, least, most = as_mean(info, found)
    low, high = mean_bounds(values, codes, (least, most), tail, counted=found.counted, weights=found.weights)
    if info.form == "calibration":  # the directions of the bins were chosen by these examples
        part = tail / directions(found.values)
        low, _ = mean_bounds(values, codes, (least, most), part, counted=found.counted, weights=found.weights)
    if info.form in ("macro_f1", "calibration"):
        low, high = max(low, info.low), min(high, 1.0)
    return min(low, value), max(high, value)


def aggregate(scores: Sequence[Score], info: MetricInfo) -> Aggregate | None:
    """The metric with its 95% interval, None when no example has it. An end is None where the data give no bound.

    A likelihood that one of the references lacks is no metric of the others: None.
    """
    found = sample(scores, info)
    if not len(found) or (info.kind == "likelihood" and likelihoods.unscored(scores)):
        return None
    low, high = bounds(info, found, 0.025)
    if info.kind == "likelihood":
        value, low, high = (likelihoods.shown(info, one) for one in (point(info, found), low, high))
        return Aggregate(value=value or 0.0, low=low, high=high, n=len(found))
    return Aggregate(value=point(info, found), low=low, high=high, n=len(found))


def _value(score: Score, info: MetricInfo) -> float | None:
    failed = score.answer.failed
    if info.kind == "likelihood":
        return likelihoods.value(score, info)
    if info.form == "calibration":
        return _gap(score)
    if info.answered and score.answer.abstained and not score.answer.error:
        return score.metrics.get(info.name)  # of several answers, those that were given
    if info.form == "macro_f1":
        return (0.0 if failed else score.metrics.get("accuracy")) if score.expected else None
    if info.kind == "quality":
        found = score.metrics.get(info.name)
        if found is None and info.name in METRICS and not score.expected:
            return None  # it needs a reference that there is not
        worst = failed and info.name not in score.draws  # each of several answers was scored by itself
        return info.worst if worst else found
    return _operational(score, info.name)


def _gap(score: Score) -> float | None:
    """Of the first answer; None where nothing was answered, or nothing said how sure it is."""
    answer = score.answer
    right = score.draws.get("accuracy", (score.metrics.get("accuracy"),))[0]
    if answer.failed or answer.confidence is None or right is None:
        return None
    return gap(answer.confidence, right > 0)


def _operational(score: Score, name: str) -> float | None:
    answer = score.answer
    failed = bool(answer.error)
    if name.startswith("latency"):
        return answer.seconds
    if name.startswith("ttft"):
        return answer.first_token_seconds if answer.first_token_seconds > 0 or failed else None
    if name in ("prompt_tokens", "completion_tokens"):
        return float(getattr(answer.usage, name))
    if name == "cost_per_query":
        return answer.cost if answer.currency else None
    return float(failed)


def _prediction(score: Score) -> str:
    return NOTHING if score.answer.failed else normalize_label(score.answer.label or score.answer.text)
