"""Which candidates are tested on the gate split, in which order, and which of those that pass is released.

Fixed-sequence testing: from the safest by dev down, each at the level of the look, until the first that does not pass.
That keeps the error over all candidates at that level, as the order comes from other examples (Learn then Test,
Angelopoulos, Bates, Candes, Jordan, Lei 2021). Only candidates that are cheaper than every safer one are worth a test
(Pareto Testing, Laufer-Goldshtein, Fisch, Barzilay, Jaakkola 2023).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from slipway.core.metrics import MetricInfo, metric_info
from slipway.core.ref import Ref
from slipway.core.report import Report, Score
from slipway.errors import ConfigError
from slipway.release.rules import Rule, asked, check_rules
from slipway.stats.distributions import normal_quantile
from slipway.stats.pairs import compare_pair, pair

Prefer = Literal["cost", "latency", "quality"]
Rival = tuple[Ref, Report, Sequence[Score]]  # what serves on a channel, on the dev split
_HALF = 1.959964  # half of a 95% interval, in standard errors
_SURE = 4.0  # standard errors beyond what the test needs: from there on, no candidate is safer than another


@dataclass(frozen=True)
class Contender:
    """A candidate as the dev split saw it. `cost`: a query, in one unit for all, from counts and pinned rates."""

    name: str
    report: Report
    scores: Sequence[Score]
    cost: float = math.inf
    rivals: Mapping[str, Rival] = field(default_factory=dict[str, Rival])  # by channel
    serves: bool = False


@dataclass(frozen=True)
class Plan:
    """`sequence`: the names to test, in order. `preferred`: all that keep the bounds, the one to be had first."""

    sequence: tuple[str, ...] = ()
    preferred: tuple[str, ...] = ()
    standing: Mapping[str, float] = field(default_factory=dict[str, float])

    def best(self, certified: Sequence[str]) -> str:
        """The preferred one of those that passed."""
        return min(certified, key=self.preferred.index)


def plan(
    rules: Mapping[str, Rule],
    contenders: Sequence[Contender],
    prefer: Prefer = "cost",
    metric: str | None = None,
    tolerance: float = 0.0,
    alpha: float = 0.05,
) -> Plan:
    """Order the candidates that keep every absolute bound on dev as measured.

    `metric`: what quality means, by default the first quality metric of the rules. `tolerance`: costs and latencies
    that differ by this share or less are equal; then what serves stays, else the better one by quality, else the first
    by name. `alpha`: of the test that comes.
    """
    meanings = {name: info for one in contenders for name, info in one.report.meanings.items()}
    check_rules(rules, meanings)
    kept = [one for one in contenders if keeps_bounds(rules, one.report)]
    preferred = _preferred(kept, prefer, _quality(rules, meanings, metric), tolerance)
    standings = {one.name: standing(rules, one) for one in kept}
    sure = _SURE - normal_quantile(alpha)
    safest = sorted(preferred, key=lambda name: -min(standings[name], sure))  # stable: among equals the preferred one
    sequence: list[str] = []
    for name in safest:
        if not sequence or preferred.index(name) < preferred.index(sequence[-1]):
            sequence.append(name)
    return Plan(tuple(sequence), tuple(preferred), standings)


def keeps_bounds(rules: Mapping[str, Rule], report: Report) -> bool:
    """Whether every absolute bound holds for the measured values; a missing metric does not."""
    for name, rule in rules.items():
        found = report.metrics.get(name)
        if found is None or not math.isfinite(found.value):
            return False
        if rule.min is not None and found.value < rule.min or rule.max is not None and found.value > rule.max:
            return False
    return True


def standing(rules: Mapping[str, Rule], one: Contender) -> float:
    """How far the candidate is on the right side of the rule it is nearest to, in standard errors on dev."""
    found = [
        _distance(one, name, kind, bound, one.rivals.get(rule.against or ""))
        for name, rule in rules.items()
        for kind, bound in asked(rule)
        if kind in ("min", "max") or rule.against in one.rivals
    ]
    return min(found, default=0.0)


def _distance(one: Contender, name: str, kind: str, bound: float, rival: Rival | None) -> float:
    info, found = one.report.meaning(name), one.report.metrics[name]
    if kind == "min":
        return _errors(found.value - bound, _reach(found.value, found.low, found.high))
    if kind == "max":
        return _errors(bound - found.value, _reach(found.value, found.high, found.low))
    try:
        compared = compare_pair(info, pair(*_common(rival[2] if rival else (), one.scores), info), 0.05)
    except ConfigError:  # nothing in common
        return -math.inf
    low, high = compared.low, compared.high
    worst, best = (low, high) if info.higher_is_better else (high, low)
    good = compared.effect if info.higher_is_better else -compared.effect
    return _errors(good + bound, _reach(compared.effect, worst, best))


def _common(champion: Sequence[Score], challenger: Sequence[Score]) -> tuple[Sequence[Score], Sequence[Score]]:
    """The examples that both answered: with `evaluate.folds`, a champion that cannot be fitted again has those of dev
    only, a challenger those of train, too.
    """
    ids = {score.example for score in champion}
    return champion, [score for score in challenger if score.example in ids]


def _reach(value: float, near: float | None, far: float | None) -> float:
    """From the value to the end of its interval that counts; to the other one where that has no bound."""
    end = far if near is None else near
    return math.inf if end is None else abs(value - end)


def _errors(distance: float, reach: float) -> float:
    if reach > 0:
        return distance / reach * _HALF
    return math.copysign(math.inf, distance) if distance else 0.0


def _quality(rules: Mapping[str, Rule], meanings: Mapping[str, MetricInfo], metric: str | None) -> MetricInfo | None:
    infos = {name: meanings.get(name) or metric_info(name) for name in [*rules, *([metric] if metric else [])]}
    return infos[metric] if metric else next((info for info in infos.values() if info.kind == "quality"), None)


def _preferred(
    contenders: Sequence[Contender], prefer: Prefer, quality: MetricInfo | None, tolerance: float
) -> list[str]:
    """All of them, the one to be had first; ties are settled among those that are near the best of the rest."""
    left, found = list(contenders), list[str]()

    def worse(one: Contender) -> float:
        return _worseness(one.report, quality)

    def value(one: Contender) -> float:
        return {"cost": one.cost, "latency": _latency(one.report)[0], "quality": worse(one)}[prefer]

    def near(one: Contender, best: Contender) -> bool:
        if prefer == "quality":
            return value(one) == value(best)
        overlap = prefer == "latency" and _latency(one.report)[1] <= _latency(best.report)[2]
        return overlap or value(one) == value(best) or value(one) <= value(best) * (1 + tolerance)

    while left:
        best = min(left, key=lambda one: (value(one), one.name))
        second = (lambda one: one.cost) if prefer == "quality" else worse
        tied = [one for one in left if near(one, best)]
        chosen = min(tied, key=lambda one: (not one.serves, second(one), one.name))
        found.append(chosen.name)
        left.remove(chosen)
    return found


def _latency(report: Report) -> tuple[float, float, float]:
    """The median and its 95% interval, in seconds."""
    found = report.metrics.get("latency_p50")
    if found is None:
        return math.inf, math.inf, math.inf
    low, high = found.low, found.high
    return found.value, -math.inf if low is None else low, math.inf if high is None else high


def _worseness(report: Report, info: MetricInfo | None) -> float:
    """The quality metric, turned so that lower is better."""
    found = report.metrics.get(info.name) if info else None
    if found is None or info is None:
        return math.inf
    return -found.value if info.higher_is_better else found.value
