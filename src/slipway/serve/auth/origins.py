"""Which Host and Origin a request may name. Knows nothing of keys, nor of what is asked."""

from __future__ import annotations

import ipaddress
import re

from slipway.i18n import t
from slipway.project.schema import ServeConfig
from slipway.serve.refuse import Refused

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,255})(?::(?P<port>[0-9]{1,5}))?")
"""A Host header (RFC 9110, 7.2): a name or an address, and a port. No user, no path, no space."""


class Origins:
    """Which Host and Origin headers are let in, so that no web page reaches this server through a user's browser.

    Host: an IP address, `localhost`, the name the server listens on, or one of `allowed_hosts`. A page that rebinds
    its own name to this address (DNS rebinding) sends that name. Origin (sent by browsers): the server itself or one
    of `allowed_origins`.
    """

    def __init__(self, config: ServeConfig) -> None:
        self._names = {name.lower() for name in (*config.allowed_hosts, config.host, "localhost")}
        self._origins = {origin.rstrip("/").lower() for origin in config.allowed_origins}
        self._hosts: dict[str, bool] = {}  # headers seen, so that the usual ones cost one look-up

    def check_host(self, host: str) -> None:
        """Raise Refused (403) for a name that is not this server's."""
        known = self._hosts.get(host)
        if known is None:
            known = self._allowed(host)
            if len(self._hosts) < 1000:
                self._hosts[host] = known
        if not known:
            raise Refused(
                403,
                t("this server does not answer to the host name '{host}'", host=host[:100]),
                t("add it to serve.allowed_hosts"),
                code="host_not_allowed",
            )

    def _allowed(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None or (found["port"] and int(found["port"]) > 65535):
            return False
        name = found["name"].strip("[]").lower().rstrip(".")
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def check_origin(self, origin: str, host: str) -> bool:
        """Whether the answer needs CORS headers. Raises Refused (403) for an origin that is not allowed."""
        origin = origin.lower()
        if origin in self._origins:
            return True
        if origin.partition("://")[2] == host.lower() and origin.startswith(("http://", "https://")):
            return False
        raise Refused(
            403,
            t("pages of '{origin}' may not use this server", origin=origin[:100]),
            t("add it to serve.allowed_origins"),
            code="origin_not_allowed",
        )
