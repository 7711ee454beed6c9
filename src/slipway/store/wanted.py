"""Which traces are wanted, as SQL that SQLite and PostgreSQL read alike. Knows the tables, no verbs.

A record's body is JSON in bytes, so a text in it is looked for in the bytes as text (`readable`). That finds all that
hold the words and a few more, where only the JSON around them matches: who asks looks again at what comes out
(`Wanted.says`). Letters beyond ASCII that have two cases match anything here, because no two databases fold them alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, String, cast, exists, func, select

from slipway.core.trace import Wanted
from slipway.store import tables


def narrowed(query: Any, wanted: Wanted, database: str) -> Any:
    """The query over traces, with all conditions of `wanted`. `database`: its kind."""
    return query.where(*_conditions(wanted, database))


def _conditions(wanted: Wanted, database: str) -> Iterator[ColumnElement[bool]]:
    of = tables.traces.c
    if wanted.channel is not None:
        yield of.channel == wanted.channel
    yield from [of.at >= wanted.since] if wanted.since else []
    yield from [of.at < wanted.until] if wanted.until else []
    if wanted.status:
        yield of.status.between(*wanted.statuses)
    if wanted.release:
        yield of.release == wanted.release
    if wanted.slow is not None:
        yield of.seconds >= wanted.slow
    if wanted.thumb or wanted.said:
        yield exists().where(tables.feedback.c.trace == of.id, *said(wanted, database))
    if wanted.before:
        yield of.seq < place(wanted.before)
    if wanted.ids is not None:
        yield of.id.in_(wanted.ids)
    for word in wanted.words:
        yield readable(of.body, database).ilike(_pattern(word, database), escape="!")


def said(wanted: Wanted, database: str) -> list[ColumnElement[bool]]:
    """Of feedback: whether it says what is wanted. In a comment the quotes are escaped; what is not said has no key."""
    body = readable(tables.feedback.c.body, database)
    parts = [f'"thumb":"{wanted.thumb}"'] if wanted.thumb else []
    parts += [f'"{wanted.said}":'] if wanted.said not in ("", "any") else []
    return [body.like(f"%{part}%") for part in parts]


def place(id: str) -> Any:
    """The sequence number of a trace, for a query."""
    other = tables.traces.alias()
    return select(other.c.seq).where(other.c.id == id).scalar_subquery()


def readable(body: ColumnElement[bytes], database: str) -> ColumnElement[str]:
    """Bytes of UTF-8 as text. PostgreSQL escapes what is not ASCII, so that damaged bytes raise no error."""
    return func.encode(body, "escape") if database == "postgresql" else cast(body, String)


def _pattern(word: str, database: str) -> str:
    return re.sub("%{2,}", "%", f"%{''.join(_letter(letter, database) for letter in word)}%")


def _letter(letter: str, database: str) -> str:
    """What stands for a letter: itself where JSON writes it so and it has one case, else anything."""
    if letter in "!%_":
        return f"!{letter}"
    if json.dumps(letter, ensure_ascii=False) != f'"{letter}"':
        return "%"
    if letter.isascii():
        return letter
    if len({letter, letter.lower(), letter.upper(), letter.casefold()}) > 1:
        return "%"
    return "".join(f"\\{byte:03o}" for byte in letter.encode()) if database == "postgresql" else letter
