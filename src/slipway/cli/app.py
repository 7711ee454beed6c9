"""The commands and their options. Each imports `api` only when it runs, so that --help stays quick."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slipway.cli import choosing, dashboards, improving, monitoring, terminal
from slipway.cli.groups import GROUPS
from slipway.cli.options import HERE, NONE, Channel, Host, Limit, Port, Project, Quiet, Set, open_project
from slipway.cli.report import command
from slipway.i18n import t
from slipway.render.document import Document

if TYPE_CHECKING:
    from slipway.loop.context import Context
    from slipway.loop.run import Outcome, Stage

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
        typer.Option(
            help=t(
                "small, local or remote, which answer questions; classify; extract; or plug-in, for a package of them."
            )
        ),
    ] = "small",
) -> None:
    """Write the files of a template."""
    from slipway import api
    from slipway.project.scaffold import RENAMED

    for path in api.init(folder, template):
        terminal.out(path)
    if template in RENAMED:
        terminal.warn(t("the template '{old}' is called '{new}' now", old=template, new=RENAMED[template]))
    here = folder.resolve() == Path.cwd()
    terminal.out(
        t("next: slipway up") if here else t("next: cd {folder} && slipway up", folder=shlex.quote(str(folder)))
    )


@command(app, "check", help=t("Validate the project file and this machine; say how to fix each finding."))
def check(
    project: Project = HERE,
    set_: Set = NONE,
    run_plugins: Annotated[
        bool, typer.Option("--plugins", help=t("Also import the project's own plug-ins, which runs their code."))
    ] = False,
    remote: Annotated[
        bool,
        typer.Option(
            "--remote", help=t("Also ask each remote model once, and estimate what a run will cost before it is run.")
        ),
    ] = False,
) -> tuple[Document, int]:
    """Exit code 2 when something stops a run."""
    from slipway import api
    from slipway.render.pages.work import findings

    found = api.check(project, set_, run_plugins=run_plugins, remote=remote)
    return findings(found), 2 if any(finding.level == "error" for finding in found) else 0


@command(
    app, "run", rows=False,
    help=t("Bring everything up to date, or everything up to a stage: data, adapt, evaluate, release."),
)  # fmt: skip
def run(
    stage: Annotated[list[str] | None, typer.Argument(help=t("Stages; the furthest one counts."))] = None,
    project: Project = HERE,
    set_: Set = NONE,
    sample: Annotated[
        int | None, typer.Option(help=t("A first look: only so many documents; nothing is released."), min=1)
    ] = None,
) -> tuple[Document, int]:
    """Exit code 1 when the gate said no, 4 when what serves is damaged."""
    from slipway.render.pages.work import outcome

    overrides = [*set_, *([f"data.sample={sample}"] if sample is not None else [])]
    found = _run(project, overrides, stage or (["evaluate"] if sample is not None else []))
    return outcome(found), _code(found)


def _code(found: Outcome) -> int:
    return 4 if found.damage else 1 if found.refused else 0


def _run(project: Path, overrides: list[str], stages: list[str]) -> Outcome:
    from slipway import api
    from slipway.cli.progress import listener

    until = _stage(stages)
    with listener() as listening, open_project(project, overrides, listening) as opened:
        found = api.run(opened, until)
    _tell_broken(found)
    return found


def _tell_broken(found: Outcome) -> None:
    """Rows that a person wrote and nothing measures, where they are not overlooked."""
    from slipway.data.losses import BROKEN

    for loss in found.losses:
        if loss.reason in BROKEN:
            items = ", ".join(loss.items)
            terminal.warn(t("{n} rows were left out: {what}: {items}", n=loss.count, what=loss.what, items=items))


def _stage(stages: list[str]) -> Stage:
    from slipway.errors import ConfigError, instead
    from slipway.loop.run import STAGES

    for stage in stages:
        if stage not in STAGES:
            raise ConfigError(t("no stage is called '{name}'", name=stage), instead(stage, STAGES))
    return STAGES[max((place for place, stage in enumerate(STAGES) if stage in stages), default=len(STAGES) - 1)]


@app.command(help=t("Run again whenever documents or examples change, until stopped."))
def watch(
    stage: Annotated[list[str] | None, typer.Argument(help=t("Stages; the furthest one counts."))] = None,
    project: Project = HERE,
    set_: Set = NONE,
    every: Annotated[float, typer.Option(help=t("Seconds between two looks at the files."), min=0.2)] = 5.0,
    quiet: Quiet = 15.0,
) -> None:
    """Ctrl-C or SIGTERM stops a run in progress as Ctrl-C does, then ends."""
    from slipway import api
    from slipway.cli.watching import until_stopped

    _stage(stage or [])
    until_stopped(api.watch(project, set_, stage or [], every=every, quiet=quiet, say=terminal.warn))


@app.command(help=t("Serve the project's channels over HTTP until stopped."))
def serve(project: Project = HERE, set_: Set = NONE, host: Host = None, port: Port = None) -> None:
    """Ctrl-C or SIGTERM lets running requests finish, then ends."""
    from slipway import api
    from slipway.cli.progress import Plain
    from slipway.console.routes import make_console

    with open_project(project, set_, Plain()) as opened, monitoring.monitored(opened, set_):
        api.serve(opened, host, port, lambda url: _tell(opened, url), make_console(opened))


@app.command(help=t("Say where the project's console is; serve it where no server does yet."))
def console(
    project: Project = HERE,
    set_: Set = NONE,
    host: Host = None,
    port: Port = None,
    open_: Annotated[bool, typer.Option("--open", help=t("Also open it in this machine's browser."))] = False,
) -> None:
    """The console is a part of the server: there is never a second process beside it."""
    from slipway import api
    from slipway.cli import console as where
    from slipway.cli.progress import Plain
    from slipway.console.routes import make_console

    def tell(url: str) -> None:
        terminal.out(t("the console is at {url}", url=f"{url}/console"))
        if open_:
            import webbrowser

            webbrowser.open(f"{url}/console")

    with open_project(project, set_, Plain()) as opened:
        config = opened.project.serve
        at = host or config.host, config.port if port is None else port
        if at[1] and where.served(opened.project.name, *at):
            tell(where.address(*at))
        else:
            api.serve(opened, host, port, tell, make_console(opened))


@app.command(help=t("run, then serve: from nothing to answers."))
def up(
    folder: Annotated[Path, typer.Argument(help=t("The project's folder."))] = HERE,
    set_: Set = NONE,
    host: Host = None,
    port: Port = None,
    once: Annotated[bool, typer.Option("--once", help=t("Stop after one sample question through the API."))] = False,
    watched: Annotated[
        bool, typer.Option("--watch", help=t("Run again, beside serving, whenever documents or examples change."))
    ] = False,
    quiet: Quiet = 15.0,
) -> int:
    """A release that still serves is served even when the gate refuses a newer candidate."""
    from slipway import api
    from slipway.cli.progress import Plain
    from slipway.cli.sample import Once
    from slipway.cli.watching import beside
    from slipway.console.routes import make_console
    from slipway.render.pages.work import outcome

    watch = api.watch(folder, set_, quiet=quiet, say=terminal.warn) if watched else None
    seen = watch.look() if watch else None
    found = _run(folder, set_, [])
    terminal.show(outcome(found))
    code = _code(found)
    with open_project(folder, set_, Plain()) as opened:
        if code and opened.project.serve.channel not in api.history(opened).channels:
            return code
        first = Once(opened) if once else None
        with beside(watch, seen), monitoring.monitored(opened, set_):
            api.serve(opened, host, port, first or partial(_tell, opened), make_console(opened))
        if first:
            first.check()
    return code


def _tell(opened: Context, url: str) -> None:
    from slipway.cli.sample import curl

    terminal.out(t("serving {name} at {url}; try:", name=opened.project.name, url=url))
    terminal.out(curl(opened, url))
    terminal.out(t("the console is at {url}", url=f"{url}/console"))


@command(app, "ask", help=t("Ask one question without a server."), rows=False)
def ask(
    text: Annotated[str, typer.Argument(help=t("What to ask."))],
    candidate: Annotated[str | None, typer.Option(help=t("A candidate; default what the channel serves."))] = None,
    channel: Channel = None,
    now: Annotated[
        bool, typer.Option("--now", help=t("Quote the documents by their words alone: no model, nothing measured."))
    ] = False,
    project: Project = HERE,
    set_: Set = NONE,
) -> Document:
    """The answer, and the passages it rests on."""
    from slipway import api
    from slipway.render.pages.served import answer

    with open_project(project, set_) as opened:
        return answer(api.ask(opened, text, candidate, channel, now=now), unmeasured=now)


@command(
    app,
    "bundle",
    rows=False,
    help=t("Write the project with all it runs on into one archive, for a machine without internet."),
)
def bundle(
    file: Annotated[Path, typer.Argument(help=t("The file to write; must not exist."))],
    wheels: Annotated[
        Path | None, typer.Option(help=t("A folder of wheels to take; default: pip fetches them."))
    ] = None,
    state: Annotated[bool, typer.Option(help=t("Also releases, traces and feedback."))] = True,
    project: Project = HERE,
    set_: Set = NONE,
) -> Document:
    """Packages in the versions that are installed, models, files, state."""
    from slipway import api
    from slipway.render.pages.state import bundled

    with open_project(project, set_) as opened:
        return bundled(api.bundle(opened, file, wheels=wheels, state=state))


@app.command(help=t("Write the report that is sent: data, candidates, verdict, costs, every answer, limits; one file."))
def report(
    file: Annotated[Path, typer.Argument(help=t("A new file that ends in .html or .md."))] = Path("report.html"),
    split: Annotated[str, typer.Option(help=t("Whose questions are shown; a look at gate is counted."))] = "dev",
    volume: Annotated[float | None, typer.Option(help=t("Queries a month, for the costs."), min=0)] = None,
    limit: Annotated[int, typer.Option(help=t("Questions that are shown."), min=0)] = 300,
    project: Project = HERE,
    set_: Set = NONE,
) -> None:
    """Of the project as it was last run; in the language of --lang."""
    from slipway import api
    from slipway.cli.progress import listener

    with listener() as listening, open_project(project, set_, listening) as opened:
        written = api.report(opened, file, split=split, volume=volume, limit=limit)
    terminal.out(t("written: {path}", path=written))


@app.command(help=t("Print the JSON schema of slipway.yaml."))
def schema() -> None:
    """For editors that complete and check YAML."""
    from slipway import api

    terminal.show(Document(api.json_schema()), "json")


@command(app, "runs", help=t("Executed steps, newest first."))
def runs(project: Project = HERE, limit: Limit = 20) -> Document:
    """What was run, when, for how long, and how it ended."""
    from slipway import api
    from slipway.render.pages import work

    with open_project(project) as opened:
        return work.runs(api.runs(opened, limit))


command(app, "bench", help=t("Ask models with prompts: quality on dev, tokens a second, memory, cost; one table."))(
    choosing.bench
)

improving.add(app)
dashboards.add(app)
monitoring.add(app)
for name, group in GROUPS.items():
    app.add_typer(group, name=name)
