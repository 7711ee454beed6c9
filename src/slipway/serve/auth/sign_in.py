"""Signing in from a browser: an API key is given once, and a cookie says afterwards that it was. Knows no routes.

The cookie is `<key id>.<session>.<expiry>.<mac>`; the mac is keyed with this project's salt and the key's own hash. So
nothing is stored; several processes know it; it ends with the key, or when it expires. `sign_out` ends one before that
in this process. A cookie is sent by the browser for any page that asks, so it is `SameSite=Strict`, and a request that
changes something must come from a page of this very server.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from slipway.i18n import t
from slipway.serve.refuse import Refused

COOKIE = "slipway_session"
SECONDS = 12 * 3600
SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
MAX_ENDED = 10_000
_COOKIE = re.compile(r"([0-9a-f]{1,32})\.([0-9a-f]{32})\.([0-9]{1,12})\.([0-9a-f]{64})")


class SignIn:
    """Makes cookies and reads them. `hash_of`: key id -> the hash of a key in force, empty for any other."""

    def __init__(
        self, salt: Callable[[], bytes], hash_of: Callable[[str], str], clock: Callable[[], float] = time.time
    ) -> None:
        self._salt = salt
        self._hash_of = hash_of
        self._clock = clock
        self._ended: OrderedDict[str, float] = OrderedDict()  # session -> when it would have expired anyway

    def cookie(self, key: str, *, secure: bool) -> str:
        """The Set-Cookie header for a key's id."""
        session, expiry = secrets.token_hex(16), str(int(self._clock()) + SECONDS)
        value = f"{key}.{session}.{expiry}.{self._mac(key, session, expiry)}"
        return _set(value, SECONDS, secure=secure)

    def key_of(self, header: str) -> str:
        """The id of the key that a Cookie header was made for; empty for a cookie that is none of ours or has ended."""
        found = _COOKIE.fullmatch(_value(header))
        if found is None:
            return ""
        key, session, expiry, mac = found.groups()
        sound = hmac.compare_digest(mac, self._mac(key, session, expiry)) and bool(self._hash_of(key))
        return key if sound and int(expiry) > self._clock() and session not in self._ended else ""

    def end(self, header: str) -> None:
        """Sign out: the session of this header is over."""
        if not self.key_of(header):
            return
        _, session, expiry, _ = _value(header).split(".")
        self._ended[session] = float(expiry)
        while self._ended and (len(self._ended) > MAX_ENDED or next(iter(self._ended.values())) < self._clock()):
            self._ended.popitem(last=False)

    def _mac(self, key: str, session: str, expiry: str) -> str:
        told = f"{key}.{session}.{expiry}".encode()
        return hmac.new(self._salt() + self._hash_of(key).encode(), told, hashlib.sha256).hexdigest()


def ended(*, secure: bool) -> str:
    """The Set-Cookie header that makes a browser forget."""
    return _set("", 0, secure=secure)


def check_same_origin(method: str, origin: str, host: str) -> None:
    """Raise Refused (403) for a request that changes something and comes by cookie, but not from a page of this server.

    Browsers send Origin with every such request (Fetch standard); whatever does not can send a key.
    """
    if method not in SAFE and (not origin or origin.lower().partition("://")[2] != host.lower()):
        raise Refused(
            403,
            t("a request that came by cookie must come from a page of this server"),
            t("send the header Authorization: Bearer ... instead of a cookie"),
            code="not_same_origin",
        )


def _set(value: str, seconds: int, *, secure: bool) -> str:
    safe = "; Secure" if secure else ""
    return f"{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{safe}"


def _value(header: str) -> str:
    """Our cookie in a Cookie header (RFC 6265, 4.2); empty when it is not there, or is there twice."""
    pairs = [pair.strip().partition("=") for pair in header.split(";")]
    found = [value for name, _, value in pairs if name == COOKIE]
    return found[0] if len(found) == 1 else ""
