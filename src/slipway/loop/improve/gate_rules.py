"""What the gate asks of something that `improve` found: the project's rules, and to be better than what serves."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from slipway.core.metrics import MetricInfo, metric_info
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.project.schema import Project
from slipway.release.gate import Rule


def metric_of(project: Project, meanings: Mapping[str, MetricInfo]) -> str:
    """What quality means: release.metric, else the first metric of quality of the gate, else of evaluate."""
    if project.release.metric:
        return project.release.metric
    for name in [*project.gate, *project.evaluate.names]:
        info = meanings.get(name) or metric_info(name)
        if info.kind == "quality" and not info.answered:
            return name
    raise ConfigError(
        t("no metric of the project says what better is"), t("name one of quality under evaluate.metrics")
    )


def rules_for(project: Project, metric: str) -> dict[str, Rule]:
    """The gate's rules, each with its interval, and that the metric is better than on the project's channel.

    A rule that takes the measured value as it is (`confidence: point`) is fair to one candidate that a person made; it
    is not to the best of many. Raises ConfigError without a gate, and where the metric is compared with another
    channel.
    """
    if not project.gate:
        raise ConfigError(
            t("the project has no gate: nothing may be released"),
            t("add a rule under gate, e.g. token_f1: {min: 0.3}"),
        )
    channel = project.serve.channel
    given = {name: Rule(**rule.model_dump()) for name, rule in project.gate.items()}
    rules = {name: msgspec.structs.replace(rule, confidence="interval") for name, rule in given.items()}
    asked = rules.get(metric, Rule())
    if asked.against not in (None, channel):
        raise ConfigError(
            t("gate.{metric} compares with '{other}', and improving is to beat '{channel}'", metric=metric,
              other=asked.against, channel=channel),
            t("name another metric under release.metric"),
        )  # fmt: skip
    wanted = Rule(
        min=asked.min, max=asked.max, against=channel, better=True, margin=asked.margin, limit=asked.limit,
        slices=asked.slices,
    )  # fmt: skip
    return {**rules, metric: wanted}
