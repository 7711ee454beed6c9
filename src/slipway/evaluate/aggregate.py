"""From scores per example to a report: every metric with its interval, overall and per language. Answers nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from slipway.core.material import Split
from slipway.core.metrics import METRICS, MetricInfo, metric_info, of_accuracy, scorer_metric
from slipway.core.ref import Ref, digest_of
from slipway.core.report import Aggregate, Report, Score
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.plugins import Plugins, is_file
from slipway.project.schema import Project
from slipway.stats.samples import aggregate

__all__ = ["METRICS", "MetricInfo", "aggregates", "build_report", "meanings", "metric_info"]

NONE: Mapping[str, MetricInfo] = {}


def meanings(project: Project, plugins: Plugins, skip: Collection[str] = ()) -> dict[str, MetricInfo]:
    """What the numbers of the metrics mean that a project measures or gates on and that are not in the table.

    `skip`: names of scorers that must not be imported; their meaning is left out.

    Raises NotFound, with the nearest name, for a metric that nothing makes.
    """
    scorers = {metric.name: metric.scorer for metric in project.evaluate.metrics}
    known = plugins.known("scorers")
    found: dict[str, MetricInfo] = {}
    for name in [*scorers, *project.gate]:
        scorer = scorers.get(name, name)
        if name in METRICS or scorer in skip:
            continue
        if scorer not in known and not is_file(scorer):
            metric_info(scorer, [*known, *scorers])
        found[name] = scorer_metric(name, plugins.load("scorers", scorer))
    return found


def build_report(
    candidate: Ref,
    dataset: Ref,
    split: Split,
    scores: Sequence[Score],
    scores_blob: str,
    currency: str,
    meanings: Mapping[str, MetricInfo] = NONE,
) -> Report:
    """Aggregate scores into a report; `scores_blob` is the blob that holds them, `currency` that of their costs.

    `meanings`: of metrics that are not in the table.

    Raises ConfigError when there is no score, or when costs are in several currencies.
    """
    if not scores:
        raise ConfigError(
            t("there are no scores to report"), t("the split '{split}' has no examples: add some", split=split)
        )
    currencies = {score.answer.currency for score in scores if score.answer.currency}
    if currencies - {currency}:
        raise ConfigError(
            t("costs are in several currencies: {names}", names=", ".join(sorted(currencies | {currency} - {""}))),
            t("give all prices in one currency"),
        )
    languages = sorted({score.language for score in scores})
    times = {score.answer.timed for score in scores}
    return Report(
        candidate=candidate,
        dataset=dataset,
        split=split,
        scores=scores_blob,
        metrics=aggregates(scores, meanings),
        by_language={
            language: aggregates([score for score in scores if score.language == language], meanings)
            for language in languages
        },
        errors=sum(bool(score.answer.error) for score in scores),
        currency=currency,
        meanings=dict(meanings),
        answers=digest_of([score.untimed for score in scores]),
        timed=next(iter(times)) if len(times) == 1 else "",
    )


def aggregates(scores: Sequence[Score], meanings: Mapping[str, MetricInfo] = NONE) -> dict[str, Aggregate]:
    """Every metric that at least one score has, in the order of the table; a project's own scorers last."""
    named = {name for score in scores for name in score.metrics}
    found: dict[str, Aggregate] = {}
    for name in [*METRICS, *sorted(named - set(METRICS))]:
        info = meanings.get(name) or metric_info(name, meanings)
        if info.kind == "quality" and name not in named and not (of_accuracy(info) and "accuracy" in named):
            continue
        value = aggregate(scores, info)
        if value is not None:
            found[name] = value
    return found
