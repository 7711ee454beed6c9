"""RTF into blocks with striprtf: paragraphs, each with its footnotes after it, and headings where there are levels."""

from __future__ import annotations

import re

from slipway.data.parsing.blocks import Block, Draft
from slipway.data.parsing.container import ODD
from slipway.data.parsing.tables import row_line
from slipway.data.reasons import Refused
from slipway.text.raised import raised

_MARK = "\ue0f1"  # of a private area: stands before the level of a heading while the text is read
_LEVEL = re.compile(r"\\outlinelevel([0-5])(?![0-9])")
_MARKED = re.compile(f"{_MARK}([0-5])")
_BEGIN, _END, _REFERS = "\ue0f2", "\ue0f3", "\ue0f4"  # around a footnote, and before a reference to one
_FOOTNOTE = re.compile(r"(?:\\\*)?\\footnote(?![a-z])|\\[^a-z]|[{}]")
_NOTED = re.compile(f"{_BEGIN}([^{_BEGIN}]*?){_END}")
_SUPER = re.compile(
    r"(\\super(?![a-z0-9])(?:\\[a-z]{1,32}+-?+\d{0,10}+ ?+|\s){0,40}+)([-+]?\d{1,6})(?=[}\\])"  # possessive: linear
)


def parse_rtf(data: bytes, max_text: int) -> Draft:
    """Blocks of an RTF file. Raises Refused: `corrupt`, `too-much-text`."""
    from striprtf.striprtf import rtf_to_text

    source = _LEVEL.sub(rf"\\outlinelevel\1\\u{ord(_MARK)}?\1 ", data.decode("latin-1"))
    source = _SUPER.sub(lambda found: found[1] + "".join(map(_escaped, raised(found[2]))), _with_footnotes(source))
    try:
        text = str(rtf_to_text(source, errors="replace"))
    except ODD as error:
        raise Refused("corrupt", f"not a readable RTF: {str(error)[:200]}") from error
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if len(text) > max_text:
        raise Refused("too-much-text", f"more than {max_text:,} characters")
    blocks: list[Block] = []
    text, notes = _footnotes(text)
    for line in text.splitlines():
        level = _MARKED.search(line)
        noted = [f"[^{n}]: {notes[int(n) - 1]}" for n in re.findall(rf"{_REFERS}\[\^(\d+)\]", line)]
        shown = _MARKED.sub("", line).replace(_REFERS, "").strip()
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
        blocks += (Block("text", note) for note in noted)
    return Draft(blocks=blocks)


def _with_footnotes(source: str) -> str:
    """Footnotes as text between marks: by themselves they are left out of the text."""
    if "\\footnote" not in source:
        return source
    pieces: list[str] = []
    open_groups: list[bool] = []  # of each group, whether it is a footnote
    at = 0
    for found in _FOOTNOTE.finditer(source):
        if found[0] == "{":
            open_groups.append(False)
        elif found[0] == "}":
            if open_groups and open_groups.pop():
                pieces += [source[at : found.start()], _escaped(_END), "}"]
                at = found.end()
        elif found[0].endswith("footnote") and open_groups and not open_groups[-1]:
            open_groups[-1] = True
            pieces += [source[at : found.start()], _escaped(_BEGIN)]
            at = found.end()
    return "".join((*pieces, source[at:]))


def _escaped(character: str) -> str:
    return f"\\u{ord(character)}?"


def _footnotes(text: str) -> tuple[str, list[str]]:
    """The text with references in the place of its footnotes, and these."""
    notes: list[str] = []

    def refers(found: re.Match[str]) -> str:
        shown = " ".join(_MARKED.sub("", found[1]).split())
        if shown:
            notes.append(shown)
        return f"{_REFERS}[^{len(notes)}]" if shown else ""

    text = _NOTED.sub(refers, text)
    return text.replace(_BEGIN, "").replace(_END, ""), notes
