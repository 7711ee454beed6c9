"""Files of office programs, mail, web archives and wikis, made by the libraries that write them."""

from __future__ import annotations

import bz2
import datetime
import io
import zipfile
from email.message import EmailMessage

HEAD = "<html><head><title>Book</title></head>"


def saved(document: object) -> bytes:
    out = io.BytesIO()
    document.save(out)  # pyright: ignore[reportAttributeAccessIssue]
    return out.getvalue()


def zipped(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


def pptx() -> bytes:
    from pptx import Presentation
    from pptx.util import Inches

    shown = Presentation()
    slide = shown.slides.add_slide(shown.slide_layouts[1])
    slide.shapes.title.text = "Cranes"
    slide.placeholders[1].text_frame.text = "They lift twenty tons"
    more = slide.placeholders[1].text_frame.add_paragraph()
    more.text, more.level = "With two hooks", 1
    slide.notes_slide.notes_text_frame.text = "Tell them about the hooks."
    second = shown.slides.add_slide(shown.slide_layouts[6])
    table = second.shapes.add_table(2, 2, Inches(1), Inches(1), Inches(4), Inches(1)).table
    for n, text in enumerate(["Crane", "Load", "A | B", "20 t"]):
        table.cell(n // 2, n % 2).text = text
    group = second.shapes.add_group_shape()
    group.shapes.add_textbox(Inches(1), Inches(3), Inches(2), Inches(1)).text_frame.text = "In a group"
    return saved(shown)


def xlsx(far: int = 900_000) -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    sheet.title = "Loads"
    sheet["B2"], sheet["C2"], sheet["D2"] = "crane", "tons", "since"
    for n in range(45):
        sheet.cell(3 + n, 2, f"crane {n}")
        sheet.cell(3 + n, 3, n + 0.5 if n % 2 else n)
        sheet.cell(3 + n, 4, datetime.date(2026, 1, 2))
    sheet.cell(60, 1, "another table")
    sheet.cell(61, 1, "=1+1")
    book.create_sheet("Empty")
    book.create_sheet("Notes")[f"XFD{far}"] = "far away"
    book["Notes"]["A1"] = "Cranes are greased each month."
    return saved(book)


def epub(chapters: dict[str, str], *, opf: str = "", more: dict[str, str] | None = None) -> bytes:
    items = "".join(
        f'<item id="i{n}" href="{name}" media-type="application/xhtml+xml"/>' for n, name in enumerate(chapters)
    )
    refs = "".join(f'<itemref idref="i{n}"/>' for n in reversed(range(len(chapters))))
    package = opf or (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>The '
        f"Yard</dc:title><dc:language>en</dc:language></metadata><manifest>{items}</manifest><spine>{refs}</spine></package>"
    )
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    )
    return zipped({"mimetype": "application/epub+zip", "META-INF/container.xml": container, "OEBPS/book.opf": package,
                   **{f"OEBPS/{name}": text for name, text in chapters.items()}, **(more or {})})  # fmt: skip


RTF = (
    rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Times;}}{\stylesheet{\s1\outlinelevel0 heading 1;}}{\info{\title T}}"
    rb"\pard\s1\outlinelevel0 Cranes\par\pard They lift \b twenty\b0  tons \'96 caf\'e9 \u20013?\u25991?.\par"
    rb"\pard\outlinelevel1 Hooks\par\pard Two.\par\trowd\cellx1\cellx2 a\cell b\cell\row}"
)


def mail(subject: str = "Réparation 中文") -> EmailMessage:
    message = EmailMessage()
    message["Subject"], message["From"], message["Date"] = (
        subject,
        "Ada <ada@yard.example>",
        "Mon, 05 Jan 2026 10:00:00 +0000",
    )
    message.set_content("The winch is broken.\n\nPlease send somebody.")
    message.add_alternative("<p>The winch is <b>broken</b>.</p>", subtype="html")
    return message


def warc(*records: tuple[str, str, str, bytes], wet: bool = False) -> bytes:
    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    out = io.BytesIO()
    writer = WARCWriter(out, gzip=True)
    for url, status, kind, payload in records:
        if wet:
            record = writer.create_warc_record(url, "conversion", payload=io.BytesIO(payload), warc_content_type=kind)
        else:
            headers = StatusAndHeaders(status, [("Content-Type", kind)], protocol="HTTP/1.0")
            record = writer.create_warc_record(url, "response", payload=io.BytesIO(payload), http_headers=headers)
        writer.write_record(record)
    return out.getvalue()


PAGE = f"{HEAD}<body><h1>Cranes</h1><p>They lift twenty tons and have two hooks each.</p></body></html>".encode()


def dump(*pages: str) -> bytes:
    return bz2.compress(
        f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/">{"".join(pages)}</mediawiki>'.encode()
    )


def article(title: str, text: str, space: int = 0, more: str = "") -> str:
    return f"<page><title>{title}</title><ns>{space}</ns>{more}<revision><text>{text}</text></revision></page>"
