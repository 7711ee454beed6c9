"""Failed sign-ins: how many an address has had, when it is told to wait, and what the log says of it.

A key is looked at before the count, so a valid key is let in whatever else comes from its address: behind a proxy all
clients share one, and one of them must not lock the others out. What is slowed down is only who has no valid key. That
is enough: a key has 256 random bits, and no one guesses one. The throttle keeps a broken client or a scanner from
making noise; the count and the log line make it seen. Memory is bounded: the addresses that failed longest ago go.
"""

from __future__ import annotations

import ipaddress
import logging
import math
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from slipway.i18n import t
from slipway.serve.refuse import Refused

log = logging.getLogger("slipway.serve")

FAILURES = 10
"""Failures of one address that are answered with 401; further ones within WINDOW get 429."""
WINDOW = 60.0
MAX_ADDRESSES = 4096
LOG_EVERY = 10.0
"""Seconds between two log lines about failures, all addresses together."""


class Throttle:
    """Counts failures by address. Belongs to one event loop."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()  # address -> (when its window began, failures)
        self._unsaid = 0
        self._said = -LOG_EVERY

    def failed(self, address: str, path: str) -> Refused | None:
        """Count a wrong key; a refusal (429) when the address has had too many."""
        now, place = self._clock(), network(address)
        began, failures = self._seen.pop(place, (now, 0))
        if now - began >= WINDOW:
            began, failures = now, 0
        failures += 1
        self._seen[place] = (began, failures)
        if len(self._seen) > MAX_ADDRESSES:
            self._seen.popitem(last=False)
        self._log(now, address, path, failures)
        if failures <= FAILURES:
            return None
        seconds = max(1, math.ceil(WINDOW - (now - began)))
        return Refused(
            429,
            t("this address sent a wrong API key {n} times", n=failures),
            t("try again after {s} s, with a valid key", s=seconds),
            code="too_many_failures",
            retry_after=seconds,
        )

    def _log(self, now: float, address: str, path: str, failures: int) -> None:
        """One line for many failures, without anything of the key."""
        self._unsaid += 1
        if now - self._said < LOG_EVERY:
            return
        log.warning(
            "wrong API key",
            extra={"address": address, "path": path[:200], "by_address": failures, "since_last_line": self._unsaid},
        )
        self._said, self._unsaid = now, 0


def network(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 address, which one host has to itself."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return address
