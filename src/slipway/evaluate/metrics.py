"""From scores per example to a report: every metric with its interval, overall and per language. Answers nothing."""

from __future__ import annotations

from collections.abc import Sequence

from slipway import plugins
from slipway.core.material import Split
from slipway.core.measure import aggregate
from slipway.core.metrics import METRICS, MetricInfo
from slipway.core.ref import Ref
from slipway.core.report import Aggregate, Report, Score
from slipway.errors import ConfigError
from slipway.i18n import t

metric_info = plugins.metric_info
__all__ = ["METRICS", "MetricInfo", "aggregates", "build_report", "metric_info"]


def build_report(
    candidate: Ref, dataset: Ref, split: Split, scores: Sequence[Score], scores_blob: str, currency: str
) -> Report:
    """Aggregate scores into a report; `scores_blob` is the blob that holds them, `currency` that of their costs.

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
    return Report(
        candidate=candidate,
        dataset=dataset,
        split=split,
        scores=scores_blob,
        metrics=aggregates(scores),
        by_language={
            language: aggregates([score for score in scores if score.language == language]) for language in languages
        },
        errors=sum(bool(score.answer.error) for score in scores),
        currency=currency,
    )


def aggregates(scores: Sequence[Score]) -> dict[str, Aggregate]:
    """Every metric that at least one score has, in the order of the table; a project's own scorers last."""
    named = {name for score in scores for name in score.metrics}
    found: dict[str, Aggregate] = {}
    for name in [*METRICS, *sorted(named - set(METRICS))]:
        info = metric_info(name)
        if info.kind == "quality" and name not in named and not (info.form == "macro_f1" and "accuracy" in named):
            continue
        value = aggregate(scores, info)
        if value is not None:
            found[name] = value
    return found
