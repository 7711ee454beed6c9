"""Watching what is served."""

from __future__ import annotations

from slipway.loop.context import Context
from slipway.loop.monitor.work import Monitor


def monitor(project: Context) -> Monitor:
    """The monitor of the project's channel: `look` reads what is new, `deliver` sends alerts, `run` does both until it
    is told to stop, and `slipway.loop.monitor.status.status` shows what it knows. Raises ConfigError for a rule about
    something that is not watched.
    """
    return Monitor(project)
