"""Several answers to each question: how much of the scatter comes from drawing tokens, and how many answers pay.

Miller 2024, "Adding error bars to evals" (arXiv:2411.00640), sections 2.2 and 3.1. The mean of K answers is one value
of a question in the metric's own range, so a bound of means holds for it as it does for one answer: the gate's too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec

from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.stats.estimators.protocol import Estimated, Linear, Measured, Spread, at_least_two
from slipway.stats.grouping import group_totals

WORTH = 0.05
MOST = 64  # answers, as `evaluate.repeats` allows


@dataclass(frozen=True)
class Repeats:
    """The plain mean, of values that are means of several answers."""

    def estimate(self, measured: Measured, tail: float = 0.025) -> Estimated:
        """See `Estimator`. Raises ConfigError where each example was answered once."""
        at_least_two(measured.groups)
        if measured.answers < 2:
            raise ConfigError(
                t("each example was answered once"),
                t("`evaluate.repeats: 3` answers it three times where the temperature is above 0"),
            )
        n, mean = len(measured.values), float(measured.values.mean())
        sums, sizes = group_totals(measured.values, measured.groups)
        found = Linear(mean, (sums - mean * sizes) / n, sizes).concluded("repeats", measured, tail)
        within = float(measured.within.mean())
        noise = within / measured.answers
        between = max(0.0, n * found.error**2 - noise)
        return msgspec.structs.replace(
            found,
            effective=n * (between + within) / (between + noise) if between + noise > 0 else float(n),
            spread=Spread(between=between, within=within, answers=measured.answers, worth=_worth(between, within)),
        )


def _worth(between: float, within: float) -> int:
    """The fewest answers K at which sqrt(between + within / K) is at most 5% above sqrt(between), 64 at most."""
    if within <= 0:
        return 1
    spare = between * (1 / (1 - WORTH) ** 2 - 1)
    return min(MOST, math.ceil(within / spare - 1e-9)) if spare > 0 else MOST
