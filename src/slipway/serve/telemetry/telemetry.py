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

from slipway.core.spans import Followed
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

BATCH = 512  # requests in one message
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
        batch: list[Answered] = []
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

    def _send_traces(self, batch: Sequence[Answered], body: bytes, pause: Pause) -> bool:
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

    def _next(self) -> tuple[list[Answered], bytes]:
        """Requests that wait, and the message that tells of them. What cannot be told is dropped."""
        while self._queue:
            taken = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            batch = [item for item in taken if item.followed.sampled]
            try:
                for item in taken:
                    measure(item, self._measures)
                if batch:
                    return batch, self._encoded(batch)
            except Exception:
                log.exception("telemetry could not be written")
                self._lose(_spans(batch))
        return [], b""

    def _encoded(self, batch: Sequence[Answered]) -> bytes:
        wanted = self._bodies
        return otlp.traces(
            self._sender,
            ((one, bodies(self._clean(one.written), wanted) if one.written is not None else {}) for one in batch),
        )

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
