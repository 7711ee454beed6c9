"""A verdict's numbers laid out so that anybody can do the arithmetic again. Judges nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from slipway.core.metrics import MetricInfo
from slipway.core.release import RuleResult, Verdict
from slipway.core.report import Report, Score
from slipway.errors import ConfigError
from slipway.release.claims import judged_by_point
from slipway.stats.means import ends
from slipway.stats.pairs import difference_values, pair
from slipway.stats.samples import Sample, as_mean, sample

Column = dict[str, float]  # example -> value; one that has none is not in it


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it is recomputed: the `side` (lower or upper) bound of the mean of a column, whose values lie between
    `least` and `most`, with error `alpha`, must be on the right side of `target`. `bound`: what the verdict found.

    `test`: `gaffke`, or `exact-paired` for differences of right-or-wrong answers. `side` is empty for what is no bound
    of a mean: a quantile, a measured value alone, nothing to compare with.
    """

    metric: str
    slice: str
    rule: str
    test: str = ""
    alpha: float
    column: str = ""
    side: str = ""
    target: float | None = None
    least: float | None = None
    most: float | None = None
    bound: float | None = None
    outcome: str


class Recount(msgspec.Struct, frozen=True, kw_only=True):
    """`columns`: name -> values; `scores`: the examples in order."""

    lines: list[Line]
    columns: dict[str, Column]
    scores: Sequence[Score]


def recount(
    verdict: Verdict, report: Report, scores: Sequence[Score], rivals: Mapping[str, Sequence[Score]]
) -> Recount:
    """Lay a verdict out. `rivals`: channel -> scores of what the candidate was compared with."""
    made = Recount(lines=[], columns={}, scores=scores)
    for one in verdict.rules:
        info = report.meaning(one.metric)
        info = info if one.limit is None else msgspec.structs.replace(info, high=one.limit)
        these = [score for score in scores if in_slice(score, one.slice)]
        column = f"{one.metric} [{one.slice}]" if one.slice else one.metric
        found = sample(these, info)
        made.columns[column] = _values(found, info)
        line = Line(metric=one.metric, slice=one.slice, rule=one.rule, alpha=verdict.alpha, outcome=one.outcome)
        if one.rule in ("min", "max"):
            line = _absolute(line, one, info, found, column)
        else:
            theirs = [score for score in rivals.get(one.against, ()) if in_slice(score, one.slice)]
            line = _difference(made, line, one, info, theirs, these)
        made.lines.append(line)
    return made


def in_slice(score: Score, part: str) -> bool:
    """Whether an example is in the slice that a rule's result names, such as `language=zh`; empty: every one is."""
    key, _, value = part.partition("=")
    found = score.language if key == "language" else score.facets.get(key, "")
    return not part or (found or "-") == value


def _values(found: Sample, info: MetricInfo) -> Column:
    values = found.values if info.form == "quantile" or not len(found) else as_mean(info, found)[0]
    return {name: float(value) for name, value in zip(found.ids, values, strict=True)}


def _absolute(line: Line, one: RuleResult, info: MetricInfo, found: Sample, column: str) -> Line:
    if info.form == "quantile" or not len(found) or judged_by_point(one) or one.low is None or one.high is None:
        return line
    if info.form == "calibration" and one.rule == "min":  # its lower bound is no mean's
        return line
    values, *support = as_mean(info, found)
    least, most = ends(values, (support[0], support[1]))
    lower = one.rule == "min"
    return msgspec.structs.replace(
        line, column=column, side="lower" if lower else "upper", target=one.bound, least=least, most=most,
        bound=one.low if lower else one.high, test="gaffke",
    )  # fmt: skip


def _difference(
    made: Recount, line: Line, one: RuleResult, info: MetricInfo, theirs: Sequence[Score], ours: Sequence[Score]
) -> Line:
    try:
        both = pair(theirs, ours, info)
    except ConfigError:
        return line
    part = f" [{one.slice}]" if one.slice else ""
    made.columns[f"{one.metric} of {one.against or 'champion'}{part}"] = _values(both.champion, info)
    if info.form == "quantile" or judged_by_point(one) or one.low is None or one.high is None:
        return line
    values, (least, most) = difference_values(info, both)
    column = f"{one.metric} minus {one.against or 'champion'}{part}"
    made.columns[column] = {name: float(value) for name, value in zip(both.champion.ids, values, strict=True)}
    lower = info.higher_is_better
    margin = 0.0 if one.rule == "superiority" else one.bound
    return msgspec.structs.replace(
        line, column=column, side="lower" if lower else "upper", target=-margin if lower else margin, least=least,
        most=most, bound=one.low if lower else one.high,
        test="exact-paired" if one.comparison and one.comparison.test == "exact-paired" else "gaffke",
    )  # fmt: skip
