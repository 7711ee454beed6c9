"""A request that has been answered, as far as a collector is told of it: its span, and what it adds to the histograms.

Whatever many requests have alike (`Shared`, names of histograms' values) is made once. Making an `Answered` is all
that happens in the event loop; the rest is done for many at a time in the thread that sends.
"""

from __future__ import annotations

from functools import lru_cache
from time import perf_counter_ns

import msgspec

from slipway.core.spans import Followed, Shared, Value, span
from slipway.core.trace import Trace
from slipway.runtime.conventions import CHAT, COMPLETION, EMBEDDINGS, INPUT, MODEL, OPERATION, OUTPUT, PROVIDER
from slipway.serve.connection.call import Call
from slipway.serve.telemetry.measures import Measures, Named

_OPERATIONS = {"/v1/chat/completions": CHAT, "/v1/completions": COMPLETION, "/generate": COMPLETION,
               "/v1/embeddings": EMBEDDINGS}  # fmt: skip


class Answered(msgspec.Struct, gc=False):
    """`ended`: as `Followed` has times. `written`: its record, where texts of it are to go along. Seconds: `first` to
    the first text, None where there was no answer, `per_token` for each token after the first, 0 where there was none.
    """

    followed: Followed
    ended: int
    method: str
    endpoint: str
    model: str
    release: str
    status: int
    seconds: float
    overhead: float
    queued: float
    trace: str
    written: Trace | None
    first: float | None
    per_token: float

    @property
    def spans(self) -> int:
        """That are sent of it."""
        return 1 + len(self.followed.spans) if self.followed.sampled else 0


def answered(call: Call, followed: Followed, *, bodies: bool) -> Answered:
    """What `call` came to."""
    first, per_token, seconds = None, 0.0, call.seconds
    answer = call.written.answer if call.written is not None else None
    if answer is not None:
        first, more = call.first or answer.first_token_seconds, answer.usage.completion_tokens - 1
        if more > 0 and answer.seconds > answer.first_token_seconds:
            per_token = (answer.seconds - answer.first_token_seconds) / more
    return Answered(
        followed, perf_counter_ns(), call.method, call.endpoint, call.model, call.release, call.status, seconds,
        max(0.0, seconds - call.model_seconds), call.queued, call.trace, call.written if bodies else None, first,
        per_token,
    )  # fmt: skip


def own(one: Answered) -> tuple[Shared, dict[str, Value]]:
    """What the span of the whole request says (OpenTelemetry's conventions for HTTP servers, and our own): what others
    say alike, and the rest.
    """
    found: dict[str, Value] = {"slipway.overhead.seconds": one.overhead}
    if one.queued:
        found["slipway.queue.seconds"] = one.queued
    if one.trace != one.followed.trace:  # the client sent another request under the same id before
        found["slipway.trace"] = one.trace
    if one.followed.left_out:
        found["slipway.spans.left_out"] = one.followed.left_out
    return _own(one.method, one.endpoint, one.status, one.model, one.release), found


@lru_cache(1024)
def _own(method: str, endpoint: str, status: int, model: str, release: str) -> Shared:
    found: dict[str, Value] = {
        "http.request.method": method,
        "http.route": endpoint,
        "url.path": endpoint,
        "url.scheme": "http",
        "http.response.status_code": status,
    }
    if model:
        found["slipway.asked"] = model
    if release:
        found["slipway.release"] = release
    return Shared(found)


def measure(one: Answered, into: Measures) -> None:
    """Add a request, and the models and indexes it asked, to the histograms."""
    of = _server(one.endpoint, one.model, 0)
    if of is None:
        return
    of_status = of if one.status < 400 else _server(one.endpoint, one.model, one.status)
    into.request.record(one.seconds, of_status or of)
    if one.first is not None and one.endpoint != "/v1/embeddings":
        into.first.record(one.first, of)
        if one.per_token:
            into.per_token.record(one.per_token, of)
    for part in one.followed.spans:
        _measure_part(part, into)


def _measure_part(part: span, into: Measures) -> None:
    shares, found = part.shares, part.attributes
    named = _client(shares, part.error, "") if shares else _named(found, part.error, "")
    if named is None:
        return
    into.operation.record(part.seconds, named)
    for key, kind in ((INPUT, "input"), (OUTPUT, "output")):
        if (tokens := found.get(key)) and isinstance(tokens, int):
            into.tokens.record(tokens, (_client(shares, "", kind) if shares else _named(found, "", kind)) or named)


@lru_cache(1024)
def _server(endpoint: str, model: str, failed: int) -> Named | None:
    """`failed`: the status, or 0. None where no model was asked."""
    operation = _OPERATIONS.get(endpoint)
    if operation is None or not model:
        return None
    named: Named = ((OPERATION, operation), (PROVIDER, "slipway"), (MODEL, model))
    return (*named, ("error.type", str(failed))) if failed else named


@lru_cache(1024)
def _client(shares: Shared, error: str, tokens: str) -> Named | None:
    return _named(dict(shares.of), error, tokens)


def _named(found: dict[str, Value], error: str, tokens: str) -> Named | None:
    """None for a part that is no operation of the conventions."""
    if OPERATION not in found:
        return None
    named: Named = tuple((key, str(found[key])) for key in (OPERATION, PROVIDER, MODEL) if key in found)
    named = (*named, ("error.type", error)) if error else named
    return (*named, ("gen_ai.token.type", tokens)) if tokens else named
