"""The links of a page, and what it asks of robots. One pass over the text, in time that grows with its length.

No tree is built: this runs in the main process, on text that anybody may have written.
"""

from __future__ import annotations

import html
import re
from itertools import islice

import msgspec

from slipway.data.collect.web.urls import normal

_MOST_TEXT, _MOST_TAGS, _MOST_LINKS = 5_000_000, 50_000, 5_000
# Comments and scripts are passed over; an attribute ends with its quote, and a tag at the next `<` at the latest.
_PART = re.compile(
    r"<!--(?s:.*?)(?:-->|\Z)"
    r"|<(script|style|textarea|xmp|template)(?=[\s/>])(?s:.*?)(?:</\1(?=[\s/>])|\Z)"
    r"|<(a|area|base|meta|frame|iframe)(?=[\s/])((?:\"[^\"]{0,5000}+\"|'[^']{0,5000}+'|[^<>\"'])*+)",
    re.I,
)
_ATTRIBUTE = re.compile(r"""([^\s"'>/=]++)\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s"'>]++)""")


class Links(msgspec.Struct, frozen=True):
    """Addresses in the order of the page, each once, in their one form. `index`: the page may be kept."""

    urls: tuple[str, ...]
    index: bool = True


def find_links(text: str, url: str) -> Links:
    """Where a page leads; nowhere when it says `nofollow`. At most 5,000 links in the first 50,000 tags."""
    base, follow, index = url, True, True
    found: dict[str, None] = {}
    for part in islice(_PART.finditer(text[:_MOST_TEXT]), _MOST_TAGS):
        if part[2] is None:
            continue
        tag, values = part[2].lower(), _attributes(part[3])
        if tag == "base":
            base = normal(values.get("href", ""), url) or base
        elif tag == "meta":
            if values.get("name", "").lower() in ("robots", "slipway"):
                content = values.get("content", "").lower()
                index = index and not re.search(r"\b(?:noindex|none)\b", content)
                follow = follow and not re.search(r"\b(?:nofollow|none)\b", content)
        elif "nofollow" not in values.get("rel", "").lower().split() and len(found) < _MOST_LINKS:
            target = normal(values.get("href" if tag in ("a", "area") else "src", url), base)
            found.setdefault(target or url)
    found.pop(url, None)
    return Links(tuple(found) if follow else (), index)


def _attributes(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in _ATTRIBUTE.findall(text):
        bare = value[1:-1] if value[0] in "\"'" else value
        values.setdefault(name.lower(), html.unescape(bare))
    return values
