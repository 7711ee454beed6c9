"""A document as HTML: complete, needing nothing else, and inert whatever it holds."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from slipway.i18n import speaking
from slipway.render import html, markdown, text
from slipway.render.cells import Link
from slipway.render.document import Column, Document, Part, Passage, Picture, Section, Table
from slipway.render.svg import Drawing

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)" x="',
    "closing": "</blockquote></main></body></html><script src=//evil.example/x></script>",
    "image": '<img src="http://evil.example/a.png" onerror=alert(1)>',
    "svg": "<svg onload=alert(1)><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "markdown": "![x](http://evil.example/a.png) [x](javascript:alert(1))",
    "entity": "&lt;script&gt; &#60;img&#62;",
    "style": "</style><style>*{display:none}</style>",
    "comment": "<!-- --><base href=http://evil.example>",
    "bidi": "abc\u202edef\u2066ghi",
    "escape": "\x1b[2J\x07\x00",
    "surrogate": "\ud800",
    "long": "<b>x</b>" * 125_000,
}
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "h3", "h4", "nav", "ol", "ul", "li", "a", "main",
    "section", "article", "p", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "span", "blockquote", "pre",
    "details", "summary", "figure", "svg", "rect", "text", "polyline", "circle", "label", "input", "output", "script",
    "wbr",
}  # fmt: skip


class Seen(HTMLParser):
    """Every element and attribute, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in ("meta", "input", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def everywhere(what: str) -> Document:
    """The text in each place that a model, a document or a user can write."""
    drawing = Drawing(10, 10, what)
    drawing.text(1, 1, what[:1000])
    table = Table(what, [Column(what), Column("x")], [[what, what]], [what])
    parts: list[Part] = [what, Passage(what), Passage(what, drawn=True), table, Table(what, [Column("x")], []),
                         Picture(str(drawing)), Section("1.", [Passage(what)], 3, [what])]  # fmt: skip
    return Document({}, [Section(what, parts)])


@pytest.mark.parametrize("kind", [*[k for k in HOSTILE if k != "long"], pytest.param("long", marks=pytest.mark.slow)])
def test_whatever_it_holds_is_text(kind: str) -> None:
    page = html.write(everywhere(HOSTILE[kind]), HOSTILE[kind])
    page.encode()
    seen = Seen(page)
    assert seen.open == []
    assert set(seen.tags) <= ALLOWED
    assert seen.tags.count("script") == 1
    assert seen.tags.count("style") == 1
    assert not [name for _, name, _ in seen.attributes if name.startswith("on") or name in ("src", "style", "srcset")]
    assert all(value.startswith("#s-") for _, name, value in seen.attributes if name == "href")
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", page)
    if kind == "long":
        assert page.count("&lt;b&gt;x&lt;/b&gt;") >= 7 * 125_000


def test_the_policy_allows_the_pages_own_style_and_script_and_nothing_else() -> None:
    page = html.write(everywhere("x"), "x")
    (policy,) = [
        value for tag, name, value in Seen(page).attributes if tag == "meta" and name == "content" and "src" in value
    ]
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "http:" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https:" not in page


def test_sections_can_be_found_and_filtered_and_everything_is_there_without_a_script() -> None:
    rows = [Section(f"{n}.", [Passage(f"question {n}")], 3, ["en" if n % 2 else "zh"]) for n in range(4)]
    page = html.write(Document({}, [Section("Every question", rows), Section("Empty", [])]), "t")
    seen = Seen(page)
    assert [value for tag, name, value in seen.attributes if name == "data-tags"] == ["zh", "en", "zh", "en"]
    assert [value for tag, name, value in seen.attributes if tag == "input" and name == "value"] == ["en", "zh"]
    assert ("div", "hidden", "") in seen.attributes, "the filter needs the script"
    assert "hidden" not in "".join(re.findall("<article[^>]*>", page))
    links = [value[1:] for tag, name, value in seen.attributes if name == "href"]
    ids = [value for _, name, value in seen.attributes if name == "id"]
    assert len(links) == 2
    assert set(links) <= set(ids)
    assert len(set(ids)) == len(ids)


def test_it_is_in_the_language_of_the_reader() -> None:
    with speaking("zh"):
        page = html.write(Document({}, [Table("空", [Column("x")], [])]), "报告")
    assert '<html lang="zh-CN">' in page
    assert "空：" in page


def test_other_forms_show_sections_and_leave_pictures_out() -> None:
    document = Document({}, [Section("A # title", ["line", Picture("<svg/>"), Section("inner", ["x"], 3)])])
    assert markdown.write(document) == "## A # title\n\nline\n\n### inner\n\nx\n"
    assert "A # title" in text.write(document)
    assert "svg" not in text.write(document)


def test_wide_values_can_be_cut_where_it_does_not_hurt() -> None:
    columns = [Column("question"), Column("retrieval_recall"), Column("<a_b>")]
    rows = [[Link("0.3 [0.1, 0.5]", "/there"), "<&" * 30, Link("a" * 50, "/there")], ["a short one", "b" * 39, "c"]]
    page = html.body(Document(None, [Table("T", columns, rows)]))
    assert '0.3 <span class="whole">[0.1, 0.5]</span></a>' in page
    assert f'<span class="long">{"&lt;&amp;" * 30}</span>' in page
    assert f'<span class="long">{"a" * 50}</span></a>' in page
    assert page.count('class="long"') == 2
    assert "retrieval_<wbr>recall</th>" in page
    assert "&lt;a_<wbr>b&gt;</th>" in page
