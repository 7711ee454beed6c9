"""How an index server is reached: its address, its key, its time limits, and what to say when it fails.

Secrets come from the environment or a file, never from the project file; they are in no message.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from slipway.address import is_loopback
from slipway.errors import EngineError, MissingPrerequisite
from slipway.i18n import t

_SHOWN = 300  # characters of what a server says that are passed on


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(t("must be an http or https address such as {example}", example="http://127.0.0.1:6333"))
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(t("must not hold a user, a password, a query or a fragment; name the key by api_key_env"))
    return value.rstrip("/")


def _whole_path(value: str) -> str:
    if value and not Path(value).expanduser().is_absolute():
        raise ValueError(t("write the whole path, from / or ~ on"))
    return value


Url = Annotated[str, AfterValidator(_web_address)]
WholePath = Annotated[str, AfterValidator(_whole_path)]


class Held(BaseModel):
    """What every index on a server can be told. Times in seconds.

    `prefix` begins the names of its collections: one of its own for each project that shares a server. `compare: all`
    reads a collection back whenever it is opened; `count` only counts, for one too large to be read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prefix: str = Field(default="slipway", pattern=r"^[a-z][a-z0-9_]{0,20}$")
    compare: Literal["all", "count"] = "all"
    timeout: float = Field(default=30.0, gt=0, le=3600)


class OverHttp(Held):
    """A server by its address. The key itself never stands here."""

    api_key_env: str = ""
    api_key_file: WholePath = ""
    allow_plain_http: bool = False
    ca_file: WholePath = ""

    @model_validator(mode="after")
    def _key_is_not_read_on_the_way(self) -> OverHttp:
        parts = urlsplit(getattr(self, "url", None) or "")
        keyed = self.api_key_env or self.api_key_file
        if parts.scheme == "http" and keyed and not self.allow_plain_http and not is_loopback(parts.hostname or ""):
            raise ValueError(
                t(
                    "{url} would carry the key over plain http to another machine; use https, or set "
                    "allow_plain_http: true where you trust everyone on the way",
                    url=parts.geturl(),
                )
            )
        return self

    @property
    def key(self) -> str:
        """The key; empty when none is named. Raises MissingPrerequisite when it is not there."""
        return secret(self.api_key_env, self.api_key_file)


class HttpOrFolder(OverHttp):
    """A server by its address, or a folder of this machine without one."""

    url: Url | None = None
    path: WholePath = ""

    @model_validator(mode="after")
    def _one_of_them(self) -> HttpOrFolder:
        if (self.url is None) == (not self.path):
            raise ValueError(t("give either url or path"))
        return self

    @property
    def where(self) -> str:
        """The address, or the whole path of the folder."""
        return self.url or str(Path(self.path).expanduser())


def secret(env: str, file: str) -> str:
    """What an environment variable or a file holds, without white space around it; empty when neither is named."""
    if env:
        found = os.environ.get(env, "").strip()
        if not found:
            raise MissingPrerequisite(
                t("the environment variable {name}, which should hold the key of the index server, is not set",
                  name=env),
                f"export {env}=...",
            )  # fmt: skip
        return found
    if not file:
        return ""
    try:
        return Path(file).expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise MissingPrerequisite(
            t("the file {name}, which should hold the key of the index server, cannot be read", name=file),
            t("write the key into it, readable only by you (chmod 600)"),
        ) from error


def not_reached(where: str, why: Any, key: str = "") -> EngineError:
    """The server did not answer at all."""
    return EngineError(
        t("the index server {where} cannot be reached: {why}", where=where, why=cleaned(why, key)),
        t("start it, or correct its address under `retrieve`"),
        retryable=True, status=503,
    )  # fmt: skip


def too_slow(where: str) -> EngineError:
    """It did not answer within `timeout`."""
    return EngineError(
        t("the index server {where} did not answer in time", where=where),
        t("raise `timeout` of the index, or check whether the server is overloaded"), retryable=True, status=504,
    )  # fmt: skip


def refused(where: str, status: int, why: Any, key: str = "") -> EngineError:
    """It answered, but not as wanted: an HTTP status, 0 where there is none."""
    if status in (401, 403):
        return EngineError(
            t("the index server {where} refused the key (status {status})", where=where, status=status),
            t("put a valid key where `api_key_env` or `api_key_file` of the index says"),
        )
    said = cleaned(why, key)
    return EngineError(
        t("the index server {where} failed: {why}", where=where, why=f"{status}: {said}" if status else said),
        t("its own log should say more; check that it is the server and the version that the docs name"),
        retryable=status in (429, 500, 502, 503, 504),
    )


def cleaned(said: Any, key: str = "") -> str:
    """What a server or its library says, in one short line and without the key."""
    text = str(said)
    if key:
        text = text.replace(key, "***")
    text = " ".join(re.sub(r"[^\w\s.,:;()'\"/\[\]{}<>=+*%-]", "?", text).split())
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
