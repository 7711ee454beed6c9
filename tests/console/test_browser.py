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
from slipway import api
from slipway.loop.at_work import at_work
from slipway.loop.context import Context

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = "/console/nowhere"  # the browser says of it that it is not there
KINDS = ("answers", "blind", "labels", "pairs", "marks", "points")  # the queues of labelling
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


class Looked:
    """A window of the browser, and what was wrong with each page that it showed."""

    def __init__(self, browser: Any, axe: str, language: str, width: int, scheme: str) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, locale={"en": "en-GB", "zh": "zh-CN"}[language],
            color_scheme=scheme,
        )  # fmt: skip
        self.asked, self.wrong, self._said, self._axe = list[str](), list[str](), list[str](), axe
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self._said.append(message.text))
        self.page.on("pageerror", lambda error: self._said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self._said.append(dialog.message), dialog.dismiss()))

    def look(self, path: str) -> None:
        """At the page that is shown."""
        found = self.page.evaluate(f"{self._axe}; ({RUN})({ASKED!r})")
        if self.page.title().startswith("ran"):
            found.append("something ran")
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            found.append(f"{wide} pixels wider than the window")
        found += [one for one in self._said if path != MISSING or "404" not in one]
        self._said.clear()
        self.wrong += [f"{path}: {one}" for one in found]

    def end(self, server: Running, canary: Canary) -> None:
        """Nothing was wrong, and nobody else was asked."""
        self.context.close()
        assert not self.wrong, "\n".join(self.wrong)
        assert [url for url in self.asked if not url.startswith(f"{server.address}/console")] == []
        assert canary.paths == []


@pytest.mark.parametrize(
    ("language", "width", "scheme", "each"),
    [("en", 1280, "light", 2), ("zh", 390, "dark", 2), ("en", 390, "light", 1), ("zh", 1280, "dark", 1)],
)
def test_every_page(
    hostile: Running, canary: Canary, browser: Any, axe: str, language: str, width: int, scheme: str, each: int
) -> None:
    """`each`: pages of one kind, such as a trace."""
    window = Looked(browser, axe, language, width, scheme)
    looked = list[str]()
    for path in crawl(window.page, hostile.address, each):
        window.look(path)
        looked.append(path)
    assert {f"/console/labelling/{name}/work" for name in KINDS} <= {*looked}
    ask(window, hostile.address)
    window.end(hostile, canary)


def test_what_is_at_work_is_renewed_in_place(server: Running, project: Context, browser: Any, axe: str) -> None:
    """The page is not loaded again: what has the focus keeps it, and what was unfolded stays so."""
    window = Looked(browser, axe, "zh", 390, "light")
    page = window.page
    with at_work(project):
        project.listener.step("tune:it", "running")
        project.listener.progress("tune:it", 1, 9)
        page.goto(f"{server.address}/console/runs")
        window.look("runs, at work")
        page.evaluate("window.same = true")
        page.keyboard.press("j")
        focused = page.evaluate("document.activeElement.getAttribute('href')")
        project.listener.step("tune:other <b>", "running")
        project.listener.progress("tune:other <b>", 5, 9)
        page.get_by_text("tune:other <b>").wait_for()
        assert page.evaluate("window.same")
        assert page.evaluate("document.activeElement.getAttribute('href')") == focused
        window.look("runs, renewed")
    page.get_by_text("中途停止").wait_for()
    assert page.evaluate("window.same")
    window.context.close()
    assert not window.wrong, "\n".join(window.wrong)


def ask(window: Looked, address: str) -> None:
    """A trace again, then a question in the playground, up to the choice."""
    page = window.page
    page.goto(f"{address}/console/traces")
    page.click("main tbody a")
    page.click("form[action$='/replay'] button")
    window.look("replay")
    page.goto(f"{address}/console/playground")
    page.fill("textarea", "Where is zebra1? <svg onload=\"document.title='ran'\">")
    page.click("form[action$='/playground'] button")
    window.look("playground, blind")
    page.click("form[action*='/playground/'] button")
    window.look("playground, chosen")


def test_by_keyboard_alone(server: Running, project: Context, browser: Any) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page = context.new_page()
    page.goto(f"{server.address}/console/traces")
    first, second = page.eval_on_selector_all("main tbody a", "(all) => all.slice(0, 2).map((one) => one.pathname)")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{first}")
    page.keyboard.press("n")
    page.wait_for_url(f"**{second}")
    page.keyboard.press("p")
    page.wait_for_url(f"**{first}")
    report = api.find(project, "report", "grounded", "dev")
    page.goto(f"{server.address}/console/reports/{report.digest}/examples?metric=token_f1&language=en")
    first, second, *_ = page.eval_on_selector_all("main tbody a", "(all) => all.map((one) => one.getAttribute('href'))")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{first}")
    page.keyboard.press("n")
    page.wait_for_url(f"**{second}")
    page.keyboard.press("p")
    page.wait_for_url(f"**{first}")
    context.close()


def crawl(page: Any, address: str, each: int) -> Iterator[str]:
    """Every page that can be reached by links, few of each kind; the page is shown when its path comes."""
    todo, seen, kinds = deque(["/console", "/console/sign-in", MISSING]), set[str](), dict[str, int]()
    while todo:
        path = todo.popleft()
        kind = re.sub(r"/\d+$|[0-9a-f]{12,}", "ID", path.partition("?")[0])
        if path in seen or kinds.get(kind, 0) >= each:
            continue
        seen.add(path)
        kinds[kind] = kinds.get(kind, 0) + 1
        if "/language/" in path or "/export" in path:
            continue
        page.goto(f"{address}{path}")
        yield path
        links = page.eval_on_selector_all("a[href^='/console']", "(all) => all.map((one) => one.getAttribute('href'))")
        todo.extend(link.partition("#")[0] for link in links)
