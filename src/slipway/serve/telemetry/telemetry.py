"""Follows requests and has what they took sent to a collector. A request never waits for it, and never fails by it.

In the event loop a request is put into a queue of bounded length. One thread takes it out, adds it to the histograms,
cleans what bodies are wanted, encodes and sends: many at a time, which costs a third of doing it between two requests.
The spans of what finds the queue full are dropped and counted.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from slipway.core.spans import Followed, Value, parent_of
from slipway.core.trace import Trace
from slipway.i18n import told
from slipway.project.telemetry import TelemetryConfig
from slipway.runtime.conventions import CHAT, COMPLETION, EMBEDDINGS, INPUT, MODEL, OPERATION, OUTPUT, PROVIDER
from slipway.serve.connection.call import Call
from slipway.serve.telemetry import otlp
from slipway.serve.telemetry.bodies import bodies
from slipway.serve.telemetry.collector import Collector, Pause
from slipway.serve.telemetry.measures import Measures, Named

log = logging.getLogger("slipway.serve")

BATCH = 512  # requests in one message
LAST = 2.0  # seconds for what is left when the server ends
_RANDOM = 1 << 56
_OPERATIONS = {"/v1/chat/completions": CHAT, "/v1/completions": COMPLETION, "/generate": COMPLETION,
               "/v1/embeddings": EMBEDDINGS}  # fmt: skip


class _Item:
    """A request that has been answered, as far as it is told."""

    __slots__ = ("answer", "model", "endpoint", "first", "followed", "seconds", "status", "trace")

    def __init__(self, call: Call, followed: Followed, trace: Trace | None) -> None:
        self.followed, self.trace = followed, trace
        self.endpoint, self.model, self.status = call.endpoint, call.model, call.status
        self.seconds, self.first = call.seconds, call.first
        self.answer = call.written.answer if call.written else None

    @property
    def spans(self) -> int:
        """That are sent of it."""
        return 1 + len(self.followed.spans) if self.followed.sampled else 0


class Telemetry:
    """`count(result, spans)` is told, in whatever thread, what became of spans: `sent`, `dropped` or `rejected`.

    `clean` makes of a trace what may leave this machine, as for the catalog.
    """

    def __init__(
        self,
        project: str,
        config: TelemetryConfig,
        headers: Mapping[str, str],
        count: Callable[[str, int], None],
        clean: Callable[[Trace], Trace],
    ) -> None:
        self.config = config
        self._collector = Collector(config.endpoint or "", headers)
        self._count = count
        self._clean = clean
        self._sender = otlp.resource(project, uuid.uuid4().hex)
        self._least = round((1 - config.sample) * _RANDOM)
        self._queue: deque[_Item] = deque()
        self._measures = Measures()
        self._wake = threading.Event()
        self._ending = False
        self._thread: threading.Thread | None = None
        self.sent = self.dropped = 0

    @property
    def trouble(self) -> str:
        """Why nothing can be sent now; empty while all is well."""
        return told(self._collector.trouble)

    # -- in the event loop --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to send."""
        self._thread = threading.Thread(target=self._work, name="slipway-telemetry", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Try once to send what is left, for a few seconds at most; call it in a thread."""
        if self._thread is None:
            return
        self._collector.timeout = LAST
        self._ending = True
        self._wake.set()
        self._thread.join(2 * LAST + 1)
        self._thread = None

    def begin(self, call: Call) -> Followed:
        """Follow a request. Whoever asked decides whether it is recorded, where the request says so (`traceparent`)."""
        parent = parent_of(call.header(b"traceparent"))
        trace = parent.trace if parent else call.trace
        sampled = parent.sampled if parent else int(trace[-14:], 16) >= self._least
        name = f"{call.method} {call.endpoint}"
        return Followed(trace, name, parent.span if parent else "", sampled=sampled, ago=call.seconds)

    def finish(self, call: Call, followed: Followed) -> None:
        """The request has been answered."""
        own = followed.own
        own.ended = followed.now()
        own.attributes = _attributes(call, followed)
        if call.status >= 500:
            own.error = str(call.status)
        item = _Item(call, followed, call.written if self.config.bodies and followed.sampled else None)
        if len(self._queue) >= self.config.queue:
            self._measure(item)
            self._lose(item.spans)
            return
        self._queue.append(item)
        if len(self._queue) == min(BATCH, self.config.queue):  # once, also while nothing can be sent
            self._wake.set()

    def _measure(self, item: _Item) -> None:
        operation = _OPERATIONS.get(item.endpoint)
        if operation is None or not item.model:
            return
        measures = self._measures
        of: Named = ((OPERATION, operation), (PROVIDER, "slipway"), (MODEL, item.model))
        measures.request.record(item.seconds, (*of, ("error.type", str(item.status))) if item.status >= 400 else of)
        answer = item.answer
        if answer is not None and operation != EMBEDDINGS:
            measures.first.record(item.first or answer.first_token_seconds, of)
            more = answer.usage.completion_tokens - 1
            if more > 0 and answer.seconds > answer.first_token_seconds:
                measures.per_token.record((answer.seconds - answer.first_token_seconds) / more, of)
        for span in item.followed.spans:
            found = span.attributes
            if OPERATION not in found:
                continue
            named: Named = tuple((key, str(found[key])) for key in (OPERATION, PROVIDER, MODEL) if key in found)
            measures.operation.record(span.seconds, (*named, ("error.type", span.error)) if span.error else named)
            for key, kind in ((INPUT, "input"), (OUTPUT, "output")):
                if isinstance(tokens := found.get(key), int) and tokens:
                    measures.tokens.record(tokens, (*named, ("gen_ai.token.type", kind)))

    def _lose(self, spans: int) -> None:
        self.dropped += spans
        self._count("dropped", spans)

    # -- in the thread that sends -------------------------------------------------------------------------------------

    def _work(self) -> None:
        pauses = Pause(), Pause()
        batch: list[_Item] = []
        body = b""
        while True:
            self._wake.wait(self.config.every)
            self._wake.clear()
            ending = self._ending  # once more after it was said
            before = self.trouble
            while pauses[0].over or ending:
                if not batch:
                    batch, body = self._next()
                if not batch or not self._send_traces(batch, body, pauses[0]):
                    break
                batch = []
            if pauses[1].over or ending:
                made = otlp.metrics(self._sender, self._measures, {"slipway.telemetry.dropped_spans": self.dropped})
                pauses[1].after(self._collector.post("metrics", made))
            self._tell(before)
            if ending:
                self._lose(_spans([*batch, *self._queue]))
                self._collector.close()
                return

    def _send_traces(self, batch: Sequence[_Item], body: bytes, pause: Pause) -> bool:
        """Whether the batch is done with: taken, or refused for good."""
        reply = self._collector.post("traces", body)
        pause.after(reply)
        if reply.again:
            return False
        spans = _spans(batch)
        lost = spans if reply.refused else min(reply.rejected, spans)
        if lost:
            self._lose(lost)
        self.sent += spans - lost
        self._count("sent", spans - lost)
        return True

    def _next(self) -> tuple[list[_Item], bytes]:
        """Requests that wait, and the message that tells of them. What cannot be told is dropped."""
        while self._queue:
            taken = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            batch = [item for item in taken if item.followed.sampled]
            try:
                for item in taken:
                    self._measure(item)
                if batch:
                    return batch, self._encoded(batch)
            except Exception:
                log.exception("telemetry could not be written")
                self._lose(_spans(batch))
        return [], b""

    def _encoded(self, batch: Sequence[_Item]) -> bytes:
        wanted = frozenset(self.config.bodies)
        return otlp.traces(
            self._sender,
            ((one.followed, bodies(self._clean(one.trace), wanted) if one.trace is not None else {}) for one in batch),
        )

    def _tell(self, before: str) -> None:
        """A line in the log when it begins to fail, and when it works again."""
        if (now := self.trouble) == before:
            return
        if now:
            log.warning("telemetry is not sent", extra={"why": now, "dropped": self.dropped})
        else:
            log.info("telemetry is sent again", extra={"dropped": self.dropped})


def _attributes(call: Call, followed: Followed) -> dict[str, Value]:
    """What the span of the whole request says (OpenTelemetry's conventions for HTTP servers, and our own)."""
    found: dict[str, Value] = {
        "http.request.method": call.method,
        "http.route": call.endpoint,
        "url.path": call.endpoint,
        "url.scheme": "http",
        "http.response.status_code": call.status,
        "slipway.overhead.seconds": call.overhead,
    }
    if call.trace != followed.trace:  # the client sent another request under the same id before
        found["slipway.trace"] = call.trace
    if call.model:
        found["slipway.asked"] = call.model
    if call.release:
        found["slipway.release"] = call.release
    if call.queued:
        found["slipway.queue.seconds"] = call.queued
    if followed.left_out:
        found["slipway.spans.left_out"] = followed.left_out
    return found


def _spans(batch: Sequence[_Item]) -> int:
    return sum(item.spans for item in batch)
