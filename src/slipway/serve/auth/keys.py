"""API keys: made, taken back, checked. Knows nothing of what is asked.

A key is `sk-slipway-<id>-<secret>`; the secret is 256 random bits, so a plain SHA-256 of the key is enough at rest:
slow password hashes protect guessable secrets, and no one guesses this one. Keys are required when the server
listens on anything but loopback, and everywhere once a key was ever created (a reverse proxy also comes from loopback).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from slipway.address import is_loopback
from slipway.errors import ConfigError, MissingPrerequisite, NotFound
from slipway.i18n import t
from slipway.project.schema import ServeConfig
from slipway.serve.auth.caller import ANYONE, SCOPES, Caller
from slipway.serve.refuse import Refused
from slipway.store.store import Store
from slipway.text import visible

PREFIX = "sk-slipway-"


def create_key(store: Store, name: str, scopes: Sequence[str] = (), tenant: str = "") -> tuple[str, str]:
    """A new API key: (id, the key). The key is shown this once; only its hash is kept.

    `scopes`: what it is for; empty: everything. Raises ConfigError for a name, scope or tenant that cannot be.
    """
    name, tenant = _check_name(name), _check_name(tenant) if tenant else ""
    for scope in scopes:
        if scope not in SCOPES:
            raise ConfigError(
                t("no scope is called '{name}'", name=scope), t("known: {names}", names=", ".join(SCOPES))
            )
    id_ = secrets.token_hex(6)
    key = f"{PREFIX}{id_}-{secrets.token_urlsafe(32)}"
    store.catalog.add_key(id_, name, _hash(key), " ".join(scope for scope in SCOPES if scope in scopes), tenant)
    return id_, key


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is kept, without its hash. `scopes`: with spaces between them; empty: everything."""

    id: str
    name: str
    at: str
    scopes: str
    tenant: str
    revoked: str | None


def list_keys(store: Store) -> list[Key]:
    """Every key in the order they were made, revoked ones too."""
    return [Key(**{name: row[name] for name in Key.__struct_fields__}) for row in store.catalog.api_keys()]


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
        self._callers: dict[str, Caller] = {}
        self.required = self._exposed
        self.refresh()

    def refresh(self) -> None:
        """Read the catalog."""
        rows = self._store.catalog.api_keys()
        valid = [row for row in rows if not row["revoked"]]
        self._hashes = {row["id"]: row["hash"] for row in valid}
        self._callers = {row["id"]: _caller(row) for row in valid}
        self.required = self._exposed or bool(rows)

    def check_start(self, host: str) -> None:
        """Raise MissingPrerequisite when no one could use the server: it needs keys and there is none."""
        if self.required and not self._hashes:
            raise MissingPrerequisite(
                t("listening on {host} needs an API key, and there is none", host=host),
                t("create one with `slipway keys create NAME`, or listen on 127.0.0.1"),
            )

    def check(self, header: str) -> Caller:
        """Whose key stands in an Authorization header; anyone when none is needed. Raises Refused (401).

        The comparison takes the same time wherever two hashes differ. The id is no secret.
        """
        if not self.required:
            return ANYONE
        if id_ := self._known(header):
            return self._callers[id_]
        raise Refused(
            401,
            t("this server needs an API key") if not header else t("the API key is not valid"),
            t("send the header Authorization: Bearer sk-slipway-...; `slipway keys create NAME` makes a key"),
            code="invalid_api_key",
        )

    def hash_of(self, id_: str) -> str:
        """The hash of a key in force; empty for any other."""
        return self._hashes.get(id_, "")

    def caller(self, id_: str) -> Caller | None:
        """Who a key in force belongs to, come in by cookie."""
        found = self._callers.get(id_)
        return msgspec.structs.replace(found, by="cookie") if found else None

    def _known(self, header: str) -> str:
        scheme, _, key = header.partition(" ")
        key = key.strip()
        id_ = key.removeprefix(PREFIX).partition("-")[0]
        known = self._hashes.get(id_, "")
        return id_ if scheme.lower() == "bearer" and hmac.compare_digest(_hash(key), known) else ""


def _caller(row: Mapping[str, Any]) -> Caller:
    scopes = frozenset(row["scopes"].split() or SCOPES)
    return Caller(key=row["id"], name=row["name"], tenant=row["tenant"], scopes=scopes, by="key")
