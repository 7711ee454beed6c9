"""The metrics there are: which direction is better, in what unit, within which bounds. Knows no scores.

The one table of names. A scorer that a project brings has no line here; `scorer_metric` makes one from its class.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal

import msgspec

from slipway.errors import NotFound, nearest
from slipway.i18n import Said, say, t

Unit = Literal["", "seconds", "tokens", "currency"]

# Metrics that can be nothing but right or wrong for one answer, because of how they are defined, whatever was seen.
RIGHT_OR_WRONG = frozenset(
    {
        "exact_match", "contains", "regex", "numeric_match", "yes_no", "choice", "squad_em", "cmrc_em", "accuracy",
        "schema_valid", "error_rate",
    }
)  # fmt: skip


class MetricInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a metric's numbers mean.

    `kind`: `quality` comes from a scorer and lies in [0, 1], an example without an answer gets the worst of it;
    `operational` comes from the answer's own measurements; `likelihood` says how likely the references are, whatever
    was answered, and decides nothing, as it has no highest value. `form`: how examples become one number: their mean, a
    quantile (`q`), macro F1 over labels, the calibration error of confidences, or a `ratio` of two totals. `high` is
    None when values have no upper bound. `answered`: only what was answered has it, so that two candidates have it on
    different examples, and it is never compared; accuracy counts an abstention as wrong.
    """

    name: str
    kind: Literal["quality", "operational", "likelihood"] = "quality"
    higher_is_better: bool = True
    unit: Unit = ""
    form: Literal["mean", "quantile", "macro_f1", "calibration", "ratio"] = "mean"
    q: float = 0.0
    low: float = 0.0
    high: float | None = 1.0
    answered: bool = False

    @property
    def right_or_wrong(self) -> bool:
        """Whether one answer can have no other value than 0 and 1."""
        return self.name in RIGHT_OR_WRONG and (self.low, self.high) == (0.0, 1.0)

    @property
    def timed(self) -> bool:
        """Whether a clock measures it: then only what was measured under the same load compares."""
        return self.unit == "seconds"

    @property
    def worst(self) -> float:
        """What an example without an answer gets (quality metrics only)."""
        return 0.0 if self.higher_is_better else 1.0


def _cost(name: str, unit: Unit, q: float = 0.0, high: float | None = None) -> MetricInfo:
    form = "quantile" if q else "mean"
    return MetricInfo(name=name, kind="operational", higher_is_better=False, unit=unit, form=form, q=q, high=high)


def _likelihood(name: str, low: float) -> MetricInfo:
    return MetricInfo(name=name, kind="likelihood", higher_is_better=False, form="ratio", low=low, high=None)


METRICS: dict[str, MetricInfo] = {
    info.name: info
    for info in (
        MetricInfo(name="token_f1"),
        MetricInfo(name="exact_match"),
        MetricInfo(name="answer_recall"),
        MetricInfo(name="contains"),
        MetricInfo(name="regex"),
        MetricInfo(name="numeric_match"),
        MetricInfo(name="yes_no"),
        MetricInfo(name="choice"),
        MetricInfo(name="squad_f1"),
        MetricInfo(name="squad_em"),
        MetricInfo(name="cmrc_f1"),
        MetricInfo(name="cmrc_em"),
        MetricInfo(name="rouge_l"),
        MetricInfo(name="bleu"),
        MetricInfo(name="semantic_similarity"),
        MetricInfo(name="accuracy"),
        MetricInfo(name="macro_f1", form="macro_f1"),
        MetricInfo(name="coverage"),
        MetricInfo(name="selective_risk", higher_is_better=False, answered=True),
        MetricInfo(name="calibration_error", higher_is_better=False, form="calibration", answered=True),
        MetricInfo(name="field_f1"),
        MetricInfo(name="field_precision"),
        MetricInfo(name="field_recall"),
        MetricInfo(name="schema_valid"),
        MetricInfo(name="retrieval_recall"),
        MetricInfo(name="retrieval_mrr"),
        MetricInfo(name="retrieval_ndcg"),
        MetricInfo(name="citation_precision"),
        MetricInfo(name="citation_recall"),
        MetricInfo(name="citation_coverage"),
        MetricInfo(name="citation_support"),
        _likelihood("perplexity", 1.0),
        _likelihood("bits_per_byte", 0.0),
        _cost("latency_p50", "seconds", 0.5),
        _cost("latency_p95", "seconds", 0.95),
        _cost("ttft_p50", "seconds", 0.5),
        _cost("ttft_p95", "seconds", 0.95),
        _cost("prompt_tokens", "tokens"),
        _cost("completion_tokens", "tokens"),
        _cost("cost_per_query", "currency"),
        _cost("error_rate", "", high=1.0),
    )
}


def metric_info(name: str, also: Iterable[str] = ()) -> MetricInfo:
    """The table's line for `name`; raises NotFound with the nearest name (`also`: further names that are known)."""
    if name in METRICS:
        return METRICS[name]
    names = sorted({*METRICS, *also})
    near = nearest(name, names)
    hint = t("did you mean '{near}'?", near=near) + " " if near else ""
    raise NotFound(t("no metric is called '{name}'", name=name), hint + t("known: {names}", names=", ".join(names)))


def scorer_metric(name: str, scorer: type[Any]) -> MetricInfo:
    """The line for a scorer that is not in the table: a mean of values in [0, 1], directed as the class says."""
    return MetricInfo(name=name, higher_is_better=bool(scorer.higher_is_better))


def format_value(info: MetricInfo, value: float, currency: str = "", *, signed: bool = False) -> str:
    """A value as people read it, with its unit: `0.412`, `1.31 s`, `412 tokens`, `0.0041 CNY`."""
    return str(said_value(info, value, currency, signed=signed))


def said_value(info: MetricInfo, value: float, currency: str = "", *, signed: bool = False) -> str | Said:
    """`format_value` for a text that is stored."""
    sign = "+" if signed else ""
    if info.unit == "seconds":
        return f"{rounded(value, 3, sign)} s"
    if info.unit == "tokens":
        return say("{n} tokens", n=f"{value:{sign}.0f}")
    if info.unit == "currency":
        digits = 2 if abs(value) < 0.001 else 3
        return f"{rounded(value, digits, sign)} {currency}".strip()
    return f"{value:{sign}.3f}"


def rounded(value: float, digits: int = 2, sign: str = "") -> str:
    """A number in so many digits and never with an exponent: `170`, `1200`, `0.0041`."""
    return format(Decimal(f"{value:.{digits}g}"), f"{sign}f")


def of_accuracy(info: MetricInfo) -> bool:
    """Whether a metric has no scorer of its own: it is counted from what `accuracy` says of each answer."""
    return info.form in ("macro_f1", "calibration")
