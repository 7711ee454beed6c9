"""The console over HTTP: every page, in both languages; who may see and decide what; nothing that others wrote acts."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest
from hosting import context
from sqlalchemy import text

from served import Reply, Running, serving
from slipway import api
from slipway.console.page import HEADERS
from slipway.core.alert import Alert
from slipway.core.answer import Answer
from slipway.core.report import Report
from slipway.core.trace import Wanted
from slipway.loop.context import Context
from slipway.store.catalog import now
from slipway.store.watching import Look, Watching
from slipway.testing.catalogs import trace_of

PAGES = (
    "",
    "/traces",
    "/feedback",
    "/reports",
    "/releases",
    "/data",
    "/runs",
    "/playground",
    "/monitor",
    "/kept",
    "/sign-in",
)


def page(server: Running, path: str, **headers: str) -> str:
    reply = server.get(f"/console{path}", **headers)
    assert reply.status == 200, (path, reply.body[:500])
    assert {name: reply.headers.get(name) for name in HEADERS} == HEADERS
    return reply.body.decode()


class Acting(HTMLParser):
    """Whatever in a page could act that is not ours."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in ("img", "style", "iframe", "object", "embed", "base", "video", "audio"):
            self.found.append(tag)
        if (tag == "script" and "src" not in given) or (tag == "meta" and "http-equiv" in given):
            self.found.append(tag)
        for name, value in given.items():
            leads = name in ("href", "src", "action")
            if name.startswith("on") or name == "style" or (leads and not value.startswith(("/console", "#"))):
                self.found.append(f"{tag} {name}={value}")


def links(text: str, below: str) -> list[str]:
    return list(dict.fromkeys(re.findall(rf'href="/console({below}/[0-9a-f]+)(?:\?[^"]*)?"', text)))


def submit(server: Running, path: str, given: dict[str, str], origin: str | None = "", **headers: str) -> Reply:
    sent = {"content-type": "application/x-www-form-urlencoded", **headers}
    if origin is not None:
        sent["origin"] = origin or server.address
    return server.send("POST", f"/console{path}", urlencode(given).encode(), sent)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_in_both_languages(server: Running, path: str) -> None:
    english, chinese = (page(server, path, **{"accept-language": language}) for language in ("en", "zh-CN,zh;q=0.9"))
    assert '<html lang="en">' in english
    assert '<html lang="zh-CN">' in chinese
    assert re.search(r"<h1>[^<]*[\u4e00-\u9fff]", chinese)
    assert english.count("<h1>") == 1
    assert Acting(english).found == []


def test_what_a_page_lists_leads_to_a_page(server: Running) -> None:
    for below in ("/traces", "/reports", "/releases", "/data", "/runs"):
        found = links(page(server, below), below)
        assert found, below
        for path in found[:8]:
            page(server, path)


def test_the_overview_tells_what_serves_and_what_needs_attention(server: Running, project: Context) -> None:
    text = page(server, "")
    digest = project.store.catalog.channels()["production"]
    assert f'href="/console/releases/{digest}"' in text
    assert "7 answers got a thumb down in the last day" in text
    assert links(page(server, "/traces?thumb=down&time=1d"), "/traces")


def test_the_overview_tells_what_answers_cost_and_what_the_monitor_measured(folder: Path, tmp_path: Path) -> None:
    there = Path(shutil.copytree(folder, tmp_path / "demo"))
    with api.open_project(there) as project:
        answer = Answer(text="It is.", raw="It is.", cost=0.25, currency="CNY")
        project.store.catalog.add_traces([trace_of(answer=answer, at=now(), channel="production") for _ in range(3)])
        api.monitor(project).look()
        with serving(context(project)) as server:
            text = page(server, "")
    assert "0.75 CNY" in text
    assert re.search(r"error_rate</t[dh]>\s*<td[^>]*>0\.000 \(\d+\)", text), text


