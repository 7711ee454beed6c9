"""How much of the fields of a JSON object is right. Knows no schema.

A field is a leaf of the object: a text, a number, true or false. Null, an empty text, an empty list and what is not
there are all the same: nothing. Objects are compared name by name; items of a list are matched to those of the
reference so that most leaves agree, whatever their order (an assignment, Kuhn 1955), so an item's own fields stay
together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, cast

from pydantic import Field

from slipway.builtin.scorers.common import Configured, Options, WithoutOptions
from slipway.core.answer import Answer
from slipway.core.material import Example
from slipway.text.words import normalize_label

MOST_MATCHED = 200  # items of a list that are matched with each other; longer ones are compared in order
_NUMBER = re.compile(r"[-+]?(?:[1-9]\d*|0|[1-9]\d{0,2}(?:,\d{3})+)(?:\.\d+)?")
_YEAR_FIRST = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?")
_DAY_FIRST = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?\.?\s+([a-z]{3,9})\.?,?\s+(\d{4})")
_MONTH_FIRST = re.compile(r"([a-z]{3,9})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip


class FieldConfig(Options):
    """`field`: only this one, and what is below it: `total`, or `items.price` for that of every item."""

    field: str = Field(default="", max_length=500)


class FieldF1(Configured[FieldConfig]):
    """Harmonic mean of precision and recall over the fields of an answer."""

    Config: ClassVar[type[FieldConfig]] = FieldConfig

    def score(self, example: Example, answer: Answer) -> float | None:
        """In [0, 1], by the reference that fits best; None without references. Nothing to find and nothing found: 1."""
        found = [self._measured(reference, answer) for reference in example.expected]
        return max(found) if found else None

    def _measured(self, reference: str, answer: Answer) -> float:
        wanted, said = _object(reference), {} if answer.failed else _object(answer.text)
        if said is None or wanted is None:
            return 0.0
        for name in filter(None, self.config.field.split(".")):
            wanted, said = _below(wanted, name), _below(said, name)
        if answer.failed and not _size(wanted):
            return 0.0
        return self._share(_matched(wanted, said), _size(wanted), _size(said))

    def _share(self, right: int, wanted: int, said: int) -> float:
        return 2 * right / (wanted + said) if wanted + said else 1.0


class FieldPrecision(FieldF1):
    """The share of an answer's fields that are right; 1 where it gives none and none is wanted."""

    def _share(self, right: int, wanted: int, said: int) -> float:
        return right / said if said else float(not wanted)


class FieldRecall(FieldF1):
    """The share of the reference's fields that the answer has; 1 where none is wanted and none given."""

    def _share(self, right: int, wanted: int, said: int) -> float:
        return right / wanted if wanted else float(not said)


class SchemaValid(WithoutOptions):
    """Whether the answer was JSON that fits the schema of the task: anything else is an error."""

    def score(self, example: Example, answer: Answer) -> float | None:
        """0 or 1."""
        return float(not answer.failed and _object(answer.text) is not None)


def _object(text: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("Any", found) if isinstance(found, dict) else None


def _below(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_below(one, name) for one in cast("list[Any]", value)]
    return cast("Mapping[str, Any]", value).get(name) if isinstance(value, dict) else None


def _size(value: Any) -> int:
    """Leaves."""
    if isinstance(value, dict):
        return sum(map(_size, cast("dict[str, Any]", value).values()))
    if isinstance(value, list):
        return sum(map(_size, cast("list[Any]", value)))
    return int(value is not None and (not isinstance(value, str) or bool(value.strip())))


def _matched(wanted: Any, said: Any) -> int:
    """Leaves of both that agree."""
    if isinstance(wanted, dict) and isinstance(said, dict):
        one, other = cast("dict[str, Any]", wanted), cast("dict[str, Any]", said)
        return sum(_matched(value, other.get(name)) for name, value in one.items())
    if isinstance(wanted, list) and isinstance(said, list):
        return _listed(cast("list[Any]", wanted), cast("list[Any]", said))
    if not _size(wanted) or not _size(said):
        return 0
    return int(equal(wanted, said))


def _listed(wanted: list[Any], said: list[Any]) -> int:
    if max(len(wanted), len(said)) > MOST_MATCHED:
        return sum(map(_matched, wanted, said))
    if not wanted or not said:
        return 0
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    pairs = np.array([[_matched(one, other) for other in said] for one in wanted])
    rows, columns = linear_sum_assignment(pairs, maximize=True)
    return int(pairs[rows, columns].sum())


def equal(wanted: Any, said: Any) -> bool:
    """Whether two leaves say the same: numbers and dates by value, texts without case and punctuation at their ends.

    A text is a number or a date where it is written as one: `1,200.00`, `2026-03-05`, `5 March 2026`, `2026年3月5日`.
    One that begins with 0, such as an account, is not a number, and `03/05/2026` is not a date: nobody knows which.
    """
    if isinstance(wanted, bool) or isinstance(said, bool):
        return wanted is said
    if not isinstance(wanted, str | int | float) or not isinstance(said, str | int | float):
        return False
    numbers = _number(wanted), _number(said)
    if None not in numbers:
        return numbers[0] == numbers[1]
    one, other = normalize_label(str(wanted)), normalize_label(str(said))
    if one == other:
        return True
    days = _day(one), _day(other)
    return days[0] is not None and days[0] == days[1]


def _number(value: str | float) -> Decimal | None:
    text = repr(value) if isinstance(value, float) else str(value).strip()
    if isinstance(value, str):
        return Decimal(text.replace(",", "")) if _NUMBER.fullmatch(text) else None
    found = Decimal(text)
    return found if found.is_finite() else None


def _day(text: str) -> date | None:
    if found := _YEAR_FIRST.fullmatch(text):
        year, month, day = map(int, found.groups())
    elif found := _DAY_FIRST.fullmatch(text):
        year, month, day = int(found[3]), _month(found[2]), int(found[1])
    elif found := _MONTH_FIRST.fullmatch(text):
        year, month, day = int(found[3]), _month(found[1]), int(found[2])
    else:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _month(name: str) -> int:
    """Its number; 0 for what is neither a month nor its beginning, as "Sept" is."""
    return next((n for n, month in enumerate(_MONTHS, 1) if month.startswith(name)), 0)
