"""DOCX into blocks with python-docx: heading styles make sections, list styles bullets, tables rows of `|`.

The container is judged before it is opened: what unpacks to more than a file may have is refused.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import Any

from slipway.data.parsing.blocks import Block, Draft
from slipway.data.reasons import Refused

# What python-docx raises for parts that are there and make no sense.
_ODD = (LookupError, ValueError, TypeError, AttributeError, OSError, RuntimeError, EOFError)
_BOMB_RATIO = 100  # XML shrinks to a tenth; a hundredth is an attack
_HEADING = re.compile(r"(?:heading|título|titre|überschrift|标题|見出し)\s*([1-9])", re.I)


def parse_docx(data: bytes, max_unpacked: int) -> Draft:
    """Blocks of a DOCX. Raises Refused: `zip-bomb`, `too-large`, `encrypted`, `corrupt`."""
    _check_container(data, max_unpacked)
    import docx
    from docx.opc.exceptions import OpcError
    from lxml.etree import XMLSyntaxError

    try:
        document = docx.Document(io.BytesIO(data))
        blocks = _blocks(document)
        title = str(document.core_properties.title or "")
    except XMLSyntaxError as error:
        raise Refused("corrupt", f"its XML is not valid: {str(error)[:200]}") from error
    except (OpcError, zipfile.BadZipFile, zlib.error, *_ODD) as error:
        raise Refused("corrupt", f"not a readable DOCX: {str(error)[:200]}") from error
    return Draft(blocks=blocks, title=title)


def _check_container(data: bytes, max_unpacked: int) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError) as error:
        raise Refused("corrupt", "not a readable ZIP container") from error
    if any(part.flag_bits & 1 for part in parts):
        raise Refused("encrypted")
    unpacked = sum(part.file_size for part in parts)
    packed = max(1, sum(part.compress_size for part in parts))
    if len(parts) > 20_000 or (unpacked > 10_000_000 and unpacked / packed > _BOMB_RATIO):
        raise Refused("zip-bomb", f"{packed:,} bytes unpack to {unpacked:,}")
    if unpacked > max_unpacked:
        raise Refused("too-large", f"unpacks to {unpacked:,} bytes, the limit is {max_unpacked:,}")


def _blocks(document: Any) -> list[Block]:
    from docx.table import Table

    blocks: list[Block] = []
    for item in document.iter_inner_content():
        if isinstance(item, Table):
            rows = _rows(item)
            if rows:
                blocks.append(Block("table", "\n".join(rows)))
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