def test_traces_are_found_by_what_was_said_the_day_and_the_release(server: Running, project: Context) -> None:
    every = links(page(server, "/traces"), "/traces")
    corrected = links(page(server, "/traces?thumb=correction"), "/traces")
    assert 0 < len(corrected) <= len(every)
    assert not links(page(server, "/traces?thumb=score"), "/traces")
    assert links(page(server, f"/traces?day={now()[:10]}"), "/traces") == every
    assert not links(page(server, "/traces?day=2020-02-29"), "/traces")
    assert server.get("/console/traces?day=2020-02-30").status == 400
    form = page(server, f"/traces?release={'0' * 64}")
    assert f'value="{project.store.catalog.channels()["production"]}"' in form
    assert f'value="{"0" * 64}" selected' in form, "one that is gone can be looked for"


def test_a_release_that_is_gone_is_told_on_the_pages_that_lead_to_it(folder: Path, tmp_path: Path) -> None:
    there = Path(shutil.copytree(folder, tmp_path / "demo"))
    with api.open_project(there) as project, serving(context(project)) as server:
        server.until("/readyz")
        trace = server.chat("How much does the keel weigh?", model="demo").headers["x-slipway-trace"]
        digest = project.store.catalog.channels()["production"]
        shown = page(server, f"/traces/{trace}")
        assert "the prompt as the model read it" in shown
        reply = submit(server, f"/releases/{digest}/promote", {"channel": "production", "why": "again"})
        assert reply.status == 409, "nobody is told that a decision was kept which was not"
        with project.store.catalog.engine.begin() as connection:
            connection.execute(text("DELETE FROM nouns WHERE kind = 'release'"))
        assert "points at a release that cannot be read" in unescape(page(server, ""))
        assert "The prompt cannot be shown" in page(server, f"/traces/{trace}")
        assert server.get(f"/console/releases/{digest}").status == 404
        for path in PAGES:
            page(server, path)


def test_an_address_that_is_none_is_told_as_a_page(server: Running, project: Context) -> None:
    found = api.find(project, "dataset", "chunks").digest
    for path in (
        f"/data/{found}?start=x",
        f"/data/{found}?start={10**30}",
        f"/data/{found}/items/{10**30}",
        "/compare",
    ):
        reply = server.get(f"/console{path}")
        assert reply.status in (200, 404), path
        assert b"<main" in reply.body, path


def test_the_overview_tells_which_alerts_are_not_over(server: Running, project: Context) -> None:
    told = "latency is higher than it was"
    assert told not in page(server, "")
    watching = Watching(project.store.catalog.database)
    begun = Alert(
        id="begun", at="2026-01-02T00:00:00Z", state="firing", project="demo", channel="production", release="r",
        rule="latency.before", metric="latency", direction="up", against="before", seen=2.0, expected=1.0, n=9,
        since="2026-01-01T00:00:00Z",
    )  # fmt: skip
    assert watching.keep("elsewhere", 0, Look(b"1", alerts=[begun]))
    assert told in page(server, "")
    over = msgspec.structs.replace(begun, id="over", state="cleared", at="2026-01-03T00:00:00Z")
    assert watching.keep("elsewhere", 1, Look(b"2", alerts=[over]))
    assert told not in page(server, "")


def test_nothing_that_others_wrote_is_an_element(server: Running, project: Context) -> None:
    api.monitor(project).look()
    for path in ("/traces", "/feedback", "/monitor", *links(page(server, "/traces"), "/traces")):
        text = page(server, path)
        assert Acting(text).found == [], path
        assert text.count("</main>") == 1
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_traces_are_filtered_and_walked(server: Running, project: Context) -> None:
    assert len(links(page(server, "/traces?words=KEEL"), "/traces")) == 1
    assert links(page(server, "/traces?words=nowhere+to+be+found"), "/traces") == []
    assert links(page(server, "/traces?status=5xx"), "/traces") == []
    assert len(links(page(server, "/traces?thumb=down&status=2xx&slow=0"), "/traces")) == 7
    for wrong in ("status=9", "slow=fast", "time=1y", "thumb=sideways"):
        assert server.get(f"/console/traces?{wrong}").status == 400
    newest, second = (one.id for one in api.traces(project, 2))
    text = page(server, f"/traces/{newest}")
    assert f'<a rel="next" href="/console/traces/{second}"' in text
    assert "rel=prev" not in text.replace('"', "")
    assert f'<a rel="prev" href="/console/traces/{newest}"' in page(server, f"/traces/{second}")
    oldest = api.traces(project, 100)[-1].id
    assert api.traces(project, 1, wanted=Wanted(before=oldest)) == []
    assert "rel=next" not in page(server, f"/traces/{oldest}").replace('"', "")


