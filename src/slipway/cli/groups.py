"""The commands of two words: data, models, eval, gate, release, traces, feedback, keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from slipway.cli import terminal
from slipway.cli.options import HERE, NONE, Channel, Json, Limit, Project, Set, Why, open_project
from slipway.i18n import t

Redact = Literal["off", "mask", "hash"]
GROUPS: dict[str, typer.Typer] = {}


def _group(name: str, help: str) -> typer.Typer:
    group = typer.Typer(no_args_is_help=True, help=help, rich_markup_mode=None)
    GROUPS[name] = group
    return group


data_app = _group("data", t("Datasets: list, look into, compare."))
models_app = _group("models", t("Models on this machine: pull, list, show, remove."))
eval_app = _group("eval", t("Reports: list, show, compare candidates."))
gate_app = _group("gate", t("The gate split: looks at it, and a fresh one from the reserve."))
release_app = _group("release", t("Releases: list, show, compare, promote, roll back, verify."))
traces_app = _group("traces", t("Served requests: list, show, export."))
feedback_app = _group("feedback", t("What users said of answers."))
keys_app = _group("keys", t("API keys: create, list, revoke."))


# data ----------------------------------------------------------------------------------------------------------
@data_app.command("list", help=t("Datasets, newest first."))
def data_list(project: Project = HERE, json: Json = False) -> None:
    """Name, size and counts."""
    from slipway import api
    from slipway.cli import show

    with open_project(project, []) as opened:
        show.datasets(api.datasets(opened), json=json)


@data_app.command("show", help=t("What is in a dataset, and what was dropped or changed on the way, with reasons."))
def data_show(
    name: Annotated[str, typer.Argument(help=t("documents, chunks, examples, or a digest; name~1 is the one before."))],
    changes: Annotated[bool, typer.Option("--changes", help=t("List each dropped or changed item."))] = False,
    reason: Annotated[str | None, typer.Option(help=t("Only changes with this reason."))] = None,
    limit: Limit = 20,
    project: Project = HERE,
    json: Json = False,
) -> None:
    """Items, or changes."""
    from slipway import api
    from slipway.cli import show

    with open_project(project, []) as opened:
        if changes or reason:
            show.changes(api.changes(opened, name, reason), limit, json=json)
        else:
            dataset = api.find(opened, "dataset", name)
            show.dataset(dataset, api.items(opened, dataset, limit), api.changes(opened, name), json=json)


@data_app.command("diff", help=t("What differs between two datasets, e.g. documents~1 documents."))
def data_diff(
    before: Annotated[str, typer.Argument(help=t("A dataset's name or digest."))],
    after: Annotated[str, typer.Argument(help=t("Another of the same kind."))],
    limit: Limit = 50,
    project: Project = HERE,
    json: Json = False,
) -> None:
    """Added, removed, changed."""
    from slipway import api
    from slipway.cli import show

    with open_project(project, []) as opened:
        show.difference(api.diff(opened, "dataset", before, after), limit, json=json)


# models --------------------------------------------------------------------------------------------------------
@models_app.command("pull", help=t("Fetch, check, quantise and pin every model of the project."))
def models_pull(project: Project = HERE, set_: Set = NONE, json: Json = False) -> None:
    """Does nothing for models that are here."""
    from slipway import api
    from slipway.cli import show
    from slipway.cli.progress import listener

    with listener() as listening, open_project(project, set_, listening) as opened:
        pins = api.pull_models(opened)
    show.pins(pins, json=json)


@models_app.command("list", help=t("Models in this user's cache folder."))
def models_list(json: Json = False) -> None:
    """Source, size, licence."""
    from slipway import api
    from slipway.cli import show

    show.models(api.models(), json=json)


@models_app.command("show", help=t("One model: its files, re-hashed."))
def models_show(name: Annotated[str, typer.Argument(help=t("Source or name."))], json: Json = False) -> None:
    """Exit code 4 when its bytes changed."""
    from slipway import api
    from slipway.cli import show

    show.model(api.models(name), json=json)


@models_app.command("rm", help=t("Delete a model from the cache folder."))
def models_rm(name: Annotated[str, typer.Argument(help=t("Source or name."))], json: Json = False) -> None:
    """What was derived from it goes too."""
    from slipway import api
    from slipway.cli import show

    show.models(api.remove_model(name), json=json)


# evaluation ----------------------------------------------------------------------------------------------------
@eval_app.callback(invoke_without_command=True)
def eval_root(
    context: typer.Context,
    compare: Annotated[tuple[str, str] | None, typer.Option(help=t("Two candidates: champion and challenger."))] = None,
    metric: Annotated[str | None, typer.Option(help=t("Default: the first of evaluate.metrics."))] = None,
    split: Annotated[str, typer.Option(help=t("dev, or gate: every look at gate is counted."))] = "dev",
    project: Project = HERE,
    set_: Set = NONE,
    json: Json = False,
) -> None:
    """`slipway eval --compare A B`: the paired effect with its interval, and the examples that changed most."""
    if context.invoked_subcommand is not None:
        return
    if compare is None:
        terminal.block(context.get_help())
        return
    from slipway import api
    from slipway.cli import show
    from slipway.cli.progress import listener

    with listener() as listening, open_project(project, set_, listening) as opened:
        found = api.compare(opened, compare[0], compare[1], metric, split)
    show.comparison(compare, *found, json=json)


@eval_app.command("list", help=t("Reports, newest first."))
def eval_list(
    split: Annotated[str | None, typer.Option(help=t("Only dev, or only gate."))] = None,
    project: Project = HERE,
    json: Json = False,
) -> None:
    """Metrics with their 95% intervals."""
    from slipway import api
    from slipway.cli import show

    with open_project(project, []) as opened:
        show.reports(api.reports(opened, split), json=json)


@eval_app.command("show", help=t("One report, with every example's question, answer and scores."))
def eval_show(
    candidate: Annotated[str, typer.Argument(help=t("A candidate's name, or a report's digest."))],
    split: Annotated[str, typer.Option(help=t("dev or gate."))] = "dev",
    limit: Limit = 10,
    project: Project = HERE,
    json: Json = False,
) -> None:
    """Per language too."""
    from slipway import api
    from slipway.cli import show

    with open_project(project, []) as opened:
        report = api.find(opened, "report", candidate, split)
        show.report(report, api.items(opened, report), limit, json=json)


# gate ----------------------------------------------------------------------------------------------------------
@gate_app.command("looks", help=t("Every look at the present gate examples, and what the next one takes."))
def gate_looks(project: Project = HERE, json: Json = False) -> None:
    """When, who, what was looked at."""
    from slipway import api
    from slipway.cli import show

    with open_project(project, []) as opened:
        show.looks(api.gate_looks(opened), opened.project.release.looks, json=json)


@gate_app.command("rotate", help=t("Make the reserve the gate split; what was the gate becomes dev."))
def gate_rotate(project: Project = HERE, json: Json = False) -> None:
    """Looks are counted anew for examples that nobody has looked at."""
    from slipway import api
    from slipway.cli import show

    with open_project(project, []) as opened:
        made = api.rotate_gate(opened)
    show.rotated(made, json=json)


# releases ------------------------------------------------------------------------------------------------------
@release_app.command("list", help=t("Releases, newest first, with the channels that point at them."))
def release_list(project: Project = HERE, json: Json = False) -> None:
    """Digest, candidate, who, when."""
    from slipway import api
    from slipway.cli import show

    with open_project(project, []) as opened:
        catalog = opened.store.catalog
        show.releases(api.releases(opened), catalog.history(), catalog.head(), json=json)


Which = Annotated[str, typer.Argument(help=t("A channel, a digest, or name@digest."))]


@release_app.command("show", help=t("One release: what it pins and the verdict it stands on."))
def release_show(release: Which, project: Project = HERE, json: Json = False) -> None:
    """The manifest."""
    from slipway import api
    from slipway.cli import show

    with open_project(project, []) as opened:
        show.release(api.find(opened, "release", release), api.verdict(opened, release), json=json)


@release_app.command("verdict", help=t("The gate's newest verdict, or a release's, rule by rule."))
def release_verdict(
    release: Annotated[str | None, typer.Argument(help=t("A channel, a digest, or name@digest."))] = None,
    project: Project = HERE,
    json: Json = False,
) -> None:
    """Why it passed, failed, or could not tell."""
    from slipway import api
    from slipway.cli import show

    with open_project(project, []) as opened:
        show.verdict(api.verdict(opened, release), json=json)


@release_app.command("diff", help=t("What differs between two releases."))
def release_diff(before: Which, after: Which, project: Project = HERE, json: Json = False) -> None:
    """Prompt, model, retrieval, digests."""
    from slipway import api
    from slipway.cli import show

    with open_project(project, []) as opened:
        show.release_difference(api.diff(opened, "release", before, after), json=json)


@release_app.command("promote", help=t("Verify a release and point a channel at it."))
def release_promote(release: Which, channel: Channel = None, why: Why = "", project: Project = HERE) -> None:
    """Atomic, and recorded with who, when and why."""
    from slipway import api

    with open_project(project, []) as opened:
        changed = api.promote(opened, release, channel, why)
        channel = channel or opened.project.serve.channel
    now = t("{channel} now points at {release}", channel=channel, release=release)
    terminal.out(now if changed else t("{channel} already points there", channel=channel))


@release_app.command("rollback", help=t("Point a channel at the release before."))
def release_rollback(channel: Channel = None, why: Why = "", project: Project = HERE) -> None:
    """Recorded like a promotion."""
    from slipway import api

    with open_project(project, []) as opened:
        release = api.rollback(opened, channel, why)
        channel = channel or opened.project.serve.channel
    terminal.out(t("{channel} now points at {release}", channel=channel, release=release.ref.short))


@release_app.command("verify", help=t("Re-hash all that a release pins, and follow the history of what was decided."))
def release_verify(
    release: Annotated[
        str | None, typer.Argument(help=t("A channel, a digest, or name@digest; without one, only the history."))
    ] = None,
    head: Annotated[str, typer.Option(help=t("A head of the history that was printed earlier and kept."))] = "",
    project: Project = HERE,
    json: Json = False,
) -> None:
    """Exit code 4 at a single flipped bit."""
    from slipway import api
    from slipway.cli import show

    with open_project(project, []) as opened:
        done = t("every byte is what the release pins") if release else t("the history is what was entered")
        show.lines(api.verify(opened, release, head), done, json=json)


# traces, feedback, keys ----------------------------------------------------------------------------------------
@traces_app.command("list", help=t("Served requests, newest first."))
def traces_list(limit: Limit = 20, channel: Channel = None, project: Project = HERE, json: Json = False) -> None:
    """When, what answered, status, seconds."""
    from slipway import api
    from slipway.cli import show

    with open_project(project, []) as opened:
        show.traces(api.traces(opened, limit, channel), json=json)


@traces_app.command("show", help=t("One served request, what answered it, and its feedback."))
def traces_show(
    id: Annotated[str, typer.Argument(help=t("From the header x-slipway-trace."))],
    project: Project = HERE,
    json: Json = False,
) -> None:
    """Request, answer, citations, cost."""
    from slipway import api
    from slipway.cli import show

    with open_project(project, []) as opened:
        show.trace(*api.trace(opened, id), json=json)


@traces_app.command("export", help=t("Write traces with their feedback as JSON lines."))
def traces_export(
    file: Annotated[Path, typer.Argument(help=t("The file to write; must not exist."))],
    limit: Limit = 100_000,
    redact: Annotated[
        Redact | None,
        typer.Option(help=t("Personal data: off, mask or hash; default serve.redact, else mask.")),
    ] = None,
    project: Project = HERE,
) -> None:
    """Oldest first."""
    from slipway import api

    with open_project(project, []) as opened:
        n = api.export_traces(opened, file, limit, redact)
    terminal.out(t("{n} traces written to {file}", n=n, file=file))


@feedback_app.command("list", help=t("What users said, newest first."))
def feedback_list(limit: Limit = 20, project: Project = HERE, json: Json = False) -> None:
    """Thumbs, scores, corrections, comments."""
    from slipway import api
    from slipway.cli import show

    with open_project(project, []) as opened:
        show.feedback(api.feedback(opened, limit), json=json)


@keys_app.command("create", help=t("Make an API key; it is shown once and kept only as a hash."))
def keys_create(
    name: Annotated[str, typer.Argument(help=t("Who will use it."))],
    scope: Annotated[
        list[str] | None, typer.Option(help=t("What it is for: ask, read or admin; may be given again. All of it."))
    ] = None,
    tenant: Annotated[str, typer.Option(help=t("Whose traces it makes, in a project with several tenants."))] = "",
    project: Project = HERE,
) -> None:
    """The secret goes to standard output."""
    from slipway import api

    with open_project(project, []) as opened:
        id, secret = api.create_key(opened, name, scope or (), tenant)
    terminal.warn(t("key {id}; it will not be shown again:", id=id))
    terminal.out(secret)


@keys_app.command("list", help=t("Keys: who, when, revoked or not."))
def keys_list(project: Project = HERE, json: Json = False) -> None:
    """Never the secrets: they are not kept."""
    from slipway import api
    from slipway.cli import show

    with open_project(project, []) as opened:
        show.keys(api.keys(opened), json=json)


@keys_app.command("revoke", help=t("Make a key useless, at once."))
def keys_revoke(
    id: Annotated[str, typer.Argument(help=t("From `slipway keys list`."))], project: Project = HERE
) -> None:
    """Raises NotFound when there is no such key."""
    from slipway import api

    with open_project(project, []) as opened:
        api.revoke_key(opened, id)
    terminal.out(t("key {id} is revoked", id=id))
