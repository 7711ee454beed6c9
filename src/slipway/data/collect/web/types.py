"""Which kind of document an answer is: by what the server says, else by the ending of the address."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

from slipway.data.collect.web.urls import path_of
from slipway.data.parsing import media

_SAID = {"application/xhtml+xml": media.HTML, "text/x-markdown": media.MARKDOWN, "application/x-pdf": media.PDF}
_KNOWN = frozenset(media.ENDINGS.values())
_SAYS_NOTHING = frozenset({"", "application/octet-stream", "binary/octet-stream", "text/plain"})


def kind_of(url: str, content_type: str) -> str | None:
    """The media type that parsers know; None when there is none for it. Plain text may be Markdown by its ending."""
    said = _SAID.get(content_type, content_type)
    if said in _SAYS_NOTHING:
        return media.media_type(unquote(path_of(url).partition("?")[0])) or (said if said in _KNOWN else None)
    return said if said in _KNOWN else None


def refusal(url: str) -> Callable[[str], str]:
    """For an address: why an answer of some content type is not read, or an empty string."""

    def why(content_type: str) -> str:
        return "" if kind_of(url, content_type) else content_type or "no content type"

    return why
