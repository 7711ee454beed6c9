"""The gate's verdict and what it lets through."""

from __future__ import annotations

from typing import Literal

import msgspec

from slipway.core.ref import Noun, Ref
from slipway.i18n import Said


class Comparison(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Challenger minus champion on the same examples, paired, in the metric's own direction and unit.

    `mde`: minimum detectable effect at 80% power and the test's alpha, None when there are too few independent
    examples for any. `needed`: examples in all that would decide, None when decided or when no number would.
    `test`: `mcnemar-exact`, `permutation-exact`, `permutation`, `cluster-permutation`, `swap-permutation`, ...
    """

    metric: str
    n: int
    groups: int
    champion: float
    challenger: float
    effect: float
    low: float
    high: float
    p_value: float
    test: str
    mde: float | None
    needed: int | None = None


class RuleResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the gate: what was asked, what was found, and the outcome in words."""

    metric: str
    rule: Literal["min", "max", "non-inferiority", "superiority"]
    outcome: Literal["pass", "fail", "insufficient"]
    bound: float  # the bound, or the margin
    value: float | None  # measured aggregate; None when the metric is missing (the rule then fails)
    low: float | None = None
    high: float | None = None
    comparison: Comparison | None = None
    needed: int | None = None  # examples in all that would decide an insufficient rule
    reason: tuple[Said, ...] = ()  # why; language-free, so that a verdict is the same whoever asked for it


class Verdict(Noun, frozen=True, kw_only=True):
    """The gate's answer for one candidate. `pass` only when every rule passed; an empty gate never passes."""

    outcome: Literal["pass", "fail", "insufficient"]
    rules: tuple[RuleResult, ...]
    report: Ref
    champion: Ref | None = None
    gate_uses: int = 1  # how often the gate split has been looked at, this time included
    alpha: float = 0.05


class Release(Noun, frozen=True, kw_only=True):
    """A candidate that may serve: what it is, why it may, who said so. `pins`: every blob and model file by sha256."""

    name: str
    candidate: Ref
    report: Ref
    verdict: Ref
    pins: dict[str, str]
    created: str  # RFC 3339, UTC
    created_by: str
    slipway: str  # version that made it
    note: str = ""

    @property
    def ref(self) -> Ref:
        """How channels point at it."""
        return Ref("release", self.name, self.digest)
