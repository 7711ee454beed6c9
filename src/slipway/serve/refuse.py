"""What a client is told when it gets no answer: an HTTP status and OpenAI's error shape. Knows no endpoint."""

from __future__ import annotations

from typing import Any

import msgspec

from slipway.errors import ConfigError, EngineError, NotFound, SlipwayError
from slipway.i18n import t

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}

STATUSES = {
    400: "The request is wrong; `error.message` says what to change",
    401: "An API key is needed, or not valid",
    403: "The Host or Origin header is not allowed",
    404: "No such model, release, trace or path",
    405: "This path does not answer to this method; Allow says to which it does",
    408: "The request did not come in time",
    413: "The body is too large",
    429: "The queue is full, or too many wrong keys; Retry-After says when to come back",
    431: "The head of the request is too large",
    500: "A defect in Slipway; its log has the id of the trace",
    502: "The model failed",
    503: "Not ready, shutting down, too many connections, or the record could not be made durable",
    504: "No answer within the deadline",
}
"""Every status of a refusal, as the OpenAPI document has them."""

Headers = list[tuple[bytes, bytes]]


class Refused(SlipwayError):
    """A request that is answered with `status`. `param` names the field, `code` is for programs."""

    def __init__(
        self,
        status: int,
        message: str,
        hint: str = "",
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.status = status
        self.param = param
        self.code = code
        self.retry_after = retry_after

    @property
    def kind(self) -> str:
        """OpenAI's `type`."""
        return _TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")

    @property
    def headers(self) -> Headers:
        """Headers that belong to the refusal."""
        found: Headers = []
        if self.retry_after is not None:
            found.append((b"retry-after", str(self.retry_after).encode()))
        if self.status == 401:
            found.append((b"www-authenticate", b'Bearer realm="slipway"'))
        return found

    def body(self) -> dict[str, Any]:
        """`{"error": {...}}`; `hint` is ours, and stands in `message` as well, which is all that most clients show."""
        message = f"{self.message}. {self.hint}" if self.hint else self.message
        return {
            "error": {
                "message": message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
                "hint": self.hint,
            }
        }

    def json(self) -> bytes:
        """`body` as JSON."""
        return msgspec.json.encode(self.body())


def bad(message: str, hint: str = "", *, param: str | None = None, code: str | None = None) -> Refused:
    """The client's mistake: status 400."""
    return Refused(400, message, hint, param=param, code=code)


def refusal(error: SlipwayError) -> Refused:
    """Any error of ours as a refusal. What only the operator can fix is a 5xx."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, EngineError):
        # An engine that is gone is a 503 whatever the reason: the same request may succeed once it is back.
        status = 503 if error.retryable and error.status == 502 else error.status
        status = status if status in STATUSES else 400 if status < 500 else 502  # a plug-in may say what it likes
        return Refused(
            status,
            error.message,
            error.hint,
            code="engine_error" if status >= 500 else None,
            retry_after=1 if status in (429, 503) else None,
        )
    if isinstance(error, NotFound):
        return Refused(404, error.message, error.hint)
    if isinstance(error, ConfigError):
        return Refused(400, error.message, error.hint)
    return Refused(503, error.message, error.hint, code="not_ready")


def unexpected() -> Refused:
    """A defect of ours; the log has the traceback, the client has the trace id."""
    how = t("the server's log says more; look there for the id in the header x-slipway-trace")
    return Refused(500, t("something in Slipway failed that should not"), how, code="internal_error")


def draining() -> Refused:
    """The server is about to end: 503."""
    return Refused(
        503,
        t("the server is shutting down"),
        t("try again; another server, or the next one, will answer"),
        code="draining",
        retry_after=1,
    )
