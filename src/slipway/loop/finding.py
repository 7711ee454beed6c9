"""One thing that a look at a project found. Knows no check."""

from __future__ import annotations

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """`error` stops a run or loses what a person wrote, `warning` does neither, `ok` is worth knowing."""

    level: Literal["error", "warning", "ok"]
    what: str
    how: str = ""
