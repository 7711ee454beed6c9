"""WARC and WET files (ISO 28500, as Common Crawl ships them) into documents, one a page, named by its address."""

from __future__ import annotations

import io
from typing import Any

from slipway.data.parsing import media
from slipway.data.parsing.blocks import Draft, Note
from slipway.data.parsing.container import ODD
from slipway.data.parsing.decode import decode
from slipway.data.parsing.html import parse_html
from slipway.data.parsing.markdown import parse_plain
from slipway.data.reasons import Refused

_PIECE = 1 << 16
_HTML = ("text/html", "application/xhtml+xml")


def parse_warc(data: bytes, max_record: int, max_text: int, boilerplate: bool) -> tuple[list[Draft], list[Note]]:
    """Pages of responses with status 200, and texts of conversions. Raises Refused: `corrupt`, `too-much-text`."""
    from warcio.archiveiterator import ArchiveIterator
    from warcio.exceptions import ArchiveLoadFailed

    drafts: list[Draft] = []
    notes: list[Note] = []
    left = max_text
    records = 0
    try:
        for record in ArchiveIterator(io.BytesIO(data)):
            records += 1
            name = "/" + str(record.rec_headers.get_header("WARC-Target-URI") or records)[:2000].replace("#", "%23")
            try:
                draft = _draft(record, max_record, boilerplate)
            except Refused as refused:
                notes.append(Note("parse", "dropped", refused.reason, refused.detail, name))
                continue
            if draft is None:
                continue
            draft.name = name
            left -= sum(len(block.text) for block in draft.blocks)
            if left < 0:
                raise Refused("too-much-text", f"more than {max_text:,} characters")
            drafts.append(draft)
    except (ArchiveLoadFailed, *ODD) as error:
        if not drafts:
            raise Refused("corrupt", f"not a readable WARC: {str(error)[:200]}") from error
        notes.append(Note("parse", "dropped", "corrupt", f"what follows record {records}: {str(error)[:150]}", "/rest"))
    return drafts, notes


def _draft(record: Any, max_record: int, boilerplate: bool) -> Draft | None:
    """The page of a record; None for what is no page."""
    if record.rec_type == "conversion":
        return parse_plain(decode(_read(record.raw_stream, max_record))[0])
    if record.rec_type != "response" or record.http_headers is None:
        return None
    kind = str(record.http_headers.get_header("Content-Type") or "").partition(";")[0].strip().lower()
    if record.http_headers.get_statuscode() != "200" or kind not in (*_HTML, media.PLAIN):
        return None
    text, _ = decode(_read(record.content_stream(), max_record))
    return parse_html(text, boilerplate) if kind in _HTML else parse_plain(text)


def _read(stream: Any, most: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := stream.read(_PIECE):
        size += len(piece)
        if size > most:
            raise Refused("too-large", f"more than {most:,} bytes")
        pieces.append(piece)
    return b"".join(pieces)
