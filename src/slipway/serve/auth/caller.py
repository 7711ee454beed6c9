"""Who asks: found out once for each request, and passed on to whatever wants to know. Knows no key and no cookie."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from slipway.i18n import t
from slipway.serve.refuse import Refused

Scope = Literal["ask", "read", "label", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""`ask`: models and releases, and what the caller thinks of an answer; `read`: what others asked and said, metrics;
`label`: the queues of items to label, and one's own labels; `admin`: what changes the project."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """One who asks. `key`: id of the API key, empty where none is needed; `tenant`: whose data these are, empty in a
    project with one; `by`: how it came in.
    """

    key: str = ""
    name: str = ""
    tenant: str = ""
    scopes: frozenset[str] = frozenset(SCOPES)
    by: Literal["open", "key", "cookie"] = "open"

    def require(self, scope: Scope) -> None:
        """Raise Refused (403) where the key is not for this."""
        if scope not in self.scopes:
            raise Refused(
                403,
                t("this API key is not for '{scope}'", scope=scope),
                t("it is for: {scopes}; `slipway keys create NAME --scope {scope}` makes one that is",
                  scopes=", ".join(sorted(self.scopes)), scope=scope),
                code="scope_missing",
            )  # fmt: skip


ANYONE = Caller()
"""The caller of a server that asks for no key."""
NOBODY = Caller(scopes=frozenset())
"""The caller of a path that is open to all, who has not said who it is."""
