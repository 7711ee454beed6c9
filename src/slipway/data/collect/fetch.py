"""`slipway data fetch`: sites and tables into snapshots that later runs read. Nothing else goes out for documents.

What was fetched before is replaced when the new snapshot is whole, and not at all when nothing could be fetched.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from slipway.core.ref import digest_of
from slipway.data.collect.snapshot import Page, Snapshot
from slipway.data.collect.table import read_table
from slipway.data.collect.web.crawl import Crawl, Crawled
from slipway.data.parsing import media
from slipway.data.reasons import explain
from slipway.errors import ConfigError, MissingPrerequisite, NotFound, SlipwayError, instead
from slipway.i18n import t
from slipway.project.data import DataConfig, TableSource

Progress = Callable[[str, int, "int | None"], None]


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """What a fetch brought. `documents`: pages or tables that are kept; `digest` pins them.

    `refused`: reasons -> how many addresses; `gone`: kept the last time and no more. `beyond`: links out of scope,
    which nobody followed. `stopped`: the limit that ended it early, or empty; `left`: addresses that still waited then.
    `resumed`: answers that an interrupted fetch already had. `received`: bytes of bodies.
    """

    name: str
    documents: int
    new: int
    changed: int
    gone: int
    refused: dict[str, int]
    pages: list[Page]
    digest: str
    requests: int = 0
    received: int = 0
    unchanged: int = 0
    resumed: int = 0
    beyond: int = 0
    stopped: str = ""
    left: int = 0


async def fetch(
    config: DataConfig, root: Path, names: Sequence[str] = (), progress: Progress | None = None
) -> list[Fetched]:
    """Bring the named sites and tables up to date, by default all. What did not change is not fetched again.

    Raises NotFound (a name), ConfigError (nothing to fetch), MissingPrerequisite (an address in the environment),
    SlipwayError (nothing could be fetched; what was there before stays).
    """
    sources = config.fetched
    if not sources:
        raise ConfigError(
            t("there is nothing to fetch"), t("list sites under data.sites, or queries under data.tables")
        )
    for name in names:
        if name not in sources:
            raise NotFound(t("no site or table is called '{name}'", name=name), instead(name, sources))
    found: list[Fetched] = []
    for name in names or sources:
        source = sources[name]
        snapshot = Snapshot(root, name)
        old = _before(snapshot)
        if isinstance(source, TableSource):
            crawled = _table(name, source, root, snapshot, int(config.limits.max_file))
        else:
            told = (lambda done, total, name=name: progress(name, done, total)) if progress else None
            crawl = Crawl(source, snapshot, old, int(config.limits.max_file), told)
            crawled = await crawl.run(digest_of(source.model_dump(mode="json")))
            _nothing(name, source.url, crawled, snapshot)
        found.append(_told(name, crawled, old, snapshot))
    return found


def _before(snapshot: Snapshot) -> dict[str, Page]:
    try:
        return {page.url: page for page in snapshot.pages() or ()}
    except ConfigError:  # damaged: all is fetched again
        return {}


def _table(name: str, source: TableSource, root: Path, snapshot: Snapshot, most: int) -> Crawled:
    address = os.environ.get(source.url_env, "")
    if not address:
        raise MissingPrerequisite(
            t("data.tables.{name}: the environment variable {variable} is not set", name=name, variable=source.url_env),
            t("set it to the address of the database, such as sqlite:///file.db"),
        )
    data = read_table(source, address, root, f"data.tables.{name}", most)
    page = Page(name, snapshot.put(data), len(data), media.JSONL)
    return Crawled(pages=[page])


def _nothing(name: str, url: str, crawled: Crawled, snapshot: Snapshot) -> None:
    """Raise SlipwayError when no page is kept: why, and what to do."""
    if any(not page.reason for page in crawled.pages):
        return
    snapshot.forget()
    first = next(iter(crawled.pages), Page(url, reason="no-answer"))
    detail = f" ({first.detail})" if first.detail else ""
    hints = {
        "private-address": t("if the site is on your own network, list that network under 'addresses'"),
        "off-scope": t("list where it leads under 'within', if that belongs to the site"),
        "bad-certificate": t("for a certificate authority of your own set SSL_CERT_FILE"),
    }
    raise SlipwayError(
        t("'{name}': no page of {url} could be fetched: {why}", name=name, url=first.url,
          why=explain(first.reason) + detail),
        hints.get(first.reason, t("open the address in a browser on this machine; check 'url' and 'within'")),
    )  # fmt: skip


def _told(name: str, crawled: Crawled, old: dict[str, Page], snapshot: Snapshot) -> Fetched:
    kept = {page.url: page for page in crawled.pages if not page.reason}
    before = {url: page for url, page in old.items() if not page.reason}
    return Fetched(
        name=name,
        documents=len(kept),
        new=len(kept.keys() - before.keys()),
        changed=sum(page.sha256 != before[url].sha256 for url, page in kept.items() if url in before),
        gone=len(before.keys() - kept.keys()),
        refused=dict(Counter(page.reason for page in crawled.pages if page.reason).most_common()),
        pages=[page for page in crawled.pages if page.reason],
        digest=snapshot.finish(crawled.pages),
        requests=crawled.requests, received=crawled.received, unchanged=crawled.unchanged, resumed=crawled.resumed,
        beyond=crawled.beyond, stopped=crawled.stopped, left=crawled.left,
    )  # fmt: skip
