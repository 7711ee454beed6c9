"""One file parsed and cleaned: the pure work whose result depends on the bytes and a few settings alone.

Runs in the limited child. What it gives for the same `key` is always the same, so it can be remembered.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from typing import Literal

import msgspec

from slipway.data.clean import clean_text
from slipway.data.parsing import media
from slipway.data.parsing.blocks import Block, Draft, Note, Outcome, Parsed, put_together
from slipway.data.parsing.ocr import Ocr, parse_picture
from slipway.data.reasons import Refused

_MIX_SAMPLE = 100_000


class Settings(msgspec.Struct, frozen=True):
    """What changes a result. `want`: documents, or the bare rows of a table (for examples)."""

    want: Literal["documents", "rows"] = "documents"
    boilerplate: bool = True
    max_text: int = 20_000_000
    max_file: int = 50_000_000
    ocr: Ocr | None = None  # how pictures are read; None: they are not


def parse_bytes(data: bytes, media_type: str, settings: Settings) -> Outcome:
    """Documents, or rows, of one file; a file that cannot be used gives a refusal, not an exception."""
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        if settings.want == "rows":
            from slipway.data.parsing.tabular import read_rows

            media.check_magic(data, media_type)
            rows, notes = read_rows(data, media_type, settings.max_text)
            return Outcome(sha256=sha256, rows=tuple(rows), notes=tuple(notes))
        drafts, notes = _drafts(data, media_type, settings)
        if not drafts and not any(note.action == "dropped" for note in notes):
            raise Refused("empty", "no document in it")
        left = settings.max_text
        documents: list[Parsed] = []
        for draft in drafts:
            left -= sum(len(block.text) for block in draft.blocks)
            if left < 0:
                raise Refused("too-much-text", f"more than {settings.max_text:,} characters")
            documents.append(_finish(draft, notes))
    except Refused as refusal:
        note = Note("parse", "dropped", refusal.reason, refusal.detail)
        return Outcome(sha256=sha256, refused=note)
    return Outcome(sha256=sha256, documents=tuple(documents), notes=tuple(notes))


def _drafts(data: bytes, media_type: str, settings: Settings) -> tuple[list[Draft], list[Note]]:
    media.check_magic(data, media_type)
    if media_type == media.PDF:
        from slipway.data.parsing.pdf import parse_pdf

        return [parse_pdf(data, settings.max_text, settings.ocr)], []
    if media_type == media.DOCX:
        from slipway.data.parsing.docx import parse_docx

        return [parse_docx(data, settings.max_file)], []
    if media_type in _MORE:
        return _MORE[media_type](data, settings)
    if media_type in media.PICTURES.values() and settings.ocr is not None:
        return [parse_picture(data, settings.ocr, settings.max_text)], []
    if media_type in media.TABLES:
        from slipway.data.parsing.tabular import read_rows, row_documents

        rows, notes = read_rows(data, media_type, settings.max_text)
        drafts, more = row_documents(rows)
        return drafts, notes + more
    return _text_draft(data, media_type, settings)


def _pptx(data: bytes, settings: Settings) -> tuple[list[Draft], list[Note]]:
    from slipway.data.parsing.pptx import parse_pptx

    return [parse_pptx(data, settings.max_file)], []


def _xlsx(data: bytes, settings: Settings) -> tuple[list[Draft], list[Note]]:
    from slipway.data.parsing.xlsx import parse_xlsx

    return [parse_xlsx(data, settings.max_file, settings.max_text)], []


def _epub(data: bytes, settings: Settings) -> tuple[list[Draft], list[Note]]:
    from slipway.data.parsing.epub import parse_epub

    return [parse_epub(data, settings.max_file)], []


def _rtf(data: bytes, settings: Settings) -> tuple[list[Draft], list[Note]]:
    from slipway.data.parsing.rtf import parse_rtf

    return [parse_rtf(data, settings.max_text)], []


def _mail(data: bytes, settings: Settings) -> tuple[list[Draft], list[Note]]:
    from slipway.data.parsing.mail import parse_mail

    return parse_mail(data, lambda part, kind: _drafts(part, kind, settings))


def _mbox(data: bytes, settings: Settings) -> tuple[list[Draft], list[Note]]:
    from slipway.data.parsing.mail import parse_mbox

    return parse_mbox(data, lambda part, kind: _drafts(part, kind, settings))


def _warc(data: bytes, settings: Settings) -> tuple[list[Draft], list[Note]]:
    from slipway.data.parsing.warc import parse_warc

    return parse_warc(data, settings.max_file, settings.max_text, settings.boilerplate)


def _wiki(data: bytes, settings: Settings) -> tuple[list[Draft], list[Note]]:
    from slipway.data.parsing.wiki import parse_wiki

    return parse_wiki(data, settings.max_text), []


_MORE = {
    media.PPTX: _pptx, media.XLSX: _xlsx, media.EPUB: _epub, media.RTF: _rtf,
    media.MAIL: _mail, media.MBOX: _mbox, media.WARC: _warc, media.WIKI: _wiki,
}  # fmt: skip


def _text_draft(data: bytes, media_type: str, settings: Settings) -> tuple[list[Draft], list[Note]]:
    from slipway.data.parsing.decode import decode

    text, note = decode(data)
    notes = [Note("parse", "changed", "bad-encoding", note)] if note else []
    if media_type == media.HTML:
        from slipway.data.parsing.html import parse_html

        return [parse_html(text, settings.boilerplate)], notes
    from slipway.data.parsing.markdown import parse_markdown, parse_plain
    from slipway.data.parsing.markup import parse_asciidoc, parse_rst

    if len(text) > settings.max_text:
        raise Refused("too-much-text", f"{len(text):,} characters, the limit is {settings.max_text:,}")
    readers = {media.MARKDOWN: parse_markdown, media.RST: parse_rst, media.ASCIIDOC: parse_asciidoc}
    return [readers.get(media_type, parse_plain)(text)], notes


def _finish(draft: Draft, notes: list[Note]) -> Parsed:
    """Clean a draft, put its text together, and measure it; what was changed is added to `notes`."""
    from slipway.data.document_language import identify
    from slipway.data.shingles import signature

    counts: Counter[str] = Counter()
    cleaned: list[Block] = []
    kept: list[int] = []  # for each block of the draft, how many cleaned ones stand before it
    for block in draft.blocks:
        kept.append(len(cleaned))
        text = clean_text(block.text, counts, tags=draft.tags, verbatim=block.kind == "code")
        if block.kind == "heading":
            text = re.sub(r"\s+", " ", text)
        if text:
            cleaned.append(Block(block.kind, text, block.level))
    text, sections, starts = put_together(cleaned)
    notes += [msgspec.structs.replace(note, item=draft.name) for note in draft.notes]
    notes += [Note("clean", "changed", reason, f"{n} times", draft.name) for reason, n in sorted(counts.items())]
    language = _declared(draft.language) or identify("\n".join(b.text for b in cleaned if b.kind != "code"))
    if language == "und":
        language = _declared(draft.hint) or language
    meta = draft.meta
    if draft.pages:
        starts.append(len(text))
        meta = {**meta, "pages": [starts[kept[page]] if page < len(kept) else len(text) for page in draft.pages]}
    return Parsed(
        text=text,
        name=draft.name,
        title=clean_text(draft.title, Counter()),
        sections=sections,
        language=language,
        meta=meta,
        mix=_mix(text),
        signature=signature(text),
    )


def _declared(language: str) -> str:
    """The tag when it is one of BCP 47: `zh`, `zh-Hans`, `pt_BR`; else empty."""
    tag = language.strip().replace("_", "-")
    return tag.split("-")[0].lower() if re.fullmatch(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*", tag) else ""


def _mix(text: str) -> tuple[int, int, int]:
    """(letters, digits, others) among the characters that are not white space, of the first 100,000."""
    sample = "".join(text[:_MIX_SAMPLE].split())
    letters = len(re.findall(r"[^\W\d_]", sample))
    digits = len(re.findall(r"\d", sample))
    return letters, digits, len(sample) - letters - digits
