"""A verdict in five sentences: what was asked, what was found, by how much, what that means, what it has cost."""

from __future__ import annotations

import math

from slipway.core.metrics import MetricInfo
from slipway.core.release import RuleResult, Verdict
from slipway.core.report import Report
from slipway.i18n import joined, t, told
from slipway.release.claims import judged_by_point
from slipway.render.cells import Amount, amount, info_of
from slipway.render.document import Document, Passage
from slipway.render.pages.scales import Scale, scales, text_picture
from slipway.render.pages.verdicts import about, claim_words, verdict_table, warned

_NAMED = 4  # rules that the first sentence names


def why(found: Verdict, report: Report) -> Document:
    """The sentences, then the picture."""
    said = sentences(found, report)
    drawn = scales(found, report.meanings, report.currency)
    parts = [*said, *warned(found), *([Passage(text_picture(drawn), drawn=True)] if drawn else [])]
    data = {"verdict": found, "candidate": report.candidate.name, "sentences": said}
    return Document(data, parts, verdict_table(found, report.currency))


def sentences(found: Verdict, report: Report) -> list[str]:
    """Five. With several rules, the second and third are about the one that decided."""
    name = report.candidate.name
    if not found.rules:
        return [
            t("The gate has no rules, and a gate without rules lets nothing through."),
            t("Nothing was measured for it."),
            t("So '{name}' neither passed nor missed a bound.", name=name),
            t("Add a rule, for example {rule}, and run again.", rule="token_f1: {min: 0.3}"),
            _spent(found),
        ]
    one = _decisive(found, report)
    teller = _Teller(found, report, one)
    return [_asked(found, report), teller.measured(), teller.gap(), teller.meaning(), _spent(found)]


def _asked(found: Verdict, report: Report) -> str:
    claims = [f"{about(one)} {claim_words(one, info_of(one.metric, report.meanings), report.currency)}"
              for one in found.rules]  # fmt: skip
    name = report.candidate.name
    if len(claims) == 1:
        return t("The gate asked one thing of '{name}': {claim}.", name=name, claim=claims[0])
    if len(claims) > _NAMED:
        return t("The gate asked {n} things of '{name}', and all of them must hold: {claims}, and {more} more.",
                 n=len(claims), name=name, claims=joined(claims[: _NAMED - 1]),
                 more=len(claims) - _NAMED + 1)  # fmt: skip
    return t("The gate asked {n} things of '{name}', and all of them must hold: {claims}.", n=len(claims), name=name,
             claims=joined(claims))  # fmt: skip


def _decisive(found: Verdict, report: Report) -> RuleResult:
    """The first that failed, else of those left open the one that needs most, else the closest to its bound."""
    for one in found.rules:
        if one.outcome == "fail":
            return one
    left_open = [one for one in found.rules if one.outcome == "insufficient"]
    if left_open:
        return max(left_open, key=lambda one: one.needed or math.inf)
    drawn = scales(found, report.meanings)
    return found.rules[min(range(len(drawn)), key=lambda n: _room(drawn[n]))]


def _room(scale: Scale) -> float:
    """How far the interval is from the line, in lengths of the interval."""
    near = _near(scale)
    if near is None or scale.low is None and scale.high is None:
        return math.inf
    length = abs((scale.high or near) - (scale.low if scale.low is not None else near)) or 1e-12
    return abs(near - scale.line) / length


def _near(scale: Scale) -> float | None:
    """The end of the interval that must keep the line."""
    return scale.low if scale.up else scale.high


