"""Simulated users as they come in life, and what changes while they do: when they ask, who asks again, what goes wrong.

Sessions follow the day and the week, and a user asks one question or several in a row. From some moment on one thing is
different: another topic, another language, a slower upstream, a worse model, spam. So that a monitor can be shown to
notice it.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

import msgspec

from slipway.core.answer import Answer
from slipway.core.material import Example
from slipway.errors import ConfigError
from slipway.i18n import t

Change = Literal["new-topic", "language-shift", "slower", "worse", "spam"]
CHANGES: tuple[Change, ...] = get_args(Change)
_OF_ANSWERS = frozenset(("slower", "worse"))
_QUESTIONS = 2.5  # of a user in a row, on average
_BETWEEN = 60.0  # seconds
_SLOWER = 6.0  # times slower at a strength of 1
_ROUNDED = 0.005  # shares may be rounded
_SPAM = "WIN A FREE CRUISE!!! click here now, limited offer 免费领取"


@dataclass(frozen=True)
class Drift:
    """`since`: the share of the requests after which it begins. `strength`: the share of requests that it changes; of
    `slower`, how much: 1 is six times as slow. `days`: the time that the traffic spans, ending now; 0: it comes now.
    """

    change: Change | None = None
    since: float = 0.5
    strength: float = 0.5
    days: float = 0.0


@dataclass(frozen=True)
class Visit:
    """Who asks, and when: RFC 3339, empty for now."""

    user: str
    at: str = ""


def visits(requests: int, days: float, seed: int, until: datetime | None = None) -> list[Visit]:
    """So many requests in the order of time, over so many days until a moment (now)."""
    rng, end = random.Random(seed), (until or datetime.now(UTC)).timestamp()
    found: list[tuple[float, str]] = []
    number = 0
    while len(found) < requests:
        at = _begin(rng, end, days) if days else float(len(found))
        number += 1
        for _ in range(1 + _geometric(rng)):
            found.append((at, f"simulated-{seed}-{number}"))
            at += 1 + rng.expovariate(1 / _BETWEEN)
    found = sorted(found)[:requests]
    return [Visit(user, _moment(min(at, end)) if days else "") for at, user in found]


def _geometric(rng: random.Random) -> int:
    return int(math.log(1 - rng.random()) / math.log(1 - 1 / _QUESTIONS))


def _begin(rng: random.Random, end: float, days: float) -> float:
    """A moment, with nights at a tenth and weekends at two fifths of the busiest hour."""
    while True:
        at = end - rng.random() * days * 86400
        when = datetime.fromtimestamp(at, UTC)
        day = 0.55 - 0.45 * math.cos((when.hour + when.minute / 60 - 3) / 24 * 2 * math.pi)
        if rng.random() < day * (0.4 if when.weekday() >= 5 else 1.0):
            return at


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Mix:
    """Which question comes next. With `shares`, language -> share of the users, each asks in one language, drawn by
    them; without, questions come in the order of the pool. Past its end it begins again.

    A language is told by its first subtag: `zh-CN` and `zh-TW` are `zh`. `first`: how many were asked before. Raises
    ConfigError for shares that do not sum to 1 (0.005 more or less), and for a language that the pool lacks.
    """

    def __init__(self, pool: Sequence[Example], shares: Mapping[str, float] | None, first: int, seed: int) -> None:
        self._rng, self._of_user = random.Random(seed), dict[str, str]()
        self._shares = _checked(shares) if shares is not None else {"": 1.0}
        self._pools = {language: [one for one in pool if language in ("", _subtag(one.language))]
                       for language in self._shares}  # fmt: skip
        for language, rows in self._pools.items():
            if not rows:
                there = Counter(_subtag(one.language) for one in pool).most_common()
                raise ConfigError(
                    t("the pool has no question in '{language}'; it has {known}", language=language,
                      known=", ".join(f"{name}: {n}" for name, n in there)),
                    t("name one of these, or a file with questions in it; a row's `language` says which it is"),
                )  # fmt: skip
        self._next = {language: round(first * share) for language, share in self._shares.items()}

    @property
    def usual(self) -> str:
        """The language that most are to ask in; empty where shares are not given."""
        return max(self._shares, key=self._shares.__getitem__)

    def next(self, user: str) -> Example:
        """Of this user."""
        if user not in self._of_user:
            (self._of_user[user],) = self._rng.choices([*self._shares], [*self._shares.values()])
        language = self._of_user[user]
        self._next[language] += 1
        return self._pools[language][(self._next[language] - 1) % len(self._pools[language])]


def _checked(shares: Mapping[str, float]) -> dict[str, float]:
    """By first subtag, without those of 0."""
    found: dict[str, float] = {}
    for language, share in shares.items():
        if not 0 <= share <= 1:
            raise ConfigError(
                t(
                    "the share of '{language}' is {share:g}: it must lie between 0 and 1",
                    language=language,
                    share=share,
                ),
                t("for example --languages en=0.8,zh=0.2"),
            )
        if _subtag(language) in found:
            raise ConfigError(t("'{language}' has a share already", language=_subtag(language)),
                              t("name each language once, without a region"))  # fmt: skip
        found[_subtag(language)] = share
    total = sum(found.values())
    if abs(total - 1.0) > _ROUNDED:
        raise ConfigError(t("the shares of the languages sum to {total:g}, not to 1", total=total),
                          t("for example --languages en=0.8,zh=0.2"))  # fmt: skip
    return {language: share for language, share in found.items() if share}


def _subtag(language: str) -> str:
    return language.partition("-")[0].lower()


class Drifting:
    """What is asked and answered once a change began. `other`: questions of another topic; `usual`: the language that
    most ask in before; empty: that of most questions.
    """

    def __init__(
        self, drift: Drift, pool: Sequence[Example], other: Sequence[Example], seed: int, usual: str = ""
    ) -> None:
        self.drift, self._other, self._rng = drift, other, random.Random(seed)
        self._foreign = _foreign(pool, usual) if drift.change == "language-shift" else []
        self._before: list[Answer] = []
        if drift.change == "new-topic" and not other:
            raise ConfigError(
                t("a new topic needs questions of it"), t("--drift-from FILE names a file of other questions")
            )
        if drift.change == "language-shift" and not self._foreign:
            raise ConfigError(
                t("all questions of the pool are in one language"),
                t("name a file with a few questions in another one, each with its `language`"),
            )

    def check(self, over_http: bool) -> None:
        """Raise ConfigError for a change of answers that another process makes."""
        if over_http and self.drift.change in _OF_ANSWERS:
            raise ConfigError(
                t("'{change}' changes answers, which the server at --url makes", change=self.drift.change),
                t("leave --url away, or choose a change of questions: new-topic, language-shift or spam"),
            )

    def _now(self, share: float) -> bool:
        return self.drift.change is not None and share >= self.drift.since

    def asked(self, usual: Example, share: float) -> Example:
        """What is asked instead. `share`: of the requests, those that were before this one."""
        if not self._now(share) or self._rng.random() >= self.drift.strength:
            return usual
        if self.drift.change == "spam":
            name = next(iter(usual.input))
            return msgspec.structs.replace(usual, input={**usual.input, name: _SPAM})
        chosen = {"new-topic": self._other, "language-shift": self._foreign}.get(self.drift.change or "", ())
        return self._rng.choice(chosen) if chosen else usual

    def answer(self, given: Answer, share: float) -> Answer:
        """What is answered instead."""
        self._before = [*self._before[-99:], given]
        if not self._now(share):
            return given
        if self.drift.change == "slower":
            times = 1 + (_SLOWER - 1) * self.drift.strength
            return msgspec.structs.replace(
                given, seconds=given.seconds * times, first_token_seconds=given.first_token_seconds * times
            )
        if self.drift.change == "worse" and self._rng.random() < self.drift.strength:
            other = self._rng.choice(self._before)
            return msgspec.structs.replace(given, text=other.text, raw=other.raw, label=other.label)
        return given


def _foreign(pool: Sequence[Example], usual: str) -> list[Example]:
    """Those that are not in the usual language."""
    usual = usual or Counter(_subtag(one.language) for one in pool).most_common(1)[0][0]
    return [one for one in pool if _subtag(one.language) != usual]
