"""What is watched by default, and what a project file makes of it. Each watch asks one thing in one direction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from slipway.errors import ConfigError, instead
from slipway.i18n import t
from slipway.project.monitoring import MonitorConfig
from slipway.stats.changes import Levels, known, levels
from slipway.text.language import LANGUAGES

Kind = Literal["share", "rank", "far", "mix"]
Direction = Literal["up", "down"]
Against = Literal["release", "before", "bound"]
TOPICS = 8
FARTHEST = {"farthest 10%": 0.1, "farthest 3%": 0.03}  # of the questions before


@dataclass(frozen=True)
class Metric:
    """`share`: values in [0, 1], compared by their mean. `rank`: any numbers, compared by their rank among those
    before. `far`: compared by the share above the largest ones before. `mix`: which of several categories, compared by
    the share of each. `released`: the gate's answers have it, too. `about`: what it is learnt from anew: a release's
    answers, or the questions whatever answers them. `of`: the metric whose values are compared, where it is another.
    `common`: it follows a load that all users share, so that sessions of one hour hang together.
    """

    name: str
    kind: Kind
    worse: tuple[Direction, ...] = ("up",)
    margin: float = 0.05
    released: bool = False
    about: Literal["answers", "questions"] = "answers"
    categories: tuple[str, ...] = ("",)
    of: str = ""
    common: bool = False


OWN = (
    Metric("error_rate", "share", margin=0.01, released=True),
    Metric("abstained", "share", margin=0.03, released=True),
    Metric("citation_support", "share", ("down",), released=True),
    Metric("other_language", "share", released=True),
    Metric("thumbs_down", "share"),
    Metric("retrieval_score", "rank", ("down",)),
    Metric("answer_length", "rank", ("up", "down")),
    Metric("cost_per_query", "rank"),
    Metric("latency", "rank", common=True),
    Metric("ttft", "rank", common=True),
    Metric("seconds_per_token", "rank", common=True),
    Metric("unknown_words", "share", about="questions"),
    Metric("novelty", "rank", about="questions"),
    Metric("outliers", "far", margin=0.03, about="questions", categories=tuple(FARTHEST), of="novelty"),
    Metric("repeats", "share", margin=0.1, about="questions"),
    Metric("languages", "mix", about="questions", categories=LANGUAGES),
    Metric("topics", "mix", about="questions", categories=tuple(f"topic {n + 1}" for n in range(TOPICS))),
)


@dataclass(frozen=True)
class Watch:
    """One comparison. `levels`: how its share of the false alarms is spent, and the evidence at which it fires."""

    rule: str
    metric: Metric
    direction: Direction
    against: Against
    margin: float
    bound: float
    levels: Levels


def metrics_of(scorers: Mapping[str, bool]) -> list[Metric]:
    """Those of Slipway's own and the project's scorers that need no reference: name -> whether higher is better."""
    more = [Metric(name, "share", ("down" if better else "up",), released=True) for name, better in scorers.items()]
    return [*OWN, *(one for one in more if one.name not in {own.name for own in OWN})]


def watches(config: MonitorConfig, metrics: list[Metric]) -> list[Watch]:
    """All comparisons. The false alarms allowed a week are shared evenly.

    Raises ConfigError for a rule about a metric that is not watched.
    """
    for name in config.rules:
        if name not in {metric.name for metric in metrics}:
            raise ConfigError(
                t("monitor.rules: '{name}' is not watched", name=name), instead(name, [m.name for m in metrics])
            )
    asked = [one for metric in metrics for one in _of(config, metric)]
    share = config.false_alarms / max(1, len(asked))
    learnt, given = levels(share), known(share)
    return [Watch(*one, levels=given if one[3] == "bound" else learnt) for one in asked]


def _of(config: MonitorConfig, metric: Metric) -> Iterator[tuple[str, Metric, Direction, Against, float, float]]:
    rule = config.rules.get(metric.name)
    if rule is not None and rule.off:
        return
    margin = metric.margin if rule is None or rule.margin is None else rule.margin
    for direction in metric.worse:
        name = metric.name if len(metric.worse) == 1 else f"{metric.name}.{direction}"
        if metric.released:
            yield f"{name}.release", metric, direction, "release", margin, 0.0
        yield f"{name}.before", metric, direction, "before", margin, 0.0
    if rule is not None and metric.kind == "share":
        if rule.max is not None:
            yield f"{metric.name}.max", metric, "up", "bound", 0.0, rule.max
        if rule.min is not None:
            yield f"{metric.name}.min", metric, "down", "bound", 0.0, rule.min
