"""Every page of the console in Debian's Chromium: English and Chinese, 1,280 and 390 pixels wide, light and dark.

On each: axe-core (WCAG 2.2 AA and its best practices) finds nothing, the browser's console says nothing, nothing is
asked of another machine, nothing that others wrote acts, and nothing is wider than the window.

Needs Chromium and the package `axe-playwright-python`, which carries axe-core (MPL-2.0; only used here, never shipped).
"""

from __future__ import annotations

import re
import shutil
from collections import deque
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from hosting import Canary

from served import Running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = "/console/nowhere"  # the browser says of it that it is not there
PER_KIND = 3  # pages of one kind, such as a trace; with hostile texts among them
ASKED = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """(tags) => axe.run(document, {runOnly: tags, resultTypes: ["violations"]}).then((found) => found.violations.map(
  (one) => `${one.id} (${one.impact}): ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.html).join(" | ")}`))"""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]
sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'slipway-ai[dev]'")


@pytest.fixture(scope="module")
def axe() -> str:
    carried = pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python, which carries axe-core")
    return files(carried).joinpath("axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as found:
        made = found.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield made
        made.close()


@pytest.mark.parametrize(("language", "width", "scheme"), [("en", 1280, "light"), ("zh", 390, "dark"),
                                                           ("en", 390, "light"), ("zh", 1280, "dark")])  # fmt: skip
def test_every_page(
    server: Running, canary: Canary, browser: Any, axe: str, language: str, width: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, locale={"en": "en-GB", "zh": "zh-CN"}[language], color_scheme=scheme,
        bypass_csp=False,
    )  # fmt: skip
    said, asked = list[str](), list[str]()
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    wrong = list[str]()
    for path in crawl(page, server.address):
        wrong += [f"{path}: {one}" for one in page.evaluate(f"{axe}; ({RUN})({ASKED!r})")]
        if page.title().startswith("ran"):
            wrong.append(f"{path}: something ran")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            wrong.append(f"{path}: {wide} pixels wider than the window")
        wrong += [f"{path}: {one}" for one in said if path != MISSING or "404" not in one]
        said.clear()
    context.close()
    assert not wrong, "\n".join(wrong)
    assert [url for url in asked if not url.startswith(f"{server.address}/console")] == []
    assert canary.paths == []


def crawl(page: Any, address: str) -> Iterator[str]:
    """Every page that can be reached by links, few of each kind; the page is shown when its path comes."""
    todo, seen, kinds = deque(["/console", "/console/sign-in", MISSING]), set[str](), dict[str, int]()
    while todo:
        path = todo.popleft()
        kind = re.sub(r"[0-9a-f]{12,}", "ID", path)
        if path in seen or kinds.get(kind, 0) >= PER_KIND:
            continue
        seen.add(path)
        kinds[kind] = kinds.get(kind, 0) + 1
        if "/language/" in path or "/export" in path:
            continue
        page.goto(f"{address}{path}")
        yield path
        links = page.eval_on_selector_all("a[href^='/console']", "(all) => all.map((one) => one.getAttribute('href'))")
        todo.extend(link.partition("#")[0] for link in links)
