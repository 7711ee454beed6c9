"""PDF into blocks, page by page, with pypdfium2. Headings are a best effort: what bookmarks name, and
lines in a larger type than the body.

Tables are those whose cells stand clearly below each other. The table of contents is dropped, and so are lines that
repeat at the edges of most pages (running titles, page numbers); words cut at line ends are joined, and lines of a
paragraph too. A page without text is read by OCR where that is asked for, and told of else.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from slipway.data.parsing.blocks import Block, Draft, Note
from slipway.data.parsing.lines import joined
from slipway.data.parsing.ocr import MISSING, Ocr, Paragraph, notes_of, read_picture
from slipway.data.parsing.pdf_lines import Line, lines_of
from slipway.data.parsing.pdf_marks import marked
from slipway.data.parsing.pdf_tables import Table, with_tables
from slipway.data.parsing.tables import table_blocks
from slipway.data.reasons import Refused

_ENDS = re.compile(r"[.!?:;。！？：；…][\"'”’)\]）」』]*$")
_BULLET = re.compile(r"\s*(?:[•▪‣◦●○–*-]|\(?\d{1,3}[.)]|[a-z]\))\s+\S")
_LEADERS = re.compile(r"(?:[.\u00b7\u2026] ?){4,40}+[.\u00b7\u2026 ]*+([0-9]{1,4})$")
_LED = 3  # lines of a page, at least
_DPI, _MOST_PIXELS = 300, 18_000_000
_HYPHEN = re.compile("[\u0002\ufffe]")  # what PDFium leaves of a hyphen at which it joined a word


def parse_pdf(data: bytes, max_text: int, ocr: Ocr | None = None) -> Draft:
    """Blocks of a PDF. Raises Refused: `encrypted`, `corrupt`, `too-much-text`; `scanned` or `ocr-missing` where
    there are only pictures that are not read.

    `ocr`: how pages without text are read; None: they are not.
    """
    import pypdfium2
    from pypdfium2 import raw

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if raw.FPDF_GetLastError() == raw.FPDF_ERR_PASSWORD or "password" in str(error).lower():
            raise Refused("encrypted") from error
        raise Refused("corrupt", "the PDF cannot be opened") from error
    lines: list[Line] = []
    left, broken = max_text, 0
    scans = _Scans(ocr)
    for number in range(len(document)):
        try:
            found = _page(document, number, scans)
        except pypdfium2.PdfiumError:
            broken += 1
            continue
        left -= sum(len(line.text) for line in found)
        if left < 0:
            raise Refused("too-much-text", f"more than {max_text:,} characters after {number + 1} pages")
        lines += found
    notes = [Note("parse", "changed", "corrupt", f"{broken} of {len(document)} pages cannot be read")] if broken else []
    notes += scans.notes(len(document), bool(lines))
    lines, dropped = _without_running_titles(lines, len(document))
    if dropped:
        notes.append(Note("clean", "changed", "boilerplate", f"{dropped} running titles and page numbers removed"))
    lines, dropped = _without_contents(lines, len(document))
    if dropped:
        notes.append(Note("clean", "changed", "boilerplate", f"{dropped} lines of a table of contents removed"))
    lines = marked(document, lines)
    info = document.get_metadata_dict(skip_empty=True)
    blocks, pages = _blocks(lines)
    return Draft(blocks=blocks, pages=pages, title=info.get("Title", ""), notes=notes)


class _Scans:
    """Pages of a document that are pictures of text."""

    def __init__(self, ocr: Ocr | None) -> None:
        self._ocr = ocr
        self._read: list[Paragraph] = []
        self._unread = 0

    def lines(self, page: Any, number: int) -> list[Line]:
        """What a page without text says; nothing where it holds no picture, or OCR is not asked for or not there."""
        from pypdfium2 import raw

        if next(page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE]), None) is None:
            return []
        if self._ocr is None or not self._ocr.version:
            self._unread += 1
            return []
        found = read_picture(_picture(page), self._ocr, _DPI)
        self._read += found
        return [Line(text=one.text, size=0.0, page=number, whole=True) for one in found]

    def notes(self, pages: int, text: bool) -> list[Note]:
        """What a person should know. Raises Refused where there is nothing but pictures that cannot be read."""
        notes = notes_of(self._read)
        if not self._unread:
            return notes
        detail = f"{self._unread} of {pages} pages are pictures"
        reason = "scanned"
        if self._ocr is not None:
            reason, detail = MISSING, f"{detail}; not installed: {self._ocr.lacking}"
        if not text:
            raise Refused(reason, detail)
        return [*notes, Note("parse", "flagged", reason, detail)]


def _picture(page: Any) -> bytes:
    """A page as a PGM, 300 dots an inch, fewer for one larger than A3."""
    width, height = page.get_size()
    scale = min(_DPI / 72, (_MOST_PIXELS / max(1.0, width * height)) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True)
    rows = bitmap.to_numpy()
    return b"P5 %d %d 255\n" % (bitmap.width, bitmap.height) + rows.tobytes()


def _page(document: Any, number: int, scans: _Scans) -> list[Line]:
    page = document[number]
    text_page = page.get_textpage()
    try:
        found = lines_of(text_page, number)
        found = found or scans.lines(page, number)
    finally:
        text_page.close()
        page.close()
    for line in found[:2] + found[-2:]:
        line.edge = True
    return found


def _without_running_titles(lines: list[Line], pages: int) -> tuple[list[Line], int]:
    body = _body_size(lines)

    def shape(line: Line) -> str:  # "Page 3" repeats, "Chapter 3" in large type does not
        return line.text if line.size > body else re.sub(r"\d+", "0", line.text)

    if pages < 3:
        return lines, 0
    seen = Counter(key for key, _ in {(shape(line), line.page) for line in lines if line.edge})
    kept = [line for line in lines if not (line.edge and len(line.text) < 150 and seen[shape(line)] > pages / 2)]
    return kept, len(lines) - len(kept)


def _without_contents(lines: list[Line], pages: int) -> tuple[list[Line], int]:
    """Without the lines of a table of contents: dots that lead to numbers of pages, which never fall. Prices on a menu
    do.
    """
    led: dict[int, list[int]] = {}
    for line in lines:
        if found := _LEADERS.search(line.text):
            led.setdefault(line.page, []).append(int(found[1]))
    contents = {
        page for page, numbers in led.items()
        if len(numbers) >= _LED and numbers == sorted(numbers) and numbers[-1] <= pages and numbers[0] < numbers[-1]
    }  # fmt: skip
    kept = [line for line in lines if not (line.page in contents and _LEADERS.search(line.text))]
    return kept, len(lines) - len(kept)


def _blocks(lines: list[Line]) -> tuple[list[Block], list[int]]:
    body = _body_size(lines)
    larger = sorted({line.size for line in lines if not line.level and _is_heading(line, body)}, reverse=True)
    found = list(with_tables(lines))
    lengths = sorted(len(line.text) for line in found if isinstance(line, Line))
    usual = lengths[len(lengths) // 2] if lengths else 0
    blocks: list[Block] = []
    pages: list[int] = []
    page = -1
    whole = True  # whether the last paragraph is complete
    for line in found:
        while page < line.page:
            page += 1
            pages.append(len(blocks))
        if isinstance(line, Table):
            blocks += table_blocks(line.rows)
            whole = True
            continue
        if _is_heading(line, body):
            level = line.level or min(larger.index(line.size) + 1, 4)
            if not line.level and blocks and not whole and blocks[-1].kind == "heading" and blocks[-1].level == level:
                blocks[-1].text += " " + line.text  # a heading over two lines
            else:
                blocks.append(Block("heading", line.text, level))
            whole = False
            continue
        if whole or line.whole or not blocks or blocks[-1].kind == "heading" or _BULLET.match(line.text):
            blocks.append(Block("text", line.text))
        else:
            blocks[-1].text = joined(blocks[-1].text, line.text)
        ended = bool(_ENDS.search(line.text)) and len(line.text) < 0.9 * usual or len(line.text) < 0.4 * usual
        whole = line.whole or ended
    for block in blocks:
        block.text = _HYPHEN.sub("", block.text)
    return blocks, pages


def _body_size(lines: list[Line]) -> float:
    """The size that most characters have."""
    sizes: Counter[float] = Counter()
    for line in lines:
        if line.size:
            sizes[line.size] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 0.0


def _is_heading(line: Line, body: float) -> bool:
    if line.level:
        return True
    if line.whole or line.size <= 1.12 * body:
        return False
    return 2 <= len(line.text) <= 120 and any(map(str.isalpha, line.text))
