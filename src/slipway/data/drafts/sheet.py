"""Drafts as a CSV for a spreadsheet, and what comes back from one: Excel, WPS, LibreOffice, in UTF-8, GBK or UTF-16.

A cell that a spreadsheet would run as a formula gets an apostrophe in front, and loses it on the way back.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from slipway.data.drafts.draft import Draft, Status
from slipway.data.drafts.file import MOST
from slipway.data.parsing.decode import decode
from slipway.data.reasons import Refused
from slipway.errors import ConfigError
from slipway.files import open_regular, read
from slipway.files import why as why_of
from slipway.i18n import Said, say, t

COLUMNS = ("id", "decision", "question", "answer", "source", "language", "rule", "passage")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_WORDS: dict[str, Status] = {
    **dict.fromkeys(("accept", "accepted", "a", "yes", "y", "ok", "1", "接受", "采用", "是", "通过"), "accepted"),
    **dict.fromkeys(("fix", "fixed", "edit", "e", "修改", "改", "已改"), "fixed"),
    **dict.fromkeys(("refuse", "refused", "reject", "r", "no", "n", "0", "拒绝", "否", "不要"), "refused"),
    **dict.fromkeys(("", "skip", "s", "proposed", "later", "?", "跳过", "以后"), "proposed"),
}  # fmt: skip


class Problem(msgspec.Struct, frozen=True):
    """A row of the sheet that was not taken. `row`: as spreadsheets count, the header is 1."""

    row: int
    why: Said


def write(drafts: Sequence[Draft]) -> bytes:
    """All drafts, UTF-8 with the mark that Excel needs, every cell quoted."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    lines.writerow(COLUMNS)
    for draft in drafts:
        decision = "" if draft.status == "proposed" else draft.status
        cells = (
            draft.id,
            decision,
            draft.question,
            draft.answer,
            draft.source,
            draft.language,
            draft.rule,
            draft.passage,
        )
        lines.writerow([escaped(cell) for cell in cells])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def read_back(drafts: Sequence[Draft], path: Path) -> tuple[list[Draft], list[Problem]]:
    """The drafts with the decisions of a sheet, and the rows that were not taken.

    Rows that are missing change nothing. Raises ConfigError for a file that is no such sheet.
    """
    rows = _rows(path)
    by_id = {draft.id: draft for draft in drafts}
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for number, row in rows:
        id = row.get("id", "").strip()
        draft = by_id.get(id)
        if draft is None:
            problems.append(Problem(number, say("no draft has the id '{id}'", id=id[:40])))
            continue
        if id in seen:
            problems.append(Problem(number, say("the draft {id} stands in row {row} already", id=id, row=seen[id])))
            continue
        seen[id] = number
        decided = _decided(draft, row)
        if isinstance(decided, Draft):
            by_id[id] = decided
        else:
            problems.append(Problem(number, decided))
    return [by_id[draft.id] for draft in drafts], problems


def _decided(draft: Draft, row: dict[str, str]) -> Draft | Said:
    said = row.get("decision", "").strip().strip(".。!！").lower()
    if said not in _WORDS:
        return say("'{word}' is no decision; write accept, fix, refuse or leave it empty", word=said[:40])
    status = _WORDS[said]
    question, answer, source = (
        row[name].strip() if name in row else getattr(draft, name) for name in ("question", "answer", "source")
    )
    before = (draft.question.strip(), draft.answer.strip(), draft.source.strip())
    edited = (question, answer, source) != before
    if any(map(_is_lost, before, (question, answer, source))):
        return say("its characters were saved as '?': save the sheet as CSV UTF-8")
    if status == "proposed" and draft.status != "proposed" and not said:
        return draft  # an empty cell takes no decision back
    if status in ("accepted", "fixed"):
        if not question or not answer:
            return say("an accepted draft needs a question and an answer")
        status = "fixed" if edited or draft.status == "fixed" else "accepted"
    if not edited or not question or not answer:
        return msgspec.structs.replace(draft, status=status)
    return msgspec.structs.replace(
        draft, status=status, question=question, answer=answer, source=source or draft.source
    )


def _is_lost(before: str, after: str) -> bool:
    """Whether a text lost characters that the encoding of the file does not have, as a spreadsheet may save it."""
    marks = ("?" if char < "\U00010000" else "??" for char in before)
    held = "".join(f"(?:{re.escape(char)}|{re.escape(mark)})" if char > "\x7f" else re.escape(char)
                   for char, mark in zip(before, marks, strict=True))  # fmt: skip
    return after != before and re.fullmatch(held, after, re.DOTALL) is not None


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        text, _ = decode(read(open_regular(path), MOST))
    except OSError as error:
        raise ConfigError(t("{path} cannot be read: {why}", path=path, why=why_of(error))) from error
    except Refused as error:
        raise ConfigError(t("{path} cannot be read: {why}", path=path, why=error.detail), _hint()) from error
    if text.startswith("sep="):
        text = text.partition("\n")[2]
    first = text.split("\n", 1)[0]
    delimiter = max((",", ";", "\t"), key=first.count)
    csv.field_size_limit(2**31 - 1)
    rows: list[tuple[int, dict[str, str]]] = []
    header: list[str] = []
    try:
        for number, cells in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), 1):
            if not header:
                header = [cell.strip().lower() for cell in cells]
                if not {"id", "decision"} <= set(header):
                    raise ConfigError(t("{path} has no columns 'id' and 'decision'", path=path), _hint())
            elif any(cell.strip() for cell in cells):
                rows.append((number, dict(zip(header, (unescaped(cell) for cell in cells), strict=False))))
    except csv.Error as error:
        raise ConfigError(t("{path} cannot be read: {why}", path=path, why=error), _hint()) from error
    if not header:
        raise ConfigError(t("{path} is empty", path=path), _hint())
    return rows


def _hint() -> str:
    return t("`slipway data review --csv FILE` writes the sheet; fill its column decision and save it as CSV")


def escaped(cell: str) -> str:
    """The cell so that a spreadsheet shows it and does not run it. `unescaped` gives it back."""
    return f"'{cell}" if cell.lstrip("'").startswith(_FORMULA) else cell


def unescaped(cell: str) -> str:
    """The cell as it was before `escaped`; one that lost its apostrophe in the spreadsheet is that already."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell
