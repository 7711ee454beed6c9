"""What a reader sees of slides, sheets, mail and books and no more: charts, merged cells, nothing that was hidden."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Any

import pytest

from office_files import HEAD, epub, saved
from slipway.data.parsing import media
from slipway.data.parsing.blocks import Outcome
from slipway.data.parsing.parse import Settings, parse_bytes


def outcome(data: bytes, kind: str) -> Outcome:
    return parse_bytes(data, kind, Settings())


def text(data: bytes, kind: str) -> str:
    found = outcome(data, kind)
    assert found.refused is None, found.refused
    [document] = found.documents
    return document.text


def told(found: Outcome) -> set[tuple[str, str]]:
    return {(note.reason, note.detail) for note in found.notes}


def workbook() -> Any:
    book = pytest.importorskip("openpyxl").Workbook()
    sheet = book.active
    for row in (["Service plans"], ["Region", "Plan", "Hours"], ["North", "Gold", 4], [None, "Silver", 8]):
        sheet.append(row)
    sheet.append(["South", "Gold", 6])
    sheet.merge_cells("A1:C1")
    sheet.merge_cells("A3:A4")
    return book


def test_a_value_merged_over_rows_of_a_sheet_stands_in_each() -> None:
    assert text(saved(workbook()), media.XLSX).split("\n", 2)[2] == (
        "Service plans\n\n| Region | Plan | Hours |\n| North | Gold | 4 |\n| North | Silver | 8 |\n| South | Gold | 6 |"
    )


def test_hidden_sheets_are_not_read_and_formulas_without_a_result_are_told() -> None:
    book = workbook()
    hidden = book.create_sheet("Margins")
    hidden.append(["Purchase", 60])
    hidden.sheet_state = "hidden"
    book.active["D2"], book.active["D3"] = "Price", "=C3*2"
    found = outcome(saved(book), media.XLSX)
    assert "Purchase" not in found.documents[0].text
    assert told(found) == {("hidden", "sheets Margins"), ("no-result", "1 formulas of sheets Sheet")}


def test_a_formula_whose_stored_result_is_an_empty_text_has_one() -> None:
    from slipway.data.parsing.sheet_parts import formulas_without_value

    stored = b'<c r="A1" t="str"><f>IF(B1,1,"")</f><v></v></c><c r="A2"><f t="shared" si="0"/><v>3</v></c>'
    assert formulas_without_value(stored) == 0
    assert formulas_without_value(b'<c r="A2"><f t="shared" si="0"/></c><c r="A3"><f>1+1</f><v/></c>') == 2


def slides() -> Any:
    pptx = pytest.importorskip("pptx")
    return pptx.Presentation()


def test_charts_and_merged_cells_of_slides_are_read_and_hidden_slides_are_not() -> None:
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    shown, inch = slides(), Inches(1)
    slide = shown.slides.add_slide(shown.slide_layouts[5])
    slide.shapes.title.text = "Revenue"
    data = CategoryChartData(number_format="0%")
    data.categories = ["Q1", "Q2"]
    data.add_series("North", (0.25, 0.4))
    data.add_series("South", (0.1, None))
    chart = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, inch, inch, inch, inch, data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Growth by region"
    table = slide.shapes.add_table(3, 2, inch, inch, inch, inch).table
    for n, said in enumerate(["Region", "Plan", "North", "Gold", "", "Silver"]):
        table.cell(n // 2, n % 2).text = said
    table.cell(1, 0).merge(table.cell(2, 0))
    hidden = shown.slides.add_slide(shown.slide_layouts[5])
    hidden.shapes.title.text = "Margins"
    hidden.element.set("show", "0")
    found = outcome(saved(shown), media.PPTX)
    assert found.documents[0].text.split("\n\n") == [
        "# Revenue", "Growth by region", "|  | North | South |\n| Q1 | 25% | 10% |\n| Q2 | 40% |  |",
        "| Region | Plan |\n| North | Gold |\n| North | Silver |",
    ]  # fmt: skip
    assert told(found) == {("hidden", "slides 2")}


def test_a_diagram_is_read_as_a_list() -> None:
    from lxml.etree import fromstring
    from pptx.opc.package import Part
    from pptx.opc.packuri import PackURI

    diagram = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
    main = "http://schemas.openxmlformats.org/drawingml/2006/main"
    shown = slides()
    slide = shown.slides.add_slide(shown.slide_layouts[6])

    def point(said: str, kind: str = "") -> str:
        held = f"<d:t><a:p><a:r><a:t>{said}</a:t></a:r></a:p></d:t>"
        return f"<d:pt{f' type={kind!r}' if kind else ''}>{held}</d:pt>"

    xml = f"<d:dataModel xmlns:d='{diagram}' xmlns:a='{main}'><d:ptLst>{point('Order')}{point('seen', 'pres')}"
    xml += f"{point('Ship')}</d:ptLst></d:dataModel>"
    part = Part(PackURI("/ppt/diagrams/data1.xml"), "application/xml", shown.part.package, xml.encode())
    key = slide.part.relate_to(part, "http://schemas.openxmlformats.org/officeDocument/2006/relationships/diagramData")
    slide.shapes._spTree.append(
        fromstring(
            f"<p:graphicFrame xmlns:p='http://schemas.openxmlformats.org/presentationml/2006/main' xmlns:a='{main}'>"
            "<p:nvGraphicFramePr><p:cNvPr id='9' name='D'/><p:cNvGraphicFramePr/><p:nvPr/></p:nvGraphicFramePr><p:xfrm/>"
            f"<a:graphic><a:graphicData uri='{diagram}'><d:relIds xmlns:d='{diagram}' xmlns:r='http://schemas."
            f"openxmlformats.org/officeDocument/2006/relationships' r:dm='{key}'/></a:graphicData></a:graphic>"
            "</p:graphicFrame>"
        )
    )
    assert "- Order\n- Ship" in text(saved(shown), media.PPTX)


def test_text_that_a_word_file_hides_is_not_read() -> None:
    document = pytest.importorskip("docx").Document()
    line = document.add_paragraph("The price is 10 EUR.")
    line.add_run(" It costs us 6.").font.hidden = True
    line.add_run(" Without tax.").font.hidden = False
    assert text(saved(document), media.DOCX) == "The price is 10 EUR. Without tax."


def test_a_message_whose_plain_part_is_blank_is_read_from_its_html() -> None:
    message = EmailMessage()
    message["Subject"] = "Limits"
    message.set_content("\n")
    message.add_alternative("<p>The limit is <b>40</b> kg.</p>", subtype="html")
    assert text(bytes(message), media.MAIL) == "# Limits\n\nThe limit is 40 kg."


def test_the_list_of_contents_of_a_book_is_no_chapter() -> None:
    opf = (
        '<package xmlns="http://www.idpf.org/2007/opf"><manifest><item id="n" href="nav.xhtml" properties="nav" '
        'media-type="application/xhtml+xml"/><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>'
        '</manifest><spine><itemref idref="n"/><itemref idref="a"/></spine></package>'
    )
    chapters = {
        "nav.xhtml": f"{HEAD}<body><nav><h1>Contents</h1><ol><li>Water</li></ol></nav></body></html>",
        "a.xhtml": f"{HEAD}<body><h1>Water</h1><p>The pump moves water.</p></body></html>",
    }
    assert text(epub(chapters, opf=opf), media.EPUB) == "# Water\n\nThe pump moves water."
