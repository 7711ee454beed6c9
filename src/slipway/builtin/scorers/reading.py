"""Right or wrong, read out of an answer in sentences: a text, a number, yes or no, one of several options."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from slipway.builtin.scorers.common import Configured, Options
from slipway.core.answer import Answer
from slipway.core.material import Example
from slipway.errors import ConfigError, EngineError
from slipway.i18n import t
from slipway.text.choices import chosen
from slipway.text.polarity import polarity
from slipway.text.quantities import Quantity, quantities, same
from slipway.text.words import answer_words, fold

_SECONDS = 0.2  # for one pattern on one answer


class ContainsConfig(Options):
    """`texts`: looked for instead of the references. `require`: any of them or all. `absent`: must not be there.

    `words`: only whole words count, compared as `exact_match` compares; else any run of characters, folded.
    """

    texts: tuple[str, ...] = ()
    require: Literal["any", "all"] = "any"
    absent: tuple[str, ...] = ()
    words: bool = True


class Contains(Configured[ContainsConfig]):
    """1 when the answer contains a reference (or the `texts` of the options) as whole words, else 0."""

    Config: ClassVar[type[ContainsConfig]] = ContainsConfig

    def score(self, example: Example, answer: Answer) -> float | None:
        """0 or 1; None when there is nothing to look for or to avoid."""
        wanted = self.config.texts or example.expected
        if not wanted and not self.config.absent:
            return None
        if answer.error:
            return 0.0
        if any(self._within(one, answer.text, example.language) for one in self.config.absent):
            return 0.0
        there = [self._within(one, answer.text, example.language) for one in wanted]
        return float(not there or (any(there) if self.config.require == "any" else all(there)))

    def _within(self, wanted: str, text: str, language: str) -> bool:
        return contains(wanted, text, language) if self.config.words else fold(wanted) in fold(text)


def contains(wanted: str, text: str, language: str) -> bool:
    """Whether the words of `wanted` stand in `text` one after the other; a text without words is in none."""
    expected, found = answer_words(wanted, language), answer_words(text, language)
    places = range(len(found) - len(expected) + 1)
    return bool(expected) and any(found[n : n + len(expected)] == expected for n in places if found[n] == expected[0])


class RegexConfig(Options):
    """`pattern`: a regular expression; without it each reference is one. `full`: it must match the whole answer.

    `ignore_case`: letters of either case match. A pattern is that of Python's `re`, over several lines.
    """

    pattern: str = Field(default="", max_length=1000)
    full: bool = False
    ignore_case: bool = False

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        if value:
            _compiled(value, False)
        return value


class Regex(Configured[RegexConfig]):
    """1 when a regular expression (of the options, else each reference) matches the answer, else 0."""

    Config: ClassVar[type[RegexConfig]] = RegexConfig

    def score(self, example: Example, answer: Answer) -> float | None:
        """0 or 1; None without a pattern. Raises ConfigError for a reference that is no pattern."""
        patterns = (self.config.pattern,) if self.config.pattern else example.expected
        if not patterns:
            return None
        try:
            compiled = [_compiled(pattern, self.config.ignore_case) for pattern in patterns]
        except ValueError as error:
            raise ConfigError(
                t("the expected answer of {where} is no regular expression: {why}", where=example.source, why=error),
                t("give regex a `pattern`, or correct the example"),
            ) from error
        if answer.error:
            return 0.0
        return float(any(self._matches(pattern, answer.text) for pattern in compiled))

    def _matches(self, pattern: Any, text: str) -> bool:
        try:
            return (pattern.fullmatch if self.config.full else pattern.search)(text, timeout=_SECONDS) is not None
        except TimeoutError as error:
            raise EngineError(
                t("the pattern takes more than {n:g} s on one answer", n=_SECONDS),
                t("make it simpler: no repetition inside a repetition"),
            ) from error


def _compiled(pattern: str, ignore_case: bool) -> Any:
    import regex

    try:
        return regex.compile(pattern, regex.MULTILINE | (regex.IGNORECASE if ignore_case else 0))
    except (regex.error, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from error


class NumericConfig(Options):
    """How far a number may be off: `absolute`, in the expected unit, or `relative` (0.01 is 1%), whichever is more.

    `strict`: units must be there and agree, else a number without a unit is taken in the other's. `take`: which
    numbers of the answer count: any, the first or the last (of an answer that reasons before it concludes).
    """

    absolute: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    relative: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    strict: bool = False
    take: Literal["any", "first", "last"] = "any"


class NumericMatch:
    """1 when every number of a reference is in the answer, within a tolerance and after changing units, else 0."""

    Config: ClassVar[type[NumericConfig]] = NumericConfig
    higher_is_better: ClassVar[bool] = True

    def __init__(self, config: NumericConfig | None = None) -> None:
        self.config = config or NumericConfig()
        self._absolute, self._relative = (Fraction(str(n)) for n in (self.config.absolute, self.config.relative))

    def score(self, example: Example, answer: Answer) -> float | None:
        """0 or 1; None when no reference has a number."""
        wanted = [found for found in map(quantities, example.expected) if found]
        if not wanted:
            return None
        if answer.error:
            return 0.0
        found = quantities(answer.text)
        if self.config.take != "any":
            found = found[:1] if self.config.take == "first" else found[-1:]
        return float(any(all(self._among(one, found) for one in each) for each in wanted))

    def _among(self, one: Quantity, found: Sequence[Quantity]) -> bool:
        return any(same(one, other, self._absolute, self._relative, self.config.strict) for other in found)


class YesNoConfig(Options):
    """`yes`, `no`: further words that say so at the beginning of an answer, such as `oui` and `non`."""

    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()


class YesNo(Configured[YesNoConfig]):
    """1 when the answer says yes or no, in a word or a sentence, as the reference does, else 0."""

    Config: ClassVar[type[YesNoConfig]] = YesNoConfig

    def score(self, example: Example, answer: Answer) -> float | None:
        """0 or 1; None when no reference is a yes or a no."""
        wanted = {self._read(reference, example) for reference in example.expected} - {None}
        if not wanted:
            return None
        return 0.0 if answer.error else float(self._read(answer.text, example) in wanted)

    def _read(self, text: str, example: Example) -> bool | None:
        return polarity(text, example.text, self.config.yes, self.config.no)


class ChoiceConfig(Options):
    """`options`: the texts that there are to choose from; the first is A, the second B. None: letters from A to H."""

    options: tuple[str, ...] = Field(default=(), max_length=26)


class Choice(Configured[ChoiceConfig]):
    """1 when the option that the answer chooses is that of the reference, else 0. Two options at once are none."""

    Config: ClassVar[type[ChoiceConfig]] = ChoiceConfig

    def score(self, example: Example, answer: Answer) -> float | None:
        """0 or 1; None when no reference is an option."""
        wanted = {chosen(reference, self._options) for reference in example.expected} - {None}
        if not wanted:
            return None
        return 0.0 if answer.error else float(chosen(answer.text, self._options) in wanted)

    @property
    def _options(self) -> Sequence[str]:
        return self.config.options
