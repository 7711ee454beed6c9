"""What the `openai` engine can be told. Owns names, ranges and defaults; connects to nothing."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from slipway.address import is_loopback
from slipway.builtin.engines.openai.wire import ChoicesBy
from slipway.i18n import t

_FORBIDDEN_HEADERS = (
    "authorization", "host", "content-length", "content-type", "transfer-encoding", "cookie", "accept-encoding",
)  # fmt: skip
_SECRET = re.compile("key|token|secret|auth|password", re.IGNORECASE)


Can = Literal["generate", "embed", "logprobs", "json_schema", "choices", "tools", "images", "rank"]


class OpenAIConfig(BaseModel):
    """Where the server is and how it is treated. Times in seconds. The key itself never stands here.

    `stream: asked` streams from the server only when the caller streams; `always` is for servers that do not notice
    when a client leaves a request that is not streamed. `choices_by` is how the server is told "one of these".
    `max_answer_mb` is the most that the server may send for one request. `allow_plain_http` lets a key go over http to
    another machine, where everyone on the way can read it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str
    allow_plain_http: bool = False
    model: str = Field(min_length=1)
    api_key_env: str = ""
    api_key_file: str = ""
    headers: dict[str, str] = {}
    connect_timeout: float = Field(default=5.0, gt=0, le=600)
    first_token_timeout: float = Field(default=120.0, gt=0, le=3600)  # of a stream; and the longest pause within it
    timeout: float = Field(default=600.0, gt=0, le=86400)
    retries: int = Field(default=2, ge=0, le=10)
    backoff: float = Field(default=0.5, ge=0, le=60)
    max_backoff: float = Field(default=30.0, ge=0, le=600)
    max_answer_mb: int = Field(default=16, ge=1, le=4096)
    connections: int = Field(default=256, ge=1, le=65536)
    ca_file: str = ""
    stream: Literal["asked", "always"] = "asked"
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    choices_by: ChoicesBy = "json_schema"
    tokenize: Literal["", "vllm", "llama.cpp"] = ""  # whose /tokenize the server has
    can: frozenset[Can] = frozenset(
        ("generate", "embed", "logprobs", "json_schema", "choices", "tools", "images")
    )  # `rank` where the server has /rerank
    embed_batch: int = Field(default=64, ge=1, le=2048)  # texts in one request
    prefix: str = Field(default="", max_length=200)  # before each text that is embedded: "passage: "
    question_prefix: str | None = Field(default=None, max_length=500)  # before a question instead: "query: "

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an http or https address such as http://127.0.0.1:8000/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must not hold a user, a password, a query or a fragment; name the key by api_key_env")
        return value

    @field_validator("headers")
    @classmethod
    def _no_secrets(cls, value: dict[str, str]) -> dict[str, str]:
        for name, content in value.items():
            if name.lower() in _FORBIDDEN_HEADERS:
                raise ValueError(f"the header {name} cannot be set here; name the key by api_key_env")
            if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum() or not content.isprintable():
                raise ValueError(f"{name!r} is not a header")
        return value

    @model_validator(mode="after")
    def _key_is_not_read_on_the_way(self) -> OpenAIConfig:
        parts = urlsplit(self.base_url)
        keyed = self.api_key_env or self.api_key_file or any(_SECRET.search(name) for name in self.headers)
        if parts.scheme == "http" and keyed and not self.allow_plain_http and not is_loopback(parts.hostname or ""):
            raise ValueError(
                t(
                    "base_url {url} would carry the key over plain http to another machine; use https, or set "
                    "allow_plain_http: true where you trust everyone on the way",
                    url=self.base_url,
                )
            )
        return self
