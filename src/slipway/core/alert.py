"""What the monitor tells people, and whether they were told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from slipway.core.ref import Noun

State = Literal["firing", "cleared", "test"]


class Alert(Noun, frozen=True, kw_only=True):
    """A rule began to fire, or its change is over. It holds numbers, names of the project and ids of traces; never what
    anybody asked or was answered.

    `seen`: mean since `since`, of `n` units (one user's questions of a short time). `expected`: what that mean is at
    most (`direction` up) or at least (down) while nothing changed, the rule's margin included. `against`: what it was
    compared with: the answers that released it, served traffic before, or a bound of the project file. `traces`: ids of
    newest examples.
    """

    id: str
    at: str
    state: State
    project: str
    channel: str
    release: str
    rule: str
    metric: str
    direction: Literal["up", "down"]
    against: Literal["release", "before", "bound"]
    seen: float
    expected: float
    n: int
    since: str
    scale: str = "share"  # of `seen` and `expected`: a share, a rank among values before, or the share of `category`
    category: str = ""
    traces: tuple[str, ...] = ()


def open_alerts(alerts: Iterable[Alert]) -> list[Alert]:
    """Of alerts, newest first, those whose change is not over."""
    newest: dict[tuple[str, str, str], Alert] = {}
    for one in alerts:
        if one.state != "test":
            newest.setdefault((one.channel, one.rule, one.category), one)
    return [one for one in newest.values() if one.state == "firing"]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One alert on its way to one sink. `due`: when it is tried next; empty when it arrived or was given up."""

    alert: str
    sink: str
    tries: int = 0
    due: str = ""
    done: str = ""
    error: str = ""
