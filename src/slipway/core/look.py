"""A look at answers of the gate split: what is counted, and what the error budget of the gate is spent by."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["verdict", "comparison", "answers", "use"]


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One use of gate answers, as it stands in the ledger.

    `kind`: the gate judged; two candidates were compared on the gate split; answers were shown, example by example; a
    use that an older version counted. `candidates`: digests, in the order in which they are judged. `asked`: digest of
    all that was asked; the same question about the same examples is one look, however often it is asked.
    """

    seq: int
    at: str
    kind: Kind
    examples: str  # digest of the set of their ids
    candidates: tuple[str, ...]
    asked: str = ""
    project: str = ""
    who: str = ""
