"""Reports, and two candidates compared."""

from __future__ import annotations

from slipway.api.finding import scored
from slipway.core.material import Example
from slipway.core.metrics import METRICS
from slipway.core.report import Report, Score
from slipway.evaluate import compare as _compare
from slipway.evaluate.estimate import LENGTH, RETRIEVAL, Adjust, estimates
from slipway.loop import run as _run
from slipway.loop.context import Context


def reports(project: Context, split: str | None = None) -> list[tuple[str, Report]]:
    """(when, report), newest first; of one split, or all."""
    found = project.store.catalog.list("report", Report)
    return [(at, r) for at, r in found if split is None or r.split == split]


def compare(
    project: Context,
    champion: str,
    challenger: str,
    metric: str | None = None,
    split: str = "dev",
    adjust: Adjust | None = None,
) -> _compare.Compared:
    """Challenger minus champion, paired on the examples of a split: the `comparison`, the examples that `changed` most,
    all `examples` by id, and the `estimates` that `adjust` (`slipway.evaluate.estimate.Adjust`) asks for, which are for
    reading and decide nothing.

    On the gate split, candidates not yet measured there are measured, and the look is counted. Latencies are measured
    together, in turns, unless they were.
    """
    metric = metric or project.project.evaluate.names[0]
    timed = metric in METRICS and METRICS[metric].timed
    measured = _run.reports_for(project, (champion, challenger), split, timed=timed)
    pair: list[list[Score]] = []
    examples: dict[str, Example] = {}
    for one in measured:
        found = scored(project, one)
        examples |= {example.id: example for example, _ in found}
        pair.append([score for _, score in found])
    info = measured[1].meaning(metric)
    comparison = _compare.compare(pair[0], pair[1], info)
    asked = adjust or Adjust()
    named = [name for name in (*asked.covariates, asked.judge) if name and name not in (LENGTH, RETRIEVAL)]
    meanings = {name: measured[0].meaning(name) for name in named}
    more = estimates((pair[0], pair[1]), examples, info, asked, meanings)
    return _compare.Compared(comparison, _compare.most_changed(pair[0], pair[1], info), examples, more)
