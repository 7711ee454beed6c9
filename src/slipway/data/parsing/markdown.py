"""Markdown and plain text into blocks. What is a heading, code or a table is for CommonMark's parser to say.

The text stays Markdown: emphasis, links and lists read well as they are. Front matter becomes title and meta.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from slipway.data.parsing.blocks import Block, Draft
from slipway.data.parsing.tables import in_pieces

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_HTML_HEADING = re.compile(r"\s*<h([1-6])\b[^>]*>(.*?)</h\1>\s*$", re.I)
_COMMENT = re.compile(r"((?<!`)(`++).+?(?<!`)\2(?!`))|<!--.*?(?:-->|\Z)", re.S)  # or a code span, which may show one
LONGEST_HEADING = 2000  # characters
_CUT_WORD = re.compile("(?<=[a-z])\u2010\n[ \t]*(?=[a-z])")  # as `man` cuts a word at the end of a line
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_ANCHOR = re.compile(r"\s*\{[#.:][^}]*\}\s*$")


def parse_markdown(text: str) -> Draft:
    """Blocks of a Markdown text."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    meta, body = _front_matter(text)
    blocks = list(_blocks(body))
    title = str(meta.pop("title", "") or "")
    if not title:
        title = next((block.text for block in blocks if block.kind == "heading" and block.level == 1), "")
    language = str(meta.pop("language", "") or meta.pop("lang", "") or "")
    return Draft(blocks=blocks, title=title, language=language, meta=meta, tags=True)


def parse_plain(text: str) -> Draft:
    """Paragraphs of a plain text: what stands between blank lines. It has no headings."""
    text = _CUT_WORD.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    paragraphs = re.split(r"\n[ \t]*\n\s*?(?=\S|[ \t])", text)
    return Draft(blocks=[Block("text", part.strip("\n")) for part in paragraphs if part.strip()], tags=True)


def _blocks(text: str) -> Iterator[Block]:
    """The blocks of the outermost level, each as its lines stand in the text."""
    lines, done = text.split("\n"), 0
    tokens = _parser().parse(text)
    for at, token in enumerate(tokens):
        if token.map is None or token.level or token.nesting < 0:
            continue
        begin, end = token.map
        yield from _text(lines[done:begin])  # what makes no block: definitions of links
        done = end
        if token.type == "heading_open":
            yield from _heading(int(token.tag[1]), tokens[at + 1].content)
        elif token.type == "fence":
            yield Block("code", _fenced(lines[begin:end], token.markup))
        elif token.type == "table_open":
            rows = "\n".join(lines[begin:end]).strip("\n").split("\n")
            yield from in_pieces(rows[:2], rows[2:])
        else:
            yield from _text(lines[begin:end])
    yield from _text(lines[done:])


@cache
def _parser() -> MarkdownIt:
    """CommonMark with tables; what is inside a line stays as it is."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table").disable("inline")


def _fenced(lines: list[str], fence: str) -> str:
    """A code block with both its fences; one left open ends with its container."""
    text = "\n".join(lines).rstrip("\n")
    closed = len(lines) > 1 and lines[-1].strip().startswith(fence) and not lines[-1].strip().strip(fence[0])
    return text if closed else f"{text}\n{fence}"


def _text(lines: list[str]) -> Iterator[Block]:
    text = _COMMENT.sub(lambda found: found[1] or "", "\n".join(lines))
    html = _HTML_HEADING.match(text)
    if html:
        yield from _heading(int(html[1]), html[2])
    elif text.strip():
        yield Block("text", text.strip("\n"))


def _heading(level: int, name: str) -> Iterator[Block]:
    if len(name) <= LONGEST_HEADING:  # these patterns look ahead: the square of a longer one would take seconds
        name = _ANCHOR.sub("", _LINK.sub(r"\1", _COMMENT.sub(lambda found: found[1] or "", name)))
    name = " ".join(name.split())
    for mark in ("**", "__"):
        if name.startswith(mark) and name.endswith(mark) and len(name) > 4:
            name = name[2:-2].strip()
    if name:
        yield Block("heading", name, level)


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
