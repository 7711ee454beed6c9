"""EPUB (https://www.w3.org/TR/epub-33/) into blocks: the chapters in the order of the spine, read as HTML.

The list of contents is no chapter: it names every heading and answers nothing.
"""

from __future__ import annotations

import io
import posixpath
import zipfile
from typing import Any
from urllib.parse import unquote

from slipway.data.parsing.blocks import Block, Draft, Note
from slipway.data.parsing.container import ODD, check_container
from slipway.data.parsing.decode import decode
from slipway.data.parsing.html import parse_html
from slipway.data.reasons import Refused

_HTML = ("application/xhtml+xml", "text/html")


def parse_epub(data: bytes, max_unpacked: int) -> Draft:
    """Blocks of a book. Raises Refused: `zip-bomb`, `too-large`, `encrypted`, `corrupt`."""
    check_container(data, max_unpacked)
    from lxml.etree import XMLSyntaxError

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _book(archive)
    except XMLSyntaxError as error:
        raise Refused("corrupt", f"its XML is not valid: {str(error)[:200]}") from error
    except ODD as error:
        raise Refused("corrupt", f"not a readable EPUB: {str(error)[:200]}") from error


def _book(archive: zipfile.ZipFile) -> Draft:
    places = [node.get("full-path") for node in _xml(archive, "META-INF/container.xml").iter("{*}rootfile")]
    if not places or not places[0]:
        raise Refused("corrupt", "its container names no book")
    package = _xml(archive, places[0])
    folder = posixpath.dirname(places[0])
    chapters = {
        item.get("id"): posixpath.normpath(posixpath.join(folder, unquote(item.get("href") or "")))
        for item in package.iter("{*}item")
        if item.get("media-type") in _HTML and "nav" not in (item.get("properties") or "").split()
    }
    order = [chapters[ref.get("idref")] for ref in package.iter("{*}itemref") if ref.get("idref") in chapters]
    _check_open(archive, order)
    blocks: list[Block] = []
    notes: list[Note] = []
    for place in dict.fromkeys(order):
        try:
            text, _ = decode(archive.read(place))
            draft = parse_html(text, boilerplate=False)
        except (KeyError, Refused) as error:
            reason = error.reason if isinstance(error, Refused) else "corrupt"
            notes.append(Note("parse", "flagged", reason, f"chapter {place[:200]}"))
            continue
        if draft.title and draft.blocks and not any(block.kind == "heading" for block in draft.blocks):
            blocks.append(Block("heading", draft.title, 1))
        blocks += draft.blocks
    if order and not blocks and notes:
        raise Refused(notes[0].reason, notes[0].detail)
    return Draft(blocks=blocks, title=_first(package, "title"), hint=_first(package, "language"), notes=notes)


def _xml(archive: zipfile.ZipFile, name: str) -> Any:
    from lxml.etree import XMLParser, fromstring

    parser = XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    return fromstring(archive.read(name), parser)


def _check_open(archive: zipfile.ZipFile, order: list[str]) -> None:
    """Refuse a book whose chapters are locked; fonts may be, as nobody reads them."""
    if "META-INF/encryption.xml" in archive.namelist():
        locked = {
            unquote(node.get("URI") or "")
            for node in _xml(archive, "META-INF/encryption.xml").iter("{*}CipherReference")
        }
        if locked & set(order):
            raise Refused("encrypted", "its chapters are locked (DRM)")


def _first(package: Any, name: str) -> str:
    found = next(package.iter(f"{{http://purl.org/dc/elements/1.1/}}{name}"), None)
    return " ".join((found.text or "").split()) if found is not None else ""
