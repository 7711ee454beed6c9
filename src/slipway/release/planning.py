"""What the gate can decide, before anything of it is looked at: power, examples needed, what the next looks cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from slipway.core.metrics import MetricInfo, metric_info, said_value
from slipway.core.report import Score
from slipway.i18n import Said, say
from slipway.release.rules import Kind, Rule, asked, check_rules
from slipway.release.supposed import Pilot, Supposed, suppose
from slipway.stats.power import Needed
from slipway.stats.prospects import fewest, first_margin
from slipway.stats.quantiles import quantile_needs

POWER = 0.8
_POINTS = 24  # of a curve
_FAR = 4  # a curve goes on to so many times the present number of examples


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A gate example as far as a plan needs it: no input and no answer."""

    group: str
    language: str
    facets: dict[str, str] = {}


class Prospect(msgspec.Struct, frozen=True, kw_only=True):
    """One claim of one rule. Examples are those of the gate split (of the slice); `all_examples` those to have in all.

    `truth`: what is supposed, a value or a difference; `basis`: whether dev says so or an assumption. `power`: at the
    present size and the next look's alpha. `needed` for 80% power, `needed_low` and `needed_high` by a 68% interval of
    the truth; None: no number is enough, or nothing is known. `decided_from`: the true value or difference from which
    on the present size shows the claim with 80% power; for a quantile the share of examples within the bound.
    `never`: it cannot pass at this size, whatever the answers are. `curve`: (examples, power).
    """

    metric: str
    rule: Kind
    bound: float
    against: str = ""
    slice: str = ""
    examples: int
    truth: float | None = None
    basis: Literal["pilot", "assumed", "unknown", "point"] = "unknown"
    power: float | None = None
    needed: int | None = None
    needed_low: int | None = None
    needed_high: int | None = None
    all_examples: int | None = None
    decided_from: float | None = None
    decided_share: float | None = None
    never: bool = False
    notes: tuple[Said, ...] = ()
    curve: tuple[tuple[int, float], ...] = ()


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """A look that is to come: its alpha, and the gate examples at which every rule has 80% power; None: unknown.

    Zero where every rule takes the measured value as it is.
    """

    look: int
    alpha: float
    needed: int | None


class GatePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate split can decide. `rivals`: channel -> the candidate whose dev answers stand for what serves there.

    `gate` and `total`: examples there are. `used`, `budget`: looks.
    """

    candidate: str
    rivals: dict[str, str]
    gate: int
    groups: int
    total: int
    used: int
    budget: int
    prospects: tuple[Prospect, ...]
    looks: tuple[Price, ...]
    meanings: dict[str, MetricInfo] = {}
    currency: str = ""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan stands on. `scores`: of the candidate on dev; `rivals`: channel -> the scores of what serves there,
    or of what stands for it; `standing_in`: channels of the latter kind. All may be empty.
    """

    scores: Sequence[Score] = ()
    rivals: Mapping[str, Sequence[Score]] = {}
    standing_in: frozenset[str] = frozenset()
    meanings: Mapping[str, MetricInfo] = {}
    currency: str = ""


def prospects(
    rules: Mapping[str, Rule], known: Known, places: Sequence[Place], total: int, alphas: Sequence[float]
) -> tuple[list[Prospect], list[int | None]]:
    """Each claim at the next look, and the gate examples that all of them need at each of the looks to come.

    `alphas`: of the looks to come, the next first; `places`: the gate examples; `total`: examples in all splits.
    Raises ConfigError for a rule that asks nothing, NotFound for an unknown metric.
    """
    check_rules(rules, known.meanings)
    made: list[Prospect] = []
    needs: list[list[int | None]] = [[] for _ in alphas]
    for name, rule in rules.items():
        info = known.meanings.get(name) or metric_info(name)
        info = info if rule.limit is None else msgspec.structs.replace(info, high=rule.limit)
        for one in _claims(info, rule, known, places):
            made.append(one.prospect(alphas[0], len(places), total))
            for needed, alpha in zip(needs, alphas, strict=True):
                needed.append(one.whole(one.needs(alpha).likely, len(places)))
    return made, [None if None in column else max(column, default=0) for column in needs]  # pyright: ignore[reportArgumentType, reportReturnType, reportCallIssue]


