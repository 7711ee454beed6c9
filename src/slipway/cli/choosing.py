"""`slipway bench`, and the options of `slipway models recommend`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slipway.cli.options import HERE, NONE, Project, Set, open_project
from slipway.i18n import t
from slipway.render.document import Document

if TYPE_CHECKING:
    from slipway.loop.choosing.recommend import Advice, Needs
    from slipway.project.fields import Money

Hour = Annotated[str, typer.Option("--per-hour", help=t("What an hour of this machine costs, such as '0.50 CNY'."))]


def bench(
    model: Annotated[
        list[str] | None,
        typer.Argument(
            help=t("A model or tuned candidate of the project, a source (also SOURCE#q8_0), a GGUF file, URL#model.")
        ),
    ] = None,
    prompts: Annotated[
        list[str], typer.Option("--prompts", help=t("A candidate, or a file of a prompt; may be given several times."))
    ] = NONE,
    examples: Annotated[int, typer.Option(help=t("Examples of dev that are asked."), min=1, max=1000)] = 20,
    engine: Annotated[
        str | None, typer.Option(help=t("What loads local models that the project does not have: llama, openvino."))
    ] = None,
    key_env: Annotated[str, typer.Option(help=t("The environment variable that holds the key of a server."))] = "",
    per_hour: Hour = "",
    project: Project = HERE,
    set_: Set = NONE,
) -> tuple[Document, int]:
    """Exit code 4 when a model could not be asked. Outside a project: for speed only."""
    from slipway import api
    from slipway.cli.progress import listener
    from slipway.render.pages.bench import bench as page

    money(per_hour, "--per-hour")
    with listener() as listening:
        if in_project(project):
            with open_project(project, set_, listening) as opened:
                found = api.bench(
                    model or [], opened, prompts, examples, engine=engine, key_env=key_env, per_hour=per_hour
                )
        else:
            found = api.bench(
                model or [], None, prompts, examples, engine=engine, key_env=key_env, per_hour=per_hour,
                listener=listening,
            )  # fmt: skip
    return page(found), 4 if any(not row.answered for row in found.rows) else 0


def in_project(folder: Path) -> bool:
    """Whether there is a project in a folder or above it. One that was named must be there: ConfigError."""
    from slipway.errors import ConfigError
    from slipway.project.load import find

    try:
        find(folder)
    except ConfigError:
        if folder != HERE:
            raise
        return False
    return True


def money(text: str, option: str) -> Money | None:
    """An amount of an option; None for an empty one. Raises ConfigError that names the option."""
    from pydantic import ValidationError

    from slipway.errors import ConfigError
    from slipway.project.fields import Money

    try:
        return Money.model_validate(text) if text else None
    except ValidationError as error:
        raise ConfigError(
            t("{option}: '{value}' is not an amount with a currency, such as '0.10 CNY'", option=option, value=text)
        ) from error


def quantity(text: str, option: str, unit: str) -> float | None:
    """A number of an option with its unit, such as `4 GB` or `2 s`; None for an empty one."""
    from pydantic import TypeAdapter, ValidationError

    from slipway.errors import ConfigError
    from slipway.project.fields import Bytes, Seconds

    if not text:
        return None
    try:
        value: float = TypeAdapter(Bytes if unit == "GB" else Seconds).validate_python(text)
    except ValidationError as error:
        raise ConfigError(
            t("{option}: '{value}' is not a quantity such as {example}", option=option, value=text,
              example="'4 GB'" if unit == "GB" else "'2 s'")
        ) from error  # fmt: skip
    if not 0 < value < math.inf:
        raise ConfigError(t("{option}: '{value}' must be a number above zero", option=option, value=text))
    return value


def advise(needs: Needs, project: Path, overrides: list[str]) -> Advice:
    """With the models and prices of the project, where there is one."""
    from slipway import api

    if not in_project(project):
        return api.recommend(needs)
    with open_project(project, overrides) as opened:
        return api.recommend(needs, opened)
