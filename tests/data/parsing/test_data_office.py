"""Slides, sheets, books, RTF, mail, web archives and wiki dumps: headings become sections, hostile ones are refused."""

from __future__ import annotations

import base64
import bz2
import gzip

import pytest

from office_files import HEAD, PAGE, RTF, article, dump, epub, mail, pptx, saved, warc, xlsx, zipped
from slipway.core.material import Document
from slipway.data.chunks import chunks_of
from slipway.data.parsing import media
from slipway.data.parsing.blocks import Outcome, Parsed
from slipway.data.parsing.number_format import formatted
from slipway.data.parsing.parse import Settings, parse_bytes
from slipway.project.data import ChunkConfig


def outcome(data: bytes, kind: str, **settings: int) -> Outcome:
    return parse_bytes(data, kind, Settings(**settings))  # pyright: ignore[reportArgumentType]


def parsed(data: bytes, kind: str) -> list[Parsed]:
    found = outcome(data, kind)
    assert found.refused is None, found.refused
    return list(found.documents)


def paths(document: Parsed) -> list[str]:
    return [" > ".join(section.path) for section in document.sections]


def body(document: Parsed, path: str) -> str:
    [section] = [one for one in document.sections if " > ".join(one.path) == path]
    return document.text[section.start : section.end]


def test_slides_are_sections_under_their_titles() -> None:
    [document] = parsed(pptx(), media.PPTX)
    assert paths(document) == ["Cranes", "Slide 2"]
    assert "- They lift twenty tons\n  - With two hooks" in body(document, "Cranes")
    assert "about the hooks" in body(document, "Cranes")
    assert "| A \\| B | 20 t |" in body(document, "Slide 2")
    assert "In a group" in body(document, "Slide 2")
    assert len(document.meta["pages"]) == 2


def test_footnotes_and_exponents_of_rtf_are_read() -> None:
    source = (
        r"{\rtf1\ansi The limit is 9 bar.{\super\chftn{\footnote\pard {\super\chftn} Below 40 C.\par And {\b only} there.}}"
        r" It holds 10{\rtlch\super\insrsid12 6} and 5\super -3\nosupersub  mol, the 1{\super st}.\par "
        r"Not \{ here{\*\footnote A \} note.}.\par}"
    )
    [document] = parsed(source.encode(), media.RTF)
    assert document.text.split("\n\n") == [
        "The limit is 9 bar.[^1] It holds 10⁶ and 5⁻³ mol, the 1st.", "[^1]: Below 40 C. And only there.",
        "Not { here[^2].", "[^2]: A } note.",
    ]  # fmt: skip


@pytest.mark.parametrize("piece", [r"{\footnote a", r"\super ", r"\super\a1 ", r"{\footnote}", "}"])
def test_rtf_that_repeats_itself_is_read_in_proportion(piece: str) -> None:
    outcome(b"{\\rtf1 " + piece.encode() * 50_000, media.RTF)


def test_an_exponent_on_a_slide_is_no_digit_of_its_number() -> None:
    from pptx import Presentation

    shown = Presentation()
    slide = shown.slides.add_slide(shown.slide_layouts[1])
    slide.shapes.title.text = "Counts"
    line = slide.placeholders[1].text_frame.paragraphs[0]
    for text, raised in [("10", ""), ("6", "30000"), (" in H", ""), ("2", "-25000"), ("O", "")]:
        run = line.add_run()
        run.text = text
        if raised:
            run.font._element.set("baseline", raised)  # pyright: ignore[reportPrivateUsage]
    line.add_line_break()
    line.add_run().text = "a litre"
    [document] = parsed(saved(shown), media.PPTX)
    assert body(document, "Counts").endswith("10⁶ in H2O a litre")


def test_sheets_are_sections_and_long_tables_repeat_their_header() -> None:
    [document] = parsed(xlsx(), media.XLSX)
    assert paths(document) == ["Loads", "Notes"]
    loads = body(document, "Loads")
    assert loads.count("| crane | tons | since |") == 3
    assert "| crane 1 | 1.5 | 2026-01-02 |" in loads
    assert "| crane 44 | 44 | 2026-01-02 |" in loads
    assert "| another table |" in loads
    assert "greased each month" in body(document, "Notes")


