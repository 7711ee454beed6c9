"""Markdown and plain text into blocks. Follows CommonMark 0.31 for what is a heading and what is code.

The text stays Markdown: emphasis, links and lists read well as they are. Front matter becomes title and meta.
"""

from __future__ import annotations

import re
from typing import Any, cast

from slipway.data.parsing.blocks import Block, Draft

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_FENCE = re.compile(r"( {0,3})(`{3,}|~{3,})([^\n]*)$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_NO_PARAGRAPH = re.compile(r"\s*(?:[-*+] |\d{1,9}[.)] |>|\||#)|\s*$| {4}|\t")  # a line that setext cannot underline
_TABLE_ROW = re.compile(r"\s*\|.*\|\s*$")
_HTML_HEADING = re.compile(r"\s*<h([1-6])\b[^>]*>(.*?)</h\1>\s*$", re.I)
_CODE_SPAN = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_ANCHOR = re.compile(r"\s*\{[#.:][^}]*\}\s*$")


def parse_markdown(text: str) -> Draft:
    """Blocks of a Markdown text."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    meta, body = _front_matter(text)
    reader = _Reader()
    for line in body.split("\n"):
        reader.take(line)
    reader.end()
    title = str(meta.pop("title", "") or "")
    if not title:
        title = next((block.text for block in reader.blocks if block.kind == "heading" and block.level == 1), "")
    language = str(meta.pop("language", "") or meta.pop("lang", "") or "")
    return Draft(blocks=reader.blocks, title=title, language=language, meta=meta, tags=True)


def parse_plain(text: str) -> Draft:
    """Paragraphs of a plain text: what stands between blank lines. It has no headings."""
    paragraphs = re.split(r"\n[ \t]*\n\s*?(?=\S|[ \t])", text.replace("\r\n", "\n").replace("\r", "\n"))
    return Draft(blocks=[Block("text", part.strip("\n")) for part in paragraphs if part.strip()], tags=True)


class _Reader:
    """Takes lines, makes blocks. Inside a fence nothing but its end means anything."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._lines: list[str] = []
        self._table = False
        self._fence = ""
        self._comment = False

    def take(self, line: str) -> None:
        """One more line."""
        if self._fence:
            self._in_fence(line)
            return
        line = self._without_comment(line)
        fence = _FENCE.match(line)
        if fence and not (fence[2][0] == "`" and "`" in fence[3]):
            self._flush()
            self._fence, self._lines = fence[2], [line]
            return
        atx = _ATX.match(line)
        html = _HTML_HEADING.match(line)
        if atx or html:
            self._flush()
            level, name = (len(atx[1]), atx[2] or "") if atx else (int(html[1]), html[2]) if html else (1, "")
            self._heading(level, name)
            return
        if self._lines and not self._table and _SETEXT.match(line) and not _NO_PARAGRAPH.match(self._lines[-1]):
            self._setext(1 if "=" in line else 2)
            return
        self._text(line)

    def end(self) -> None:
        """No more lines; a fence left open ends here, as CommonMark has it."""
        if self._fence:
            self._lines.append(self._fence)
            self.blocks.append(Block("code", "\n".join(self._lines)))
            self._fence, self._lines = "", []
        self._flush()

    def _in_fence(self, line: str) -> None:
        self._lines.append(line)
        closing = line.strip()
        if closing.startswith(self._fence) and not closing.strip(self._fence[0]) and len(line) - len(line.lstrip()) < 4:
            self.blocks.append(Block("code", "\n".join(self._lines)))
            self._fence, self._lines = "", []

    def _text(self, line: str) -> None:
        row = _TABLE_ROW.match(line) is not None
        if not line.strip() or row != self._table:
            self._flush()
        if line.strip():
            self._table = row
            self._lines.append(line)

    def _setext(self, level: int) -> None:
        """The whole paragraph above the underline is the heading; a list or quote above it stays text."""
        start = len(self._lines)
        while start and not _NO_PARAGRAPH.match(self._lines[start - 1]):
            start -= 1
        name = " ".join(line.strip() for line in self._lines[start:])
        del self._lines[start:]
        self._flush()
        self._heading(level, name)

    def _heading(self, level: int, name: str) -> None:
        name = _ANCHOR.sub("", _LINK.sub(r"\1", name)).strip()
        for mark in ("**", "__"):
            if name.startswith(mark) and name.endswith(mark) and len(name) > 4:
                name = name[2:-2].strip()
        if name:
            self.blocks.append(Block("heading", name, level))

    def _flush(self) -> None:
        if self._lines:
            self.blocks.append(Block("table" if self._table else "text", "\n".join(self._lines)))
        self._lines, self._table = [], False

    def _without_comment(self, line: str) -> str:
        if self._comment:
            if "-->" not in line:
                return ""
            line, self._comment = line.split("-->", 1)[1], False
        while (start := _CODE_SPAN.sub(lambda code: "." * len(code[0]), line).find("<!--")) >= 0:
            end = line.find("-->", start + 4)
            if end < 0:
                self._comment = True
                return line[:start]
            line = line[:start] + line[end + 3 :]
        return line


def _front_matter(text: str) -> tuple[dict[str, Any], str]:
    """(scalar values of the YAML or TOML front matter, the rest); a front matter that cannot be read is text."""
    found = re.match(r"(---|\+\+\+)[ \t]*\n(.{0,20000}?)\n\1[ \t]*(?:\n|$)", text, re.S)
    if not found:
        return {}, text
    values = _yaml(found[2]) if found[1] == "---" else _toml(found[2])
    if values is None:
        return {}, text
    kept = {str(key): value for key, value in values.items() if isinstance(value, (str, int, float, bool))}
    return kept, text[found.end() :]


def _yaml(text: str) -> dict[str, Any] | None:
    import yaml

    if re.search(r"(?:^|[\s\[,])[&*]\w", text):  # no anchors: they can grow without bounds
        return None
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return cast(dict[str, Any], values) if isinstance(values, dict) else {} if values is None else None


def _toml(text: str) -> dict[str, Any] | None:
    import tomllib

    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
