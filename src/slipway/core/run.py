"""One executed step of the loop."""

from __future__ import annotations

from typing import Literal

from slipway.core.ref import Noun, Ref
from slipway.i18n import Said


class Run(Noun, frozen=True, kw_only=True):
    """One executed step."""

    id: str
    step: str
    status: Literal["running", "done", "failed", "interrupted"]
    started: str  # RFC 3339, UTC
    key: str = ""  # digest of inputs, config and code
    seconds: float = 0.0
    inputs: tuple[Ref, ...] = ()
    output: Ref | None = None
    error: tuple[Said, ...] | str = ()  # why it did not end well; plain text in older catalogs
