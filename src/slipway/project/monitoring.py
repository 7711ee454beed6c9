"""The section `monitor` of the project file: what is watched, how often a false alarm may come, and who is told."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from slipway.i18n import t
from slipway.project.fields import Name, Seconds, Strict, WebAddress, quantity

MAIL = r"^[^\s@<>,;:\"]{1,64}@[A-Za-z0-9.-]{1,190}$"

Share = Annotated[
    float,
    BeforeValidator(lambda value: quantity(value, {"%": 0.01})),
    Field(ge=0, le=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%\s*$"},
            ]
        }
    ),
]


class WatchRule(Strict):
    """How one metric is watched. Docs: monitoring."""

    off: bool = False
    margin: Share | None = None  # a change as small as this is no reason for an alert
    max: Share | None = None  # also: the mean lies above this
    min: Share | None = None  # also: the mean lies below this

    @model_validator(mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return {"off": True} if value is False or value == "off" else value


class WebhookSink(Strict):
    """POST of JSON. An address that is a secret itself comes from the environment."""

    url: WebAddress | None = None
    url_env: str = ""  # the environment variable that holds it
    token_env: str = ""  # the environment variable that holds a bearer token
    timeout: Seconds = Field(default=10.0, gt=0, le=120)

    @model_validator(mode="after")
    def _one(self) -> WebhookSink:
        if (self.url is None) == (not self.url_env):
            raise ValueError(t("give url, or url_env: the environment variable that holds the address"))
        return self


class EmailSink(Strict):
    """A mail for each alert."""

    host: str = Field(pattern=r"^[A-Za-z0-9.:-]+$", max_length=253)
    port: int = Field(default=25, ge=1, le=65535)
    security: Literal["none", "starttls", "tls"] = "starttls"
    sender: str = Field(pattern=MAIL)
    to: list[Annotated[str, Field(pattern=MAIL)]] = Field(min_length=1, max_length=50)
    user: str = ""
    password_env: str = ""  # the environment variable that holds the password
    timeout: Seconds = Field(default=20.0, gt=0, le=120)


class CommandSink(Strict):
    """A program of the project's owner that reads the alert as JSON. No shell reads its arguments."""

    run: list[str] = Field(min_length=1, max_length=64)
    timeout: Seconds = Field(default=30.0, gt=0, le=600)


class LogSink(Strict):
    """A line in the log."""


class Sink(Strict):
    """Where alerts go: exactly one of the four."""

    webhook: WebhookSink | None = None
    email: EmailSink | None = None
    command: CommandSink | None = None
    log: LogSink | None = None

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {"log": {}} if value == "log" else value

    @model_validator(mode="after")
    def _one(self) -> Sink:
        if sum(one is not None for one in (self.webhook, self.email, self.command, self.log)) != 1:
            raise ValueError(t("a sink is one of webhook, email, command and log"))
        return self


class MonitorConfig(Strict):
    """Watching what is served. Docs: monitoring."""

    serve: bool = True  # `slipway serve` starts a monitor beside the server
    every: Seconds = Field(default=60.0, ge=1)
    false_alarms: Share = Field(default=0.05, gt=0, le=0.5)  # of weeks without a change, by all rules together
    baseline: Seconds = Field(default=7 * 86400.0, gt=0)  # served traffic that later traffic is compared with
    least: int = Field(default=100, ge=40, le=100_000)  # units it must have: users' sessions
    session: Seconds = Field(default=900.0, gt=0)  # questions of one user within this time are one unit
    shared: list[str] = []  # keys, by id, behind which many people ask
    clear: Seconds = Field(default=3600.0, ge=0)  # without evidence, before an alert is over
    embed: bool = True  # compare questions by the retriever's embedder, where it has one
    rules: dict[Name, WatchRule] = {}
    sinks: dict[Name, Sink] = {"log": Sink(log=LogSink())}
