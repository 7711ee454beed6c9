"""Whether the metrics that a project measures, gates on and prefers by exist, told with line and column."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.core.metrics import METRICS, of_accuracy
from slipway.errors import nearest
from slipway.i18n import joined, t
from slipway.plugins import Plugins, is_file
from slipway.project.load import Problem
from slipway.project.schema import Project


def metric_problems(project: Project, plugins: Plugins) -> Iterator[Problem]:
    """Every name that is no metric, with the nearest one."""
    known = {*METRICS, *plugins.known("scorers")}
    named = {metric.name for metric in project.evaluate.metrics if _makes(metric.scorer, known)}
    for n, metric in enumerate(project.evaluate.metrics):
        if not _makes(metric.scorer, known):
            at = ("evaluate", "metrics", n) if metric.scorer == metric.name else ("evaluate", "metrics", n, metric.name)
            yield Problem(at, _unknown(metric.scorer, sorted(known)))
    asked = [(("gate", name), name) for name in project.gate]
    asked += [(("release", "metric"), project.release.metric)] if project.release.metric else []
    for at, name in asked:
        if not _makes(name, known | named):
            yield Problem(at, _unknown(name, sorted(known | named)))
        elif name in METRICS and METRICS[name].kind == "likelihood":
            why = t(
                "'{name}' is reported and decides nothing: a likelihood has no highest value, so that one unseen "
                "example can outweigh all others; name a metric of answers",
                name=name,
            )
            yield Problem(at, why)


def unmeasured(project: Project) -> Iterator[Problem]:
    """Every rule about a metric that is not measured: it can never pass."""
    named = set(project.evaluate.names)
    for name in project.gate:
        if (name in METRICS or is_file(name)) and not _measured(name, named):
            yield Problem(("gate", name), t("'{name}' is not measured: add it to evaluate.metrics", name=name))


def _makes(name: str, known: set[str]) -> bool:
    return name in known or is_file(name)


def _measured(name: str, named: set[str]) -> bool:
    if name in METRICS and METRICS[name].kind == "operational":
        return True  # of every request
    counted = {"accuracy", *(one for one, info in METRICS.items() if of_accuracy(info))}
    return name in named or (name in counted and not named.isdisjoint(counted))


def _unknown(name: str, known: list[str]) -> str:
    near = nearest(name, known)
    what = t("no metric is called '{name}'", name=name)
    if near:
        return joined([what, t("did you mean '{near}'?", near=near)])
    return joined([what, t("known: {names}", names=", ".join(known))])