def test_chapters_of_a_book_in_the_order_of_its_spine() -> None:
    [document] = parsed(epub({"b.xhtml": f"{HEAD}<body><h1>Ropes</h1><p>Of hemp.</p><h2>Knots</h2><p>Many.</p>",
                              "a.xhtml": f"{HEAD.replace('Book', 'Anchors')}<body><p>Of iron.</p>"}), media.EPUB)  # fmt: skip
    assert document.title == "The Yard"
    assert paths(document) == ["Anchors", "Ropes", "Ropes > Knots"]
    assert "Of iron." in body(document, "Anchors")


def test_books_that_are_locked_or_broken() -> None:
    locked = '<encryption xmlns:e="x"><e:CipherReference URI="OEBPS/a.xhtml"/></encryption>'
    good = {"a.xhtml": f"{HEAD}<body><h1>A</h1><p>Text.</p>"}
    assert outcome(epub(good, more={"META-INF/encryption.xml": locked}), media.EPUB).refused.reason == "encrypted"
    fonts = locked.replace("a.xhtml", "font.ttf")
    assert outcome(epub(good, more={"META-INF/encryption.xml": fonts}), media.EPUB).refused is None
    assert outcome(epub(good, opf="<package"), media.EPUB).refused.reason == "corrupt"
    bomb = '<!DOCTYPE a [<!ENTITY a "' + "x" * 1000 + '"><!ENTITY b "' + "&a;" * 1000 + '">]><package>&b;&b;</package>'
    assert outcome(epub(good, opf=bomb), media.EPUB).refused.reason == "corrupt"
    missing = epub({"a.xhtml": "x"}).replace(b"OEBPS/a.xhtml", b"OEBPS/z.xhtml")
    assert outcome(missing, media.EPUB).refused.reason == "corrupt"


def test_rtf_with_outline_levels() -> None:
    [document] = parsed(RTF, media.RTF)
    assert paths(document) == ["Cranes", "Cranes > Hooks"]
    assert "They lift twenty tons – café 中文." in body(document, "Cranes")
    assert "| a | b |" in document.text
    assert outcome(rb"{\rtf1 \u99999999999? x}", media.RTF).refused.reason == "corrupt"
    assert outcome(b"no rtf", media.RTF).refused.reason == "wrong-type"


def test_mail_with_attachments_and_messages_within_messages() -> None:
    message = mail()
    message.add_attachment("# Manual\n\nGrease the winch.\n", subtype="markdown", filename="manual #1.md")
    message.add_attachment(pptx(), maintype="application", subtype="octet-stream", filename="Cranes.PPTX")
    message.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="logo.png")
    message.add_attachment(b"not a pdf", maintype="application", subtype="pdf", filename="broken.pdf")
    inner = mail("Forwarded")
    message.add_attachment(inner)
    found = outcome(message.as_bytes(), media.MAIL)
    documents = {document.name: document for document in found.documents}
    assert list(documents) == ["", "/manual _1.md", "/Cranes.PPTX", "/attachment-5"]
    assert paths(documents[""]) == ["Réparation 中文"]
    assert "From: Ada <ada@yard.example>" in documents[""].text
    assert documents[""].text.count("winch") == 1
    assert documents[""].meta["date"].startswith("Mon, 05 Jan 2026")
    assert paths(documents["/Cranes.PPTX"]) == ["Cranes", "Slide 2"]
    dropped = {note.item: note.reason for note in found.notes if note.action == "dropped"}
    assert dropped == {"/logo.png": "unsupported-type", "/broken.pdf": "wrong-type"}


def test_messages_too_deep_and_attachments_too_many() -> None:
    message = mail("innermost")
    for n in range(6):
        above = mail(f"level {n}")
        above.add_attachment(message)
        message = above
    found = outcome(message.as_bytes(), media.MAIL)
    assert len(found.documents) == 4
    assert [note.reason for note in found.notes] == ["too-deep"]
    many = mail()
    for n in range(120):
        many.add_attachment(f"Text number {n} of the many texts here.", filename=f"{n}.txt")
    found = outcome(many.as_bytes(), media.MAIL)
    assert len(found.documents) == 101
    assert [note.reason for note in found.notes] == ["too-large"]


