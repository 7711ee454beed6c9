"""What was served in a stretch of time, counted."""

from __future__ import annotations

import msgspec


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """`requests`: answered or refused; `errors`: of them those with a status from 400 on; `median` and `slow`: 50th and
    95th percentile of the seconds of the others, None where there are none; `up`, `down`: thumbs given in that time.
    `costs`: currency -> what the answers cost together; without those that have no price.
    """

    requests: int = 0
    errors: int = 0
    median: float | None = None
    slow: float | None = None
    up: int = 0
    down: int = 0
    costs: dict[str, float] = {}
