"""The commands and their options. Each imports `api` only when it runs, so that --help stays quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from slipway.cli import terminal
from slipway.cli.groups import GROUPS
from slipway.cli.keep import store_app
from slipway.cli.options import HERE, NONE, Channel, Host, Json, Limit, Port, Project, Set, open_project
from slipway.i18n import t

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help=t("From documents and questions to a measured, gated release that answers over the OpenAI API."),
)  # fmt: skip


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help=t("Print the version."))] = False,
    lang: Annotated[str, typer.Option("--lang", help=t("Language of messages, help and reports: en or zh."))] = "",
) -> None:
    """Options that stand before the command."""
    if version:
        from slipway import __version__

        terminal.out(__version__)
    elif context.invoked_subcommand is None:
        terminal.block(context.get_help())


@app.command(help=t("Scaffold a project that runs as it is."))
def init(
    folder: Annotated[Path, typer.Argument(help=t("A new or empty folder."))],
    template: Annotated[
        str,
        typer.Option(help=t("docs-assistant, remote-model, or plug-in for a package of plug-ins.")),
    ] = "docs-assistant",
) -> None:
    """Write the files of a template."""
    from slipway import api

    for path in api.init(folder, template):
        terminal.out(path)
    terminal.out(t("next: cd {folder} && slipway up", folder=folder))


@app.command(help=t("Validate the project file and this machine; say how to mend each finding."))
def check(
    project: Project = HERE,
    set_: Set = NONE,
    json: Json = False,
    run_plugins: Annotated[
        bool, typer.Option("--plugins", help=t("Also import the project's own plug-ins, which runs their code."))
    ] = False,
) -> None:
    """Exit code 2 when something stops a run."""
    from slipway import api
    from slipway.cli import show

    found = api.check(project, set_, run_plugins=run_plugins)
    show.findings(found, json=json)
    if any(finding.level == "error" for finding in found):
        raise typer.Exit(2)


@app.command(help=t("Bring everything up to date, or everything up to a stage: data, adapt, evaluate, release."))
def run(
    stage: Annotated[list[str] | None, typer.Argument(help=t("Stages; the furthest one counts."))] = None,
    project: Project = HERE,
    set_: Set = NONE,
    json: Json = False,
) -> int:
    """Exit code 1 when the gate said no."""
    return _run(project, set_, stage or [], json=json)


def _run(project: Path, overrides: list[str], stages: list[str], *, json: bool) -> int:
    from slipway import api
    from slipway.cli import show
    from slipway.cli.progress import listener

    until = _stage(stages)
    with listener() as listening, open_project(project, overrides, listening) as opened:
        outcome = api.run(opened, until)
    show.outcome(outcome, json=json)
    return 1 if outcome.refused else 0


def _stage(stages: list[str]) -> Any:
    from slipway.errors import ConfigError, nearest
    from slipway.loop.run import STAGES

    for stage in stages:
        if stage not in STAGES:
            near = nearest(stage, STAGES)
            raise ConfigError(
                t("no stage is called '{name}'", name=stage),
                t("did you mean '{near}'?", near=near) if near else t("known: {names}", names=", ".join(STAGES)),
            )
    return max(stages, key=lambda s: STAGES.index(s)) if stages else STAGES[-1]  # pyright: ignore[reportArgumentType]


@app.command(help=t("Serve the project's channels over HTTP until stopped."))
def serve(project: Project = HERE, set_: Set = NONE, host: Host = None, port: Port = None) -> None:
    """Ctrl-C or SIGTERM lets running requests finish, then ends."""
    from slipway import api
    from slipway.cli.progress import Plain

    with open_project(project, set_, Plain()) as opened:
        api.serve(opened, host, port, lambda url: _tell(opened, url))


@app.command(help=t("run, then serve: from nothing to answers."))
def up(
    folder: Annotated[Path, typer.Argument(help=t("The project's folder."))] = HERE,
    set_: Set = NONE,
    host: Host = None,
    port: Port = None,
    once: Annotated[bool, typer.Option("--once", help=t("Stop after one sample question through the API."))] = False,
) -> int:
    """A release that still serves is served even when the gate refuses a newer candidate."""
    from slipway import api
    from slipway.cli.progress import Plain
    from slipway.cli.sample import ask_and_stop

    code = _run(folder, set_, [], json=False)
    with open_project(folder, set_, Plain()) as opened:
        if code and opened.project.serve.channel not in opened.store.catalog.channels():
            return code
        ready = (lambda url: ask_and_stop(opened, url)) if once else (lambda url: _tell(opened, url))
        api.serve(opened, host, port, ready)
    return code


def _tell(opened: Any, url: str) -> None:
    from slipway.cli.sample import curl

    terminal.out(t("serving {name} at {url}; try:", name=opened.project.name, url=url))
    terminal.out(curl(opened, url))


@app.command(help=t("Ask one question without a server."))
def ask(
    text: Annotated[str, typer.Argument(help=t("What to ask."))],
    candidate: Annotated[str | None, typer.Option(help=t("A candidate; default what the channel serves."))] = None,
    channel: Channel = None,
    project: Project = HERE,
    set_: Set = NONE,
    json: Json = False,
) -> None:
    """The answer, and the passages it rests on."""
    from slipway import api
    from slipway.cli import show

    with open_project(project, set_) as opened:
        show.answer(api.ask(opened, text, candidate, channel), json=json)


@app.command(help=t("Print the JSON schema of slipway.yaml."))
def schema() -> None:
    """For editors that complete and check YAML."""
    from slipway import api

    terminal.json(api.json_schema())


@app.command(help=t("Executed steps, newest first."))
def runs(project: Project = HERE, limit: Limit = 20, json: Json = False) -> None:
    """What was run, when, for how long, and how it ended."""
    from slipway import api
    from slipway.cli import show

    with open_project(project, []) as opened:
        show.runs(api.runs(opened, limit), json=json)


GROUPS["store"] = store_app
for name, group in GROUPS.items():
    app.add_typer(group, name=name)
