"""The crawler against real servers on loopback: what it fetches, what it does not fetch again, what it refuses."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sites import Site, bomb, endless, hostile, page, redirect, status
from slipway.core.ref import digest_of
from slipway.data.collect import collect
from slipway.data.collect.fetch import Fetched, fetch
from slipway.data.collect.snapshot import Snapshot
from slipway.data.documents import make_documents
from slipway.errors import ConfigError, MissingPrerequisite, NotFound, SlipwayError
from slipway.project.data import DataConfig
from slipway.store.store import Store


@pytest.fixture
def site() -> Iterator[Site]:
    with Site().running() as running:
        yield running


def config(site: Site, **more: Any) -> DataConfig:
    return DataConfig.model_validate({"sites": {"yard": {"url": site.url, "delay": 0, "timeout": 2, **more}}})


def get(config: DataConfig, root: Path) -> Fetched:
    [found] = asyncio.run(fetch(config, root))
    return found


def reasons(found: Fetched) -> dict[str, str]:
    return {"/" + p.url.split("/", 3)[3]: p.reason for p in found.pages}


def test_a_site_becomes_documents_and_later_runs_ask_nothing(site: Site, tmp_path: Path) -> None:
    site.pages = {"/": page("Start", "a.html", "/b/c.html#x", "a.html"), "/a.html": page("Anchors"),
                  "/b/c.html": page("Cranes", "../a.html", "mailto:x@y")}  # fmt: skip
    made = config(site)
    with pytest.raises(MissingPrerequisite, match="yard"):
        collect(made, tmp_path)
    found = get(made, tmp_path)
    assert (found.documents, found.new, found.requests) == (3, 3, 5)  # and robots.txt, sitemap.xml
    asked = len(site.asked)
    documents, _ = collect(made, tmp_path)
    assert [file.source for file in documents] == [site.url, f"{site.url}a.html", f"{site.url}b/c.html"]
    dataset = make_documents(made, tmp_path, Store(tmp_path / ".slipway"))
    assert dataset.size == 3
    assert len(site.asked) == asked
    assert all("slipway/" in headers["User-Agent"] for _, headers in site.asked)


def test_the_same_site_has_the_same_digest(site: Site, tmp_path: Path) -> None:
    site.pages = {"/": page("Start", "a.html"), "/a.html": page("Anchors")}
    one = get(config(site), tmp_path / "one")
    other = get(config(site), tmp_path / "other")
    assert one.digest == other.digest
    site.pages["/a.html"] = page("Anchors", text="Another text about the anchors that lie in the yard, since today.")
    assert get(config(site), tmp_path / "other").digest != one.digest


def test_bytes_that_are_not_those_fetched_are_refused(site: Site, tmp_path: Path) -> None:
    site.pages = {"/": page("Start", "a.html"), "/a.html": page("Anchors")}
    get(config(site), tmp_path)
    [file] = [f for f in collect(config(site), tmp_path)[0] if f.source.endswith("a.html")]
    file.path.write_text(page("Forged", text="Somebody wrote this later, and it was never fetched from the site."))
    store = Store(tmp_path / ".slipway")
    dataset = make_documents(config(site), tmp_path, store)
    assert dataset.size == 1
    assert b"not-as-fetched" in store.blobs.get(dataset.changes)  # pyright: ignore[reportArgumentType]
    assert get(config(site), tmp_path).documents == 2  # and fetching repairs it
    assert make_documents(config(site), tmp_path, store).size == 2


def test_only_changes_are_fetched_again(site: Site, tmp_path: Path) -> None:
    texts = {name: page(name, "/b.html", "/c.html") for name in ("/", "/b.html", "/c.html")}

    async def answer(request: web.Request) -> web.StreamResponse:
        text = texts.get(request.path)
        if text is None:
            return web.Response(status=404)
        tag = f'"{hash(text)}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304)
        return web.Response(text=text, content_type="text/html", headers={"ETag": tag})

    site.otherwise = answer
    first = get(config(site, sitemap=False), tmp_path)
    again = get(config(site, sitemap=False), tmp_path)
    assert (again.unchanged, again.received, again.digest) == (3, 0, first.digest)
    texts["/b.html"] = page("/b.html", text="The page about berths is new and tells of longer quays and more depth.")
    del texts["/c.html"]
    third = get(config(site, sitemap=False), tmp_path)
    assert (third.documents, third.changed, third.gone, third.unchanged) == (2, 1, 1, 1)
    assert reasons(third) == {"/c.html": "http-error"}


def test_a_server_that_fails_takes_nothing_away(site: Site, tmp_path: Path) -> None:
    site.pages = {"/": page("Start", "a.html"), "/a.html": page("Anchors")}
    first = get(config(site), tmp_path)
    site.pages["/a.html"] = status(503)
    assert get(config(site), tmp_path).digest == first.digest
    site.pages["/robots.txt"] = status(500)
    assert get(config(site), tmp_path).digest == first.digest


def test_nothing_is_lost_when_nothing_can_be_fetched(tmp_path: Path) -> None:
    with Site().running() as site:
        site.pages = {"/": page("Start")}
        first = get(config(site), tmp_path)
    with Site().running() as other:
        other.pages = {"/": status(404)}
        with pytest.raises(SlipwayError, match="HTTP 404"):
            get(config(other), tmp_path)
        other.pages = {"/": page("Start")}
        assert get(config(other), tmp_path).documents == 1
    assert first.documents == 1


def test_robots_are_obeyed(site: Site, tmp_path: Path) -> None:
    site.pages = {
        "/robots.txt": ({}, b"User-agent: slipway\nDisallow: /no\nAllow: /no/but\nCrawl-delay: 0.2\n\nUser-agent: *\nDisallow: /"),
        "/": page("Start", "/no/a.html", "/no/but.html", "/yes.html"),
        "/no/but.html": page("But"), "/yes.html": page("Yes"), "/no/a.html": page("No"),
    }  # fmt: skip
    before = time.monotonic()
    found = get(config(site), tmp_path)
    assert time.monotonic() - before > 0.8  # four pauses of 0.2 s
    assert reasons(found) == {"/no/a.html": "robots"}
    assert "/no/a.html" not in site.paths


def test_pages_that_ask_not_to_be_kept_or_followed(site: Site, tmp_path: Path) -> None:
    hidden = page("Hidden", "/c.html").replace("<title>", '<meta name="robots" content="noindex"><title>')
    closed = page("Closed", "/d.html").replace("<title>", "<meta name=robots content=NoFollow><title>")
    site.pages = {"/": page("Start", "/a.html", "/b.html"), "/a.html": hidden, "/b.html": closed,
                  "/c.html": page("C"), "/d.html": page("D")}  # fmt: skip
    found = get(config(site), tmp_path)
    assert reasons(found) == {"/a.html": "noindex"}
    assert "/c.html" in site.paths
    assert "/d.html" not in site.paths


def test_headers_that_ask_not_to_be_kept_or_followed_hold_after_a_kill_and_without_a_change(
    site: Site, tmp_path: Path
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers.get("If-None-Match"):
            return web.Response(status=304)
        headers = {"ETag": '"1"', "X-Robots-Tag": "noindex, nofollow"}
        return web.Response(text=page("Hidden", "/secret.html"), content_type="text/html", headers=headers)

    site.pages = {"/": page("Start", "/hidden.html"), "/hidden.html": answer, "/secret.html": page("Secret")}
    made = config(site)
    first = get(made, tmp_path)
    assert reasons(first) == {"/hidden.html": "noindex"}
    again = get(made, tmp_path)
    assert (again.digest, reasons(again)) == (first.digest, reasons(first))
    snapshot, of = Snapshot(tmp_path, "yard"), digest_of(made.sites["yard"].model_dump(mode="json"))
    journal = snapshot.begin(of)  # as a kill after the last page would leave it
    for one in snapshot.pages() or ():
        journal.add(one)
    journal.close()
    third = get(made, tmp_path)
    assert (third.resumed, third.digest) == (2, first.digest)
    assert "/secret.html" not in site.paths


def test_large_pages_that_are_refused_count_as_bytes(site: Site, tmp_path: Path) -> None:
    site.pages = {"/": page("Start", *(f"/{n}" for n in range(9)))}
    site.pages |= {f"/{n}": endless for n in range(9)}
    made = DataConfig.model_validate(
        {"limits": {"max_file": 1_000_000}, "sites": {"yard": {"url": site.url, "delay": 0, "max_bytes": 2_500_000}}}
    )
    found = get(made, tmp_path)
    assert (found.documents, found.stopped, found.refused) == (1, "max_bytes", {"too-large": 3})


def test_sitemaps_of_sitemaps_packed_or_not(site: Site, tmp_path: Path) -> None:
    import gzip

    inner = "".join(f"<url><loc>{site.url}page{n}.html?a=1&amp;b={n}</loc></url>" for n in range(3))
    site.pages = {
        "/robots.txt": ({}, f"Sitemap: {site.url}maps/index.xml\n".encode()),
        "/maps/index.xml": f"<sitemapindex><sitemap><loc>{site.url}maps/one.xml.gz</loc></sitemap>"
        "<sitemap><loc>http://127.0.0.9/other.xml</loc></sitemap></sitemapindex>",
        "/maps/one.xml.gz": ({"Content-Type": "application/x-gzip"}, gzip.compress(f"<urlset>{inner}</urlset>".encode())),
        "/": page("Start"),
        **{f"/page{n}.html?a=1&b={n}": page(f"Page {n}") for n in range(3)},
    }  # fmt: skip
    assert get(config(site), tmp_path).documents == 4


def test_the_scope_is_a_prefix_and_what_is_excluded_is_not_asked_for(site: Site, tmp_path: Path) -> None:
    names = ["/en/", "/en/a.html", "/en/old/b.html", "/english.html", "/zh/c.html", "/blog/d.html"]
    site.pages = {name: page(name, *names, f"{site.url}en/../zh/c.html", "/en/%2e%2e/zh/c.html") for name in names}
    within = [f"{site.url}en", f"{site.url}blog/"]
    found = get(config(site, url=f"{site.url}en/", within=within, exclude=[f"{site.url}en/old/"]), tmp_path)
    assert sorted(set(site.paths) - {"/robots.txt", "/sitemap.xml"}) == ["/blog/d.html", "/en/", "/en/a.html"]
    assert found.beyond > 0


def test_limits_of_pages_depth_bytes_and_time(site: Site, tmp_path: Path) -> None:
    async def more(request: web.Request) -> web.StreamResponse:
        if "robots" in request.path:
            return web.Response(status=404)
        n = int(request.path.strip("/") or 0)
        return web.Response(text=page(f"Page {n}", f"/{n + 1}"), content_type="text/html")

    site.otherwise = more
    off = {"sitemap": False}
    assert (stopped := get(config(site, max_pages=5, **off), tmp_path / "a")).documents == 5
    assert (stopped.stopped, stopped.left) == ("max_pages", 1)
    assert get(config(site, max_depth=3, **off), tmp_path / "b").documents == 4
    assert get(config(site, max_bytes=1000, **off), tmp_path / "c").stopped == "max_bytes"
    assert get(config(site, delay=0.2, max_time=0.5, **off), tmp_path / "d").stopped == "max_time"


@pytest.mark.slow
def test_a_hostile_site_is_bounded_and_nothing_off_its_scope_is_asked_for(tmp_path: Path) -> None:
    with Site("127.0.0.2").running() as other, hostile(other.url).running() as site:
        limits = {"max_file": 5_000_000}
        made = DataConfig.model_validate({"limits": limits, "sites": {"yard": {
            "url": site.url, "delay": 0, "timeout": 1, "max_pages": 400, "max_depth": 6}}})  # fmt: skip
        found = get(made, tmp_path)
    assert other.asked == []
    why = reasons(found)
    assert {name: why.get(name) for name in (
        "/self", "/endless.html", "/drip.html", "/bomb.html", "/headers.html", "/announced.html", "/private/x.html",
        "/image", "/500.html", "/gone.html", "/out", "/meta", "/zip.html", "/later.html", "/not-http.html")} == {
        "/self": "redirect-loop", "/endless.html": "too-large", "/drip.html": "too-slow", "/bomb.html": "too-large",
        "/headers.html": "bad-answer", "/announced.html": "unsupported-type", "/private/x.html": "robots",
        "/image": "unsupported-type", "/500.html": "server-error", "/gone.html": "http-error", "/out": "off-scope",
        "/meta": "off-scope", "/zip.html": "corrupt", "/later.html": "server-error", "/not-http.html": "bad-answer",
    }  # fmt: skip
    assert "trap" in why.values()
    assert "redirect-loop" in {why.get(path) for path in why if path.startswith("/hop/")}
    assert found.requests <= 5 * 400 + 100 + 3
    assert sum(path.startswith("/session") for path in site.paths) <= 210
    assert "/private/x.html" not in site.paths
    assert {"/good.html", "/good2.html"} <= set(site.paths)


def test_a_page_that_unpacks_to_a_thousand_times_its_size(site: Site, tmp_path: Path) -> None:
    site.pages = {"/": page("Start", "/bomb.html"), "/bomb.html": bomb()}
    assert reasons(get(config(site), tmp_path)) == {"/bomb.html": "zip-bomb"}


def test_names_that_lead_into_private_networks(site: Site, tmp_path: Path) -> None:
    site.pages = {"/": page("Start")}
    named = f"http://localhost:{site.port}/"
    with pytest.raises(SlipwayError, match="localhost is ") as refused:
        get(config(site, url=named), tmp_path)
    assert "addresses" in refused.value.hint
    assert site.asked == []
    assert get(config(site, url=named, addresses=["127.0.0.0/8"]), tmp_path).documents == 1
    for disguised in ("127.1", "2130706433", "0x7f000001"):
        with pytest.raises(SlipwayError):
            get(config(site, url=f"http://{disguised}:{site.port}/"), tmp_path)


def test_a_name_that_changes_its_address_is_checked_at_each_connection(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [("127.0.0.3", site.port), ("127.0.0.1", site.port)]  # the first one is allowed, nobody listens there
    asked: list[str] = []
    true = socket.getaddrinfo

    def rebinding(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        if host != "rebind.test":
            return true(host, port, *more, **named)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", answers[min(len(asked), 2) - 1])]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with pytest.raises(SlipwayError):
        get(config(site, url=f"http://rebind.test:{site.port}/", addresses=["127.0.0.3/32"]), tmp_path)
    assert len(asked) > 1
    assert site.asked == []


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    import ssl

    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate),
         "-subj", "/CN=127.0.0.1", "-days", "1"],
        capture_output=True, check=False,
    ) if os.path.exists("/usr/bin/openssl") else None  # fmt: skip
    if made is None or made.returncode:
        pytest.skip("openssl is not installed here (Debian: apt install openssl)")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with Site().running(context) as site:
        site.pages = {"/": page("Start")}
        with pytest.raises(SlipwayError, match="certificate") as refused:
            get(config(site, url=site.url.replace("http:", "https:")), tmp_path)
    assert "SSL_CERT_FILE" in refused.value.hint
    assert site.asked == []


def test_redirects_within_the_scope_are_followed_and_never_to_http(site: Site, tmp_path: Path) -> None:
    site.pages = {"/": redirect("/start"), "/start": redirect("start/"), "/start/": page("Start", "/old"), "/old": redirect("/new"),
                  "/new": page("New"), "/loop/a": redirect("/loop/b"), "/loop/b": redirect("/loop/a")}  # fmt: skip
    found = get(config(site), tmp_path)
    assert [file.source for file in collect(config(site), tmp_path)[0]] == [f"{site.url}new", f"{site.url}start/"]
    assert found.pages == []


def test_documents_of_other_kinds_by_type_or_ending(site: Site, tmp_path: Path) -> None:
    site.pages = {
        "/": page("Start", "/a.md", "/b", "/c.bin", "/d.txt"),
        "/a.md": ({"Content-Type": "text/plain"}, b"# Markdown\n\nA text about masts and sails that is long enough to stay."),
        "/b": ({"Content-Type": "text/markdown; charset=utf-8"}, b"# More\n\nA text about ropes and knots that is long enough."),
        "/c.bin": ({"Content-Type": "application/octet-stream"}, bytes(100)),
        "/d.txt": ({"Content-Type": "application/octet-stream"}, b"A plain text about pumps and bilges that is long enough."),
    }  # fmt: skip
    found = get(config(site), tmp_path)
    assert reasons(found) == {"/c.bin": "unsupported-type"}
    kinds = {f.source.removeprefix(site.url): f.media_type for f in collect(config(site), tmp_path)[0]}
    assert kinds == {"": "text/html", "a.md": "text/markdown", "b": "text/markdown", "d.txt": "text/plain"}


@pytest.mark.slow
def test_killed_and_started_again_no_page_is_fetched_twice(site: Site, tmp_path: Path) -> None:
    count = 60
    site.pages = {"/": page("Start", *(f"/{n}.html" for n in range(count)))}
    site.pages |= {f"/{n}.html": page(f"Page {n}") for n in range(count)}
    (tmp_path / "slipway.yaml").write_text(
        f"slipway: 1\nname: yard\ndata: {{sites: {{yard: {{url: '{site.url}', delay: 0.05, sitemap: false}}}}}}\n"
    )
    command = [sys.executable, "-m", "slipway", "data", "fetch", "-C", str(tmp_path), "--json"]
    for kill_at in (15, 30, 45):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while len([p for p in site.paths if p.endswith(".html")]) < kill_at and child.poll() is None:
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert Snapshot(tmp_path, "yard").pages() is None
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f'"documents": {count + 1}' in done.stdout or f'"documents":{count + 1}' in done.stdout
    asked = [path for path in site.paths if path.endswith(".html")]
    assert set(asked) == {f"/{n}.html" for n in range(count)}
    assert len(asked) <= count + 3  # what was on its way at each kill


def test_names_that_are_not_there(site: Site, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="'yrd'") as refused:
        asyncio.run(fetch(config(site), tmp_path, ["yrd"]))
    assert "yard" in refused.value.hint
    with pytest.raises(ConfigError, match="nothing to fetch"):
        asyncio.run(fetch(DataConfig(), tmp_path))


def test_a_list_from_a_stranger_names_nothing_outside(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "fetched" / "yard"
    folder.mkdir(parents=True)
    (folder / "pages.jsonl").write_text(
        '{"url":"http://x/","sha256":"../../../etc/passwd","media_type":"text/plain"}\n'
    )
    with pytest.raises(ConfigError, match="cannot be read"):
        collect(config(site), tmp_path)
    sha256 = "ab" * 32
    (folder / "ab").mkdir()
    (folder / "ab" / sha256).symlink_to("/etc/passwd")
    (folder / "pages.jsonl").write_text(f'{{"url":"http://x/","sha256":"{sha256}","media_type":"text/plain"}}\n')
    found, refused = collect(config(site), tmp_path)
    assert found == []
    assert [note.reason for _, note in refused] == ["outside"]
