"""RTF into blocks with striprtf: paragraphs, and headings where the file gives outline levels."""

from __future__ import annotations

import re

from slipway.data.parsing.blocks import Block, Draft
from slipway.data.parsing.container import ODD
from slipway.data.parsing.tables import row_line
from slipway.data.reasons import Refused

_MARK = "\ue0f1"  # of a private area: stands before the level of a heading while the text is read
_LEVEL = re.compile(r"\\outlinelevel([0-5])(?![0-9])")
_MARKED = re.compile(f"{_MARK}([0-5])")


def parse_rtf(data: bytes, max_text: int) -> Draft:
    """Blocks of an RTF file. Raises Refused: `corrupt`, `too-much-text`."""
    from striprtf.striprtf import rtf_to_text

    source = _LEVEL.sub(rf"\\outlinelevel\1\\u{ord(_MARK)}?\1 ", data.decode("latin-1"))
    try:
        text = str(rtf_to_text(source, errors="replace"))
    except ODD as error:
        raise Refused("corrupt", f"not a readable RTF: {str(error)[:200]}") from error
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if len(text) > max_text:
        raise Refused("too-much-text", f"more than {max_text:,} characters")
    blocks: list[Block] = []
    for line in text.splitlines():
        level = _MARKED.search(line)
        shown = _MARKED.sub("", line).strip()
        if not shown:
            continue
        if level is not None and len(shown) <= 300:
            blocks.append(Block("heading", re.sub(r"\s+", " ", shown), int(level[1]) + 1))
        elif shown.count("|") > 1 and shown.endswith("|"):  # how a row of a table is written out
            row = row_line(shown[:-1].split("|"))
            if blocks and blocks[-1].kind == "table":
                blocks[-1].text += f"\n{row}"
            else:
                blocks.append(Block("table", row))
        else:
            blocks.append(Block("text", shown))
    return Draft(blocks=blocks)
