"""What the gate asks. Proves nothing: that is `gate`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from slipway.core.metrics import MetricInfo, metric_info
from slipway.errors import ConfigError
from slipway.i18n import t

Kind = Literal["min", "max", "non-inferiority", "superiority"]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate asks of one metric, in SI units and the report's currency.

    `limit`: the highest value that one example can have, for a metric that has no upper end of its own. `slices`: the
    rule must hold in each part of the examples, too, by `language` or by a key of their `meta`. `confidence`:
    `interval` demands proof; `point` takes the measured value for the truth, and the verdict says so.
    """

    min: float | None = None
    max: float | None = None
    against: str | None = None
    margin: float | None = None
    better: bool = False
    limit: float | None = None
    slices: Sequence[str] = ()
    confidence: Literal["interval", "point"] = "interval"

    def vouches(self, info: MetricInfo) -> bool:
        """Whether it asks for quality by itself: a bound that answers which are all wrong do not keep."""
        if info.kind != "quality" or info.form == "calibration":
            return False
        if info.higher_is_better:
            return self.min is not None and self.min > info.low
        return self.max is not None and info.high is not None and self.max < info.high


def asked(rule: Rule) -> list[tuple[Kind, float]]:
    """The rule's claims, each with its bound or margin."""
    claims: list[tuple[Kind, float]] = []
    if rule.min is not None:
        claims.append(("min", rule.min))
    if rule.max is not None:
        claims.append(("max", rule.max))
    if rule.against is not None and rule.margin is not None:
        claims.append(("non-inferiority", rule.margin))
    if rule.against is not None and (rule.better or rule.margin is None):
        claims.append(("superiority", 0.0))
    return claims


def check_rules(rules: Mapping[str, Rule], meanings: Mapping[str, MetricInfo]) -> None:
    """Raise ConfigError for a rule that asks nothing or something impossible, NotFound for an unknown metric.

    `meanings`: of metrics that are not in the table.
    """
    for name, rule in rules.items():
        if name not in meanings:
            metric_info(name, meanings)
        numbers = [value for value in (rule.min, rule.max, rule.margin) if value is not None]
        if not all(math.isfinite(value) for value in numbers):
            raise ConfigError(t("the gate rule for {metric} has a bound that is no number", metric=name))
        if rule.min is None and rule.max is None and rule.against is None:
            raise ConfigError(
                t("the gate rule for {metric} asks nothing", metric=name), t("give it min, max, or against")
            )
        if rule.min is not None and rule.max is not None and rule.min > rule.max:
            raise ConfigError(
                t("the gate rule for {metric} can never pass: min is above max", metric=name),
                t("for a quality metric give min, for latency or cost give max"),
            )
        if rule.against is None and (rule.margin is not None or rule.better):
            raise ConfigError(
                t("the gate rule for {metric} compares with nothing", metric=name), t("add against: production")
            )
        if rule.against is not None and (meanings.get(name) or metric_info(name)).answered:
            raise ConfigError(
                t("the gate rule for {metric} compares what two candidates answered, which are not the same examples",
                  metric=name),
                t("give it a max, and compare accuracy, which counts an abstention as wrong"),
            )  # fmt: skip
        if rule.margin is not None and rule.margin < 0:
            raise ConfigError(
                t("the gate rule for {metric} has a negative margin", metric=name),
                t("margin is the loss you accept, 0 or more; for a gain write better: true"),
            )
        _check_limit(name, rule, meanings.get(name) or metric_info(name))
        if rule.slices and rule.min is None and rule.max is None and rule.margin is None:
            raise ConfigError(
                t("the gate rule for {metric} asks nothing of its slices", metric=name),
                t("give it a margin: in each slice at most that much worse; or min or max"),
            )


def _check_limit(name: str, rule: Rule, info: MetricInfo) -> None:
    if rule.limit is None:
        return
    if info.form == "quantile" or info.high is not None:
        raise ConfigError(
            t("the gate rule for {metric} has a limit that it does not need", metric=name),
            t("limit is the highest value that one example can have, for a mean that has no upper end, such as cost"),
        )
    if not math.isfinite(rule.limit) or rule.limit <= 0:
        raise ConfigError(t("the gate rule for {metric} has a limit that is not above zero", metric=name))
