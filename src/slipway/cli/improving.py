"""`slipway improve` and `slipway simulate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from slipway.cli import terminal
from slipway.cli.options import HERE, NONE, Project, Set, open_project
from slipway.cli.picture import Picture, check_picture, with_picture
from slipway.cli.report import command
from slipway.i18n import t
from slipway.render.document import Document

Change = Literal["new-topic", "language-shift", "slower", "worse", "spam"]

if TYPE_CHECKING:
    from slipway.loop.improve.record import Turn


def add(app: typer.Typer) -> None:
    """Make them commands of `app`."""
    told = t("One turn: feedback becomes rows, rows become candidates, and the gate lets a better one through.")
    command(app, "improve", help=told)(improve)
    told = t("Ask what serves the questions of a file with references, and say of the answers what users would.")
    command(app, "simulate", help=told)(simulate)


def improve(
    folder: Annotated[Path, typer.Argument(help=t("The project's folder."))] = HERE,
    set_: Set = NONE,
    budget: Annotated[
        str | None, typer.Option(help=t("What a turn may take: 10m, 2h, or 5 CNY; default improve.budget."))
    ] = None,
    turns: Annotated[int, typer.Option(help=t("So many turns, or until one releases nothing."), min=1)] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=t("Say what would be tried, and do nothing."))] = False,
    shared: Annotated[
        list[str], typer.Option(help=t("A key, by id or name, behind which many people ask; may be given again."))
    ] = NONE,
) -> tuple[Document, int]:
    """Exit code 1 when the gate said no or its split is used up."""
    from slipway.loop.improve.record import REFUSED
    from slipway.render.pages.improving import turn

    found = _turn(folder, set_, budget, dry_run, shared)
    for _ in range(turns - 1):
        if found.ended != "released":
            break
        terminal.warn(found.why)
        found = _turn(folder, set_, budget, dry_run, shared)
    return turn(found), 1 if found.ended in REFUSED else 0


def _turn(folder: Path, overrides: list[str], budget: str | None, dry_run: bool, shared: list[str]) -> Turn:
    from slipway import api
    from slipway.cli.progress import listener

    with listener() as listening, open_project(folder, overrides, listening) as opened:
        return api.improve(opened, budget, dry_run=dry_run, shared=shared)


def simulate(
    pool: Annotated[
        Path, typer.Option("--from", help=t("Questions with references, as examples have them; none of the project's."))
    ],
    requests: Annotated[int, typer.Option(min=1, help=t("How many, in each turn."))] = 100,
    noise: Annotated[float, typer.Option(min=0, max=1, help=t("The share of what is said that is mistaken."))] = 0.1,
    adversarial: Annotated[
        float,
        typer.Option(min=0, max=1, help=t("The share of users who praise what is wrong and blame what is right.")),
    ] = 0.0,
    corrections: Annotated[
        float, typer.Option(min=0, max=1, help=t("Of those who are not content, the share who write what is right."))
    ] = 0.5,
    said: Annotated[float, typer.Option(min=0, max=1, help=t("The share of answers of which anything is said."))] = 1.0,
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, help=t("Requests a second, at random moments; default no pause.")),
    ] = None,
    seed: Annotated[int, typer.Option(help=t("For all that is random."))] = 7,
    url: Annotated[str, typer.Option(help=t("A running server of the project; default ask the channel here."))] = "",
    key_env: Annotated[str, typer.Option(help=t("The environment variable that holds an API key for it."))] = "",
    turns: Annotated[
        int, typer.Option(min=0, help=t("So many turns of simulate and improve, and the learning curve."))
    ] = 0,
    budget: Annotated[str | None, typer.Option(help=t("Of a turn of improve."))] = None,
    drift: Annotated[
        Change | None,
        typer.Option(help=t("What changes on the way: new-topic, language-shift, slower, worse or spam.")),
    ] = None,
    drift_since: Annotated[
        float, typer.Option(min=0, max=1, help=t("The share of the requests after which it changes."))
    ] = 0.5,
    drift_strength: Annotated[
        float, typer.Option(min=0, max=1, help=t("The share of the requests that it changes."))
    ] = 0.5,
    drift_from: Annotated[
        Path | None, typer.Option(help=t("Questions with references of another topic, for new-topic."))
    ] = None,
    days: Annotated[
        float,
        typer.Option(min=0, max=366, help=t("Days up to now that the traffic is entered for; default it comes now.")),
    ] = 0.0,
    languages: Annotated[
        str | None,
        typer.Option(help=t("Shares of the users by language, as en=0.8,zh=0.2; default as the file has them.")),
    ] = None,
    picture: Picture = None,
    project: Project = HERE,
    set_: Set = NONE,
) -> Document:
    """Writes traces and feedback into the project, as users do: try it in a copy of a project that has real ones."""
    from slipway import api
    from slipway.cli.progress import listener
    from slipway.errors import ConfigError
    from slipway.loop.drift import Drift
    from slipway.loop.simulate import Asked, Traffic
    from slipway.render.pages import improving, simulated

    check_picture(picture)
    if url and turns:
        raise ConfigError(t("--turns asks the channel here"), t("leave --url away, or leave --turns away"))
    if turns and (drift or days):
        raise ConfigError(
            t("--turns draws a learning curve, for which nothing changes on the way"),
            t("leave --drift and --days away"),
        )
    if url and days:
        raise ConfigError(t("a server enters what it is asked for now"), t("leave --days away, or leave --url away"))
    if key_env and not os.environ.get(key_env):
        raise ConfigError(t("the environment variable {name} is not set", name=key_env))
    traffic = Traffic(requests, seed, rate, said, corrections, noise, adversarial, _shares(languages))
    with listener() as listening:
        if turns:
            found = api.learning_curve(
                project, pool, traffic, turns, budget, set_, listening,
                told=lambda curve: listening.say(improving.point(curve)),
            )  # fmt: skip
            return with_picture(improving.curve(found), picture, lambda: improving.picture(found))
        with open_project(project, set_, listening) as opened:
            changing = Drift(drift, drift_since, drift_strength, days)
            key = os.environ.get(key_env, "")
            asked: list[Asked] = []
            sent = api.simulate(opened, pool, traffic, url, key, changing, drift_from, asked.append)
            return with_picture(
                improving.simulated(sent), picture, lambda: simulated.picture(asked, drift_since if drift else None)
            )


def _shares(text: str | None) -> dict[str, float] | None:
    """Of languages, from `en=0.8,zh=0.2`."""
    from slipway.errors import ConfigError

    if text is None:
        return None
    found: dict[str, float] = {}
    for part in text.split(","):
        language, _, share = (word.strip() for word in part.partition("="))
        try:
            if not language or language in found:
                raise ValueError
            found[language] = float(share)
        except ValueError as error:
            raise ConfigError(t("--languages: '{part}' is no language with its share", part=part),
                              t("for example --languages en=0.8,zh=0.2")) from error  # fmt: skip
    return found
