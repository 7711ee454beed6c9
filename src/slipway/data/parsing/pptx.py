"""PPTX into blocks with python-pptx: a slide is a section under its title, with lists, tables, charts, diagrams and
speaker notes. Slides that are hidden are not read.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from slipway.data.parsing.blocks import Block, Draft, Note
from slipway.data.parsing.container import ODD, check_container
from slipway.data.parsing.drawings import DATA, drawn
from slipway.data.parsing.tables import table_blocks
from slipway.data.reasons import Refused
from slipway.text.raised import raised

_DEEPEST = 20  # groups of shapes within each other


def parse_pptx(data: bytes, max_unpacked: int) -> Draft:
    """Blocks of a presentation. Raises Refused: `zip-bomb`, `too-large`, `encrypted`, `corrupt`."""
    check_container(data, max_unpacked)
    from lxml.etree import XMLSyntaxError
    from pptx import Presentation
    from pptx.exc import PythonPptxError

    blocks: list[Block] = []
    pages: list[int] = []
    hidden: list[int] = []
    try:
        shown = Presentation(io.BytesIO(data))
        title = str(shown.core_properties.title or "")
        for number, slide in enumerate(shown.slides, 1):
            pages.append(len(blocks))
            if slide.element.get("show") in ("0", "false"):
                hidden.append(number)
            else:
                blocks += _slide(slide, number)
    except (PythonPptxError, XMLSyntaxError, SyntaxError, *ODD) as error:
        raise Refused("corrupt", f"not a readable PPTX: {str(error)[:200]}") from error
    notes = [Note("parse", "flagged", "hidden", f"slides {', '.join(map(str, hidden))[:200]}")] if hidden else []
    return Draft(blocks=blocks, title=title, pages=pages, notes=notes)


def _slide(slide: Any, number: int) -> list[Block]:
    heading = slide.shapes.title
    name = _flat(heading.text_frame.text) if heading is not None and heading.has_text_frame else ""
    blocks: list[Block] = []
    for shape in _shapes(slide.shapes, 0):
        if heading is not None and shape.shape_id == heading.shape_id:
            continue
        if getattr(shape, "has_table", False):
            blocks += table_blocks(list(_rows(shape.table)))
        elif shape.has_text_frame and (text := _text(shape.text_frame)):
            blocks.append(Block("text", text))
        for data in shape.element.iter(DATA):
            blocks += drawn(data, slide.part)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = _text(slide.notes_slide.notes_text_frame)
        blocks += [Block("text", notes)] if notes else []
    return [Block("heading", name or f"Slide {number}", 1), *blocks] if blocks or name else []


def _rows(table: Any) -> Iterator[list[str]]:
    """Rows of a table; a cell merged over rows stands in each of them, one merged over columns once."""
    above: dict[int, str] = {}
    for row in table.rows:
        cells: list[str] = []
        for column, cell in enumerate(row.cells):
            goes_on = cell._tc.get("vMerge") in ("1", "true")
            above[column] = above.get(column, "") if goes_on else cell.text
            cells.append(above[column])
        yield cells


def _shapes(shapes: Any, depth: int) -> Iterator[Any]:
    """Shapes in order, those of groups among them."""
    from pptx.enum.shapes import MSO_SHAPE_TYPE

    if depth > _DEEPEST:
        raise Refused("too-deep", f"more than {_DEEPEST} groups within each other")
    for shape in shapes:
        if shape.shape_type == MSO_SHAPE_TYPE.GROUP:
            yield from _shapes(shape.shapes, depth + 1)
        else:
            yield shape


def _text(frame: Any) -> str:
    """Paragraphs a line each; several are a list, indented by their level."""
    lines = [(paragraph.level, _flat(_line(paragraph))) for paragraph in frame.paragraphs]
    lines = [(level, line) for level, line in lines if line]
    if len(lines) == 1:
        return lines[0][1]
    return "\n".join("  " * level + f"- {line}" for level, line in lines)


def _line(paragraph: Any) -> str:
    pieces: list[str] = []
    for run in paragraph._p:  # pyright: ignore[reportPrivateUsage]
        text = run.find("{*}t")
        if text is not None:
            size = run.find("{*}rPr")
            up = size is not None and not str(size.get("baseline") or "0").startswith(("0", "-"))
            pieces.append(raised(text.text or "") if up else text.text or "")
        elif run.tag.endswith("}br"):
            pieces.append("\n")
    return "".join(pieces)


def _flat(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