class _Teller:
    """Sentences two, three and four, about one rule."""

    def __init__(self, found: Verdict, report: Report, one: RuleResult) -> None:
        self.found, self.report, self.one = found, report, one
        self.info: MetricInfo = info_of(one.metric, report.meanings)
        self.scale = next(scale for rule, scale in zip(found.rules, scales(found, report.meanings, report.currency),
                                                       strict=True) if rule is one)  # fmt: skip
        self.compared = one.rule in ("non-inferiority", "superiority")
        self.point = judged_by_point(one)

    def measured(self) -> str:
        """What was found, with its bound in words."""
        one, scale = self.one, self.scale
        if one.value is None or not self.compared and scale.value is None:
            return t("{metric} could not be judged: {why}.", metric=about(one), why=self._reasons())
        if self.compared and one.comparison is None:
            return t("{metric} was {value}; there was nothing to compare it with.", metric=about(one),
                     value=self._amount(one.value))  # fmt: skip
        near = _near(scale)
        if self.compared and one.comparison is not None:
            values = {"n": one.comparison.n, "metric": about(one), "value": self._amount(one.value),
                      "champion": self._amount(one.comparison.champion), "effect": scale.shown(one.comparison.effect),
                      "confidence": self._confidence()}  # fmt: skip
            if self.point:
                return t("On the same {n} examples, {metric} was {value} and {champion} for what serves, a difference "
                         "of {effect}.", **values)  # fmt: skip
            if near is None:
                return t("On the same {n} examples, {metric} was {value} and {champion} for what serves, a difference "
                         "of {effect}, which so few examples do not bound.", **values)  # fmt: skip
            if scale.up:
                return t("On the same {n} examples, {metric} was {value} and {champion} for what serves: a difference "
                         "of {effect}, and with {confidence} confidence of {bound} or more.", **values,
                         bound=scale.shown(near))  # fmt: skip
            return t("On the same {n} examples, {metric} was {value} and {champion} for what serves: a difference "
                     "of {effect}, and with {confidence} confidence of {bound} or less.", **values,
                     bound=scale.shown(near))  # fmt: skip
        values = {"metric": about(one), "value": self._amount(one.value), "confidence": self._confidence(),
                  "where": self._where()}  # fmt: skip
        if self.point:
            return t("{where}, {metric} was {value}; the rule takes the measured value as it is.", **values)
        if near is None:
            return t("{where}, {metric} was {value}, and so few of them give no bound for it.", **values)
        if scale.up:
            return t("{where}, {metric} was {value}, and with {confidence} confidence it is at least {bound}.",
                     **values, bound=scale.shown(near))  # fmt: skip
        return t("{where}, {metric} was {value}, and with {confidence} confidence it is at most {bound}.", **values,
                 bound=scale.shown(near))  # fmt: skip

    def gap(self) -> str:
        """By how much it passed or missed."""
        one, scale = self.one, self.scale
        near = scale.value if self.point else _near(scale)
        if one.outcome == "pass":
            if near is None:
                return t("The rule passed, because {why}.", why=self._reasons())
            values = {"gap": self._gap(near), "asked": self._line()}
            if len(self.found.rules) > 1:
                return t("That is {gap} on the right side of {asked}; no other rule was closer to its bound.", **values)
            return t("That is {gap} on the right side of {asked}.", **values)
        if scale.value is None:
            return t("So the rule did not pass: what cannot be judged never does.")
        kept = self._good(scale.value) >= 0
        values = {"asked": self._line(), "gap": self._gap(scale.value)}
        if one.outcome == "fail":
            if kept and not self.compared:
                return t("The measured value keeps the bound of {asked}, but the rule failed: {why}.", **values,
                         why=self._reasons())  # fmt: skip
            return t("It misses {asked} by {gap}, so the rule failed.", **values)
        if kept and near is None:
            return t("As measured it is {gap} on the right side of {asked}, but nothing says how far off that may be.",
                     **values)  # fmt: skip
        if kept and near is not None:
            return t("As measured it is {gap} on the right side of {asked}; the bound falls short of it by {short}.",
                     **values, short=self._gap(near))  # fmt: skip
        return t("As measured it is {gap} on the wrong side of {asked}, which may still be chance.", **values)

    def meaning(self) -> str:
        """What follows, and what would decide."""
        name, failed = self.report.candidate.name, [one for one in self.found.rules if one.outcome == "fail"]
        if self.found.outcome == "pass":
            if all(judged_by_point(one) for one in self.found.rules):
                return t("So '{name}' may be released; by measured values alone, which chance may have favoured.",
                         name=name)  # fmt: skip
            return t("So '{name}' may be released: one that breaks a rule would pass in at most {alpha} of such tests.",
                     name=name, alpha=self._alpha())  # fmt: skip
        if self.found.outcome == "fail":
            if self.one.value is None:
                return t("So '{name}' is not released; measure the metric, or take the rule out.", name=name)
            return t("So '{name}' is not released, and more examples will hardly change that: improve the candidate, "
                     "or ask less ({n} of {all} rules failed).", name=name, n=len(failed),
                     all=len(self.found.rules))  # fmt: skip
        return t("So '{name}' is not released, though nothing speaks clearly against it: {more}.", name=name,
                 more=told(self.one.reason[-1:]))  # fmt: skip

    def _where(self) -> str:
        key, _, value = self.one.slice.partition("=")
        part = self.report.by_language.get(value, {}) if key == "language" else {} if key else self.report.metrics
        found = part.get(self.one.metric)
        return t("On {n} examples", n=found.n) if found else t("On the examples of this slice")

    def _good(self, value: float) -> float:
        """How far a value is on the right side."""
        return (value - self.scale.line) * (1 if self.scale.up else -1)

    def _line(self) -> str:
        """The bound, or what a difference is compared with."""
        return t("zero") if self.one.rule == "superiority" else self.scale.shown(self.scale.line)

    def _gap(self, value: float) -> str:
        return amount(Amount(abs(value - self.scale.line), self.info, self.report.currency))

    def _amount(self, value: float | None) -> str:
        return "-" if value is None else amount(Amount(value, self.info, self.report.currency))

    def _confidence(self) -> str:
        return _percent(1 - self.found.alpha)

    def _alpha(self) -> str:
        return _percent(self.found.alpha)

    def _reasons(self) -> str:
        return told(self.one.reason)


def _spent(found: Verdict) -> str:
    if not found.looks:  # before looks had a price
        return t("It was look {n} at these examples; this version of the verdict made no allowance for looks before "
                 "it.", n=found.gate_uses)  # fmt: skip
    left = max(0, found.looks - found.gate_uses)
    if not left:
        return t("It was the last of {budget} looks at these examples, so the next question needs fresh ones.",
                 budget=found.looks)  # fmt: skip
    if all(judged_by_point(one) for one in found.rules):
        return t("It was look {n} of {budget} at these examples.", n=found.gate_uses, budget=found.looks)
    return t("It was look {n} of {budget} at these examples, so the chance of a wrong pass was held to {alpha}; each "
             "look from here on needs more examples.", n=found.gate_uses, budget=found.looks,
             alpha=_percent(found.alpha))  # fmt: skip


def _percent(share: float) -> str:
    """With two digits of what is left to 0 or 100."""
    rest = min(share, 1 - share)
    digits = max(0, 1 - math.floor(math.log10(100 * rest))) if rest > 0 else 0
    shown = f"{100 * share:.{digits}f}"
    return f"{shown.rstrip('0').rstrip('.') if '.' in shown else shown}%"
