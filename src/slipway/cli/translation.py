"""The command-line library's own words in the language in force: it asks gettext, and our catalog answers."""

from __future__ import annotations

import gettext

from slipway.i18n import catalog, language, t


def adopt() -> None:
    """Let gettext find our translations. Call before the command-line library is imported."""
    gettext.gettext = lambda message: catalog(language()).get(message, message)


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
