"""Follows requests and has what they took sent to a collector. A request never waits for it, and never fails by it.

In the event loop a request is measured and put into a queue of bounded length. One thread takes it out, cleans what
bodies are wanted, encodes and sends. What finds the queue full is dropped and counted.
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

BATCH = 256  # requests in one message
LAST = 2.0  # seconds for what is left when the server ends
_RANDOM = 1 << 56
_OPERATIONS = {"/v1/chat/completions": CHAT, "/v1/completions": COMPLETION, "/generate": COMPLETION,
               "/v1/embeddings": EMBEDDINGS}  # fmt: skip
_Item = tuple[Followed, Trace | None]


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
        self._measure(call, followed)
        if not followed.sampled:
            return
        if len(self._queue) >= self.config.queue:
            self._lose(1 + len(followed.spans))
            return
        self._queue.append((followed, call.written if self.config.bodies else None))
        if len(self._queue) == BATCH:
            self._wake.set()

    def _measure(self, call: Call, followed: Followed) -> None:
        operation = _OPERATIONS.get(call.endpoint)
        if operation is None or not call.model:
            return
        measures = self._measures
        of: Named = ((OPERATION, operation), (PROVIDER, "slipway"), (MODEL, call.model))
        measures.request.record(call.seconds, (*of, ("error.type", str(call.status))) if call.status >= 400 else of)
        answer = call.written.answer if call.written else None
        if answer is not None and operation != EMBEDDINGS:
            measures.first.record(call.first or answer.first_token_seconds, of)
            more = answer.usage.completion_tokens - 1
            if more > 0 and answer.seconds > answer.first_token_seconds:
                measures.per_token.record((answer.seconds - answer.first_token_seconds) / more, of)
        for span in followed.spans:
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
                self._lose(sum(_spans([*batch, *self._queue])))
                self._collector.close()
                return

    def _send_traces(self, batch: Sequence[_Item], body: bytes, pause: Pause) -> bool:
        """Whether the batch is done with: taken, or refused for good."""
        reply = self._collector.post("traces", body)
        pause.after(reply)
        if reply.again:
            return False
        spans = sum(_spans(batch))
        lost = spans if reply.refused else min(reply.rejected, spans)
        if lost:
            self._lose(lost)
        self.sent += spans - lost
        self._count("sent", spans - lost)
        return True

    def _next(self) -> tuple[list[_Item], bytes]:
        """Requests that wait, and the message that tells of them. What cannot be told is dropped."""
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            try:
                return batch, self._encoded(batch)
            except Exception:
                log.exception("telemetry could not be written")
                self._lose(sum(_spans(batch)))
        return [], b""

    def _encoded(self, batch: Sequence[_Item]) -> bytes:
        wanted = frozenset(self.config.bodies)
        more = [bodies(self._clean(trace), wanted) if trace is not None else {} for _, trace in batch]
        return otlp.traces(self._sender, zip([one for one, _ in batch], more, strict=True))

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


def _spans(batch: Sequence[_Item]) -> list[int]:
    return [1 + len(followed.spans) for followed, _ in batch]
