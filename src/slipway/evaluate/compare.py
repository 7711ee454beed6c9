"""Two candidates on the same examples: the paired effect, and where it comes from. Judges nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from slipway.core.material import Example
from slipway.core.metrics import MetricInfo, metric_info
from slipway.core.release import Comparison
from slipway.core.report import Score
from slipway.stats.estimators.protocol import Estimated
from slipway.stats.pairs import compare_pair, pair


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """One example under both candidates."""

    example: str
    difference: float  # challenger minus champion, in the metric's unit
    champion: Score
    challenger: Score


class Compared(NamedTuple):
    """A comparison, the examples that changed most, all examples by id, and what else was estimated."""

    comparison: Comparison
    changed: list[Changed]
    examples: dict[str, Example]
    estimates: Sequence[Estimated] = ()


def compare(
    champion: Sequence[Score], challenger: Sequence[Score], metric: str | MetricInfo, alpha: float = 0.05
) -> Comparison:
    """Challenger minus champion on one metric, paired per example, whole groups at a time.

    Raises ConfigError when the two did not answer the same examples, when none has the metric under both, or when all
    belong to one group; NotFound for an unknown metric.
    """
    info = metric_info(metric) if isinstance(metric, str) else metric
    return compare_pair(info, pair(champion, challenger, info), alpha)


def most_changed(
    champion: Sequence[Score], challenger: Sequence[Score], metric: str | MetricInfo, n: int = 10
) -> list[Changed]:
    """The examples whose value changed most, losses for the challenger before gains of equal size.

    Unchanged examples are left out. Raises as `compare` does.
    """
    info = metric_info(metric) if isinstance(metric, str) else metric
    both = pair(champion, challenger, info)
    first = {score.example: score for score in champion}
    second = {score.example: score for score in challenger}
    favour = 1.0 if info.higher_is_better else -1.0
    found = [
        Changed(example=name, difference=float(difference), champion=first[name], challenger=second[name])
        for name, difference in zip(both.champion.ids, both.differences, strict=True)
        if difference
    ]
    return sorted(found, key=lambda one: (-abs(one.difference), favour * one.difference, one.example))[:n]