def test_broken_mail_is_read_as_far_as_it_goes() -> None:
    raw = (b"Subject: =?utf-8?b?broken\nFrom: =?x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
           b"Content-Type: text/plain; charset=nobody-knows\nContent-Transfer-Encoding: base64\n\n"
           + base64.b64encode("Grüße aus der Werft".encode()) + b"\n--b\n")  # fmt: skip
    assert "Grüße aus der Werft" in parsed(raw, media.MAIL)[0].text


def test_a_mailbox_is_a_document_for_each_message() -> None:
    one = mail("One").as_bytes().replace(b"Please send", b"\n>From here on please send")
    box = b"From ada Mon Jan  5 10:00:00 2026\n" + one + b"\nFrom bob Tue Jan  6\n" + mail("Two").as_bytes()
    documents = parsed(box, media.MBOX)
    assert [(document.name, document.title) for document in documents] == [("/1", "One"), ("/2", "Two")]
    assert "\nFrom here on" in documents[0].text
    assert outcome(b"no mailbox", media.MBOX).refused.reason == "corrupt"


def test_pages_of_a_web_archive() -> None:
    data = warc(("http://h/a#x", "200 OK", "text/html; charset=utf-8", PAGE), ("http://h/b", "404 Not Found", "text/html", PAGE),
                ("http://h/c", "200 OK", "image/png", b"\x89PNG"), ("http://h/d", "200 OK", "text/plain", b"Only text."))  # fmt: skip
    documents = parsed(data, media.WARC)
    assert [document.name for document in documents] == ["/http://h/a%23x", "/http://h/d"]
    assert paths(documents[0]) == ["Cranes"]
    wet = warc(("http://h/a", "", "text/plain", "Ein Text über Kräne.".encode()), wet=True)
    assert parsed(wet, media.WARC)[0].text == "Ein Text über Kräne."
    images = warc(("http://h/c", "200 OK", "image/png", b"\x89PNG"))
    assert outcome(images, media.WARC).refused.reason == "empty"
    cut = outcome(data[: len(data) - 30], media.WARC)
    assert len(cut.documents) >= 1
    assert outcome(gzip.compress(b"no archive"), media.WARC).refused.reason in ("corrupt", "empty")
    assert outcome(data, media.WARC, max_text=10).refused.reason == "too-much-text"


def test_articles_of_a_wiki() -> None:
    text = ("{{Infobox|x=1}} '''Cranes''' lift [[load|loads]].&lt;ref&gt;A book&lt;/ref&gt; [[File:a.png|thumb|A picture]]\n\n"
            "== Hooks ==\nTwo [http://x hooks].\n=== Steel ===\nHard.\n{| class=x\n| a\n|}\n[[Category:Cranes]]")  # fmt: skip
    data = dump(
        article("Crane", text),
        article("Talk:Crane", "talk", 1),
        article("Kran", "#REDIRECT [[Crane]]", 0, "<redirect/>"),
    )
    [document] = parsed(data, media.WIKI)
    assert (document.name, document.title) == ("/Crane", "Crane")
    assert paths(document) == ["Crane", "Crane > Hooks", "Crane > Hooks > Steel"]
    assert "Cranes lift loads." in document.text
    assert "A picture" not in document.text
    assert "Two hooks." in document.text
    assert outcome(data[:60], media.WIKI).refused.reason == "corrupt"
    assert outcome(bz2.compress(b"<a>" * 2_000_00), media.WIKI).refused.reason in ("too-deep", "corrupt", "zip-bomb")
    assert outcome(bz2.compress(b" " * 90_000_000), media.WIKI).refused.reason == "zip-bomb"


@pytest.mark.parametrize("kind", [media.PPTX, media.XLSX, media.EPUB])
def test_containers_that_are_attacks_or_no_such_thing(kind: str) -> None:
    assert outcome(b"text", kind).refused.reason == "wrong-type"
    assert outcome(b"PK\x03\x04 and no more", kind).refused.reason == "corrupt"
    assert outcome(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", kind).refused.reason == "encrypted"
    assert outcome(zipped({"a.xml": "<a/>"}), kind).refused.reason == "corrupt"
    assert outcome(zipped({"a.xml": " " * 60_000_000}), kind).refused.reason == "zip-bomb"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.PPTX", media.PPTX), ("a.xlsx", media.XLSX), ("CC-MAIN-1.warc.gz", media.WARC), ("a.warc.wet.gz", media.WARC),
     ("zhwiki-pages-articles.xml.bz2", media.WIKI), ("a.eml", media.MAIL), ("a.gz", None), ("a.xml", None)],
)  # fmt: skip
def test_kinds_by_ending(name: str, kind: str | None) -> None:
    assert media.media_type(name) == kind


