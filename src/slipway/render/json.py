"""What a document is about, as JSON: nouns become objects, digests and numbers are whole."""

from __future__ import annotations

import msgspec

from slipway.render.document import Document
from slipway.text import visible


def write(document: Document) -> str:
    """JSON with an indent of two. Nothing in it acts on a terminal: what would is a JSON escape."""
    made = msgspec.json.format(msgspec.json.encode(document.data, enc_hook=str), indent=2).decode()
    return visible.json_text(made) + "\n"
