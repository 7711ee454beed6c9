"""An alert in words: what people read in a mail, a chat or a log. Names, numbers and ids; no question and no answer."""

from __future__ import annotations

import re

from slipway.core.alert import Alert
from slipway.i18n import t


def subject(alert: Alert) -> str:
    """One line."""
    where = f"{alert.project}/{alert.channel}"
    if alert.state == "test":
        return t("{where}: a test of the way that alerts take", where=where)
    if alert.state == "cleared":
        return t("{where}: over: {metric}", where=where, metric=alert.metric)
    if alert.direction == "up":
        return t("{where}: {metric} is higher than it was", where=where, metric=named(alert))
    return t("{where}: {metric} is lower than it was", where=where, metric=named(alert))


def named(alert: Alert) -> str:
    """The metric, with its category."""
    return with_category(alert.metric, alert.category)


def with_category(metric: str, name: str) -> str:
    """A metric, with its category where it has one."""
    return f"{metric} ({category(name)})" if name else metric


def category(name: str) -> str:
    """One of a metric's categories: a topic has no name but its number; a language is its code."""
    if found := re.fullmatch(r"topic (\d+)", name):
        return t("topic {n}", n=found[1])
    if found := re.fullmatch(r"farthest (\d+%)", name):
        return t("farthest {share}", share=found[1])
    return name


def body(alert: Alert) -> str:
    """A few lines."""
    if alert.state == "test":
        return t("Nothing happened. `slipway monitor --test` sent this.")
    against = {
        "release": t("the answers that the release was judged by"),
        "before": t("what was served before"),
        "bound": t("the bound in slipway.yaml"),
    }[alert.against]
    scale = {
        "share": t("mean {value:.3f}", value=alert.seen),
        "rank": t("mean rank {value:.3f} among values before, where 0.5 is usual", value=alert.seen),
        "category": t("share {value:.3f}", value=alert.seen),
    }[alert.scale]
    lines = [
        t("compared with: {what}", what=against),
        t("since {when} (UTC): {scale}, over {n} sessions of users", when=alert.since, scale=scale, n=alert.n),
        t("without a change it is at most {value:.3f}", value=alert.expected)
        if alert.direction == "up"
        else t("without a change it is at least {value:.3f}", value=alert.expected),
        t("rule {rule}, release {release}", rule=alert.rule, release=alert.release[:12]),
    ]
    if alert.traces:
        lines.append(t("examples: {ids}", ids=", ".join(f"slipway traces show {id[:12]}" for id in alert.traces[-3:])))
    return "\n".join(lines)
