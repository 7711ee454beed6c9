"""That something was taken out on purpose, when and why: what is missing since then is no damage."""

from __future__ import annotations

from typing import Literal

from slipway.core.ref import Noun

ERASURE = "erasure"  # the kind under which the catalog has it


class Erasure(Noun, frozen=True, kw_only=True):
    """What one `slipway data forget` deleted, by digest: `blobs` (items of datasets, scores of reports) and
    `candidates`; or how much went because it was over its time, or over the size that may be kept (`kind`), without
    `by`. Nothing of what they said, and nobody's name. `why`: what a person gave as the reason.
    """

    at: str  # RFC 3339, UTC
    by: str
    blobs: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    traces: int = 0
    feedback: int = 0
    kind: Literal["forget", "retention"] = "forget"
    why: str = ""
    rows: dict[str, int] = {}  # what else went by itself: answers, steps, runs, ...
    bytes: int = 0
