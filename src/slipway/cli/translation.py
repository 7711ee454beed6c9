"""The command-line library's own words in the language in force: it asks gettext, and our catalog answers."""

from __future__ import annotations

import gettext
from collections.abc import Callable
from functools import wraps
from typing import Any

from slipway.i18n import catalog, language, t


def adopt() -> None:
    """Let gettext find our translations. Call before the command-line library is imported."""
    gettext.gettext = lambda message: catalog(language()).get(message, message)


def adopt_help() -> None:
    """Let the option --help of every command explain itself in the language in force. Call after the import."""
    from typer.core import TyperCommand, TyperGroup

    def explained(genuine: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(genuine)
        def get_help_option(self: Any, context: Any) -> Any:
            found = genuine(self, context)
            if found is not None:
                found.help = t("Show this message and exit.")
            return found

        return get_help_option

    for command in (TyperCommand, TyperGroup):
        if not hasattr(command.get_help_option, "__wrapped__"):
            command.get_help_option = explained(command.get_help_option)


def known() -> tuple[str, ...]:
    """The words there are translations of: listed here so that the catalog's check sees them."""
    return (
        t("Arguments"),
        t("Commands"),
        t("Missing command."),
        t("No such command {name!r}."),
        t("Options"),
        t("default: {default}"),
        t("required"),
    )
