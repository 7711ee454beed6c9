"""Reports, and two candidates compared."""

from __future__ import annotations

from slipway.api.finding import scored
from slipway.core.material import Example
from slipway.core.metrics import METRICS
from slipway.core.release import Verdict
from slipway.core.report import Report, Score
from slipway.errors import ConfigError, instead
from slipway.evaluate import compare as _compare
from slipway.evaluate.estimate import LENGTH, RETRIEVAL, Adjust, estimates
from slipway.i18n import Said, t
from slipway.loop import run as _run
from slipway.loop.context import Context
from slipway.release.rules import Rule
from slipway.release.shortfall import missed_bounds, missed_rules

SPLITS = ("dev", "gate")


def reports(project: Context, split: str | None = None) -> list[tuple[str, Report, list[Said]]]:
    """(when, report, the rules that it missed and by how much), newest first; of one split, or all.

    Rules are those of its verdict where the gate has judged it, else the absolute bounds of the project's gate.
    """
    if split is not None and split not in SPLITS:
        raise ConfigError(t("'{split}' is not dev or gate", split=split), instead(split, SPLITS))
    catalog = project.store.catalog
    judged = {verdict.report.digest: verdict for _, verdict in reversed(catalog.list("verdict", Verdict))}
    rules = {metric: Rule(**rule.model_dump()) for metric, rule in project.project.gate.items()}

    def missed(report: Report) -> list[Said]:
        verdict = judged.get(report.digest)
        return missed_rules(verdict.rules, report) if verdict else missed_bounds(rules, report)

    found = catalog.list("report", Report)
    return [(at, r, missed(r)) for at, r in found if split is None or r.split == split]


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
