"""From scores per example to a metric's value and its interval. Knows metrics and statistics, but no rules.

Both `evaluate` (to report and compare) and `release` (to judge) stand on it and on `pairs`, so that the number shown
is the number that decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slipway.core.metrics import MetricInfo
from slipway.core.report import Aggregate, Score
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.stats.intervals import mean_bounds, quantile, quantile_bounds, weighted_quantile
from slipway.stats.macro_f1 import NOTHING, credited, macro_f1, macro_f1_bounds
from slipway.text.words import normalize_label

if TYPE_CHECKING:
    from slipway.stats.grouping import Codes, Floats, Statistic


@dataclass(frozen=True)
class Sample:
    """One metric of some examples: `values` [n], `groups` [n]; `gold` and `predicted` labels for macro F1 only."""

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    values: Floats
    gold: tuple[str, ...] = ()
    predicted: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def codes(self) -> Codes:
        """Groups as integers 0..G-1, [n]."""
        return group_codes(self.groups)


def group_codes(groups: Sequence[str]) -> Codes:
    """Group names as integers in order of first appearance, [n]."""
    import numpy as np

    known: dict[str, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in groups], dtype=np.intp)


def sample(scores: Sequence[Score], info: MetricInfo) -> Sample:
    """The metric's value for every example that has one.

    An answer with an error, or an abstention, has the worst value of every quality metric. An error also has the worst
    of what was measured: it ranks with the slowest, the longest and the dearest answer, so that failing makes nothing
    faster or cheaper.
    """
    import numpy as np

    found = [(score, _value(score, info)) for score in scores]
    kept = [(score, value) for score, value in found if value is not None and not math.isnan(value)]
    values = np.array([value for _, value in kept], dtype=np.float64)
    failed = np.array([bool(score.answer.error) for score, _ in kept], dtype=bool)
    if info.kind == "operational" and info.name != "error_rate" and failed.any() and not failed.all():
        values[failed] = np.maximum(values[failed], values[~failed].max())
    predicted = tuple(_prediction(score) for score, _ in kept) if info.form == "macro_f1" else ()
    return Sample(
        ids=tuple(score.example for score, _ in kept),
        groups=tuple(f"g:{score.group}" if score.group else f"e:{score.example}" for score, _ in kept),
        values=values,
        gold=tuple(
            credited([normalize_label(reference) for reference in score.expected], label)
            for (score, _), label in zip(kept, predicted, strict=False)  # no predictions: no labels
        ),
        predicted=predicted,
    )


def statistic(info: MetricInfo, samples: Sequence[Sample]) -> Statistic:
    """The metric as a function of weights [draws, n] over the samples' examples, one sample after the other."""
    import numpy as np

    values = np.concatenate([one.values for one in samples])
    if info.form == "quantile":
        return weighted_quantile(values, info.q)
    if info.form == "macro_f1":
        gold = [label for one in samples for label in one.gold]
        return macro_f1(gold, [label for one in samples for label in one.predicted])
    return lambda weights: (weights @ values) / weights.sum(axis=1)


def point(info: MetricInfo, found: Sample) -> float:
    """The metric over the sample; raises ConfigError for an empty one."""
    import numpy as np

    if not len(found):
        raise ConfigError(t("no example has the metric '{metric}'", metric=info.name))
    if info.form == "quantile":
        return quantile(found.values, info.q)
    if info.form == "mean":
        return float(found.values.mean())
    return float(statistic(info, [found])(np.ones((1, len(found))))[0])


def bounds(info: MetricInfo, found: Sample, tail: float = 0.025, seed: int = 0) -> tuple[float | None, float | None]:
    """Confidence bounds of `point`, each with one-sided error `tail`; None where the data give none."""
    if info.form == "mean":
        return mean_bounds(found.values, found.codes, (info.low, info.high), tail, seed)
    if info.form == "quantile":
        low, high = quantile_bounds(found.values, found.codes, info.q, tail)
        value = point(info, found)
        return None if low is None else min(low, value), None if high is None else max(high, value)
    low, high = macro_f1_bounds(found.gold, found.predicted, found.codes, tail, seed)
    value = point(info, found)
    return min(low, value), max(high, value)


def aggregate(scores: Sequence[Score], info: MetricInfo, seed: int = 0) -> Aggregate | None:
    """The metric with its 95% interval, None when no example has it.

    A quantile that the data do not bound (see `quantile_bounds`) ends at the smallest or largest value seen.
    """
    found = sample(scores, info)
    if not len(found):
        return None
    low, high = bounds(info, found, 0.025, seed)
    return Aggregate(
        value=point(info, found),
        low=float(found.values.min()) if low is None else low,
        high=float(found.values.max()) if high is None else high,
        n=len(found),
    )


def _value(score: Score, info: MetricInfo) -> float | None:
    failed = score.answer.failed
    if info.form == "macro_f1":
        return (0.0 if failed else score.metrics.get("accuracy")) if score.expected else None
    if info.kind == "quality":
        return info.worst if failed else score.metrics.get(info.name)
    return _operational(score, info.name)


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
