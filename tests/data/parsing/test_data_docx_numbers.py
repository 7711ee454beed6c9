"""Numbers that a Word file counts and does not hold as text: of headings, clauses, steps, and rows of a table."""

from __future__ import annotations

import io

import pytest

from slipway.data.parsing import media
from slipway.data.parsing.parse import Settings, parse_bytes

pytest.importorskip("docx")

SPACE = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
HEADINGS = [("decimal", "%1", "Heading1"), ("decimal", "%1.%2", "Heading2"), ("lowerLetter", "(%3)", "")]


def level(number: int, kind: str, text: str, style: str = "", start: int = 1, more: str = "") -> str:
    linked = f'<w:pStyle w:val="{style}"/>' if style else ""
    return (
        f'<w:lvl w:ilvl="{number}"><w:start w:val="{start}"/><w:numFmt w:val="{kind}"/>{linked}{more}'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
    )


def paragraph(text: str, list_id: int = 0, depth: int = 0, style: str = "", mark: str = "") -> str:
    named = f'<w:pStyle w:val="{style}"/>' if style else ""
    listed = f'<w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{list_id}"/></w:numPr>' if list_id else ""
    shown = f"<w:r><w:t>{text}</w:t></w:r>" if text else ""
    return f"<w:p><w:pPr>{named}{listed}{mark}</w:pPr>{shown}</w:p>"


def read(body: str, levels: str, overrides: str = "") -> list[str]:
    """The blocks of a document with one kind of list, the lists 77 and 78 of it, and headings that list 77 numbers."""
    import docx
    from docx.oxml import parse_xml

    made = docx.Document()
    numbering = made.part.numbering_part.element
    abstract = parse_xml(f'<w:abstractNum {SPACE} w:abstractNumId="77">{levels}</w:abstractNum>')
    numbering.insert(0, abstract)
    for key, more in ((77, ""), (78, overrides)):
        numbering.append(parse_xml(f'<w:num {SPACE} w:numId="{key}"><w:abstractNumId w:val="77"/>{more}</w:num>'))
    for n, name in enumerate(("Heading 1", "Heading 2")):
        numbers = f'<w:numPr {SPACE}>{f"<w:ilvl w:val={str(n)!r}/>" if n else ""}<w:numId w:val="77"/></w:numPr>'
        made.styles[name].element.get_or_add_pPr().insert(0, parse_xml(numbers))
    for piece in parse_xml(f"<w:body {SPACE}>{body}</w:body>"):
        made.element.body.sectPr.addprevious(piece)
    buffer = io.BytesIO()
    made.save(buffer)
    result = parse_bytes(buffer.getvalue(), media.DOCX, Settings())
    assert result.refused is None, result.refused
    return result.documents[0].text.split("\n\n")


def test_headings_and_clauses_have_the_numbers_that_word_counts():
    levels = "".join(level(n, *one) for n, one in enumerate(HEADINGS))
    one, two = [lambda text, style=f"Heading{n}": paragraph(text, style=style) for n in (1, 2)]
    body = one("Scope") + two("Parts") + two("Terms") + paragraph("pay", 77, 2) + paragraph("rest", 77, 2)
    body += one("Liability") + two("Limits") + paragraph("Not numbered.") + paragraph("late", 77, 2)
    assert read(body, levels) == [
        "# 1 Scope", "## 1.1 Parts", "## 1.2 Terms", "(a) pay\n    (b) rest", "# 2 Liability", "## 2.1 Limits",
        "Not numbered.", "(a) late",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "text", "shown"),
    [
        ("chineseCountingThousand", "第%1条", ["第九条", "第十条", "第十一条"]), ("upperRoman", "%1.", ["IX.", "X.", "XI."]),
        ("decimalZero", "%1)", ["09)", "10)", "11)"]), ("upperLetter", "%1", ["I", "J", "K"]),
        ("bullet", "•", ["-", "-", "-"]), ("decimal", "Step %1:", ["Step 9:", "Step 10:", "Step 11:"]),
    ],
)  # fmt: skip
def test_kinds_of_numbers(kind: str, text: str, shown: list[str]):
    body = "".join(paragraph("open it", 77) for _ in range(3))
    assert read(body, level(0, kind, text, start=9)) == ["\n".join(f"{one} open it" for one in shown)]


def test_a_list_goes_on_after_a_text_and_begins_anew_where_it_says_so():
    anew = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride>'
    body = paragraph("a", 77) + paragraph("Text.") + paragraph("b", 77) + paragraph("Other.")
    body += paragraph("c", 78) + paragraph("d", 78)
    steps = read(body, level(0, "decimal", "%1."), anew)
    assert steps == ["1. a", "Text.", "2. b", "Other.", "1. c\n2. d"]


def test_rows_that_are_numbered_have_their_numbers_and_deleted_ones_do_not_count():
    rows = "".join(
        f"<w:tr><w:tc>{paragraph('', 77)}</w:tc><w:tc>{paragraph(name)}</w:tc></w:tr>" for name in ("Pump", "Valve")
    )
    gone = paragraph("", 77, mark="<w:rPr><w:del/></w:rPr>")
    body = f"<w:tbl>{rows}</w:tbl>{gone}{paragraph('third', 77)}"
    assert read(body, level(0, "decimal", "%1")) == ["| 1 | Pump |\n| 2 | Valve |", "3 third"]


def test_decimals_within_a_roman_part():
    levels = level(0, "upperRoman", "%1") + level(1, "decimal", "%1.%2", more="<w:isLgl/>")
    assert read(paragraph("Part", 77) + paragraph("Clause", 77, 1), levels) == ["I Part\n  1.1 Clause"]
