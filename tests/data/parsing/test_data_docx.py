"""What a Word file shows that its plain runs do not hold: changes, controls, boxes, notes, styles of a house."""

from __future__ import annotations

import io
import zipfile

import pytest

from slipway.data.parsing import media
from slipway.data.parsing.blocks import Parsed
from slipway.data.parsing.parse import Settings, parse_bytes

pytest.importorskip("docx")

SPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
)
NOTES = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"


def run(text: str) -> str:
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


def paragraph(text: str, style: str = "") -> str:
    named = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{named}{text if text.startswith('<') else run(text)}</w:p>"


def read(body: str, *, styles: str = "", notes: str = "") -> Parsed:
    """The document that a DOCX with this body is read as."""
    import docx
    from docx.oxml import parse_xml

    made = docx.Document()
    for piece in parse_xml(f"<w:body {SPACES}>{body}</w:body>"):
        made.element.body.sectPr.addprevious(piece)
    for style in parse_xml(f"<w:styles {SPACES}>{styles}</w:styles>"):
        made.styles.element.append(style)
    buffer = io.BytesIO()
    made.save(buffer)
    result = parse_bytes(with_notes(buffer.getvalue(), notes), media.DOCX, Settings())
    assert result.refused is None, result.refused
    return result.documents[0]


