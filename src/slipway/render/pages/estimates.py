"""The difference of two candidates estimated with what else is known: one row an estimator, the plain mean first."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.core.release import Comparison
from slipway.i18n import t
from slipway.render.cells import Estimate, info_of
from slipway.render.document import Column, Table
from slipway.stats.estimators.protocol import Estimated


def estimates_table(plain: Comparison, found: Sequence[Estimated], currency: str = "") -> Table:
    """Effect with interval, and as how many examples of the plain mean it is good for."""
    info = info_of(plain.metric)
    names = {
        "regression": t("adjusted by covariates"),
        "strata": t("with shares of production"),
        "predictions": t("with a judge on examples without a reference"),
        "repeats": t("mean of several answers"),
    }
    first = [
        t("plain mean"),
        Estimate(plain.effect, info, currency, signed=True, low=plain.low, high=plain.high),
        plain.n,
    ]
    rows = [first] + [
        [names[one.method], Estimate(one.value, info, currency, signed=True, low=one.low, high=one.high),
         round(one.effective)]
        for one in found
    ]  # fmt: skip
    return Table(
        t("{metric}: the effect, estimated with what else is known", metric=plain.metric),
        [Column(t("method")), Column(t("effect, 95% interval"), "measure"), Column(t("worth examples"), "count")],
        rows,
        [*_notes(found), t("for reading only: the gate asks the plain mean, whose bound holds at every size")],
    )


def _notes(found: Sequence[Estimated]) -> list[str]:
    notes: list[str] = []
    for one in found:
        if one.method in ("regression", "predictions"):
            weights = ", ".join(f"{value:.3g}" for value in one.coefficients)
            notes.append(
                t("adjusted by covariates: coefficients {weights}", weights=weights)
                if one.method == "regression"
                else t("the judge's weight is {weight}, from 0 (useless) to 1", weight=weights)
            )
        if one.spread is not None:
            spread = one.spread
            notes.append(
                t("{k} answers an example make the standard error {share:.0%} smaller than one does, any number at "
                  "most {most:.0%}; more than {worth} are not worth it", k=spread.answers,
                  share=spread.smaller(spread.answers), most=spread.smaller(1e9), worth=spread.worth)
            )  # fmt: skip
    return notes
