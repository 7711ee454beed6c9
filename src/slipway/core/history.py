"""What was decided: which release each channel points at, and how it came to that."""

from __future__ import annotations

from typing import Literal

import msgspec


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A channel was pointed at a release (by digest): when, by whom and why."""

    at: str  # RFC 3339, UTC
    action: Literal["promote", "rollback"]
    channel: str
    release: str
    by: str
    why: str


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions, newest first; `channels`: what each points at now; `head` stands for all that was decided."""

    decisions: list[Decision]
    channels: dict[str, str]
    head: str
