"""Web sites on loopback, friendly and hostile, that remember what they were asked for. Also used by bench/crawl.py."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def page(title: str, *links: str, text: str = "") -> str:
    """A page of HTML with enough words to be kept."""
    told = text or f"The page called {title} tells what {title} is good for, and how it is used in the yard."
    anchors = "".join(f'<li><a href="{link}">{link}</a></li>' for link in links)
    return (
        f"<html><head><title>{title}</title></head><body><h1>{title}</h1><p>{told}</p><ul>{anchors}</ul></body></html>"
    )


class Site:
    """A server in a thread of its own. `pages`: path with query -> HTML, an answer's maker, or (headers, bytes)."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host, self.port = host, 0
        self.pages: dict[str, str | Handler | tuple[Mapping[str, str], bytes]] = {}
        self.otherwise: Handler | None = None
        self.asked: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append((request.path_qs, dict(request.headers)))
        found = self.pages.get(request.path_qs, self.otherwise)
        if found is None:
            return web.Response(status=404, text="nothing here")
        if isinstance(found, str):
            return web.Response(text=found, content_type="text/html")
        if isinstance(found, tuple):
            return web.Response(body=found[1], headers=dict(found[0]))
        return await found(request)  # pyright: ignore[reportArgumentType]

    @contextmanager
    def running(self, tls: ssl.SSLContext | None = None) -> Iterator[Site]:
        loop = asyncio.new_event_loop()
        ready = threading.Event()

        async def start() -> web.ServerRunner:
            runner = web.ServerRunner(web.Server(self.answer), shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, self.host, self.port, ssl_context=tls)
            await site.start()
            self.port = runner.addresses[0][1]
            return runner

        def serve() -> None:
            asyncio.set_event_loop(loop)
            runner = loop.run_until_complete(start())
            ready.set()
            loop.run_forever()
            loop.run_until_complete(runner.cleanup())
            loop.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert ready.wait(10)
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)


def redirect(to: str) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": to})

    return answer


def status(code: int, **headers: str) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


async def endless(request: web.Request) -> web.StreamResponse:
    """A page without end."""
    response = web.StreamResponse(headers={"Content-Type": "text/html"})
    await response.prepare(request)
    while request.transport is not None and not request.transport.is_closing():
        await response.write(b"<p>and so on and so on</p>" * 4000)


async def drip(request: web.Request) -> web.StreamResponse:
    """A page that comes byte by byte."""
    response = web.StreamResponse(headers={"Content-Type": "text/html"})
    await response.prepare(request)
    while request.transport is not None and not request.transport.is_closing():
        await response.write(b"x")
        await asyncio.sleep(0.05)


async def headers(request: web.Request) -> web.StreamResponse:
    """Headers without end."""
    assert request.transport is not None
    request.transport.write(b"HTTP/1.1 200 OK\r\n")
    for n in range(200_000):
        if n % 100 == 0:
            await asyncio.sleep(0)
        if request.transport is None or request.transport.is_closing():
            break
        request.transport.write(b"X-Filler-%d: more and more\r\n" % n)
    return web.Response()


def bomb() -> tuple[Mapping[str, str], bytes]:
    return {"Content-Type": "text/html", "Content-Encoding": "gzip"}, gzip.compress(b"<p>" + b"a" * 60_000_000)


def hostile(other: str) -> Site:
    """Loops, traps, bombs, and doors to another server, `other`, which nobody may be sent to."""
    site = Site()

    async def made_up(request: web.Request) -> web.StreamResponse:
        path = request.path_qs
        if path.startswith("/calendar"):
            day = int(request.query.get("day", "0"))
            text = page(f"Day {day}", f"/calendar?day={day + 1}", f"/calendar?day={day - 1}")
        elif path.startswith("/session"):
            n = len(site.asked)
            text = page(f"Session {n}", f"/session?key={n}", f"/session?key={n}a", f"/session;sid={n}?x={n}")
        elif path.startswith("/deep"):
            text = page("Deep", "deep/", "more/deep/")
        elif path.startswith("/hop"):
            return web.Response(status=302, headers={"Location": f"/hop/{len(site.asked)}"})
        else:
            return web.Response(status=404)
        return web.Response(text=text, content_type="text/html")

    doors = [
        other, f"{other}secret", "http://169.254.169.254/latest/meta-data/", "http://[::1]/", "http://localhost/",
        "http://2130706433/", "http://127.1/", "http://0/", "file:///etc/passwd", "ftp://127.0.0.1/", "//127.0.0.2/",
        "http://user:pass@127.0.0.1/", "javascript:alert(1)", "http://10.0.0.1/", "gopher://x/", "http://[::ffff:127.0.0.2]/",
    ]  # fmt: skip
    site.otherwise = made_up
    site.pages = {
        "/robots.txt": ({"Content-Type": "text/plain"}, b"User-agent: *\nDisallow: /private/\n"),
        "/": page("Start", "/good.html", "/calendar?day=1", "/session?key=0", "/deep/", "/hop/0", "/loop/a", "/self",
                  "/endless.html", "/drip.html", "/bomb.html", "/headers.html", "/announced.html", "/private/x.html",
                  "/png.html", "/image", "/500.html", "/gone.html", "/out", "/meta", "/zip.html", "/later.html",
                  "/many.html", "/not-http.html", *doors),
        "/good.html": page("Good", "/good2.html"),
        "/good2.html": page("Good two"),
        "/loop/a": redirect("/loop/b"), "/loop/b": redirect("/loop/a"), "/self": redirect("/self"),
        "/endless.html": endless, "/drip.html": drip, "/bomb.html": bomb(), "/headers.html": headers,
        "/announced.html": ({"Content-Type": "text/html", "Content-Encoding": "br"}, b"not asked for"),
        "/png.html": ({"Content-Type": "text/html"}, b"\x89PNG\r\n\x1a\n" + bytes(1000)),
        "/image": ({"Content-Type": "image/png"}, b"\x89PNG" + bytes(1000)),
        "/500.html": status(500), "/gone.html": status(410), "/later.html": status(429, Retry_After="86400"),
        "/out": redirect(f"{other}secret"), "/meta": redirect("http://169.254.169.254/latest/meta-data/"),
        "/zip.html": ({"Content-Type": "text/html", "Content-Encoding": "gzip"}, b"this is not gzip"),
        "/many.html": page("Many", *(f"/none/{n}" for n in range(300))),
        "/not-http.html": garbage,
    }  # fmt: skip
    return site


async def garbage(request: web.Request) -> web.StreamResponse:
    """Bytes that are no HTTP."""
    assert request.transport is not None
    request.transport.write(b"\x00\xff" * 500 + b"\r\n\r\n")
    request.transport.close()
    return web.Response()
