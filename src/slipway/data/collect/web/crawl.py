"""The crawl of one site: from its first address and its sitemaps on, by depth, within its scope and its limits.

One request at a time, with the pause that the project file and robots.txt ask for. Each address that is done with goes
into the journal of the snapshot; what the journal holds, and what a server says has not changed, is not fetched again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import aiohttp
import msgspec
from yarl import URL

from slipway import __version__
from slipway.data.collect.snapshot import Journal, Page, Snapshot
from slipway.data.collect.web import urls
from slipway.data.collect.web.links import Links, find_links
from slipway.data.collect.web.reach import Network, Reach
from slipway.data.collect.web.request import Answer, get, open_session
from slipway.data.collect.web.robots import EVERYTHING, MOST, NOTHING, TOKEN, Robots, parse_robots
from slipway.data.collect.web.sitemap import MOST as MOST_SITEMAP
from slipway.data.collect.web.sitemap import parse_sitemap
from slipway.data.collect.web.types import kind_of, refusal
from slipway.data.parsing import media
from slipway.data.parsing.decode import decode
from slipway.data.reasons import Refused
from slipway.project.data import SiteSource

Progress = Callable[[int, int | None], None]

_REDIRECTS = 5
_SITEMAPS = 50
_TRIES = 3
_LONGEST_WAIT = 60.0  # seconds that Retry-After may ask for
_FAILURES = 8  # in a row, after which a host is left alone
_WAITING = 10  # addresses that wait, times the pages that may be fetched
PASSING = frozenset(  # says nothing about the page: what was fetched before stays
    {"too-slow", "no-answer", "server-error", "host-failing", "robots-unreachable", "bad-certificate", "bad-answer",
     "private-address"}
)  # fmt: skip


class Item(msgspec.Struct, frozen=True):
    """An address to visit: how many links it is from the first one, and how many redirects led to it."""

    url: str
    depth: int = 0
    redirects: int = 0


class Crawled(msgspec.Struct):
    """What a crawl did. `beyond`: addresses out of scope that links or redirects named, never asked for."""

    pages: list[Page] = []
    requests: int = 0
    received: int = 0
    unchanged: int = 0
    resumed: int = 0
    beyond: int = 0
    stopped: str = ""  # the limit that was met: max_pages, max_bytes, max_time
    left: int = 0  # addresses that were still waiting then


class Crawl:
    """One crawl; `run` it once. `old`: the pages of the crawl before; `most`: bytes of one page."""

    def __init__(
        self, site: SiteSource, snapshot: Snapshot, old: Mapping[str, Page], most: int, progress: Progress | None = None
    ) -> None:
        self._site, self._snapshot, self._old, self._most, self._progress = site, snapshot, old, most, progress
        self._start = urls.normal(site.url) or site.url
        self._scope = urls.Scope([urls.normal(one) or one for one in site.within] or [urls.folder_of(self._start)],
                                 [urls.normal(one) or one for one in site.exclude])  # fmt: skip
        self._reach = Reach(_networks(site))
        self._waiting: deque[Item] = deque()
        self._seen: set[str] = set()
        self._bodies: set[str] = set()  # digests of pages whose links were followed
        self._done: dict[str, Page] = {}
        self._robots: dict[str, Robots | Answer] = {}
        self._last: dict[str, float] = {}  # host -> when it was last asked
        self._free: dict[str, float] = {}  # host -> when it said it may be asked again
        self._failures: Counter[str] = Counter()
        self._documents = self._bytes = 0
        self._result = Crawled()

    async def run(self, of: str) -> Crawled:
        """Crawl to the end or to a limit. `of`: digest of the settings, that a journal to go on with must have."""
        self._done = self._snapshot.interrupted(of)
        journal = self._snapshot.begin(of)
        end = time.monotonic() + self._site.max_time
        contact = f"; {self._site.contact}" if self._site.contact else ""
        agent = f"{TOKEN}/{__version__} (documents for a question answering service{contact})"
        try:
            async with open_session(self._reach, agent, min(self._site.timeout, self._site.max_time)) as session:
                self._add(Item(self._start))
                await self._read_sitemaps(session, end)
                while self._waiting and not self._limit_met(end):
                    await self._visit(session, self._waiting.popleft(), journal)
        finally:
            journal.close()
        result = self._result
        result.left = len(self._waiting)
        result.pages += [self._kept(item.url, Page(item.url, reason="not-reached")) for item in self._waiting
                         if item.url in self._old]  # fmt: skip
        return result

    def _limit_met(self, end: float) -> bool:
        site = self._site
        met = {
            "max_pages": self._documents >= site.max_pages or self._result.requests >= 5 * site.max_pages + 100,
            "max_bytes": max(self._bytes, self._result.received) >= site.max_bytes,
            "max_time": time.monotonic() >= end,
        }
        self._result.stopped = next((name for name, is_met in met.items() if is_met), "")
        return bool(self._result.stopped)

    def _add(self, item: Item) -> str:
        """Let an address wait for its turn, once; why not, if it is out of bounds. A site of https has no http."""
        host = urls.host_of(item.url)
        if self._start.startswith("https:") and host.startswith("http:") and host.count(":") == 1:
            item = msgspec.structs.replace(item, url=f"https{item.url.removeprefix('http')}")
        if item.url in self._seen:
            return ""
        if not self._scope.holds(item.url):
            self._result.beyond += 1
            return "off-scope"
        if item.depth > self._site.max_depth or len(self._seen) >= _WAITING * self._site.max_pages + 1000:
            return "too-far"
        self._seen.add(item.url)
        if trap := self._scope.trap(item.url):
            self._result.pages.append(Page(item.url, reason="trap", detail=trap))
            return "trap"
        self._waiting.append(item)
        return ""

    async def _visit(self, session: aiohttp.ClientSession, item: Item, journal: Journal) -> None:
        page, links, location = await self._page(session, item)
        if location:
            page = self._redirected(item, location)
        if page.reason in PASSING:
            page = self._kept(item.url, page)
            links = self._links(page, self._snapshot.read(page) or b"")
        elif item.url not in self._done:
            journal.add(page)
        if page.reason != "redirect":
            self._result.pages.append(page)
        if not page.reason:
            self._documents += 1
        self._bytes += page.size
        if page.sha256 and page.sha256 not in self._bodies:  # the same bytes again lead nowhere new
            self._bodies.add(page.sha256)
            for url in links.urls:
                self._add(Item(url, item.depth + 1))
        if self._progress:
            self._progress(self._documents, None)

    def _redirected(self, item: Item, location: str) -> Page:
        target = urls.normal(location, item.url)
        if target is None:
            return Page(item.url, reason="off-scope", detail=f"redirects to {location[:200]}")
        if item.url.startswith("https:") and target.startswith("http:"):
            return Page(item.url, reason="off-scope", detail="redirects from https to http")
        if item.redirects >= _REDIRECTS or target == item.url:
            return Page(item.url, reason="redirect-loop", detail=f"{item.redirects + 1} redirects")
        why = self._add(Item(target, item.depth, item.redirects + 1))
        if why == "off-scope":
            return Page(item.url, reason=why, detail=f"redirects to {target[:200]}")
        return Page(item.url, reason="redirect", detail=target)

    def _kept(self, url: str, page: Page) -> Page:
        """The page as it was the last time, when it cannot be had now."""
        old = self._old.get(url)
        return old if old is not None and not old.reason and self._snapshot.read(old) is not None else page

    async def _page(self, session: aiohttp.ClientSession, item: Item) -> tuple[Page, Links, str]:
        """The page, where it leads, and where it redirects to."""
        url, none = item.url, Links(())
        known = self._done.get(url)
        if known is not None and (not known.sha256 or (body := self._snapshot.read(known)) is not None):
            self._result.resumed += 1
            location = known.detail if known.reason == "redirect" else ""
            return known, self._links(known, body) if known.sha256 else none, location  # pyright: ignore[reportPossiblyUnboundVariable]
        self._done.pop(url, None)
        host = urls.host_of(url)
        robots = await self._robots_of(session, host)
        if isinstance(robots, Answer):
            reason = "robots-unreachable" if robots.status else robots.reason
            return Page(url, reason=reason, detail=robots.detail), none, ""
        if not robots.allows(urls.path_of(url)):
            return Page(url, reason="robots"), none, ""
        old = self._old.get(url)
        body = self._snapshot.read(old) if old is not None and (old.etag or old.modified) else None
        answer = await self._get(session, url, self._most, _conditions(old) if body is not None else {}, refusal(url))
        if answer.status == 304 and old is not None and body is not None:
            self._result.unchanged += 1
            return self._judged(old, body, answer)
        if answer.reason or answer.status == 304:  # not asked whether it changed
            return Page(url, reason=answer.reason or "bad-answer", detail=answer.detail or "HTTP 304"), none, ""
        if answer.status != 200:
            return Page(url), none, answer.location
        page = Page(
            url, self._snapshot.put(answer.body), len(answer.body), kind_of(url, answer.content_type) or "",
            answer.etag, answer.modified, datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        if old is not None and old.sha256 == page.sha256:
            self._result.unchanged += 1
            page = msgspec.structs.replace(page, at=old.at)
        return self._judged(page, answer.body, answer)

    def _judged(self, page: Page, body: bytes, answer: Answer) -> tuple[Page, Links, str]:
        if "nofollow" in answer.robots or "none" in answer.robots.split(","):
            page = msgspec.structs.replace(page, follow=False)
        links = self._links(page, body)
        if not links.index or "noindex" in answer.robots or "none" in answer.robots.split(","):
            page = msgspec.structs.replace(page, reason="noindex")
        return page, links, ""

    def _links(self, page: Page, body: bytes) -> Links:
        if page.media_type != media.HTML:
            return Links(())
        try:
            found = find_links(decode(body)[0], page.url)
            return found if page.follow else Links((), found.index)
        except Refused:  # no text; the parser says so
            return Links(())

    async def _robots_of(self, session: aiohttp.ClientSession, host: str) -> Robots | Answer:
        """What a host allows; the answer when that cannot be known: RFC 9309, section 2.3.1."""
        if host not in self._robots:
            self._robots[host] = await self._read_robots(session, f"{host}/robots.txt")
        return self._robots[host]

    async def _read_robots(self, session: aiohttp.ClientSession, url: str) -> Robots | Answer:
        for _ in range(_REDIRECTS + 1):
            answer = await self._get(session, url, 10 * MOST, {}, lambda _: "")
            if answer.status == 200 and not answer.reason:
                return parse_robots(answer.body)
            if 400 <= answer.status < 500 and answer.status != 429:
                return EVERYTHING
            target = urls.normal(answer.location, url) if answer.location else None
            if target is None or not self._scope.host(target):
                return NOTHING if answer.status == 200 else answer
            url = target
        return EVERYTHING

    async def _read_sitemaps(self, session: aiohttp.ClientSession, end: float) -> None:
        if not self._site.sitemap:
            return
        host = urls.host_of(self._start)
        robots = await self._robots_of(session, host)
        if isinstance(robots, Answer):
            return
        named = [place for name in robots.sitemaps if (place := urls.normal(name, self._start)) is not None]
        waiting = deque((named or [f"{host}/sitemap.xml"])[:_SITEMAPS])
        seen: set[str] = set()
        while waiting and len(seen) < _SITEMAPS and time.monotonic() < end:
            url = waiting.popleft()
            if url in seen or not self._scope.host(url):
                continue
            seen.add(url)
            answer = await self._get(session, url, MOST_SITEMAP, {}, lambda _: "")
            if answer.status == 200 and not answer.reason:
                found = parse_sitemap(answer.body, url)
                waiting.extend(found.more[:_SITEMAPS])
                for page in found.pages:
                    self._add(Item(page, 1))

    async def _get(
        self, session: aiohttp.ClientSession, url: str, most: int, headers: Mapping[str, str],
        wanted: Callable[[str], str],
    ) -> Answer:  # fmt: skip
        """Ask, politely, and ask again when that may help."""
        host = urls.host_of(url)
        if self._failures[host] >= _FAILURES:
            return Answer(reason="host-failing", detail=f"{_FAILURES} requests in a row failed", passing=True)
        answer = Answer()
        for attempt in range(_TRIES):
            await self._pause(host)
            self._result.requests += 1
            answer = await get(session, self._reach, url, most, headers, wanted)
            self._result.received += answer.received
            self._last[host] = time.monotonic()
            if not answer.passing or answer.reason == "too-slow" or answer.wait > _LONGEST_WAIT:
                break
            self._free[host] = time.monotonic() + max(answer.wait, max(self._site.delay, 0.2) * 2**attempt)
        self._failures[host] = self._failures[host] + 1 if answer.passing else 0
        return answer

    def _robots_delay(self, host: str) -> float:
        robots = self._robots.get(host)
        return robots.delay if isinstance(robots, Robots) else 0.0

    async def _pause(self, host: str) -> None:
        pause = max(self._site.delay, self._robots_delay(host))
        wait = max(self._free.get(host, 0.0), self._last.get(host, 0.0) + pause) - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)


def _conditions(page: Page | None) -> dict[str, str]:
    if page is None:
        return {}
    given = {"If-None-Match": page.etag, "If-Modified-Since": page.modified}
    return {name: value for name, value in given.items() if value and value.isprintable()}


def _networks(site: SiteSource) -> list[Network]:
    """The networks that the project file names: under `addresses`, and addresses that stand for hosts."""
    named = [ipaddress.ip_network(one, strict=False) for one in site.addresses]
    for address in (site.url, *site.within):
        try:
            named.append(ipaddress.ip_network(URL(address).host or ""))
        except ValueError:
            continue
    return named
