"""Post-stratification: the mean where strata have the shares of production instead of those among the examples.

Holt and Smith 1979, "Post stratification". The shares are taken to be known exactly; wrong shares give the mean of
another population. A group may have examples in several strata (translations of one section).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.stats.estimators.protocol import Estimated, Linear, Measured, at_least_two


@dataclass(frozen=True)
class Strata:
    """`weights`: stratum -> its share of what the mean is of; they sum to 1."""

    weights: Mapping[str, float]

    def estimate(self, measured: Measured, tail: float = 0.025) -> Estimated:
        """See `Estimator`. Raises ConfigError for a stratum without a weight, or with fewer than two groups."""
        import numpy as np

        at_least_two(measured.groups)
        self._check(measured)
        n, count = len(measured.values), int(measured.groups.max()) + 1
        names = np.array(measured.strata)
        value, parts, sizes = 0.0, np.zeros(count), np.zeros(count)
        for name, weight in self.weights.items():
            if not weight:
                continue
            inside = names == name
            values, groups = measured.values[inside], measured.groups[inside]
            mean, here = float(values.mean()), len(values)
            value += weight * mean
            share = np.bincount(groups, minlength=count) / here
            each = np.bincount(groups, weights=values - mean, minlength=count) / here
            parts += weight * each / np.maximum(1 - share, 1e-6)  # the stratum's mean followed the group
            sizes += weight * n * share
        return Linear(value, parts, sizes).concluded("strata", measured, tail)

    def _check(self, measured: Measured) -> None:
        if abs(sum(self.weights.values()) - 1) > 1e-6 or min(self.weights.values(), default=0.0) < 0:
            raise ConfigError(
                t("weights must be 0 or more and sum to 1, not {sum:g}", sum=sum(self.weights.values())),
                t("weights are shares of what is asked in production, such as zh=0.7,en=0.3"),
            )
        groups: dict[str, set[int]] = {name: set() for name, weight in self.weights.items() if weight}
        for name, group in zip(measured.strata, measured.groups.tolist(), strict=True):
            if name not in self.weights:
                raise ConfigError(
                    t("there are examples in '{name}', which has no weight", name=name),
                    t("give it one; 0 leaves its examples out"),
                )
            if name in groups:
                groups[name].add(group)
        few = [name for name, members in groups.items() if len(members) < 2]
        if few:
            raise ConfigError(
                t("'{name}' has a weight but only {n} independent examples with a value", name=few[0],
                  n=len(groups[few[0]])),
                t("add examples of it, or join it with another one"),
            )  # fmt: skip
