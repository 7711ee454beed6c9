"""The address of a database server, as a person writes it. Connects to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from slipway.errors import ConfigError
from slipway.i18n import t

SCHEMES = ("postgresql", "postgresql+psycopg")
_EXAMPLE = "postgresql+psycopg://slipway@127.0.0.1/slipway"
_SECRETS = frozenset(("password", "sslpassword"))


@dataclass(frozen=True)
class Address:
    """A database server: its URL without a password, and what holds the password. An empty URL: none, use a file."""

    url: str = ""
    password_env: str = ""
    password_file: str = ""

    def check(self) -> None:
        """Raise ConfigError for another kind of database, and for a password in the URL; neither is repeated."""
        if not self.url:
            return
        hint = t("for example {example}", example=_EXAMPLE)
        try:
            parts = urlsplit(self.url)
            keys = {key for key, _ in parse_qsl(parts.query, keep_blank_values=True)}
            _ = parts.port
        except ValueError as error:  # what it says may quote the URL
            raise ConfigError(t("store.url is not the address of a PostgreSQL database"), hint) from error
        if parts.password is not None or keys & _SECRETS:
            raise ConfigError(
                t("store.url holds a password"),
                t("take it out, and name what holds it: `password_env` or `password_file` under store"),
            )
        if parts.scheme not in SCHEMES or len(parts.path) < 2 or parts.fragment:
            raise ConfigError(t("store.url is not the address of a PostgreSQL database"), hint)
