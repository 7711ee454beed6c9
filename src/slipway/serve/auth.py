"""Who may ask: API keys, and which Host and Origin a request may name. Knows nothing of what is asked.

A key is `sk-slipway-<id>-<secret>`; the secret is 256 random bits, so a plain SHA-256 of the key is enough at rest:
slow password hashes protect guessable secrets, and nobody guesses this one. Keys are required when the server
listens on anything but loopback, and everywhere once a key was ever created (a reverse proxy also comes from loopback).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Mapping
from typing import Any

from slipway.core import visible
from slipway.core.address import is_loopback
from slipway.errors import ConfigError, MissingPrerequisite, NotFound
from slipway.i18n import t
from slipway.project.schema import ServeConfig
from slipway.serve.refuse import Refused
from slipway.store.store import Store

PREFIX = "sk-slipway-"
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,255})(?::(?P<port>[0-9]{1,5}))?")
"""A Host header (RFC 9110, 7.2): a name or an address, and a port. No user, no path, no space."""


def create_key(store: Store, name: str) -> tuple[str, str]:
    """A new API key: (id, the key). The key is shown this once; only its hash is kept."""
    name = _check_name(name)
    id_ = secrets.token_hex(6)
    key = f"{PREFIX}{id_}-{secrets.token_urlsafe(32)}"
    store.catalog.add_key(id_, name, _hash(key))
    return id_, key


def revoke_key(store: Store, id_: str) -> None:
    """Take a key back; running servers refuse it within a second. Raises NotFound."""
    if not store.catalog.revoke_key(id_):
        rows = store.catalog.api_keys()
        raise NotFound(
            t("no key in force has the id {id}", id=id_),
            t("keys in force: {ids}", ids=", ".join(row["id"] for row in rows if not row["revoked"]) or "-"),
        )


_NAME_LENGTH = 100


def _check_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > _NAME_LENGTH or visible.line(name) != name:
        raise ConfigError(
            t("a key needs a name of 1 to {n} characters, none of them a control character", n=_NAME_LENGTH),
            t("name who will use it, such as: slipway keys create alice"),
        )
    return name


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


class Keys:
    """The keys in force, in memory; `refresh` reads them again."""

    def __init__(self, store: Store, config: ServeConfig) -> None:
        self._store = store
        self._exposed = not is_loopback(config.host)
        self._hashes: dict[str, str] = {}
        self.required = self._exposed
        self.refresh()

    def refresh(self) -> None:
        """Read the catalog."""
        rows = self._store.catalog.api_keys()
        self._hashes = {row["id"]: row["hash"] for row in rows if not row["revoked"]}
        self.required = self._exposed or bool(rows)

    def check_start(self, host: str) -> None:
        """Raise MissingPrerequisite when nobody could use the server: it needs keys and there is none."""
        if self.required and not self._hashes:
            raise MissingPrerequisite(
                t("listening on {host} needs an API key, and there is none", host=host),
                t("create one with `slipway keys create NAME`, or listen on 127.0.0.1"),
            )

    def check(self, header: str) -> str:
        """The id of the key in an Authorization header; empty when none is needed. Raises Refused (401).

        The comparison takes the same time wherever two hashes differ. The id is no secret.
        """
        if not self.required:
            return ""
        if id_ := self._known(header):
            return id_
        raise Refused(
            401,
            t("this server needs an API key") if not header else t("the API key is not valid"),
            t("send the header Authorization: Bearer sk-slipway-...; `slipway keys create NAME` makes a key"),
            code="invalid_api_key",
        )

    def _known(self, header: str) -> str:
        scheme, _, key = header.partition(" ")
        key = key.strip()
        id_ = key.removeprefix(PREFIX).partition("-")[0]
        known = self._hashes.get(id_, "")
        return id_ if scheme.lower() == "bearer" and hmac.compare_digest(_hash(key), known) else ""


class Origins:
    """Which Host and Origin headers are let in, so that no web page reaches this server through a user's browser.

    Host: an IP address, `localhost`, the name the server listens on, or one of `allowed_hosts`. A page that rebinds
    its own name to this address (DNS rebinding) sends that name. Origin (sent by browsers): the server itself or one
    of `allowed_origins`.
    """

    def __init__(self, config: ServeConfig) -> None:
        self._names = {name.lower() for name in (*config.allowed_hosts, config.host, "localhost")}
        self._origins = {origin.rstrip("/").lower() for origin in config.allowed_origins}
        self._hosts: dict[str, bool] = {}  # headers seen, so that the usual ones cost one look-up

    def check_host(self, host: str) -> None:
        """Raise Refused (403) for a name that is not this server's."""
        known = self._hosts.get(host)
        if known is None:
            known = self._allowed(host)
            if len(self._hosts) < 1000:
                self._hosts[host] = known
        if not known:
            raise Refused(
                403,
                t("this server does not answer to the host name '{host}'", host=host[:100]),
                t("add it to serve.allowed_hosts"),
                code="host_not_allowed",
            )

    def _allowed(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None or (found["port"] and int(found["port"]) > 65535):
            return False
        name = found["name"].strip("[]").lower().rstrip(".")
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def check_origin(self, origin: str, host: str) -> bool:
        """Whether the answer needs CORS headers. Raises Refused (403) for an origin that is not allowed."""
        origin = origin.lower()
        if origin in self._origins:
            return True
        if origin.partition("://")[2] == host.lower() and origin.startswith(("http://", "https://")):
            return False
        raise Refused(
            403,
            t("pages of '{origin}' may not use this server", origin=origin[:100]),
            t("add it to serve.allowed_origins"),
            code="origin_not_allowed",
        )


def header(headers: Mapping[bytes, bytes] | list[tuple[bytes, bytes]], name: bytes) -> str:
    """One header of an ASGI request as text; empty when absent."""
    pairs: Any = headers.items() if isinstance(headers, Mapping) else headers
    for key, value in pairs:
        if key == name:
            return value.decode("latin-1")
    return ""
