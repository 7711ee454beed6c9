"""What users made of outputs: of two the better one, or one that was good or bad. Tuners may learn from it."""

from __future__ import annotations

from slipway.core.material import Example
from slipway.core.ref import Noun


class Preference(Noun, frozen=True, kw_only=True):
    """Two outputs for one input, of which `chosen` was preferred. `example` has the input and no reference; `votes`: by
    how many votes more.
    """

    example: Example
    chosen: str
    rejected: str
    votes: int = 1


class Thumb(Noun, frozen=True, kw_only=True):
    """One output, and whether most of those who judged it called it good. `votes`: the majority's lead."""

    example: Example
    completion: str
    label: bool
    votes: int = 1