def test_traces_are_walked_within_the_filter_and_back_to_the_page_of_the_list(folder: Path, tmp_path: Path) -> None:
    """From the second page of a list that has three, with texts that an address must escape."""
    word = 'a&b="c" <i>'
    asked = {"words": word, "status": "2xx"}
    shutil.copytree(folder, tmp_path / "demo")
    with api.open_project(tmp_path / "demo") as project, serving(context(project)) as server:
        made = [
            trace_of(request={"prompt": f"{word} {n}" if n % 2 else "other"}, status=200 if n % 3 else 503, at=now())
            for n in range(360)
        ]
        project.store.catalog.add_traces(made)
        listed = [one.id for one in reversed(made) if word in one.asked and one.status == 200]

        def leads(path: str, what: str) -> str:
            found = re.search(rf'{what} ?href="/console(/traces[^"]*)"', page(server, path))
            assert found, (path, what)
            return unescape(found[1])

        text = page(server, f"/traces?{urlencode(asked)}")
        older = unescape(next(iter(re.findall(r'"/console(/traces\?[^"]*before=[^"]*)"', text))))
        shown = [unescape(one) for one in re.findall(r'"/console(/traces/[0-9a-f]{32}[^"]*)"', page(server, older))]
        assert [one.partition("?")[0].removeprefix("/traces/") for one in shown] == listed[50:100]
        at = shown[3]
        for rel, n in (("next", 54), ("next", 55), ("prev", 54), ("prev", 53), ("prev", 52)):
            at = leads(at, f'rel="{rel}"')
            assert at.startswith(f"/traces/{listed[n]}?")
        assert leads(at, 'rel="up"') == older
        first = page(server, f"/traces/{listed[0]}?{urlencode(asked)}")
        assert 'rel="prev"' not in first
        assert 'rel="next"' not in page(server, f"/traces/{listed[-1]}?{urlencode(asked)}")
        outside = next(one.id for one in made if one.id not in listed)
        assert leads(f"/traces/{outside}?{urlencode(asked)}", 'rel="prev"').startswith(f"/traces/{listed[-1]}?")
        assert server.get(f"/console/traces/{listed[0]}?status=9").status == 400
        assert f'action="/console/traces/{listed[0]}/replay?words=' in first


def test_what_is_not_there_is_told_in_words(server: Running) -> None:
    for path in (
        "/nope",
        "/traces/ffffffffffffffff",
        "/releases/ffffffffffff",
        "/reports/ffffffffffff",
        "/assets/x.css",
    ):
        reply = server.get(f"/console{path}")
        assert reply.status == 404, path
        assert reply.headers["content-type"].startswith("text/html")
        assert b"Traceback" not in reply.body


def test_the_gates_answers_are_not_shown_and_no_look_is_spent(server: Running, project: Context) -> None:
    before = len(api.gate_looks(project))
    gate = next(one for _, one in project.store.catalog.list("report", Report) if one.split == "gate")
    text = page(server, f"/reports/{gate.digest}") + "".join(
        page(server, path) for path in links(page(server, "/data"), "/data")
    )
    examples = next(one for _, one in api.datasets(project) if one.name == "examples")
    held = [one for one in api.items(project, examples) if getattr(one, "split", "") == "gate"]
    assert held
    assert not [one.text for one in held if one.id in text]  # type: ignore[union-attr]
    assert len(api.gate_looks(project)) == before


def test_promoting_and_rolling_back_are_entered_with_who_and_why(server: Running, project: Context) -> None:
    digest = project.store.catalog.channels()["production"]
    assert submit(server, f"/releases/{digest}/promote", {"why": " ", "channel": "staging"}).status == 400
    done = submit(server, f"/releases/{digest}/promote", {"why": "tried by hand", "channel": "staging"})
    assert (done.status, done.headers["location"]) == (303, "/console/releases")
    last = api.history(project).decisions[0]
    assert (last.channel, last.release, last.why) == ("staging", digest, "tried by hand")
    assert "tried by hand" in page(server, "/releases")
    refused = submit(server, "/rollback", {"why": "back", "channel": "staging"})
    assert refused.status == 400
    assert b"Traceback" not in refused.body


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null"])
def test_a_form_of_another_page_is_refused(server: Running, project: Context, origin: str | None) -> None:
    before = api.history(project).head
    digest = project.store.catalog.channels()["production"]
    for path in (f"/releases/{digest}/promote", "/rollback", "/sign-in", "/sign-out"):
        assert submit(server, path, {"why": "x", "key": "x"}, origin).status == 403, path
    assert api.history(project).head == before


