"""Addresses of pages: written in one form, and whether they lie in a site's scope. Pure; asks no server.

Form: RFC 3986, section 6.2 (case, percent-encoding, dot segments, default ports), without fragments and without what
only tells visitors apart.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from urllib.parse import urljoin

from yarl import URL

LONGEST = 2_000  # characters
_PORTS = {"http": 80, "https": 443}
_MOST_SEGMENTS, _MOST_SAME, _MOST_VARIANTS = 25, 3, 100
_UNSEEN = re.compile(r"[\x00-\x20\x7f]")
_VISITOR = re.compile(r"(?:utm_\w+|phpsessid|jsessionid|aspsessionid\w*|sessionid|session_id|sid|gclid|fbclid)", re.I)
_SESSION = re.compile(r";(?:jsessionid|phpsessid|sid)=[^/;?]*", re.I)
_DOTS = re.compile(r"(?:^|/)\.{1,2}(?:/|$)", re.I)


def normal(address: str, base: str = "") -> str | None:
    """The address, relative to `base`, in its one form; None when it is none of http or https, or is malformed."""
    address = address.strip(" \t\r\n\f")
    if len(address) > LONGEST or _UNSEEN.search(address.replace(" ", "").replace("\n", "").replace("\t", "")):
        return None
    address = re.sub(r"[\t\r\n]", "", address)
    has_scheme = not base or ":" in address.split("/", 1)[0].split("?", 1)[0]
    if has_scheme and not re.match(r"https?://", address, re.I):  # told before it is joined
        return None
    try:
        url = URL(urljoin(base, address) if base else address).with_fragment(None)
        if url.scheme not in _PORTS or not url.host or url.user is not None or url.password is not None:
            return None
        if url.explicit_port == _PORTS[url.scheme]:
            url = url.with_port(None)
        if _DOTS.search(url.path):
            return None
        query = [(name, value) for name, value in url.query.items() if not _VISITOR.fullmatch(name)]
        if len(query) != len(url.query):
            url = url.with_query(query or None)
        written = str(url)
    except (ValueError, TypeError):
        return None
    scheme, _, rest = written.partition("://")
    path, mark, query_text = rest.partition("?")
    written = f"{scheme}://{_SESSION.sub('', path)}{mark}{query_text}"
    return written if len(written) <= LONGEST else None


def host_of(url: str) -> str:
    """Scheme, host and port: what has one robots.txt."""
    return "/".join(url.split("/", 3)[:3])


def path_of(url: str) -> str:
    """Path and query, as a server is asked for them."""
    return "/" + url.split("/", 3)[3] if url.count("/") > 2 else "/"


def folder_of(url: str) -> str:
    """The address up to its last slash: what a site holds when nothing else is said."""
    return url.split("?", 1)[0].rsplit("/", 1)[0] + "/"


class Scope:
    """Which addresses a site may be asked for. http and https on their own ports are the same site."""

    def __init__(self, within: Iterable[str], exclude: Iterable[str]) -> None:
        self._within = [_bare(prefix) for prefix in within]
        self._exclude = [_bare(prefix) for prefix in exclude]
        self._hosts = {prefix.split("/", 1)[0] for prefix in self._within}
        self._variants: Counter[str] = Counter()

    def holds(self, url: str) -> bool:
        """Whether it lies below one of the prefixes, and below none that is excluded."""
        bare = _bare(url)
        return any(_below(bare, one) for one in self._within) and not any(_below(bare, one) for one in self._exclude)

    def host(self, url: str) -> bool:
        """Whether its host has pages in scope: its robots.txt and sitemaps may be read."""
        return _bare(url).split("/", 1)[0] in self._hosts

    def trap(self, url: str) -> str:
        """Why an address looks made up by a program without end; empty when it does not. Counts it."""
        path, _, query = path_of(url).partition("?")
        segments = [segment for segment in path.split("/") if segment]
        if len(segments) > _MOST_SEGMENTS:
            return f"{len(segments)} folders deep"
        name, times = Counter(segments).most_common(1)[0] if segments else ("", 0)
        if times > _MOST_SAME:
            return f"'{name}' {times} times in the path"
        if query:
            self._variants[host_of(url) + path] += 1
            if self._variants[host_of(url) + path] > _MOST_VARIANTS:
                return f"more than {_MOST_VARIANTS} queries of the same page"
        return ""


def _bare(url: str) -> str:
    return url.partition("://")[2]


def _below(bare: str, prefix: str) -> bool:
    return bare.startswith(prefix) and (
        bare == prefix or prefix.endswith(("/", "?", "=", "&")) or bare[len(prefix)] in "/?"
    )
