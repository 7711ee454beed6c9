"""Preferences and thumbs to train on: what `feedback mine` and `feedback import` wrote, read and checked again.

The files lie in the project and are edited, and gates rotate: so each row is compared again with what is held out now,
by its words, before a tuner sees it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from slipway.core.judged import Preference, Thumb
from slipway.core.material import Dataset, Example
from slipway.core.protocols import Task
from slipway.data.heldout import Heldout
from slipway.errors import ConfigError
from slipway.files import printable
from slipway.i18n import t
from slipway.loop.context import Context
from slipway.loop.row_files import FOLDER, read_rows

Kind = Literal["preferences", "thumbs"]
KINDS: tuple[Kind, ...] = ("preferences", "thumbs")
_FIELDS: dict[Kind, dict[str, type]] = {
    "preferences": {"chosen": str, "rejected": str},
    "thumbs": {"completion": str, "label": bool},
}


class Judged(msgspec.Struct, frozen=True):
    """`dropped`: rows left out by reason: `exact` and `near` are close to what is held out, `repeat` says the same as
    another, `same` prefers a text to itself.
    """

    preferences: tuple[Preference, ...] = ()
    thumbs: tuple[Thumb, ...] = ()
    dropped: dict[str, int] = {}


def judged(context: Context, examples: Dataset, kinds: Sequence[str]) -> Judged:
    """Rows of these kinds in `feedback/*.KIND.jsonl`, files by name, none close to an example of dev, gate or reserve.

    Raises ConfigError for a row that is not of its kind, with file and row.
    """
    if not kinds:
        return Judged()
    held = [e for e in context.store.blobs.get_lines(examples.items, Example) if e.split != "train"]
    task, dropped = context.task, Counter[str]()
    known = Heldout([task.text(e.input) for e in held])
    made: dict[Kind, dict[str, Any]] = {}
    for kind in KINDS:
        found = made.setdefault(kind, {})
        for path in sorted((context.root / FOLDER).glob(f"*.{kind}.jsonl")) if kind in kinds else ():
            for number, row in enumerate(read_rows(path), 1):
                one = _one(task, kind, row, f"{FOLDER}/{printable(path.name)}, row {number}")
                reason = _dropped(task, known, one)
                if not reason and one.digest in found:
                    reason = "repeat"
                if reason:
                    dropped[reason] += 1
                else:
                    found[one.digest] = one
    return Judged(tuple(made["preferences"].values()), tuple(made["thumbs"].values()), dict(dropped))


def _dropped(task: Task, known: Heldout, one: Preference | Thumb) -> str:
    if isinstance(one, Preference) and one.chosen == one.rejected:
        return "same"
    close = known.close(task.text(one.example.input))
    return close.reason if close else ""


def _one(task: Task, kind: Kind, row: dict[str, Any], place: str) -> Preference | Thumb:
    from slipway.data.document_language import identify

    try:
        input = task.input({name: row[name] for name in task.inputs if name in row})
    except ConfigError as error:
        raise ConfigError(t("{path}: {why}", path=place, why=error.message), _mend()) from error
    for name, type in _FIELDS[kind].items():
        if not isinstance(row.get(name), type) or row[name] == "":
            words = t("true or false") if type is bool else t("a text")
            raise ConfigError(t("{path}: {name} is not {what}", path=place, name=name, what=words), _mend())
    example = Example(input=input, language=str(row.get("language") or identify(task.text(input))), split="train")
    votes = row.get("votes")
    given: dict[str, Any] = {name: row[name] for name in _FIELDS[kind]}
    given["votes"] = votes if isinstance(votes, int) else 1
    return (Preference if kind == "preferences" else Thumb)(example=example, **given)


def _mend() -> str:
    return t("mend the row, or delete it; `slipway feedback mine` writes such files")
