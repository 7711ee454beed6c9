"""Whether the project's plug-ins and metrics exist and take the options that the file gives them, told with line and
column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from slipway.errors import ConfigError, MissingPrerequisite, NotFound
from slipway.i18n import joined, t
from slipway.plugins import Plugins, is_file
from slipway.project.load import Path_, Problem, lines
from slipway.project.metric_names import metric_problems, unmeasured
from slipway.project.plugin_config import PluginConfig
from slipway.project.schema import Project

Use = tuple[Path_, Path_, str, str, dict[str, Any]]  # where the name stands, where options do, kind, name, options


def check_options(project: Project, plugins: Plugins, file: Path, skip: Collection[str] = ()) -> None:
    """Raise ConfigError with a line for each name that nothing answers to and each option that is wrong.

    Imports what is not given options only where it must; what needs a package that is missing is left to its user.
    `skip`: names of plug-ins that must not be imported.
    """
    uses = (use for use in _uses(project, plugins) if use[3] not in skip)
    found = [*(problem for use in uses for problem in problems(plugins, use)), *metric_problems(project, plugins)]
    if found:
        raise ConfigError("\n".join(lines(file, found)), t("docs: project-file, and docs/reference/plugins.md"))


def check_measured(project: Project, file: Path) -> None:
    """Raise ConfigError with a line for each rule of the gate about a metric that is not measured."""
    found = list(unmeasured(project))
    if found:
        raise ConfigError("\n".join(lines(file, found)), t("docs: gate"))


def problems(plugins: Plugins, use: Use) -> Iterator[Problem]:
    """What is wrong with one use of a plug-in."""
    at, under, kind, name, options = use
    try:
        plugins.check_name(kind, name)
        if options or kind == "engines" or is_file(name):
            plugins.config(kind, name, options, ".".join(map(str, under)))
    except MissingPrerequisite:
        return
    except NotFound as error:
        yield Problem(at, joined([error.message, error.hint]))
    except ConfigError as error:
        if not isinstance(error.__cause__, ValidationError):
            yield Problem(at, error.message)
            return
        model: type[BaseModel] = plugins.load(kind, name).Config
        for one in error.__cause__.errors(include_url=False):
            yield Problem(under, "", model, dict(one))


def _uses(project: Project, plugins: Plugins) -> Iterator[Use]:
    for name, model in project.models.items():
        yield ("models", name, "engine"), ("models", name), "engines", model.engine, model.options
    yield ("task",), ("task", project.task.name), "tasks", project.task.name, project.task.options
    known = plugins.known("scorers")
    for n, metric in enumerate(project.evaluate.metrics):
        at: Path_ = ("evaluate", "metrics", n, metric.name)
        if metric.scorer in known or is_file(metric.scorer) or metric.scorer != metric.name:
            yield (*at, "scorer"), at, "scorers", metric.scorer, metric.options
    for name, candidate in project.candidates.items():
        at, strategy = ("candidates", name, "strategy"), candidate.strategy
        yield at, (*at, strategy.name), "strategies", strategy.name, strategy.options
        for n, tool in enumerate(candidate.tools):
            at = ("candidates", name, "tools", n)
            yield at, (*at, tool.name), "tools", tool.name, tool.options
        for at, tuner in (
            (("candidates", name, "tune"), candidate.tune),
            (("candidates", name, "retrieve", "tune"), candidate.retrieve.tune if candidate.retrieve else None),
        ):
            if tuner is not None:
                yield at, (*at, tuner.name), "tuners", tuner.name, tuner.options
        if candidate.retrieve:
            for key in ("index", "lexical"):
                chosen: PluginConfig = getattr(candidate.retrieve, key)
                at = ("candidates", name, "retrieve", key)
                yield at, (*at, chosen.name), "indexes", chosen.name, chosen.options
