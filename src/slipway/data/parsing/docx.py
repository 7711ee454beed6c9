"""DOCX into blocks: heading styles and outline levels make sections, list styles bullets, tables rows of `|`.

What is read is what a reader of the final text sees: tracked changes as if accepted, content controls, text boxes,
charts and diagrams after the paragraph that holds them, footnotes and endnotes after theirs, as Markdown writes them.
Numbers that Word counts stand before headings and items.
Hidden text, comments, page headers and footers, and the table of contents are not. python-docx opens the file; its own
texts leave most of this out.

The container is judged before it is opened: what unpacks to more than a file may have is refused.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from slipway.data.parsing.blocks import Block, Draft
from slipway.data.parsing.container import ODD, check_container
from slipway.data.parsing.docx_numbers import Numbers
from slipway.data.parsing.drawings import DATA, drawn
from slipway.data.parsing.tables import in_pieces, row_line
from slipway.data.reasons import Refused
from slipway.text.columns import tables
from slipway.text.raised import raised

_HEADING = re.compile(r"(?:heading|título|titre|überschrift|标题|見出し)\s*([1-9])", re.I)
_LONGEST_HEADING = 300  # characters: an outline level on a whole paragraph makes no heading of it
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_TEXT = frozenset({f"{_W}t", "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"})
_SPACES = {f"{_W}tab": "\t", f"{_W}ptab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
_NOTES = {f"{_W}footnoteReference": "footnotes", f"{_W}endnoteReference": "endnotes"}
_BOX = f"{_W}txbxContent"
_HIDDEN = frozenset(  # deleted or moved away, how it looks, what is written for older programs, readings above a word
    {f"{_W}{tag}" for tag in ("del", "moveFrom", "pPr", "rPr", "tblPr", "trPr", "tcPr", "sdtPr", "sdtEndPr", "rt")}
    | {"{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"}
)


def parse_docx(data: bytes, max_unpacked: int) -> Draft:
    """Blocks of a DOCX. Raises Refused: `zip-bomb`, `too-large`, `encrypted`, `corrupt`."""
    check_container(data, max_unpacked)
    import docx
    from docx.opc.exceptions import OpcError
    from lxml.etree import XMLSyntaxError

    try:
        document = docx.Document(io.BytesIO(data))
        blocks = _Reader(document).blocks(document.element.body)
        title = str(document.core_properties.title or "")
    except XMLSyntaxError as error:
        raise Refused("corrupt", f"its XML is not valid: {str(error)[:200]}") from error
    except (OpcError, *ODD) as error:
        raise Refused("corrupt", f"not a readable DOCX: {str(error)[:200]}") from error
    return Draft(blocks=blocks, title=title)


class _Reader:
    """Walks a document in the order of its XML."""

    def __init__(self, document: Any) -> None:
        self._part = document.part
        self._numbers = Numbers(document)
        self._styles = _styles(document)
        self._notes = {kind: _notes(document, kind) for kind in _NOTES.values()}
        self._numbered = 0  # notes shown so far
        self._list = Block("text", "")  # the last one

    def blocks(self, parent: Any) -> list[Block]:
        blocks: list[Block] = []
        for item in _items(parent, "p", "tbl"):
            if item.tag == f"{_W}tbl":
                blocks += _table(list(self._rows(item)))
            else:
                self._paragraph(item, blocks)
            for box in _shown(item, _BOX) if item.tag == f"{_W}p" else ():
                blocks += self.blocks(box)
            for data in _shown(item, DATA) if item.tag == f"{_W}p" else ():
                blocks += drawn(data, self._part)
        return blocks

    def _paragraph(self, item: Any, blocks: list[Block]) -> None:
        notes: list[str] = []
        text = self._text(item, notes).strip()
        style, level = _styled(item, self._styles)
        number = self._number(item)
        if not text or style.lower().startswith("toc "):
            return
        if level and len(text) <= _LONGEST_HEADING:
            blocks.append(Block("heading", re.sub(r"\s+", " ", f"{number} {text}").strip(), level))
        elif number or style.startswith("List") or item.find(f"{_W}pPr/{_W}numPr") is not None:
            line = f"{'  ' * _depth(item, style)}{number or '-'} {text}"
            if blocks and blocks[-1] is self._list:
                self._list.text += f"\n{line}"
            else:
                self._list = Block("text", line.lstrip())
                blocks.append(self._list)
        else:
            blocks.append(Block("text", text))
        blocks += (Block("text", note) for note in notes)

    def _number(self, item: Any) -> str:
        """The number that stands before a paragraph; one whose mark is deleted is part of the next."""
        gone = item.find(f"{_W}pPr/{_W}rPr/{_W}del") is not None
        return "" if gone else self._numbers.label(item)

    def _text(self, item: Any, notes: list[str]) -> str:
        """What a paragraph shows, without its text boxes; notes that it refers to are added to `notes`."""
        pieces: list[str] = []
        for node in _walk(item, _HIDDEN | {_BOX}):
            if node.tag in _TEXT:
                pieces.append(raised(node.text or "") if _is_raised(node) else node.text or "")
            elif node.tag in _SPACES:
                pieces.append("" if node.get(f"{_W}type") in ("page", "column") else _SPACES[node.tag])
            elif node.tag in _NOTES and (note := self._notes[_NOTES[node.tag]].get(node.get(f"{_W}id"))) is not None:
                shown = " ".join(self._flat(note).split())
                if shown:
                    self._numbered += 1
                    pieces.append(f"[^{self._numbered}]")
                    notes.append(f"[^{self._numbered}]: {shown}")
        return "".join(pieces)

    def _rows(self, table: Any) -> Iterator[list[str]]:
        """Rows of a table; a cell merged over rows stands in each of them, one merged over columns once: empty ones
        follow it where the first row has a cell for each column, so that each value stands under its own.
        """
        above: dict[int, str] = {}
        columns: int | None = None
        for row in _items(table, "tr"):
            cells: list[str] = []
            column = pads = 0
            for cell in _items(row, "tc"):
                merged = cell.find(f"{_W}tcPr/{_W}vMerge")
                goes_on = merged is not None and merged.get(f"{_W}val", "continue") == "continue"
                text = above.get(column, "") if goes_on else self._flat(cell)
                above[column] = text
                cells.append(text)
                span = _value(cell, f"tcPr/{_W}gridSpan")
                across = int(span) if span.isdecimal() else 1
                pads = min(across, (columns or 0) - column) - 1
                cells += [""] * pads
                column += across
            if any(map(str.strip, cells)):
                columns = (len(cells) if column == len(cells) else 0) if columns is None else columns
                yield cells[: len(cells) - pads] if pads > 0 else cells

    def _flat(self, cell: Any) -> str:
        """All that a cell or a note holds as one text: rows of a table within it end with a semicolon."""
        pieces: list[str] = []
        for item in _items(cell, "p", "tbl"):
            if item.tag == f"{_W}tbl":
                pieces.append("; ".join(" ".join(filter(None, row)) for row in self._rows(item)))
                continue
            notes: list[str] = []
            pieces.append(f"{self._number(item)} {self._text(item, notes)}".lstrip(" "))
            pieces += (self._flat(box) for box in _shown(item, _BOX))
            pieces += notes
        return "\n".join(piece for piece in pieces if piece.strip())


def _is_raised(text: Any) -> bool:
    return _value(text.getparent(), f"rPr/{_W}vertAlign") == "superscript"


def _walk(item: Any, hidden: frozenset[str]) -> Iterator[Any]:
    for child in item:
        if child.tag not in hidden and not _is_unseen(child):
            yield child
            yield from _walk(child, hidden)


def _is_unseen(run: Any) -> bool:
    """Whether its author hid a run of text; a paragraph mark that is hidden hides nothing else."""
    found = run.find(f"{_W}rPr/{_W}vanish") if run.tag == f"{_W}r" else None
    return found is not None and found.get(f"{_W}val") not in ("0", "false", "off")


def _shown(item: Any, tag: str) -> list[Any]:
    """The outermost elements of this kind below one."""
    found: list[Any] = []
    for child in item:
        if child.tag == tag:
            found.append(child)
        elif child.tag not in _HIDDEN:
            found += _shown(child, tag)
    return found


def _items(parent: Any, *tags: str) -> Iterator[Any]:
    """Paragraphs and tables, rows, or cells below one, those in content controls and the like among them."""
    wanted = {f"{_W}{tag}" for tag in tags}
    for child in parent:
        if child.tag in wanted:
            yield child
        elif child.tag not in _HIDDEN and not _is_contents(child):
            yield from _items(child, *tags)


def _is_contents(item: Any) -> bool:
    kind = item.find(f"{_W}sdtPr/{_W}docPartObj/{_W}docPartGallery") if item.tag == f"{_W}sdt" else None
    return kind is not None and kind.get(f"{_W}val") == "Table of Contents"


def _styles(document: Any) -> dict[str, tuple[str, int]]:
    """Of each paragraph style its name, and the level of heading that it, or one it is based on, makes; 0 for none."""
    found = {style.get(f"{_W}styleId"): style for style in document.styles.element.iter(f"{_W}style")}

    def level(key: str | None, seen: int = 0) -> int:
        style = found.get(key)
        if style is None or seen > 20:
            return 0
        own = _named(_value(style, "name")) or _outline(style)
        return own if own is not None else level(_value(style, "basedOn"), seen + 1)

    return {str(key): (_value(style, "name"), level(key)) for key, style in found.items()}


def _styled(item: Any, styles: dict[str, tuple[str, int]]) -> tuple[str, int]:
    """(name of its style, level of the heading that it is; 0 for none)"""
    key = item.find(f"{_W}pPr/{_W}pStyle")
    name, level = styles.get(key.get(f"{_W}val"), ("", 0)) if key is not None else ("", 0)
    own = _outline(item)
    return name, level if own is None else own


def _named(name: str) -> int | None:
    found = _HEADING.match(name)
    return min(int(found[1]), 6) if found else 1 if name == "Title" else None


def _outline(item: Any) -> int | None:
    """The level that a paragraph or a style sets: 0 for text of the body, None where it sets none."""
    value = _value(item, f"pPr/{_W}outlineLvl")
    return None if not value.isdecimal() else 0 if int(value) > 8 else min(int(value) + 1, 6)


def _value(item: Any, path: str) -> str:
    found = item.find(f"{_W}{path}")
    return str(found.get(f"{_W}val") or "") if found is not None else ""


def _depth(item: Any, style: str) -> int:
    """How deep a list item stands: 0 for the outermost."""
    level = _value(item, f"pPr/{_W}numPr/{_W}ilvl")
    named = re.search(r" ([2-9])$", style)
    return min(int(level), 8) if level.isdecimal() else int(named[1]) - 1 if named else 0


def _notes(document: Any, kind: str) -> dict[str, Any]:
    """The footnotes or endnotes by their number; separators are no notes."""
    from docx.oxml import parse_xml

    for relation in document.part.rels.values():
        if relation.reltype.endswith(f"/{kind}") and not relation.is_external:
            root: Any = parse_xml(relation.target_part.blob)
            return {note.get(f"{_W}id"): note for note in root if note.get(f"{_W}type") in (None, "normal")}
    return {}


def _table(rows: list[list[str]]) -> list[Block]:
    lines = [row_line(row) for row in rows]
    if not lines:
        return []
    return in_pieces(lines[:1], lines[1:]) if tables("\n".join(lines)) else [Block("table", "\n".join(lines))]
