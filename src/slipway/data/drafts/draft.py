"""A proposed example, and what a person decided about it."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["proposed", "accepted", "fixed", "refused"]


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """`source`: `document#heading`, as in examples. `document`: digest of the Document that it was drafted from.

    `rule`: what proposed it, or `model:NAME`. `passage`: what it was made from. `fixed` is accepted with words that a
    person changed; `exported` is the file of examples that it was written to.
    """

    id: str
    question: str
    answer: str
    source: str
    language: str
    passage: str = ""
    rule: str
    document: str
    status: Status = "proposed"
    exported: str = ""

    @property
    def agreed(self) -> bool:
        """Whether it is an example now."""
        return self.status in ("accepted", "fixed")
