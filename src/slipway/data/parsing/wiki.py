"""A dump of a MediaWiki (`*.xml.bz2`) into documents: one for each article, read as it is unpacked, never whole.

Markup goes with mwparserfromhell; templates, which need the wiki to be filled in, go with it.
"""

from __future__ import annotations

import bz2
import io
import re
from collections.abc import Iterator
from xml.etree import ElementTree

from slipway.data.parsing.blocks import Block, Draft
from slipway.data.reasons import Refused

_HEADING = re.compile(r"^(={1,6})[ \t]*([^=\n].{0,300}?)[ \t]*\1[ \t]*$", re.M)
_FILE = re.compile(r"\s*(?:file|image|media|category|文件|檔案|图像|圖像|分类|分類)\s*:", re.I)
_RATIO, _SMALL = 200, 10_000_000
_PAGE = 10_000_000  # characters of one article


def parse_wiki(data: bytes, max_text: int) -> list[Draft]:
    """Articles without redirects, talk and the like. Raises Refused: `corrupt`, `zip-bomb`, `too-much-text`."""
    drafts: list[Draft] = []
    left = max_text
    try:
        for title, text in _articles(_Unpacked(data)):
            draft = Draft(blocks=_blocks(text), title=title, name="/" + title.replace("#", "%23")[:500])
            left -= sum(len(block.text) for block in draft.blocks)
            if left < 0:
                raise Refused("too-much-text", f"more than {max_text:,} characters")
            if draft.blocks:
                draft.blocks.insert(0, Block("heading", title, 1))
                drafts.append(draft)
    except (OSError, EOFError, ValueError, SyntaxError) as error:
        raise Refused("corrupt", f"not a readable dump of a MediaWiki: {str(error)[:200]}") from error
    return drafts


class _Unpacked(io.RawIOBase):
    """What a bzip2 file holds, within bounds."""

    def __init__(self, data: bytes) -> None:
        self._file, self._packed, self._size = bz2.BZ2File(io.BytesIO(data)), len(data), 0

    def read(self, size: int = -1) -> bytes:
        """Some of it, at most a megabyte."""
        piece = self._file.read(min(size, 1 << 20) if size > 0 else 1 << 16)
        self._size += len(piece)
        if self._size > _SMALL and self._size > _RATIO * self._packed:
            raise Refused("zip-bomb", f"{self._packed:,} bytes unpack to more than {self._size:,}")
        return piece


def _articles(stream: _Unpacked) -> Iterator[tuple[str, str]]:
    """(title, wikitext) of the pages of the main namespace."""
    said: dict[str, str] = {}
    above: list[ElementTree.Element] = []
    for event, node in ElementTree.iterparse(stream, events=("start", "end")):  # pyright: ignore[reportArgumentType]
        tag = node.tag.rpartition("}")[2]
        if event == "start":
            above.append(node)
            if len(above) > 50:
                raise Refused("too-deep", "more than 50 elements within each other")
            continue
        above.pop()
        if tag in ("title", "ns", "redirect", "text"):
            said[tag] = (node.text or "")[:_PAGE].strip()
        elif tag == "page":
            if said.get("ns", "0") == "0" and "redirect" not in said and said.get("title") and said.get("text"):
                yield said["title"], said["text"]
            said.clear()
            for one in above:
                one.clear()


def _blocks(text: str) -> list[Block]:
    pieces = _HEADING.split(text)  # text, then (marks, name, text) again and again
    blocks = _paragraphs(pieces[0])
    for marks, name, below in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        shown = " ".join(_plain(name).split())
        blocks += [Block("heading", shown, max(2, len(marks)))] if shown else []
        blocks += _paragraphs(below)
    return blocks


def _paragraphs(text: str) -> list[Block]:
    return [Block("text", part.strip()) for part in re.split(r"\n\s*\n", _plain(text)) if part.strip()]


def _plain(text: str) -> str:
    import mwparserfromhell

    code = mwparserfromhell.parse(text, skip_style_tags=True)
    for link in code.filter_wikilinks(recursive=False):
        if _FILE.match(str(link.title)):
            code.remove(link)
    for tag in code.filter_tags(recursive=False):
        if str(tag.tag).lower() in ("ref", "table", "gallery"):
            code.remove(tag)
    plain = str(code.strip_code(normalize=True, collapse=True))
    return re.sub(r"'{2,5}", "", plain)
