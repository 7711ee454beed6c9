"""HTML into blocks: headings make sections, tables become rows of `|`, lists keep their bullets, `pre` its spaces.

Reads with selectolax (lexbor, the HTML5 algorithm): broken markup is repaired as browsers do, entities of a DTD are not
expanded, nothing is fetched. Walks without recursion: depth costs nothing, and is limited.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from slipway.data.parsing.blocks import Block, Draft, Note
from slipway.data.parsing.boilerplate import drop_boilerplate, drop_hidden
from slipway.data.parsing.depth import too_deep
from slipway.data.parsing.html_table import table_rows
from slipway.data.reasons import Refused
from slipway.text.raised import raised

_MAX_DEPTH = 2_000
_MAX_OPEN = 8_000  # elements, counted before parsing
_HEADINGS = {f"h{n}": n for n in range(1, 7)}
_BREAKS = frozenset(
    {"address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div", "dl",
     "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "li", "main", "menu", "nav",
     "ol", "p", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul"}
)  # fmt: skip
_SPACE = re.compile(r"[ \t\n\r\f]+")

Node = Any  # selectolax has no types for its nodes


def parse_html(text: str, boilerplate: bool) -> Draft:
    """Blocks of a page; with `boilerplate`, navigation and the like are removed first. Raises Refused (`too-deep`)."""
    from selectolax.lexbor import LexborHTMLParser

    if text.count("<") > _MAX_OPEN and too_deep(text, _MAX_OPEN):
        raise Refused("too-deep", f"more than {_MAX_OPEN:,} elements within each other")
    tree = LexborHTMLParser(text.replace("\x00", ""))
    if tree.body is None or tree.root is None:
        return Draft(blocks=[])
    _check_depth(tree.body)
    title = _title(tree)
    language = str(tree.root.attributes.get("lang") or "")
    drop_hidden(tree)
    _written(tree)
    dropped, root = 0, tree.body
    if boilerplate:
        heading = tree.body.css_first("h1")
        first = _flat(heading) if heading is not None else ""
        root, dropped = drop_boilerplate(tree)
        blocks = _Writer(root).blocks()
        if first and not any(b.kind == "heading" and b.level == 1 for b in blocks):
            blocks.insert(0, Block("heading", first, 1))  # the page's own heading often stands outside its content
    else:
        blocks = _Writer(root).blocks()
    notes = [Note("clean", "changed", "boilerplate", f"{dropped} characters removed")] if dropped > 0 else []
    title = title or next((block.text for block in blocks if block.kind == "heading"), "")
    return Draft(blocks=blocks, title=title, hint=language, notes=notes)


def _title(tree: Any) -> str:
    node = tree.css_first("head > title")
    return _flat(node) if node is not None else ""


def _flat(node: Node) -> str:
    return _SPACE.sub(" ", node.text(deep=True, separator="")).strip().rstrip("¶#").strip()


def _events(root: Node) -> Iterator[tuple[bool, Node, int]]:
    """(entering, node, depth) in document order, without recursion."""
    node, depth = root, 0
    while True:
        yield True, node, depth
        child = node.first_child
        if child is not None:
            node, depth = child, depth + 1
            continue
        yield False, node, depth
        while node.next is None:
            if depth == 0:
                return
            node, depth = node.parent, depth - 1
            yield False, node, depth
        if depth == 0:
            return
        node = node.next


def _check_depth(body: Node) -> None:
    if any(depth > _MAX_DEPTH for entering, _, depth in _events(body) if entering):
        raise Refused("too-deep", f"more than {_MAX_DEPTH:,} elements within each other")


class _Writer:
    """Walks an element and writes blocks."""

    def __init__(self, root: Node) -> None:
        self._root = root
        self._blocks: list[Block] = []
        self._inline: list[str] = []
        self._lists: list[int] = []  # open lists: 0 for bullets, else the next number
        self._bullet = ""
        self._skip_until: int | None = None  # address of an element that was written as a whole

    def blocks(self) -> list[Block]:
        """All blocks, list items that follow each other as one."""
        for entering, node, _ in _events(self._root):
            if self._skip_until is not None:
                if not entering and node.mem_id == self._skip_until:
                    self._skip_until = None
                continue
            if entering:
                self._enter(node)
            else:
                self._leave(node)
        self._flush()
        return [block for block in self._blocks if block.text.strip()]

    def _enter(self, node: Node) -> None:
        tag = node.tag
        if tag == "-text":
            self._inline.append(node.text_content or "")
        elif tag in _HEADINGS:
            self._whole(node, Block("heading", _flat(node), _HEADINGS[tag]))
        elif tag == "pre":
            code = node.text(deep=True, separator="").strip("\n")
            fence = "```" if "```" not in code else "~~~~"
            self._whole(node, Block("code", f"{fence}\n{code}\n{fence}" if code.strip() else ""))
        elif tag == "table" and (rows := table_rows(node, _cell)):
            self._whole(node, *rows)
        elif tag == "br":
            self._inline.append("\x00")
        elif tag in _BREAKS:
            self._flush()
            self._open(node, tag)

    def _open(self, node: Node, tag: str) -> None:
        if tag in ("ul", "menu"):
            self._lists.append(0)
        elif tag == "ol":
            start = str(node.attributes.get("start") or "1")
            self._lists.append(int(start) if start.isdecimal() and len(start) < 7 else 1)
        elif tag == "li":
            number = self._lists[-1] if self._lists else 0
            self._bullet = "  " * (max(1, len(self._lists)) - 1) + (f"{number}. " if number else "- ")
            if number:
                self._lists[-1] += 1

    def _leave(self, node: Node) -> None:
        if node.tag in _BREAKS:
            self._flush()
            if node.tag in ("ul", "ol", "menu") and self._lists:
                self._lists.pop()
            if node.tag == "li":
                self._bullet = ""

    def _whole(self, node: Node, *blocks: Block) -> None:
        self._flush()
        self._blocks += blocks
        self._skip_until = node.mem_id

    def _flush(self) -> None:
        text = _SPACE.sub(" ", "".join(self._inline))
        self._inline.clear()
        text = "\n".join(line.strip() for line in text.split("\x00")).strip()
        if not text:
            return
        if not self._bullet:
            self._blocks.append(Block("text", text))
            return
        item = self._bullet + text
        last = self._blocks[-1] if self._blocks else None
        if last is not None and last.kind == "text" and re.match(r"\s*(?:- |\d+\. )", last.text):
            last.text += "\n" + item
        else:
            self._blocks.append(Block("text", item))
        self._bullet = ""


def _cell(cell: Node) -> str:
    """The text of a cell: a new line, paragraph or item of a list within it is a space."""
    pieces: list[str] = []
    for entering, node, _ in _events(cell):
        if node.tag in _BREAKS or node.tag == "br":
            pieces.append(" ")
        elif node.tag == "-text" and entering:
            pieces.append(node.text_content or "")
    return "".join(pieces)


def _written(tree: Any) -> None:
    """Write what is raised as plain text can, and leave out readings above words: both run into what stands beside."""
    for node in tree.css("ruby rt, ruby rp"):
        node.decompose()
    for node in tree.css("sup"):
        text = node.text(deep=True)
        if (shown := raised(text)) != text:
            node.replace_with(shown)
