"""Accepted drafts in a file of examples: appended once, kept up to date, taken out when they are refused later.

Rows that a person wrote stay byte for byte. A row that a person deleted is not written again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from slipway.core.ref import canonical
from slipway.data.drafts.draft import Draft
from slipway.data.drafts.file import MOST, write_whole
from slipway.errors import ConfigError
from slipway.files import UNDECODABLE, open_regular, read
from slipway.files import why as why_of
from slipway.i18n import t

LINEAGE = "drafted"  # the column, which becomes meta: the draft's id, its rule, the digest of its document


def settle(drafts: Sequence[Draft], path: Path, name: str, fields: Mapping[str, str]) -> list[Draft]:
    """Bring a file of examples (JSONL) up to date with the decisions; returns the drafts as they are now.

    `name` is what the file is called in the project; `fields` maps field -> column. Raises ConfigError when the file
    cannot be read or written.
    """
    try:
        held = read(open_regular(path), MOST)
    except FileNotFoundError:
        held = b""
    except OSError as error:
        raise ConfigError(t("{path} cannot be read: {why}", path=path, why=why_of(error))) from error
    by_id = {draft.id: draft for draft in drafts}
    there: set[str] = set()
    lines: list[bytes] = []
    for line in held.splitlines(keepends=True):
        id, row = _drafted(line)
        draft = by_id.get(id)
        if draft is None or id in there:
            lines.append(line)
        elif draft.agreed:
            there.add(id)
            lines.append(canonical(row | example(draft, fields)) + b"\n")
    fresh = [draft for draft in drafts if draft.agreed and draft.id not in there and not draft.exported]
    if fresh and lines and not lines[-1].endswith(b"\n"):
        lines[-1] += b"\n"
    lines += [canonical(example(draft, fields)) + b"\n" for draft in fresh]
    data = b"".join(lines)
    if data != held:
        write_whole(path, data)
    new = {draft.id for draft in fresh} | there
    return [msgspec.structs.replace(draft, exported=_exported(draft, new, name)) for draft in drafts]


def example(draft: Draft, fields: Mapping[str, str]) -> dict[str, Any]:
    """The row of an accepted draft."""
    row = {"question": draft.question, "answer": draft.answer, "source": draft.source, "language": draft.language}
    named = {fields.get(field, field): value for field, value in row.items()}
    return {**named, LINEAGE: {"id": draft.id, "rule": draft.rule, "document": draft.document}}


def _exported(draft: Draft, there: set[str], name: str) -> str:
    if not draft.agreed:
        return ""
    return name if draft.id in there else draft.exported


def _drafted(line: bytes) -> tuple[str, dict[str, Any]]:
    """The id of the draft that a row came from, and the row; empty for any other line."""
    if LINEAGE.encode() not in line:
        return "", {}
    try:
        row = msgspec.json.decode(line)
    except UNDECODABLE:
        return "", {}
    lineage = cast(dict[str, Any], row).get(LINEAGE) if isinstance(row, dict) else None
    id = cast(dict[str, Any], lineage).get("id") if isinstance(lineage, dict) else None
    return (id, cast(dict[str, Any], row)) if isinstance(id, str) else ("", {})