class _Claim(msgspec.Struct, frozen=True):
    """One claim with what it is up against."""

    info: MetricInfo
    rule: Rule
    kind: Kind
    bound: float
    part: str
    places: Sequence[Place]
    supposed: Supposed
    standing_in: bool
    currency: str

    @property
    def groups(self) -> int:
        return len({place.group or f"\0{n}" for n, place in enumerate(self.places)})

    @property
    def per_group(self) -> float:
        """Examples of a group: of the gate where there is one, else of dev."""
        return len(self.places) / self.groups if self.places else self.supposed.per_group

    def whole(self, count: int | None, gate: int) -> int | None:
        """Gate examples of all slices when this slice must have `count`."""
        return count if count is None or not self.places else math.ceil(count * gate / len(self.places))

    def needs(self, alpha: float) -> Needed:
        """In examples."""
        if self.rule.confidence == "point":
            return Needed(0, 0, 0)
        claim = self.supposed.claim
        return Needed(None, None, None) if claim is None else claim.needed(alpha).times(self.per_group)

    def prospect(self, alpha: float, gate: int, total: int) -> Prospect:
        """All that is told of it."""
        made = Prospect(
            metric=self.info.name, rule=self.kind, bound=self.bound, slice=self.part, examples=len(self.places),
            against=self.rule.against or "" if self.kind in ("non-inferiority", "superiority") else "",
            truth=self.supposed.truth, basis=self.supposed.basis, notes=self.supposed.notes,  # pyright: ignore[reportArgumentType]
        )  # fmt: skip
        if self.rule.confidence == "point":
            note = say("decided by the measured value alone, at any size (confidence: point)")
            return msgspec.structs.replace(made, basis="point", notes=(note,))
        needed = self.needs(alpha)
        pilot = self.supposed.basis == "pilot"
        never, why = self._never(alpha)
        whole = self.whole(needed.likely, gate)
        return msgspec.structs.replace(
            made, power=self._power(self.groups, alpha), needed=needed.likely,
            needed_low=needed.low if pilot else None, needed_high=needed.high if pilot else None,
            all_examples=None if whole is None or not gate else math.ceil(whole * total / gate),
            never=never, notes=(*self._standing(), *made.notes, *why), curve=self._curve(alpha, needed.likely),
            **self._decided(alpha),
        )  # fmt: skip

    def _power(self, groups: float, alpha: float) -> float | None:
        claim = self.supposed.claim
        if claim is None or not groups:
            return None if claim is None else 0.0
        return claim.power(groups, alpha)

    def _decided(self, alpha: float) -> dict[str, float | None]:
        claim = self.supposed.claim
        found = None if claim is None or not self.groups else claim.decided_from(self.groups, alpha)
        if found is None:
            return {}
        if self.supposed.share_of is not None:
            return {"decided_share": abs(found) if self.kind == "max" else 1 - abs(found)}
        return {"decided_from": self.supposed.sign * found}

    def _curve(self, alpha: float, needed: int | None) -> tuple[tuple[int, float], ...]:
        if self.supposed.claim is None:
            return ()
        most = max(_FAR * len(self.places), min(2 * (needed or 0), 20 * max(len(self.places), 50)), 50)
        steps = sorted({max(2, round(most * (step / _POINTS) ** 2)) for step in range(1, _POINTS + 1)})
        found = ((n, self._power(n / self.per_group, alpha)) for n in steps)
        return tuple((n, power) for n, power in found if power is not None)

    def _standing(self) -> tuple[Said, ...]:
        if not self.standing_in or self.kind not in ("non-inferiority", "superiority"):
            return ()
        return (say("nothing serves on '{channel}' yet: this is about the release after the first",
                    channel=self.rule.against or ""),)  # fmt: skip

    def _never(self, alpha: float) -> tuple[bool, tuple[Said, ...]]:
        """Whether no answers at all would pass at this size, and what to do."""
        claim, groups = self.supposed.claim, self.groups
        if self.info.form == "quantile" and self.kind != "min" and groups < quantile_needs(self.info.q, alpha):
            return True, (
                say("no upper bound below {n} independent examples: add examples, ask the median, or take the measured "
                    "value (confidence: point)", n=quantile_needs(self.info.q, alpha)),
            )  # fmt: skip
        if claim is None or not groups:
            return not groups, (say("there is no gate example"),) if not groups else ()
        if not claim.possible(groups, alpha):
            least = fewest(lambda n: claim.possible(max(1, math.ceil(n)), alpha))
            if least is None:
                return True, (say("no value keeps this bound: change it"),)
            return True, (
                say("even flawless answers would not pass below {n} independent examples: add examples, or ask less",
                    n=least),
            )  # fmt: skip
        if self.kind == "non-inferiority" and self.info.high is not None and self.info.form == "mean":
            least_margin = first_margin(groups, alpha) * (self.info.high - self.info.low)
            if least_margin > self.bound:
                shown = said_value(self.info, least_margin, self.currency)
                return False, (say("equal answers pass from a margin of {margin} on", margin=shown),)
        return False, ()


def _claims(info: MetricInfo, rule: Rule, known: Known, places: Sequence[Place]) -> Iterator[_Claim]:
    """Of the whole, then of each slice that the rule names; superiority is not asked of slices."""
    rival = known.rivals.get(rule.against or "", ())
    parts: list[tuple[str, Sequence[Place], Pilot]] = [("", places, Pilot(known.scores, rival))]
    for key in rule.slices:
        for value in sorted({_value(place, key) for place in places}):
            these = [[s for s in scores if _value(s, key) == value] for scores in (known.scores, rival)]
            inside = [place for place in places if _value(place, key) == value]
            parts.append((f"{key}={value or '-'}", inside, Pilot(*these)))
    for part, inside, pilot in parts:
        for kind, bound in asked(rule):
            if not part or kind != "superiority":
                supposed = suppose(info, kind, bound, pilot, known.currency, grouped=_grouped(inside))
                in_place = (rule.against or "") in known.standing_in
                yield _Claim(info, rule, kind, bound, part, inside, supposed, in_place, known.currency)


def _grouped(places: Sequence[Place]) -> bool:
    """Whether two of them share a group."""
    named = [place.group for place in places if place.group]
    return len(set(named)) < len(named)


def _value(one: Place | Score, key: str) -> str:
    return one.language if key == "language" else one.facets.get(key, "")
