"""Rows of the catalog as what they hold, and what is said where they do not. Opens no database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, select

from slipway.core.ref import Noun, decoder_of, digest_bytes
from slipway.errors import IntegrityError, NotFound
from slipway.files import UNDECODABLE
from slipway.i18n import t
from slipway.store import tables

N = TypeVar("N", bound=Noun)
T = TypeVar("T")


def remembered(connection: Connection, kind: str, keys: Iterable[str]) -> Iterator[Any]:
    """The rows (key, value, digest) of these keys."""
    wanted, memo = list(keys), tables.memo
    for start in range(0, len(wanted), 500):
        query = select(memo.c.key, memo.c.value, memo.c.digest).where(memo.c.kind == kind)
        yield from connection.execute(query.where(memo.c.key.in_(wanted[start : start + 500]))).all()


def sound(row: Any) -> bool:
    """Whether a remembered row's bytes are those that were written."""
    return isinstance(row.value, bytes) and digest_bytes(row.value) == row.digest


def read_noun(kind: str, digest: str, body: bytes, type_: type[N]) -> N:
    """A frozen noun from its row. Raises IntegrityError where it is not what its digest says."""
    try:
        noun = decoder_of(type_).decode(body)
    except UNDECODABLE as error:
        raise _altered(kind, digest) from error
    if noun.digest != digest:
        raise _altered(kind, digest)
    return noun


def decoded(kind: str, id_: object, body: bytes, type_: type[T]) -> T:
    """A row that is no frozen noun: a run, a trace, feedback. Raises IntegrityError where it cannot be read."""
    try:
        return decoder_of(type_).decode(body)
    except UNDECODABLE as error:
        raise IntegrityError(
            t("{kind} {id} in the catalog cannot be read: {why}", kind=kind, id=id_, why=error),
            t("it was changed outside Slipway, or the disk is failing; restore the catalog from a backup"),
        ) from error


def _altered(kind: str, digest: str) -> IntegrityError:
    return IntegrityError(
        t("{kind} {digest} does not match its digest", kind=kind, digest=digest[:12]),
        t("it was changed outside this version of Slipway; restore the catalog from a backup"),
    )


def plain(row: Row[Any]) -> dict[str, Any]:
    """Column -> value."""
    return dict(row._mapping)  # pyright: ignore[reportPrivateUsage]  # SQLAlchemy's public name for it


def ambiguous(start: str, found: list[str]) -> NotFound:
    """The error of a beginning that several ids have."""
    return NotFound(
        t("{start} is the beginning of more than one", start=start),
        t("give more of it: {names}", names=", ".join(sorted(found))),
    )
