"""DOCX into blocks with python-docx: heading styles make sections, list styles bullets, tables rows of `|`.

The container is judged before it is opened: what unpacks to more than a file may have is refused.
"""

from __future__ import annotations

import io
import re
from typing import Any

from slipway.data.parsing.blocks import Block, Draft
from slipway.data.parsing.container import ODD, check_container
from slipway.data.parsing.tables import in_pieces
from slipway.data.reasons import Refused
from slipway.text.columns import tables

_HEADING = re.compile(r"(?:heading|título|titre|überschrift|标题|見出し)\s*([1-9])", re.I)


def parse_docx(data: bytes, max_unpacked: int) -> Draft:
    """Blocks of a DOCX. Raises Refused: `zip-bomb`, `too-large`, `encrypted`, `corrupt`."""
    check_container(data, max_unpacked)
    import docx
    from docx.opc.exceptions import OpcError
    from lxml.etree import XMLSyntaxError

    try:
        document = docx.Document(io.BytesIO(data))
        blocks = _blocks(document)
        title = str(document.core_properties.title or "")
    except XMLSyntaxError as error:
        raise Refused("corrupt", f"its XML is not valid: {str(error)[:200]}") from error
    except (OpcError, *ODD) as error:
        raise Refused("corrupt", f"not a readable DOCX: {str(error)[:200]}") from error
    return Draft(blocks=blocks, title=title)


def _blocks(document: Any) -> list[Block]:
    from docx.table import Table

    blocks: list[Block] = []
    for item in document.iter_inner_content():
        if isinstance(item, Table):
            rows = _rows(item)
            if rows:
                blocks += (
                    in_pieces(rows[:1], rows[1:]) if tables("\n".join(rows)) else [Block("table", "\n".join(rows))]
                )
        elif item.text.strip():
            _paragraph(item, blocks)
    return blocks


def _paragraph(item: Any, blocks: list[Block]) -> None:
    name = str(item.style.name or "") if item.style is not None else ""
    text = item.text.strip()
    found = _HEADING.match(name)
    if found or name == "Title":
        blocks.append(Block("heading", re.sub(r"\s+", " ", text), min(int(found[1]), 6) if found else 1))
        return
    listed = name.startswith("List") or item._p.find(".//{*}numPr") is not None  # pyright: ignore[reportPrivateUsage]
    if not listed:
        blocks.append(Block("text", text))
    elif blocks and blocks[-1].kind == "text" and blocks[-1].text.startswith("- "):
        blocks[-1].text += f"\n- {text}"
    else:
        blocks.append(Block("text", f"- {text}"))


def _rows(table: Any) -> list[str]:
    """Rows of a table; a merged cell is written once."""
    rows: list[str] = []
    for row in table.rows:
        cells: list[str] = []
        last = None
        for cell in row.cells:
            if cell._tc is not last:  # pyright: ignore[reportPrivateUsage]
                cells.append(re.sub(r"\s+", " ", cell.text).strip().replace("|", "\\|"))
            last = cell._tc  # pyright: ignore[reportPrivateUsage]
        if any(cells):
            rows.append(f"| {' | '.join(cells)} |")
    return rows
