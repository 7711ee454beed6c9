"""Commands that report: each returns a document, and may be asked for it whole, as JSON, CSV or Markdown."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from slipway.cli import terminal
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.render.document import Document

Reporting = Callable[..., Document | tuple[Document, int] | None]  # a document, with an exit code that is not 0

_OPTIONS = {
    "full": (Annotated[bool, typer.Option("--full", help=t("Shorten nothing: whole texts and digests."))]),
    "json": (Annotated[bool, typer.Option("--json", help=t("Print JSON instead of tables."))]),
    "csv": (Annotated[bool, typer.Option("--csv", help=t("Print CSV: whole texts, bare numbers."))]),
    "markdown": (Annotated[bool, typer.Option("--markdown", help=t("Print Markdown."))]),
}


def command(
    group: typer.Typer, name: str, help: str, *, rows: bool = True
) -> Callable[[Reporting], Callable[..., int]]:
    """Make a function a command of a group. `rows`: whether there is a table that CSV can show."""

    def decorate(function: Reporting) -> Callable[..., int]:
        made = reporting(function, rows=rows)
        group.command(name, help=help)(made)
        return made

    return decorate


def reporting(function: Reporting, *, rows: bool = True) -> Callable[..., int]:
    """The function with the options `--full`, `--json`, `--csv`, `--markdown`: shows its document, returns the code."""
    forms = [name for name in _OPTIONS if rows or name != "csv"]
    signature = inspect.signature(function, eval_str=True)
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_OPTIONS[name])
        for name in forms
    ]

    @wraps(function)
    def shown(**values: Any) -> int:
        asked = [name for name in forms if values.pop(name)]
        if len(asked) > 1:
            raise ConfigError(
                t("there is one output, and {names} were asked for", names=", ".join(f"--{name}" for name in asked)),
                t("give one of them"),
            )
        returned = function(**values)
        document, code = returned if isinstance(returned, tuple) else (returned, 0)
        if document is not None:
            terminal.show(document, *asked)
        return code

    parameters = [*signature.parameters.values(), *options]
    shown.__signature__ = signature.replace(parameters=parameters, return_annotation=int)  # pyright: ignore[reportFunctionMemberAccess, reportAttributeAccessIssue]
    shown.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return shown