def test_a_form_that_is_too_large_is_refused(server: Running) -> None:
    assert submit(server, "/rollback", {"why": "x" * 100_000}).status == 413


def test_who_has_not_signed_in_is_asked_to_and_a_key_does_what_it_is_for(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "demo")  # a server asks for keys as soon as one was made
    with api.open_project(tmp_path / "demo") as project:
        _signed_in(project, {scope: api.create_key(project, scope, [scope])[1] for scope in ("ask", "read", "admin")})


def _signed_in(project: Context, keys: dict[str, str]) -> None:
    digest = project.store.catalog.channels()["production"]
    with serving(context(project)) as server:
        asked = server.get("/console/traces")
        assert (asked.status, asked.headers["location"]) == (303, "/console/sign-in?next=/console/traces")
        assert server.get("/console/assets/console.css").status == 200
        assert server.get("/v1/models").status == 401
        assert submit(server, "/sign-in", {"key": "sk-slipway-wrong"}).status == 401
        cookies: dict[str, str] = {}
        for scope, key in keys.items():
            done = submit(server, "/sign-in", {"key": key, "next": "//evil.example/console"})
            assert (done.status, done.headers["location"]) == (303, "/console")
            assert {"HttpOnly", "SameSite=Strict"} <= set(done.headers["set-cookie"].split("; "))
            cookies[scope] = done.headers["set-cookie"].partition(";")[0]
        assert server.get("/console", cookie=cookies["read"]).status == 200
        assert server.get("/console/traces", cookie=cookies["ask"]).status == 403
        assert server.get("/console", cookie=cookies["read"][:-1]).status == 303
        promote, given = f"/releases/{digest}/promote", {"why": "by key", "channel": "staging2"}
        assert submit(server, promote, given, cookie=cookies["read"]).status == 403
        assert submit(server, promote, given, "http://evil.example", cookie=cookies["admin"]).status == 403
        asked = submit(server, promote, given)
        assert asked.status == 403
        assert 'action="/console/sign-in"' in asked.body.decode(), "what was typed is kept meanwhile"
        assert "staging2" not in project.store.catalog.channels()
        both = keys["admin"]
        assert submit(server, promote, given, authorization=f"Bearer {both}").status == 303
        assert api.history(project).decisions[0].by == "admin"
        done = submit(server, "/sign-out", {}, cookie=cookies["read"])
        assert done.headers["location"] == "/console/sign-in"
        assert server.get("/console", cookie=cookies["read"]).status == 303


def test_the_language_is_kept_and_leads_back(server: Running) -> None:
    reply = server.get("/console/language/zh", referer=f"{server.address}/console/traces?words=x")
    assert reply.headers["location"] == "/console/traces?words=x"
    cookie = reply.headers["set-cookie"].partition(";")[0]
    assert '<html lang="zh-CN">' in page(server, "", cookie=cookie)
    assert server.get("/console/language/zh", referer="http://evil.example/console").headers["location"] == "/console"
    assert server.get("/console/language/fr").status == 404


def test_the_monitors_page_shows_new_questions_as_text(server: Running, project: Context) -> None:
    monitor = api.monitor(project)
    monitor.look()
    version, body = monitor.watching.state(monitor.name)
    kept = json.loads(body)
    kept["unlike"] = [[0.9, one.id] for one in api.traces(project, 20)]
    assert monitor.watching.keep(monitor.name, version, Look(json.dumps(kept).encode()))
    text = page(server, "/monitor")
    assert Acting(text).found == []
    assert "&lt;script&gt;document.title" in text
    assert text.count("</main>") == 1
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert set(links(text, "/traces")) >= {f"/traces/{one.id}" for one in api.traces(project, 20)}
