"""What kind of document a file is: by its ending, checked against its first bytes. Parses nothing."""

from __future__ import annotations

from pathlib import PurePath

from slipway.data.reasons import Refused

MARKDOWN, HTML, PLAIN = "text/markdown", "text/html", "text/plain"
RST, ASCIIDOC = "text/x-rst", "text/asciidoc"
PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
EPUB, RTF = "application/epub+zip", "application/rtf"
MAIL, MBOX = "message/rfc822", "application/mbox"
WARC, WIKI = "application/warc", "application/x-mediawiki-xml"
ZIPPED = frozenset({DOCX, PPTX, XLSX, EPUB})
CSV, TSV = "text/csv", "text/tab-separated-values"
JSONL, PARQUET = "application/jsonl", "application/vnd.apache.parquet"
TABLES = frozenset({CSV, TSV, JSONL, PARQUET})

PNG, JPEG, TIFF = "image/png", "image/jpeg", "image/tiff"
PICTURES = {".png": PNG, ".jpg": JPEG, ".jpeg": JPEG, ".tif": TIFF, ".tiff": TIFF}  # read where OCR is asked for

ENDINGS = {
    ".md": MARKDOWN, ".markdown": MARKDOWN, ".mkd": MARKDOWN, ".mdown": MARKDOWN, ".mdx": MARKDOWN,
    ".html": HTML, ".htm": HTML, ".xhtml": HTML,
    ".txt": PLAIN, ".text": PLAIN, ".rst": RST, ".adoc": ASCIIDOC, ".asciidoc": ASCIIDOC,
    ".pdf": PDF, ".docx": DOCX, ".pptx": PPTX, ".xlsx": XLSX, ".epub": EPUB, ".rtf": RTF, ".eml": MAIL, ".mbox": MBOX,
    ".warc": WARC, ".wet": WARC,
    ".csv": CSV, ".tsv": TSV, ".jsonl": JSONL, ".ndjson": JSONL, ".parquet": PARQUET,
}  # fmt: skip

_LONG_ENDINGS = {".warc.gz": WARC, ".wet.gz": WARC, ".xml.bz2": WIKI}

# First bytes -> what they are; a type of None has its name only.
_MAGIC: list[tuple[bytes, str | None, str]] = [
    (b"%PDF-", PDF, "PDF"),
    (b"PK\x03\x04", DOCX, "ZIP"),
    (b"{\\rtf", RTF, "RTF"),
    (b"BZh", WIKI, "bzip2"),
    (b"PAR1", PARQUET, "Parquet"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", None, "an old or encrypted Office file"),
    (b"\x89PNG", PNG, "PNG"),
    (b"\xff\xd8\xff", JPEG, "JPEG"),
    (b"II*\x00", TIFF, "TIFF"),
    (b"MM\x00*", TIFF, "TIFF"),
    (b"GIF8", None, "GIF"),
    (b"\x1f\x8b", WARC, "gzip"),
    (b"\x7fELF", None, "a program"),
    (b"MZ\x90", None, "a program"),
    (b"SQLite format 3", None, "SQLite"),
]


def media_type(name: str, *, pictures: bool = False) -> str | None:
    """The type by the ending of the file's name; None when Slipway does not read it. `pictures`: those too."""
    lower = name.lower()
    long = next((kind for ending, kind in _LONG_ENDINGS.items() if lower.endswith(ending)), None)
    ending = PurePath(lower).suffix
    return long or ENDINGS.get(ending) or (PICTURES.get(ending) if pictures else None)


def check_magic(data: bytes, declared: str) -> None:
    """Refuse a file whose first bytes contradict its ending (reason `wrong-type`, or `encrypted` for Office files)."""
    found = next(((kind, name) for magic, kind, name in _MAGIC if data.startswith(magic)), None)
    if found is None:
        if declared == PDF and b"%PDF-" in data[:1024]:  # PDF 1.7, implementation note 13: junk may stand before it
            return
        if declared in {PDF, PARQUET, RTF, WIKI, *ZIPPED, *PICTURES.values()} and data:
            raise Refused("wrong-type", f"the first bytes are not those of {declared}")
        return
    kind, name = found
    if declared in ZIPPED and data.startswith(b"\xd0\xcf"):
        raise Refused("encrypted", "an Office file in a protected container")
    if kind != declared and not (kind == DOCX and declared in ZIPPED):
        raise Refused("wrong-type", f"the first bytes are those of: {name}")
