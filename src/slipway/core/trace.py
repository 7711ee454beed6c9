"""What was served and what its users said of it."""

from __future__ import annotations

from typing import Literal

from slipway.core.answer import Answer
from slipway.core.ref import Noun
from slipway.i18n import Said


class Trace(Noun, frozen=True, kw_only=True):
    """One served request: what was asked, what answered it, what it cost. `release` is empty for a raw model."""

    id: str  # W3C trace id: 32 hex characters
    at: str
    endpoint: str
    channel: str
    release: str
    status: int
    request: dict[str, object]
    answer: Answer | None = None
    error: Said | str = ""
    seconds: float = 0.0
    overhead_seconds: float = 0.0
    key: str = ""  # id of the API key, never the key
    tenant: str = ""  # whose key that is, in a project with several tenants


class Feedback(Noun, frozen=True, kw_only=True):
    """What a user said of one trace. At least one of the four is set; `score` is in [0, 1]."""

    id: str
    trace: str
    at: str
    thumb: Literal["up", "down"] | None = None
    score: float | None = None
    correction: str | None = None
    comment: str | None = None
    by: str = ""
