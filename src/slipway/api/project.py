"""A project: made, opened, checked, run, asked, served."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from slipway.api.finding import candidate_of, find
from slipway.core.answer import Answer
from slipway.core.candidate import Candidate
from slipway.core.run import Run
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.loop import check as _check
from slipway.loop import run as _run
from slipway.loop import watch as _watch
from slipway.loop.at_work import seen
from slipway.loop.context import Context, Listener
from slipway.loop.execute import ended
from slipway.plugins import reporting
from slipway.project import load as _load
from slipway.project.scaffold import init as _init
from slipway.runtime.respond import answer as _answer


def init(folder: str | Path, template: str = "small") -> list[Path]:
    """Scaffold a project that runs as it is; returns the files written. Never overwrites one."""
    return _init(Path(folder), template)


def open_project(folder: str | Path = ".", overrides: Sequence[str] = (), listener: Listener | None = None) -> Context:
    """Open the project in `folder` or above it; `overrides` are `key.path=value`. Close it, or use `with`."""
    file = _load.find(Path(folder))
    return Context(_load.load(file, overrides), file, listener)


def check(
    folder: str | Path = ".", overrides: Sequence[str] = (), *, run_plugins: bool = False, remote: bool = False
) -> list[_check.Finding]:
    """Validate the project file and look at the machine. Raises ConfigError when the file itself is wrong.

    The project's own plug-ins are parsed, not run, unless `run_plugins` says so. `remote` asks every remote model once.
    """
    file = _load.find(Path(folder))
    return _check.check(_load.load(file, overrides), file, run_plugins=run_plugins, remote=remote)


def json_schema() -> dict[str, Any]:
    """The JSON schema of `slipway.yaml`."""
    return _load.json_schema()


def run(project: Context, until: _run.Stage = "release") -> _run.Outcome:
    """Bring the project up to date, up to a stage; a step whose inputs, config and code are unchanged is not run."""
    return _run.run(project, until)


def watch(
    folder: str | Path = ".",
    overrides: Sequence[str] = (),
    stages: Sequence[str] = (),
    *,
    every: float = 5.0,
    quiet: float = 15.0,
    say: Callable[[str], None] = print,
) -> _watch.Watch:
    """What runs a project again when its documents or examples change; `Watch.run` does so until it is told to stop.

    `every`: seconds between two looks, longer where looking takes longer; `quiet`: seconds without a change before a
    run, which is a child process.
    """
    file = _load.find(Path(folder)).resolve()
    _load.load(file, overrides)
    options = _watch.Options(every=every, quiet=quiet, stages=tuple(stages), overrides=tuple(overrides))
    return _watch.Watch(file, options, say)


def runs(project: Context, limit: int = 50) -> list[Run]:
    """Executed steps, newest first; what is kept as running and whose process is gone is interrupted."""
    found, catalog = project.store.catalog.runs(limit), project.store.catalog
    if all(one.status != "running" for one in found):
        return found
    now = seen(project.store.folder)
    if now is not None and now.alive:
        return found
    here = catalog.database.kind == "sqlite"  # else it may be at work on another machine
    mine = now.doing.run if now is not None else ""
    return [ended(one) if one.status == "running" and (here or one.id == mine) else one for one in found]


def ask(
    project: Context, text: str, candidate: str | None = None, channel: str | None = None, *, now: bool = False
) -> Answer:
    """One answer from a candidate by name, or from what a channel serves, by default the project's own.

    `now`: a quote found by words alone, from the documents as they are, before anything was embedded or measured; while
    a run is at work, from the documents that it has read. Raises Busy when it is still reading them.
    """
    if now:
        if candidate is not None or channel is not None:
            raise ConfigError(
                t("--now asks no candidate and no channel"), t("leave out --now, or --candidate and --channel")
            )
        chosen = _run.by_words(project)
    elif candidate is None:
        chosen = candidate_of(project, find(project, "release", channel or project.project.serve.channel))
    else:
        chosen = _newest_candidate(project, candidate)
    with reporting("tasks", chosen.task):
        input = project.session.task(chosen).conversation([{"role": "user", "content": text}])
    return project.wait(_answer(chosen, input, project.session))


def _newest_candidate(project: Context, name: str) -> Candidate:
    found = project.store.catalog.list("candidate", Candidate, name)
    if not found:
        raise ConfigError(t("the candidate '{name}' has not been made yet", name=name), "slipway run adapt")
    return found[0][1]


def serve(
    project: Context,
    host: str | None = None,
    port: int | None = None,
    ready: Callable[[str], None] | None = None,
    console: Callable[[Any], Any] | None = None,
) -> None:
    """Serve the project's channels until SIGTERM or Ctrl-C; `ready` is told the base URL once it answers. `console`:
    what makes the pages under `/console`, such as `slipway.console.routes.make_console(project)`.
    """
    from slipway.loop.serving import serve as _serve

    _serve(project, host, port, ready, console)
