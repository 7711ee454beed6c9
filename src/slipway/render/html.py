"""A document as one HTML file that needs nothing else, for a browser, a mail or a printer.

What it holds is text: every value is escaped, controls and direction marks are shown, and the page's own policy lets
nothing but its style and its script act (Content-Security-Policy, W3C level 3): no image is loaded, no request is sent,
no form, frame or link of a model, a document or a user exists. Without its script everything is there, unfiltered.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files

from slipway.i18n import language, t
from slipway.render.cells import Estimate, Link, Mark, interval, shown
from slipway.render.document import Column, Document, Part, Passage, Picture, Section, Table
from slipway.text import visible

_RIGHT = ("count", "number", "seconds", "bytes", "probability")
_MARKS = {"pass": "✓", "fail": "✗", "insufficient": "?", "ok": "✓", "error": "✗", "warning": "!"}
_LONG_WORD = re.compile(r"[^\s<>]{40,}")
_INTERVAL = re.compile(r"[\[(][^\s\[\]()<>]{1,14}, [^\s\[\]()<>]{1,14}[\])]\Z")  # of a number that is a link
_LONG = 600  # characters of a passage from which on it is folded


def write(document: Document, title: str) -> str:
    """The whole file. Sections with tags can be searched and filtered; the outer ones are listed at the top."""
    own, script = style(), _own("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(own)}'; script-src '{_hash(script)}'; base-uri 'none'; "
        "form-action 'none'"
    )
    chapters = [part for part in document.parts if isinstance(part, Section)]
    links = "".join(f'<li><a href="#{_anchor(one)}">{_line(one.title)}</a></li>' for one in chapters)
    return f"""<!DOCTYPE html>
<html lang="{"zh-CN" if language() == "zh" else "en"}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{_line(title)}</title>
<style>{own}</style>
</head>
<body>
<header><h1>{_line(title)}</h1>
<nav aria-label="{_line(t("Contents"))}"><ol>{links}</ol></nav></header>
<main>
{body(document)}
</main>
<script>{script}</script>
</body>
</html>
"""


def body(document: Document) -> str:
    """Its parts, for a page that somebody else makes."""
    return "\n".join(block for part in document.parts for block in _blocks(part))


def style() -> str:
    """The style sheet for such a page."""
    return _own("page.css")


def _own(name: str) -> str:
    return files("slipway.render").joinpath("assets", name).read_text("utf-8").strip()


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _line(text: str) -> str:
    return escape(visible.line(text))


def _tag(text: str) -> str:
    """One word, as the script compares them."""
    return _line("-".join(text.split()) or "-")


def _anchor(part: Section) -> str:
    """The same for the same title: letters of any language may stand in an id, other characters may not."""
    return "s-" + hashlib.sha256(_line(part.title).encode()).hexdigest()[:10]


def _blocks(part: Part) -> Iterator[str]:
    if isinstance(part, str):
        text = _line(part)
        yield f'<p><a href="{escape(part.to)}">{text}</a></p>' if isinstance(part, Link) else f"<p>{text}</p>"
    elif isinstance(part, Passage):
        yield _passage(part)
    elif isinstance(part, Picture):
        yield f"<figure>{part.svg}</figure>"
    elif isinstance(part, Table):
        yield from _table(part)
    else:
        yield from _section(part)


def _section(part: Section) -> Iterator[str]:
    tagged = [inner for inner in part.parts if isinstance(inner, Section) and inner.tags]
    name = "article" if part.tags else "section"
    tags = f' data-tags="{" ".join(map(_tag, part.tags))}"' if part.tags else ""
    yield f'<{name} id="{_anchor(part)}"{tags}>'
    yield f"<h{part.level}>{_line(part.title)}</h{part.level}>"
    if tagged:
        yield _filter(sorted({tag for one in tagged for tag in one.tags}))
    for inner in part.parts:
        yield from _blocks(inner)
    yield f"</{name}>"


def _filter(tags: Sequence[str]) -> str:
    """Hidden without a script, which would do nothing."""
    boxes = "".join(
        f'<label><input type="checkbox" value="{_tag(tag)}"> {_line(tag)}</label>' for tag in tags
    )  # fmt: skip
    return (
        f'<div class="filter" role="search" hidden><label>{_line(t("Search"))} <input type="search"></label>{boxes} '
        '<output aria-live="polite"></output></div>'
    )


def _passage(part: Passage) -> str:
    text = _marked(part.text, part.marked)
    if part.drawn:
        return f'<pre class="drawn" tabindex="0">{text}</pre>'
    if len(part.text) > _LONG:
        head = _line(part.text[:120].replace("\n", " ")) + "…"
        return f"<details><summary>{head}</summary><blockquote>{text}</blockquote></details>"
    return f"<blockquote>{text}</blockquote>"


def _marked(text: str, spans: Sequence[tuple[int, int]]) -> str:
    pieces, at = list[str](), 0
    for start, end in spans:
        pieces += [escape(visible.block(text[at:start])), f"<mark>{escape(visible.block(text[start:end]))}</mark>"]
        at = end
    return "".join([*pieces, escape(visible.block(text[at:]))])


def _table(part: Table) -> Iterator[str]:
    if not part.rows:
        yield f"<p>{_line(t('{title}: nothing yet', title=part.title))}</p>"
    else:
        head = "".join(f'<th scope="col"{_class(one)}>{_name(one)}</th>' for one in part.columns)
        rows = "".join(_row(row, part.columns) for row in part.rows)
        caption = f"<caption>{_line(part.title)}</caption>" if part.title else ""
        yield (
            f'<div class="wide" tabindex="0" role="region" aria-label="{_line(part.title)}"><table>{caption}'
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        )
    if part.notes:
        yield f'<ul class="notes">{"".join(f"<li>{_line(note)}</li>" for note in part.notes)}</ul>'


def _row(row: Sequence[object], columns: Sequence[Column]) -> str:
    first, *rest = (_cell(cell, column) for cell, column in zip(row, columns, strict=True))
    others = "".join(f"<td{_class(column)}>{cell}</td>" for cell, column in zip(rest, columns[1:], strict=True))
    return f'<tr><th scope="row"{_class(columns[0])}>{first}</th>{others}</tr>'


def _name(column: Column) -> str:
    """A name such as retrieval_recall may be cut after its underscores: it is wider than what stands below it."""
    return _line(column.title).replace("_", "_<wbr>")


def _cell(cell: object, column: Column) -> str:
    if isinstance(cell, Mark):
        return _MARKS[cell]
    if isinstance(cell, Link):
        text = _INTERVAL.sub(r'<span class="whole">\g<0></span>', _breakable(_line(shown(cell, column))))
        return f'<a href="{escape(cell.to)}">{text}</a>'
    if isinstance(cell, Estimate):
        whole = shown(cell, column)
        value = whole.removesuffix(interval(cell)).strip()
        return f'{_line(value)} <span class="interval">{_line(interval(cell))}</span>'
    return _breakable(_line(shown(cell, column)))


def _breakable(text: str) -> str:
    """Escaped text in which a very long word may be cut at the end of a line: it would push other columns away."""
    return _LONG_WORD.sub(r'<span class="long">\g<0></span>', text)


def _class(column: Column) -> str:
    name = "number" if column.kind in _RIGHT else "time" if column.kind == "time" else ""
    return f' class="{name}"' if name else ""
