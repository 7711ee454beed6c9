"""Sitemaps (https://www.sitemaps.org/protocol.html): addresses of pages, or of further sitemaps, as XML, text or gzip.

Read without an XML parser: no entities, no depth, and a broken one still gives what stands in it.
"""

from __future__ import annotations

import html
import re
import zlib
from itertools import islice

import msgspec

from slipway.data.collect.web.urls import normal

MOST = 52_428_800  # bytes, the protocol's own limit
_MOST_PLACES = 50_000
_PLACE = re.compile(r"<(?:\w{1,20}:)?loc\s*>\s*(?:<!\[CDATA\[)?([^<>\]]{1,2100})")
_INDEX = re.compile(r"<(?:\w{1,20}:)?sitemapindex[\s>]")


class Sitemap(msgspec.Struct, frozen=True):
    """Addresses of pages, and of sitemaps that this one lists."""

    pages: tuple[str, ...] = ()
    more: tuple[str, ...] = ()


def parse_sitemap(data: bytes, url: str) -> Sitemap:
    """What a sitemap lists; nothing for what is none. At most 50,000 addresses of 50 MiB, unpacked."""
    if data.startswith(b"\x1f\x8b"):
        try:
            data = zlib.decompressobj(31).decompress(data, MOST)
        except zlib.error:
            return Sitemap()
    text = data[:MOST].decode("utf-8-sig", "replace")
    listed = (html.unescape(found[1]) for found in _PLACE.finditer(text))
    named = list(islice(listed if "<" in text[:1000] else text.splitlines(), _MOST_PLACES))
    places = dict.fromkeys(place for name in named if (place := normal(name)) is not None)
    return Sitemap(more=tuple(places)) if _INDEX.search(text[:10_000]) else Sitemap(pages=tuple(places))
