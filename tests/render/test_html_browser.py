"""The HTML form in a real browser: nothing that it holds runs or is fetched, and its own script filters."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from slipway.render import html
from slipway.render.document import Column, Document, Passage, Section, Table

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


class Asked(http.server.ThreadingHTTPServer):
    """Remembers the path of every request."""

    paths: list[str]


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Asked)
        self.server.paths.append(self.path)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Asked]:
    made = Asked(("127.0.0.1", 0), Answers)
    made.paths = []
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


def opened(file: Path, folder: Path) -> str:
    """The page's elements after its scripts ran."""
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
               f"--user-data-dir={folder}", "--virtual-time-budget=2000", "--dump-dom", file.as_uri()]  # fmt: skip
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode("utf-8")


class Title(HTMLParser):
    """The page's own title, not those of pictures."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.said, self._in = "", False
        self.feed(page.partition("<body")[0])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in = tag == "title"

    def handle_endtag(self, tag: str) -> None:
        self._in = False

    def handle_data(self, data: str) -> None:
        self.said += data if self._in else ""


def attacks(port: int) -> list[str]:
    evil = f"http://127.0.0.1:{port}/evil"
    return [
        "<script>document.title='ran'</script>",
        f"</blockquote></details></article></main></body><script>document.title='ran';fetch('{evil}')</script>",
        f"<img src='{evil}' onerror=\"document.title='ran'\">",
        f"<svg onload=\"document.title='ran'\"><image href='{evil}'/></svg>",
        f"</style><style>@import '{evil}';body{{background:url({evil})}}</style>",
        f"<link rel=stylesheet href='{evil}'><base href='{evil}'><meta http-equiv=refresh content='0;url={evil}'>",
        f"![x]({evil}) [x](javascript:document.title='ran')",
        '" autofocus onfocus="document.title=\'ran\'" x="',
        "\x1b]8;;http://x\x07\u202eabc",
    ]


def test_nothing_it_holds_runs_or_is_fetched_and_the_filter_works(server: Asked, tmp_path: Path) -> None:
    found = attacks(server.server_port)
    questions = [
        Section(f"{n}.", [Passage(one), Section(one, [Passage(one), one], 4)], 3, tags=[one])
        for n, one in enumerate(found)
    ]
    table = Table(found[0], [Column(one) for one in found], [found], found)
    file = tmp_path / "report.html"
    file.write_text(
        html.write(Document({}, [Section(found[1], [table]), Section("Every question", questions)]), "ours")
    )
    page = opened(file, tmp_path / "browser")
    assert Title(page).said == "ours"
    assert server.paths == []
    assert f"{len(found)} / {len(found)}</output>" in page, "the page's own script did not run"


def test_the_browser_of_this_test_does_run_and_fetch_what_is_not_escaped(server: Asked, tmp_path: Path) -> None:
    evil = attacks(server.server_port)
    file = tmp_path / "raw.html"
    file.write_text(f"<!DOCTYPE html><html><head><title>ours</title></head><body>{evil[0]}{evil[2]}</body></html>")
    assert Title(opened(file, tmp_path / "browser")).said == "ran"
    assert server.paths
