"""Looks at the gate split."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.core.look import Look
from slipway.core.material import Dataset
from slipway.i18n import t
from slipway.release.looks import alpha_at, price
from slipway.render.document import Column, Document, Table


def looks(found: Sequence[Look], budget: int) -> Document:
    """Every look at the present gate examples, and what the next one takes."""
    alpha = alpha_at(found)
    kinds = {"verdict": t("the gate judged"), "comparison": t("compared on the gate split"),
             "answers": t("answers were shown"), "use": t("counted by an older version")}  # fmt: skip
    columns = [Column(t("when"), "time"), Column(t("what")), Column(t("candidates")), Column(t("by")),
               Column(t("project"))]  # fmt: skip
    rows = [[one.at, kinds[one.kind], [c[:12] for c in one.candidates], one.who, one.project] for one in found]
    table = Table(t("Looks"), columns, rows)
    lines = [
        t("{n} of {budget} looks at these gate examples are used", n=len(found), budget=budget),
        t("the next is decided at alpha {alpha} and needs {times} times the examples of the first",
          alpha=f"{alpha:.2g}", times=f"{price(alpha):.1f}"),
    ]  # fmt: skip
    data = {"looks": list(found), "budget": budget, "alpha": alpha, "price": price(alpha)}
    return Document(data, [table, *lines], table)


def rotated(found: Dataset) -> Document:
    """The examples after the reserve became the gate."""
    counts = ", ".join(f"{name} {n}" for name, n in found.counts.items())
    return Document(
        {"digest": found.digest, "dataset": found},
        [t("the reserve is the gate now, and what was the gate is dev: {counts}", counts=counts),
         t("slipway.lock says so; commit it")],
    )  # fmt: skip
