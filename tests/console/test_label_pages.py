"""Labelling in the console: without a script, with keys only, by several people, and from bad answers to a release."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hosting import HOSTILE, context
from test_console import Acting

from commands import slipway
from desk import FILE, WORDS
from served import Reply, Running, serving
from slipway import api
from slipway.core.answer import Answer, Citation
from slipway.core.labelling import Criterion
from slipway.core.trace import Trace
from slipway.loop.context import Context
from slipway.loop.labelling.room import Person, Plan
from slipway.testing.catalogs import feedback_of, trace_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
browsing = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"),
    pytest.mark.skipif(find_spec("playwright") is None, reason="needs playwright"),
]


def asked(text: str, answer: str, **more: Any) -> Trace:
    citation = Citation(chunk="c", source=answer, path=("p",), start=0, end=1, text=answer, score=1.0, cited=True)
    return trace_of(
        request={"messages": [{"role": "user", "content": text}]},
        answer=Answer(text=answer, raw=answer, citations=(citation,)), **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def project(run_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    folder = shutil.copytree(run_once, tmp_path_factory.mktemp("labelling") / "demo")
    with api.open_project(folder) as found:
        texts = [one.replace("{url}", "http://127.0.0.1:9") for one in HOSTILE]
        traces = [asked(f"{one} number {n}?", one) for n, one in enumerate(texts)]
        traces += [asked(f"{one} number {n}?", f"other {one}") for n, one in enumerate(texts)]
        said = [feedback_of(one, thumb="down", correction=one.said) for one in traces]
        found.store.catalog.add_traces(traces, said)
        queues = api.labelling(found)
        labels = ("</button><img src=x onerror=alert(1)>", 'a" onfocus="x', "plain")
        rubric = (Criterion("<b>true</b>", 1, 3), Criterion("kind", 0, 2))
        for plan in (
            Plan(name="answers", picks=("thumbs-down",), instructions=texts[0]),
            Plan(name="blind", kind="answer", blind=True), Plan(name="labels", kind="label", labels=labels),
            Plan(name="pairs", kind="compare"), Plan(name="marks", kind="spans", labels=labels),
            Plan(name="points", kind="rubric", rubric=rubric),
        ):  # fmt: skip
            queues.create(plan)
        yield found


@pytest.fixture(scope="module")
def server(project: Context) -> Iterator[Running]:
    with serving(context(project)) as found:
        found.until("/readyz")
        yield found


def page(server: Running, path: str, **headers: str) -> str:
    reply = server.get(f"/console/labelling{path}", **headers)
    assert reply.status == 200, (path, reply.body[:800])
    return reply.body.decode()


def submit(server: Running, path: str, given: dict[str, str], **headers: str) -> Reply:
    sent = {"content-type": "application/x-www-form-urlencoded", "origin": server.address, **headers}
    return server.send("POST", f"/console/labelling{path}", urlencode(given).encode(), sent)


def action(text: str) -> tuple[str, str]:
    """Where the form of a work page is sent, and what it saw."""
    path = re.search(r'class="judge" method="post" action="/console/labelling([^"]+)"', text)
    seen = re.search(r'name="seen" value="([^"]*)"', text)
    assert path is not None
    assert seen is not None
    return path[1], seen[1]


VALUES: dict[str, dict[str, str]] = {
    "answers": {"do": "correct", "text": "<img src=x onerror=alert(1)>"}, "blind": {"do": "correct", "text": "mine"},
    "labels": {"label": 'a" onfocus="x'}, "pairs": {"do": "both"}, "marks": {"do": "spans", "spans": "plain 0-3"},
    "points": {"do": "rubric", "score-0": "3", "score-1": "0"},
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_every_kind_is_labelled_without_a_script_and_nothing_of_others_acts(
    server: Running, project: Context, name: str
) -> None:
    queues = api.labelling(project)
    for language in ("en", "zh"):
        text = page(server, f"/{name}/work", **{"accept-language": language})
        assert Acting(text).found == []
        assert text.count("</main>") == 1
        assert "\x1b" not in text
        assert "\u202e" not in text
    path, seen = action(text)
    assert submit(server, path, {**VALUES[name], "seen": seen}, origin="http://evil.example").status == 403
    done = submit(server, path, {**VALUES[name], "seen": seen})
    assert (done.status, done.headers["location"]) == (303, f"/console/labelling/{name}/work")
    (given,) = [one for one in queues.labels.judgements(name) if one.item in path]
    if name == "labels":
        assert given.value == {"label": 'a" onfocus="x'}
    if name == "answers":
        assert given.value["text"] == "<img src=x onerror=alert(1)>", "kept as it was written"
    if name == "blind":
        second = page(server, "/blind/work")
        assert action(second)[0] == path, "the model's answer is shown to the same item now"
        assert submit(server, path, {"do": "accept", "seen": action(second)[1]}).status == 303
        (given,) = [one for one in queues.labels.judgements(name) if one.item in path]
        assert (given.guess, given.value) == ({"decision": "correct", "text": "mine"}, {"decision": "accept"})
    again = submit(server, path, {**VALUES[name], "do": "skip", "label": "", "seen": ""})
    assert again.status == 409
    assert b"nothing was overwritten" in again.body
    for shown in (f"/{name}", path):
        text = page(server, shown)
        assert Acting(text).found == []
    undone = submit(server, f"/{name}/undo", {"do": "undo"})
    assert undone.headers["location"] == f"/console/labelling{path}"
    assert given.id not in {one.id for one in queues.labels.judgements(name)}
    assert action(page(server, path))[1] == ""


def test_a_guess_is_asked_for_before_anything_of_the_model_is_shown(server: Running, project: Context) -> None:
    text = page(server, "/blind/work")
    item = api.labelling(project).item("blind", action(text)[0].rpartition("/")[2])
    assert item.answer.startswith("other ") or item.answer in HOSTILE or "127.0.0.1" in item.answer
    assert "passages" not in text
    assert text.count("other ") == 0


def test_wrong_forms_are_told(server: Running) -> None:
    path, seen = action(page(server, "/labels/work"))
    for wrong in ({"label": "unknown"}, {}, {"typed": "x" * 300}):
        reply = submit(server, path, {**wrong, "seen": seen})
        assert reply.status == 400
        assert b"Traceback" not in reply.body
    marks, _ = action(page(server, "/marks/work"))
    for lines in ("plain 0-999999", "nowhere: no such words", "plain"):
        assert submit(server, marks, {"do": "spans", "spans": lines}).status == 400
    points, _ = action(page(server, "/points/work"))
    assert submit(server, points, {"do": "rubric", "score-0": "9"}).status == 400
    assert submit(server, path, {"label": "x" * 300_000}).status == 413
    for given in ({"name": "../x"}, {"name": "ok", "size": "many"}, {"name": "ok", "size": "-1"}, {"name": "ok", "pick": "x"},
                  {"name": "ok", "source": "gate"}, {"name": "ok", "kind": "x"}, {"name": "ok", "share": "nan"}):  # fmt: skip
        assert submit(server, "", given).status == 400, given
    assert server.get("/console/labelling/none/work").status == 404
    assert server.get("/console/labelling/labels/items/none").status == 404


def test_a_queue_is_made_and_its_rows_are_written_in_the_console(server: Running, project: Context) -> None:
    made = submit(server, "", {"name": "made", "pick": "all", "size": "4", "rubric": "", "labels": ""})
    assert (made.status, made.headers["location"]) == (303, "/console/labelling/made")
    for language, words in (("en", "<h1>Labelling</h1>"), ("zh", "<h1>标注</h1>")):
        text = page(server, "", **{"accept-language": language})
        assert words in text
        assert "/console/labelling/made/work" in text
        assert '<option value="1d" selected>' in text
        assert Acting(text).found == []
    path, seen = action(page(server, "/made/work"))
    assert submit(server, path, {"do": "accept", "seen": seen}).status == 303
    text = submit(server, "/made/write", {}).body.decode()
    assert "feedback/made.examples.jsonl" in text
    assert (project.root / "feedback" / "made.examples.jsonl").exists()
    # the same text in Chinese, as long as may be trained on, is not too large for a form
    path, seen = action(page(server, "/made/work"))
    assert submit(server, path, {"do": "correct", "text": "船" * 20_000, "seen": seen}).status == 303


def test_who_may_label_and_who_may_see_the_others(run_once: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run_once, tmp_path / "demo")
    with api.open_project(folder) as project:
        project.store.catalog.add_traces([asked(f"Who keeps rope number {n}?", "Bo") for n in range(3)])
        queues = api.labelling(project)
        queues.create(Plan(name="q", annotators=2))
        keys = {name: api.create_key(project, name, scopes)[1]
                for name, scopes in (("ann", ["label"]), ("ann ", ["label"]), ("eve", ["read"]), ("boss", ["admin", "read", "label"]))}  # fmt: skip
        with serving(context(project)) as server:
            signed = {name: {"authorization": f"Bearer {key}"} for name, key in keys.items()}
            first = page(server, "/q/work", **signed["ann"])
            other = page(server, "/q/work", **signed["ann "])
            for text, name, do in ((first, "ann", "accept"), (other, "ann ", "wrong")):
                path, seen = action(text)
                assert submit(server, path, {"do": do, "seen": seen}, **signed[name]).status == 303
            assert len(queues.labels.judgements("q")) == 2, "two keys are two people, whatever their names"
            assert {one.key for one in queues.labels.judgements("q")} == {k.id for k in api.keys(project)[:2]}
            for path in ("/q", "/q/conflicts"):
                assert server.get(f"/console/labelling{path}", **signed["ann"]).status == 403
            assert server.get("/console/traces", **signed["ann"]).status == 403
            assert server.get("/console/labelling/q/work", **signed["eve"]).status == 403
            assert submit(server, "", {"name": "x"}, **signed["ann"]).status == 403
            assert submit(server, "/q/write", {}, **signed["ann"]).status == 403
            text = page(server, "/q/conflicts", **signed["boss"])
            ids = re.findall(r"/conflicts/([0-9a-f]+)", text)
            assert len(ids) == 1
            text = page(server, f"/q/conflicts/{ids[0]}", **signed["boss"])
            assert "Adjudicate" in page(server, "/q", **signed["boss"])
            assert submit(server, f"/q/conflicts/{ids[0]}", {"do": "wrong"}, **signed["ann"]).status == 403
            settled = submit(server, f"/q/conflicts/{ids[0]}", {"do": "wrong"}, **signed["boss"])
            assert (settled.status, settled.headers["location"]) == (303, "/console/labelling/q/conflicts")
            late = submit(server, f"/q/conflicts/{ids[0]}", {"do": "accept"}, **signed["boss"])
            assert late.status == 409
            assert queues.standing("q").states["done"] == 1


def test_the_next_conflict_follows_the_one_that_was_decided(run_once: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run_once, tmp_path / "demo")
    with api.open_project(folder) as project:
        project.store.catalog.add_traces([asked(f"Who keeps rope number {n}?", "Bo") for n in range(3)])
        queues = api.labelling(project)
        queues.create(Plan(name="q", annotators=2))
        for name, decision in (("ann", "accept"), ("bob", "wrong")):
            while work := queues.next("q", Person(name)):
                queues.judge("q", work.item.id, Person(name), {"decision": decision})
        left = [item.id for item, _ in queues.conflicts("q")]
        assert len(left) == 3
        with serving(context(project)) as server:
            reply = submit(server, f"/q/conflicts/{left[1]}", {"do": "wrong"})
            assert reply.headers["location"] == f"/console/labelling/q/conflicts/{left[0]}"


# in a browser --------------------------------------------------------------------------------------------------------


def sentences(label: str, n: int, rng: random.Random) -> list[str]:
    return [
        f"{rng.choice(['my', 'the', 'our'])} {rng.choice(WORDS[label])} {rng.choice(['problem', 'question'])} "
        f"{rng.randrange(10**6)} {rng.choice(['today', 'again', 'since monday'])}"
        for _ in range(n)
    ]  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A project whose release learnt from twelve examples, and yesterday's answers that users disliked."""
    rng, folder = random.Random(3), tmp_path / "desk"
    folder.mkdir()
    lines = [f'"{one}","{label}"' for label in WORDS for one in sentences(label, 40, rng)]
    (folder / "rows.csv").write_text("\n".join(["text,label", *lines]) + "\n", "utf-8")
    (folder / "slipway.yaml").write_text(FILE, "utf-8")
    from datetime import UTC, datetime, timedelta

    at = (datetime.now(UTC) - timedelta(hours=20)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    with api.open_project(folder) as project:
        assert api.run(project).release is not None
        bad = [asked(one, "billing" if label == "login" else "login", at=at)
               for label in WORDS for one in sentences(label, 24, rng)]  # fmt: skip
        project.store.catalog.add_traces(bad, [feedback_of(one, thumb="down", at=at) for one in bad])
    return folder


class Chrome:
    """A page of Chromium that counts what a person does and what it asks for."""

    def __init__(self, tab: Any, address: str) -> None:
        self.tab, self.address, self.clicks, self.asked = tab, address, 0, list[str]()
        self.said: list[str] = []
        tab.on("request", lambda request: self.asked.append(request.url))
        tab.on("console", lambda message: self.said.append(message.text))
        tab.on("pageerror", lambda error: self.said.append(str(error)))

    def click(self, selector: str) -> None:
        self.clicks += 1
        self.tab.click(selector)

    def key(self, key: str) -> None:
        with self.tab.expect_navigation():
            self.tab.keyboard.press(key)


@pytest.fixture
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


def browsed(test: Any) -> Any:
    for mark in browsing:
        test = mark(test)
    return test


@browsed
def test_from_yesterdays_bad_answers_to_a_better_release(desk: Path, chromium: Any) -> None:
    """At most 10 clicks and 2 commands; every item by one key, two requests an item."""
    commands, labelled = ["slipway serve"], 0
    with api.open_project(desk) as project:
        before = project.store.catalog.channels()["production"]
        with serving(context(project)) as server:
            chrome = Chrome(chromium.new_page(), server.address)
            chrome.tab.goto(f"{server.address}/console")
            chrome.click("text=Labelling")
            chrome.click("text=Make a queue")
            chrome.click("main a:text-is('Label')")
            keys = {label: str(n) for n, label in enumerate(api.labelling(project).queues()[0].labels, 1)}
            begun = len(chrome.asked)
            while chrome.tab.query_selector("form.judge"):
                shown = chrome.tab.inner_text("main")
                truth = next(label for label, words in WORDS.items() if any(f" {one} " in shown for one in words))
                chrome.key(keys[truth])
                labelled += 1
            assert labelled == 50
            asked = [url for url in chrome.asked[begun:] if "/assets/" not in url]  # those are kept by the browser
            assert len(asked) <= 2 * labelled + 1, "a key is a form sent and a page read"
            chrome.click("text=How it stands")
            chrome.click("text=Write rows to train on")
            chrome.tab.wait_for_selector("text=examples.jsonl")
            assert all(url.startswith(server.address) for url in chrome.asked)
            assert chrome.said == []
            assert chrome.clicks <= 10
    done = slipway("improve", str(desk), "--json")
    commands.append("slipway improve")
    assert done.returncode == 0, done.stdout + done.stderr
    with api.open_project(desk) as project:
        assert project.store.catalog.channels()["production"] != before
        assert len(api.gate_looks(project)) == 2
    assert len(commands) <= 2


@browsed
@pytest.mark.parametrize("width", [390, 1280])
def test_keys_alone_judge_undo_mark_and_score(server: Running, project: Context, chromium: Any, width: int) -> None:
    queues, tab = api.labelling(project), chromium.new_page(viewport={"width": width, "height": 800})
    chrome = Chrome(tab, server.address)
    at = f"{server.address}/console/labelling"

    def last(name: str) -> Any:
        return queues.labels.judgements(name)[-1].value

    tab.goto(f"{at}/answers/work")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    first = tab.get_attribute("form.judge", "action")
    chrome.key("1")
    assert last("answers") == {"decision": "accept"}
    assert tab.get_attribute("form.judge", "action") != first
    chrome.key("u")
    assert tab.get_attribute("form.judge", "action") == first
    tab.keyboard.press("2")
    tab.keyboard.type("a better answer")
    chrome.key("Control+Enter")
    assert last("answers") == {"decision": "correct", "text": "a better answer"}
    chrome.key("s")
    assert last("answers") == {"skip": True}

    tab.goto(f"{at}/marks/work")
    assert tab.evaluate("document.activeElement.className") == "marked", "the text has the focus"
    tab.keyboard.press("Control+Home")
    for _ in range(4):
        tab.keyboard.press("Shift+ArrowRight")
    tab.keyboard.press("3")
    chrome.key("Enter")
    assert last("marks") == {"spans": [[0, 4, "plain"]]}

    tab.goto(f"{at}/points/work")
    tab.keyboard.press("2")
    tab.keyboard.press("0")
    chrome.key("Enter")
    assert last("points") == {"scores": {"<b>true</b>": 2, "kind": 0}}

    tab.goto(f"{at}/pairs/work")
    chrome.key("4")
    assert last("pairs") == {"choice": "neither"}
    tab.goto(f"{at}/labels/work")
    chrome.key("1")
    assert last("labels") == {"label": "</button><img src=x onerror=alert(1)>"}
    assert chrome.said == []
    assert all(url.startswith(server.address) for url in chrome.asked)
    for name in VALUES:  # as it was, for the other width
        while queues.undo(name, chrome_person()):
            pass


def chrome_person() -> Any:
    from slipway.loop.labelling.room import Person

    return Person.here()
