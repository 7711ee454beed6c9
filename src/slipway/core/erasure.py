"""That something was taken out on purpose: what is missing since then is no damage."""

from __future__ import annotations

from slipway.core.ref import Noun

ERASURE = "erasure"  # the kind under which the catalog has it


class Erasure(Noun, frozen=True, kw_only=True):
    """What one `slipway data forget` deleted, by digest: `blobs` (items of datasets, scores of reports) and
    `candidates`. Nothing of what they said, and nobody's name.
    """

    at: str  # RFC 3339, UTC
    by: str
    blobs: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    traces: int = 0
    feedback: int = 0
