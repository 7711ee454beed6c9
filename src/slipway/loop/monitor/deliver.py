"""Alerts on their way: at least once, in order, tried again with growing pauses; one sink's trouble is no other's."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from slipway.core.alert import Delivery
from slipway.errors import SlipwayError
from slipway.i18n import t
from slipway.loop.monitor.sinks import send
from slipway.loop.monitor.watcher import moment
from slipway.project.monitoring import MonitorConfig, Sink
from slipway.store.watching import Watching

log = logging.getLogger("slipway.monitor")

AT_ONCE = 20  # deliveries between two looks at the clock
_LEAST, _MOST = 15.0, 3600.0  # seconds between two tries
_TRIES = 80  # about three days


def deliver(watching: Watching, config: MonitorConfig, root: Path, now: float) -> int:
    """Try what is due; returns how many arrived. A process that dies in between leaves its delivery to the next one."""
    arrived = 0
    for _ in range(AT_ONCE):
        taken = watching.take(moment(now), moment(now + _lease(config)))
        if taken is None:
            break
        delivery, alert = taken
        sink = config.sinks.get(delivery.sink)
        error = t("the project file has no such sink any more") if sink is None else ""
        if sink is not None:
            try:
                send(sink, alert, root)
            except SlipwayError as failed:
                error = failed.message
            except Exception as defect:
                log.exception("a sink failed", extra={"sink": delivery.sink})
                error = type(defect).__name__
        watching.tried(_after(delivery, error, now, gone=sink is None))
        arrived += not error
        if error:
            log.error("alert not delivered", extra={"alert": alert.id, "sink": delivery.sink, "why": error})
    return arrived


def _after(delivery: Delivery, error: str, now: float, *, gone: bool) -> Delivery:
    tries = delivery.tries + 1
    if not error:
        return msgspec.structs.replace(delivery, tries=tries, due="", done=moment(now), error="")
    again = "" if gone or tries >= _TRIES else moment(now + min(_MOST, _LEAST * 2.0 ** min(tries, 20)))
    return msgspec.structs.replace(delivery, tries=tries, due=again, error=error)


def _lease(config: MonitorConfig) -> float:
    """Seconds that one delivery may take at most, and some more."""
    return 30.0 + max((_timeout(sink) for sink in config.sinks.values()), default=0.0)


def _timeout(sink: Sink) -> float:
    return max((one.timeout for one in (sink.webhook, sink.email, sink.command) if one is not None), default=0.0)