def with_notes(data: bytes, notes: str) -> bytes:
    """The file with a part of footnotes, which python-docx does not write."""
    added = {
        "[Content_Types].xml": ("</Types>", f'<Override PartName="/word/notes.xml" ContentType="{NOTES}"/></Types>'),
        "word/_rels/document.xml.rels": (
            "</Relationships>",
            f'<Relationship Id="n1" Type="{RELATION}" Target="notes.xml"/></Relationships>',
        ),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            text = source.read(name)
            for before, after in [added[name]] if name in added else []:
                text = text.replace(before.encode(), after.encode())
            target.writestr(name, text)
        target.writestr("word/notes.xml", f"<w:footnotes {SPACES}>{notes}</w:footnotes>")
    return buffer.getvalue()


def test_tracked_changes_are_read_as_accepted():
    inserted = f'<w:ins w:id="1" w:author="a">{run("30 ml/kg")}</w:ins>'
    deleted = '<w:del w:id="2" w:author="a"><w:r><w:delText>20 ml/kg</w:delText></w:r></w:del>'
    moved = f'<w:moveFrom w:id="3" w:author="a">{run("here")}</w:moveFrom><w:moveTo w:id="4" w:author="a">{run("there")}</w:moveTo>'  # noqa: E501
    text = read(
        paragraph(run("The first bolus is ") + deleted + inserted + run(" within three hours, "))
        + paragraph(f'<w:ins w:id="5" w:author="a">{run("A new paragraph.")}</w:ins>')
        + paragraph(run("Stored ") + moved)
    ).text
    assert text == "The first bolus is 30 ml/kg within three hours,\n\nA new paragraph.\n\nStored there"


def test_content_controls_are_read_and_the_table_of_contents_is_not():
    control = f"<w:sdt><w:sdtPr/><w:sdtContent>{run('Dr. Brennan')}</w:sdtContent></w:sdt>"
    whole = f"<w:sdt><w:sdtPr/><w:sdtContent>{paragraph('Call 4477.')}</w:sdtContent></w:sdt>"
    gallery = '<w:sdtPr><w:docPartObj><w:docPartGallery w:val="Table of Contents"/></w:docPartObj></w:sdtPr>'
    contents = f"<w:sdt>{gallery}<w:sdtContent>{paragraph('Doses 3')}</w:sdtContent></w:sdt>"
    text = read(contents + paragraph(run("Ask ") + control + run(".")) + whole).text
    assert text == "Ask Dr. Brennan.\n\nCall 4477."


def test_a_row_or_a_cell_in_a_content_control_is_read():
    def cell(text: str) -> str:
        return f"<w:tc>{paragraph(text)}</w:tc>"

    held = f"<w:sdt><w:sdtContent>{cell('4477')}</w:sdtContent></w:sdt>"
    row = f"<w:sdt><w:sdtContent><w:tr>{cell('Ward 3')}{cell('4478')}</w:tr></w:sdtContent></w:sdt>"
    table = f"<w:tbl><w:tr>{cell('Ward')}{cell('Phone')}</w:tr><w:tr>{cell('Ward 2')}{held}</w:tr>{row}</w:tbl>"
    assert read(table).text == "| Ward | Phone |\n| Ward 2 | 4477 |\n| Ward 3 | 4478 |"


def test_a_text_box_is_read_once_after_its_paragraph():
    inside = f"<w:txbxContent>{paragraph('Never with calcium.')}</w:txbxContent>"
    box = f"<w:r><mc:AlternateContent><mc:Choice>{inside}</mc:Choice><mc:Fallback>{inside}</mc:Fallback></mc:AlternateContent></w:r>"  # noqa: E501
    assert read(paragraph(run("Give it.") + box)).text == "Give it.\n\nNever with calcium."


def test_footnotes_follow_the_paragraph_that_refers_to_them():
    notes = (
        f'<w:footnote w:type="separator" w:id="0">{paragraph("-")}</w:footnote>'
        f'<w:footnote w:id="2">{paragraph("Only above 2 mmol/l.")}</w:footnote>'
    )
    refers = '<w:r><w:footnoteReference w:id="2"/></w:r><w:r><w:footnoteReference w:id="9"/></w:r>'
    text = read(paragraph(run("Measure it twice.") + refers) + paragraph("Then stop."), notes=notes).text
    assert text == "Measure it twice.[^1]\n\n[^1]: Only above 2 mmol/l.\n\nThen stop."


def test_styles_of_a_house_make_headings():
    styles = (
        '<w:style w:type="paragraph" w:styleId="K"><w:name w:val="Kapitel"/><w:basedOn w:val="Heading1"/></w:style>'
        '<w:style w:type="paragraph" w:styleId="U"><w:name w:val="Unter"/>'
        '<w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>'
        '<w:style w:type="paragraph" w:styleId="R"><w:name w:val="Ring"/><w:basedOn w:val="R"/></w:style>'
    )
    own = '<w:p><w:pPr><w:outlineLvl w:val="2"/></w:pPr><w:r><w:t>Gowns</w:t></w:r></w:p>'
    body = paragraph("Isolation", "K") + paragraph("Visitors", "U") + own + paragraph("At most two.", "R")
    document = read(body + paragraph("Doses 3", "TOC1"), styles=styles)
    assert [section.path for section in document.sections][-1] == ("Isolation", "Visitors", "Gowns")


def test_items_of_a_list_keep_their_depth():
    body = paragraph("Mental state", "ListBullet") + paragraph("New confusion", "ListBullet2")
    numbered = (
        '<w:p><w:pPr><w:numPr><w:ilvl w:val="1"/><w:numId w:val="1"/></w:numPr></w:pPr><w:r><w:t>Coma</w:t></w:r></w:p>'
    )
    assert read(body + numbered).text == "- Mental state\n  - New confusion\n  - Coma"


def test_tables_in_cells_formulas_and_words_with_readings_are_read():
    inner = f"<w:tbl><w:tr><w:tc>{paragraph('impaired')}</w:tc><w:tc>{paragraph('280 mg')}</w:tc></w:tr></w:tbl>"
    table = f"<w:tbl><w:tr><w:tc>{paragraph('50 kg')}</w:tc><w:tc>{inner}{paragraph('a day')}</w:tc></w:tr></w:tbl>"
    formula = paragraph(run("It is ") + "<m:oMath><m:r><m:t>a / b</m:t></m:r></m:oMath>")
    ruby = f"<w:r><w:ruby><w:rt>{run('かんじゃ')}</w:rt><w:rubyBase>{run('患者')}</w:rubyBase></w:ruby></w:r>"
    text = read(table + formula + paragraph(ruby + run("は来る"))).text
    assert text == "| 50 kg | impaired 280 mg a day |\n\nIt is a / b\n\n患者は来る"


def test_values_stand_under_their_columns_where_cells_are_merged():
    def cell(text: str, merged: str = "") -> str:
        return f"<w:tc><w:tcPr>{merged}</w:tcPr>{paragraph(text)}</w:tc>"

    first, more = '<w:vMerge w:val="restart"/>', "<w:vMerge/>"
    wide = '<w:gridSpan w:val="2"/>'
    table = (
        f"<w:tr>{cell('Ward 2', first)}{cell('day')}{cell('1')}</w:tr><w:tr>{cell('', more)}{cell('night')}{cell('2')}</w:tr>"
        f"<w:tr>{cell('All', wide)}{cell('3')}</w:tr><w:tr>{cell('1')}{cell('End', wide)}</w:tr>"
    )
    assert (
        read(f"<w:tbl>{table}</w:tbl>").text
        == "| Ward 2 | day | 1 |\n| Ward 2 | night | 2 |\n| All |  | 3 |\n| 1 | End |"
    )


def test_an_exponent_is_no_digit_of_its_number():
    up = '<w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:t>{}</w:t></w:r>'
    text = read(
        paragraph(run("10") + up.format("-6") + run(" m") + up.format("2") + run(", the 1") + up.format("st"))
    ).text
    assert text == "10⁻⁶ m², the 1st"