@pytest.mark.parametrize(
    ("value", "code", "said"),
    [
        (29.5, '0.00 "EUR"', "29.50 EUR"),
        (0.2, "0%", "20%"),
        (0.125, "0.0%", "12.5%"),
        (1280, '"¥"#,##0.00', "¥1280.00"),
        (1234567.891, "#,##0.00 [$€-407]", "1234567.891 €"),
        (12, '_("$"* #,##0.00_)', "$12.00"),
        (20, '#,##0\\ "kg";[Red]-0', "20 kg"),
        (0.1 + 0.2, "General", "0.3"),
        (-3, "0;(0)", "-3"),
        (44000, "yyyy-mm-dd", "44000"),
        (0.5, "# ?/?", "0.5"),
        (5000, "0.0,", "5000"),
        (7, '"' * 300, "7"),
    ],
)
def test_what_a_sheet_shows_of_a_number(value: float, code: str, said: str) -> None:
    assert formatted(value, code) == said


def test_prices_of_a_sheet_keep_their_currency() -> None:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.create_sheet("Fees", 0)
    for row in (["Service", "Price", "Tax"], ["Dog in cabin", 29.5, 0.2]):
        sheet.append(row)
    sheet["B2"].number_format, sheet["C2"].number_format = '0.00 "EUR"', "0%"
    [document] = parsed(saved(book), media.XLSX)
    assert "| Dog in cabin | 29.50 EUR | 20% |" in document.text


@pytest.mark.parametrize("kind", ["md", "html", "docx"])
def test_no_row_of_a_long_table_is_in_a_passage_without_its_header(kind: str) -> None:
    rows = [(f"part {n:03}", f"steel of grade {n}, welded and painted twice", f"{n * 7} kg") for n in range(60)]
    names = ("Part", "Made of", "Weight")
    if kind == "html":
        cells = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
        data = f"<h1>Parts</h1><table><tr><th>{'</th><th>'.join(names)}</th></tr>{cells}</table>".encode()
    elif kind == "md":
        lines = [f"| {' | '.join(row)} |" for row in (names, ("---",) * 3, *rows)]
        data = ("# Parts\n\n" + "\n".join(lines)).encode()
    else:
        import docx

        made = docx.Document()
        made.add_heading("Parts", 1)
        table = made.add_table(0, 3)
        for row in (names, *rows):
            for cell, value in zip(table.add_row().cells, row, strict=True):
                cell.text = value
        data = saved(made)
    [parsed_one] = parsed(data, {"md": media.MARKDOWN, "html": media.HTML, "docx": media.DOCX}[kind])
    document = Document(
        source="parts", text=parsed_one.text, sections=parsed_one.sections, media_type="text/plain", raw_sha256="0" * 64
    )
    chunks = list(chunks_of(document, ChunkConfig()))
    assert len(chunks) > 3
    assert sum(chunk.text.count("| part ") for chunk in chunks) == 60
    assert all(chunk.text.startswith("| Part | Made of | Weight |") for chunk in chunks)


def test_a_table_without_a_header_is_as_it_was_and_a_header_of_years_is_one() -> None:
    plain = "<table>" + "".join(f"<tr><td>key {n}</td><td>{'word ' * 20}</td></tr>" for n in range(20)) + "</table>"
    [document] = parsed(plain.encode(), media.HTML)
    assert document.text.count("key 0 ") == 1
    years = "<table><tr><th>Line</th><th>2024</th><th>2025</th></tr><tr><td>Kiel</td><td>7</td><td>9</td></tr></table>"
    [document] = parsed(years.encode(), media.HTML)
    assert document.text == "| Line | 2024 | 2025 |\n| --- | --- | --- |\n| Kiel | 7 | 9 |"
