"""The business case: what answers bring a month, from what share of right answers on, and when it is paid back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slipway.core.metrics import MetricInfo
from slipway.core.report import Report
from slipway.evaluate.worth import Interval, Terms, Worth
from slipway.i18n import t
from slipway.render.cells import Estimate
from slipway.render.document import Column, Table


@dataclass(frozen=True)
class Case:
    """What was reckoned, in which currency, by which metric, for which reports."""

    terms: Terms
    currency: str
    metric: MetricInfo
    found: Sequence[tuple[Report, Worth]]


def case_table(case: Case) -> Table:
    """A candidate and split a row."""
    money = MetricInfo(name="value", kind="operational", unit="currency", high=None)

    def cell(found: Interval | None, info: MetricInfo, currency: str = "") -> Estimate | None:
        return found and Estimate(found.value, info, currency, low=found.low, high=found.high)

    rows: list[list[Any]] = [
        [
            report.candidate.name,
            report.split,
            cell(worth.benefit, money, case.currency),
            cell(worth.net, money, case.currency),
            cell(worth.even, case.metric),
            *([cell(worth.months, case.metric)] if case.terms.build else []),
        ]
        for report, worth in case.found
    ]
    columns = [Column(t("candidate")), Column(t("split"))]
    columns += [Column(t("an input brings"), "measure"), Column(t("a month brings"), "measure")]
    columns += [Column(t("{metric} that pays", metric=case.metric.name), "measure")]
    columns += [Column(t("months until paid back"), "measure")] if case.terms.build else []
    return Table(t("What it is worth"), columns, rows, _notes(case))


def _notes(case: Case) -> list[str]:
    terms, unit = case.terms, case.currency
    gain, loss = ("-".join(f"{end:.3g}" for end in dict.fromkeys(ends)) for ends in (terms.gain, terms.loss))
    notes = [
        t("by value in slipway.yaml: {volume} inputs a month; a right answer saves {gain} {unit}, a wrong one costs "
          "{loss} {unit}, one that is declined or fails neither; a month costs {price} {unit} beside the answers",
          volume=f"{terms.volume:,.0f}", gain=gain, loss=loss, unit=unit, price=f"{terms.price:.6g}"),
        t("an answer counts as right by its {metric}; the range holds in 95 of 100 cases, from the least that is saved "
          "and the most that is lost to the other way round", metric=case.metric.name),
    ]  # fmt: skip
    if any(worth.months is None or worth.months.high is None for _, worth in case.found) and terms.build:
        notes.append(t("no end, or nothing: within the range a month brings nothing, so it may never be paid back"))
    return notes
