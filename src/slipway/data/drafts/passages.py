"""A document cut into what rules look at: sentences of paragraphs, lists, tables, and short lines with what follows.

Texts are one line each (`shown`): a sentence that was wrapped is whole. Knows no rule and no language but its marks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from slipway.core.material import Document, Section
from slipway.text.statements import shown, statements

Kind = Literal["text", "list", "table", "code"]

_FENCE = re.compile(r"(`{3,}|~{3,})")
_ITEM = re.compile(r"([ \t]*)(?:[-*+•]|(\d{1,3})[.)])[ \t]+")
_NUMBER = re.compile(r"^(?:(?:chapter|appendix|section|part)\s+[\dA-Z]+[.:]?\s+|"
                     r"第\s*[\d一二三四五六七八九十]+\s*[章节部分]\s*|附录\s*[A-Z]\.?\s*|"
                     r"\(?(?:[A-Z]\.)?\d+(?:\.\d+)*[.)]?\s+|[A-Z](?:\.\d+)+\.?\s+)", re.IGNORECASE)  # fmt: skip
_CAPITAL = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")
_LOWER = re.compile(r"(?<![\w-])[a-z][a-z-]+")


GENERIC = re.compile(
    r"(?:overview|introduction|summary|executive summary|descriptions?|options?|usage|columns?|notes?|syntax|"
    r"background|"
    r"details?|examples?|parameters?|arguments?|general|configuration|synopsis|commands?|functions?|remarks?|"
    r"name|values?|"
    r"features?|fields?|methods?|properties|attributes?|概述|简介|说明|描述|选项|用法|语法|参数|示例|例子|注意|"
    r"介绍|背景|总结|常规|其他|操作|类型|类别|预览|设置|图例|对话框|按钮|字段|属性)$",
    re.IGNORECASE,
)


class Block(msgspec.Struct):
    """A part of a section. `rows`: items of a list, cells."""

    kind: Kind
    text: str
    rows: list[list[str]] = []
    ordered: bool = False


class Passage(msgspec.Struct):
    """A section as rules see it: its blocks, and what it stands under, without the numbers of chapters."""

    document: Document
    section: Section
    heading: str
    headings: tuple[str, ...]
    blocks: list[Block]
    common: frozenset[str] = frozenset()  # words that the document writes with a small first letter
    proper: frozenset[str] = frozenset()  # words that it writes with a capital inside a sentence

    @property
    def subject(self) -> str:
        """What the document is about: its first heading, else its title."""
        return self.headings[0] if self.headings else bare(self.document.title)

    def sentences(self) -> Iterator[tuple[str, bool]]:
        """(sentence, whether it is the first of the section)."""
        first = True
        for block in self.blocks:
            if block.kind == "text":
                for found in statements([block.text]):
                    yield shown(found.text), first
                    first = False


def passages(document: Document) -> Iterator[Passage]:
    """Each section with something under its heading."""
    common = frozenset(_LOWER.findall(document.text))
    proper = frozenset(_CAPITAL.findall(document.text))
    for section in document.sections or (Section(path=(), start=0, end=len(document.text)),):
        text = document.text[section.start : section.end]
        body = text.partition("\n")[2] if section.path else text
        blocks = list(_blocks(body))
        if blocks:
            headings = tuple(bare(step) for step in section.path)
            yield Passage(document, section, headings[-1] if headings else "", headings, blocks, common, proper)


def in_words(passage: Passage) -> str:
    """What a reader would call the place: the heading, with what the document is about where it says too little."""
    heading = passage.heading.rstrip(":：")
    if not GENERIC.match(heading):
        return heading
    over = next((step for step in reversed(passage.headings[:-1]) if not GENERIC.match(step)), passage.document.title)
    return f"{over}: {heading}" if over and not GENERIC.match(over) else ""


def bare(heading: str) -> str:
    """A heading in one line without its number: `3.2. Limits` is `Limits`."""
    return _NUMBER.sub("", shown(heading)).strip()


def _blocks(body: str) -> Iterator[Block]:
    held: list[str] = []
    fence = ""
    for line in [*body.split("\n"), ""]:
        mark = _FENCE.match(line)
        if fence or mark:
            if not fence and mark:
                yield from _made(held)
                held, fence = [], mark[1]
            elif mark and mark[1].startswith(fence):
                yield Block("code", "\n".join(held[1:]))
                held, fence = [], ""
                continue
            held.append(line)
        elif line.strip():
            held.append(line)
        else:
            yield from _made(held)
            held = []


def _made(lines: list[str]) -> Iterator[Block]:
    """The blocks of lines that stand together: what comes before a list belongs to no item."""
    if not lines:
        return
    if all(line.lstrip().startswith("|") for line in lines):
        yield Block("table", "\n".join(lines), [_cells(line) for line in lines])
        return
    at = next((n for n, line in enumerate(lines) if _ITEM.match(line)), len(lines))
    if at:
        yield Block("text", "\n".join(lines[:at]))
    if at < len(lines):
        items: list[list[str]] = []
        for line in lines[at:]:
            found = _ITEM.match(line)
            if found:
                items.append([line[found.end() :].strip(), found[1].expandtabs(4), found[2] or ""])
            else:
                items[-1][0] += f" {line.strip()}"
        yield Block("list", "\n".join(lines[at:]), items, ordered=bool(items[0][2]))


def _cells(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))
    return [" ".join(cell.replace("\\|", "|").split()) for cell in cells]
