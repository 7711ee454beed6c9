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
from time import monotonic

from slipway.core.spans import Followed, Value
from slipway.core.trace import Trace
from slipway.i18n import told
from slipway.project.telemetry import TelemetryConfig
from slipway.serve.connection.call import Call
from slipway.serve.telemetry import otlp
from slipway.serve.telemetry.answered import Answered, answered, measure
from slipway.serve.telemetry.bodies import bodies
from slipway.serve.telemetry.collector import Collector, Pause
from slipway.serve.telemetry.measures import Measures

log = logging.getLogger("slipway.serve")

BATCH = 256  # requests in one message; with more, what waits leaves the processor's cache before it is encoded
LAST = 2.0  # seconds for what is left when the server ends
_RANDOM = 1 << 56


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
        self._bodies = frozenset(config.bodies)
        self._full = min(BATCH, config.queue)
        self._queue: deque[Answered] = deque()
        self._batch: list[Answered] = []  # on its way, and tried again until it is taken or refused
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
        """Try once to send what is left, for a few seconds at most, and say what could not be; call it in a thread."""
        if self._thread is None:
            return
        self._collector.timeout = LAST
        self._ending = True
        self._wake.set()
        self._thread.join(2 * LAST + 1)
        self._thread = None
        left = _spans([*self._batch, *self._queue])
        self._batch.clear()
        self._queue.clear()
        if left:
            self._lose(left)
            log.warning("telemetry was left at the end", extra={"spans": left, "why": self.trouble})

    def begin(self, call: Call) -> Followed:
        """Follow a request. Whoever asked decides whether it is recorded, where the request says so (`traceparent`)."""
        parent = call.parent
        if parent is not None:
            return Followed(parent.trace, parent.span, sampled=parent.sampled, ago=call.seconds)
        sampled = not self._least or int(call.trace[-14:], 16) >= self._least
        return Followed(call.trace, sampled=sampled, ago=call.seconds)

    def finish(self, call: Call, followed: Followed) -> None:
        """The request has been answered."""
        one = answered(call, followed, bodies=bool(self._bodies) and followed.sampled)
        waiting = len(self._queue)
        if waiting >= self.config.queue:
            measure(one, self._measures)
            self._lose(one.spans)
            return
        self._queue.append(one)
        if waiting + 1 == self._full:  # once, also while nothing can be sent
            self._wake.set()

    def _lose(self, spans: int) -> None:
        self.dropped += spans
        self._count("dropped", spans)

    # -- in the thread that sends -------------------------------------------------------------------------------------

    def _work(self) -> None:
        pauses = Pause(), Pause()
        body, due = b"", 0.0  # when metrics are sent again
        while True:
            self._wake.wait(self.config.every)
            self._wake.clear()
            ending = self._ending  # once more after it was said
            before = self.trouble
            while pauses[0].over or ending:
                if not self._batch:
                    body = self._next()
                if not self._batch or not self._send_traces(body, pauses[0]):
                    break
            if (pauses[1].over and monotonic() >= due) or ending:
                due = monotonic() + self.config.every
                made = otlp.metrics(self._sender, self._measures, {"slipway.telemetry.dropped_spans": self.dropped})
                pauses[1].after(self._collector.post("metrics", made))
            self._tell(before)
            if ending:
                self._collector.close()
                return

    def _send_traces(self, body: bytes, pause: Pause) -> bool:
        """Whether the batch is done with: taken, or refused for good."""
        reply = self._collector.post("traces", body)
        pause.after(reply)
        if reply.again:
            return False
        spans = _spans(self._batch)
        self._batch.clear()
        lost = spans if reply.refused else min(reply.rejected, spans)
        if lost:
            self._lose(lost)
        self.sent += spans - lost
        self._count("sent", spans - lost)
        return True

    def _next(self) -> bytes:
        """The message that tells of requests that wait, which become the batch. What cannot be told is dropped."""
        made: list[bytes] = []
        lost, error = 0, None
        while self._queue and len(made) < BATCH:
            one = self._queue.popleft()
            try:
                measure(one, self._measures)
                if one.followed.sampled:
                    made.append(otlp.spans(one, self._texts(one)))
                    self._batch.append(one)
            except Exception as why:  # noqa: BLE001 -- of one request; the others are told
                lost, error = lost + one.spans, why
        if error is not None:
            self._lose(lost)
            log.error("telemetry could not be written", extra={"spans": lost}, exc_info=error)
        return otlp.traces(self._sender, made)

    def _texts(self, one: Answered) -> Mapping[str, Value]:
        return bodies(self._clean(one.written), self._bodies) if one.written is not None else {}

    def _tell(self, before: str) -> None:
        """A line in the log when it begins to fail, and when it works again."""
        if (now := self.trouble) == before:
            return
        if now:
            log.warning("telemetry is not sent", extra={"why": now, "dropped": self.dropped})
        else:
            log.info("telemetry is sent again", extra={"dropped": self.dropped})


def _spans(batch: Sequence[Answered]) -> int:
    return sum(item.spans for item in batch)
