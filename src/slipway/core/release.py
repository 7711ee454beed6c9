"""The gate's verdict and what it lets through."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from slipway.core.ref import Noun, Ref
from slipway.errors import ConfigError
from slipway.i18n import Said, t

_CHANNEL = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_DIGEST = re.compile(r"[0-9a-f]{8,}")


def check_channel(name: str) -> str:
    """A channel's name as it came, or ConfigError: it stands in `project@channel`, where a digest may stand too."""
    if not _CHANNEL.fullmatch(name):
        raise ConfigError(
            t("{name} cannot be the name of a channel", name=ascii(name[:80])),
            t("use lower-case letters, digits, '-', '_' and '.', at most 63 in all; for example staging"),
        )
    if _DIGEST.fullmatch(name):
        raise ConfigError(
            t("'{name}' cannot be the name of a channel: it would pass for a digest", name=name),
            t("use a name with other characters than 0-9 and a-f, or with fewer than 8"),
        )
    return name


class Comparison(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Challenger minus champion on the same examples, paired, in the metric's own direction and unit.

    `low`, `high`: 1 - alpha interval, None where so few examples give no bound. `p_value`: two-sided, the smallest
    alpha at which that interval excludes zero. `mde`: minimum detectable effect at 80% power and the interval's alpha,
    None when no effect can be shown. `needed`: examples in all that would decide, None when decided or when no number
    would. `error`: standard error of the effect by whole groups, None for a quantile. `against`: the champion's
    release, where it has one. `test`: `exact-paired` for right-or-wrong answers that share no group, `gaffke` for
    another mean, `gaffke-first-order` for macro F1, `order-statistics` for a quantile, with `cluster-` before it where
    examples share groups; older ones have other names.
    """

    metric: str
    n: int
    groups: int
    champion: float
    challenger: float
    effect: float
    low: float | None
    high: float | None
    p_value: float
    test: str
    mde: float | None
    needed: int | None = None
    against: Ref | None = None
    higher_is_better: bool = True
    error: float | None = None


class RuleResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the gate: what was asked, what was found, and the outcome in words.

    `against`: the channel it compares with; the release that served there is in `champion`, None when there was none.
    `slice`: the part of the examples that it is about, such as `language=zh`; empty: all of them.
    """

    metric: str
    rule: Literal["min", "max", "non-inferiority", "superiority"]
    outcome: Literal["pass", "fail", "insufficient"]
    bound: float  # the bound, or the margin
    value: float | None  # measured aggregate; None when the metric is missing (the rule then fails)
    low: float | None = None
    high: float | None = None
    comparison: Comparison | None = None
    needed: int | None = None  # gate examples in all (of the slice) that would decide an insufficient rule, likely
    needed_low: int | None = None  # and from
    needed_high: int | None = None  # to, where the true value is 68% likely to lie; None: no number may
    reason: tuple[Said, ...] = ()  # why; language-free, so that a verdict is the same for every caller
    against: str = ""
    champion: Ref | None = None
    confidence: Literal["interval", "point"] = "interval"  # `point`: the measured value was taken for the truth
    slice: str = ""
    limit: float | None = None  # the highest value of one example that the rule names


class Verdict(Noun, frozen=True, kw_only=True):
    """The gate's answer for one candidate. `pass` only when every rule passed; an empty gate never passes.

    `champions`: channel -> release it was compared with. `champion` is that of older verdicts, which knew one channel.
    """

    outcome: Literal["pass", "fail", "insufficient"]
    rules: tuple[RuleResult, ...]
    report: Ref
    champion: Ref | None = None
    champions: dict[str, Ref] = {}
    gate_uses: int = 1  # how often the gate split has been looked at, this time included
    alpha: float = 0.05
    history: str = ""  # head of the ledger when it was judged, `<entries>:<digest>`
    looks: int = 0  # how many looks the project allows itself at these examples; 0: it did not say
    sequence: tuple[Ref, ...] = ()  # the candidates of this look in the order in which they are tested
    field: str = ""  # digest of the rules and the gate examples; the same choice again has the same champions
    warnings: tuple[Said, ...] = ()  # what a person should know before believing it; no outcome depends on them
    decision: str = ""  # digest of what was decided and of the answers it rests on, without anything a clock measured


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
    history: str = ""  # head of the ledger when it was made: what was decided before cannot change unseen

    @property
    def ref(self) -> Ref:
        """How channels point at it."""
        return Ref("release", self.name, self.digest)


def is_consequence(key: str) -> bool:
    """Whether a field in which two releases differ is a digest, which changes because something else did."""
    return key.startswith(("pins.", "candidate.adapter_files.")) or ".files." in key or key.endswith(".digest")
