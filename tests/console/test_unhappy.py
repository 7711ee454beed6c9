"""What goes wrong while people use the console: sessions that end, stores that are locked or slow, lists of thousands,
two windows at once, things that are gone. Nothing typed is lost without a word, and the server goes on.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hosting import context
from sqlalchemy import event, insert

from served import Reply, Running, serving
from slipway import api
from slipway.console.page import HEADERS
from slipway.console.views import LISTED
from slipway.core.answer import Answer
from slipway.core.asked import ModelCall
from slipway.core.candidate import Candidate
from slipway.core.labelling import Item, Judgement, Queue
from slipway.core.message import Message, ToolCall
from slipway.core.ref import canonical
from slipway.core.release import Release
from slipway.core.run import Run
from slipway.data.clean import clean_text
from slipway.loop.context import Context
from slipway.loop.labelling.room import Person, Plan
from slipway.store import sqlite as sqlite_store
from slipway.store import tables
from slipway.store.catalog import now
from slipway.testing.catalogs import feedback_of, trace_of

TYPED = 'one "two"\n\n  three\u202e four <b>five</b>\x1b[31m &amp; 六\n'


class Forms(HTMLParser):
    """The forms of a page: (address, fields). A number stands for its character whichever it is, as in a browser."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[tuple[str, list[tuple[str, str]]]] = []
        self._area: list[str] | None = None
        self._name = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((given["action"], []))
        elif tag == "input" and self.found and "name" in given:
            self.found[-1][1].append((given["name"], given.get("value", "")))
        elif tag == "textarea" and self.found:
            self._area, self._name = [], given["name"]

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area.append(data)

    def handle_charref(self, name: str) -> None:
        self.handle_data(chr(int(f"0{name}", 0) if name.startswith("x") else int(name)))

    def handle_entityref(self, name: str) -> None:
        self.handle_data(unescape(f"&{name};"))

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            text = "".join(self._area).replace("\r\n", "\n").removeprefix("\n")  # as a browser reads it
            text = text.replace("\n", "\r\n")  # and sends it
            self.found[-1][1].append((self._name, text))
            self._area = None


def form_of(reply: Reply, ends: str) -> dict[str, str]:
    return next(dict(fields) for action, fields in Forms(reply.body.decode()).found if action.endswith(ends))


def submit(server: Running, path: str, given: dict[str, Any], **headers: str) -> Reply:
    sent = {"content-type": "application/x-www-form-urlencoded", "origin": server.address, **headers}
    return server.send("POST", f"/console{path}", urlencode(given, doseq=True).encode(), sent)


@pytest.fixture(scope="module")
def own(as_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    folder = Path(shutil.copytree(as_run, tmp_path_factory.mktemp("unhappy") / "demo"))
    with api.open_project(folder) as found:
        yield found


@pytest.fixture(scope="module")
def server(own: Context) -> Iterator[Running]:
    with serving(context(own)) as found:
        found.until("/readyz")
        yield found


def test_what_was_typed_survives_a_session_that_ended(as_run: Path, tmp_path: Path) -> None:
    shutil.copytree(as_run, tmp_path / "demo")
    with api.open_project(tmp_path / "demo") as project:
        key = api.create_key(project, "her", ["label", "admin", "read"])[1]
        with serving(context(project)) as server:
            cookie = submit(server, "/sign-in", {"key": key}).headers["set-cookie"].partition(";")[0]
            submit(server, "/sign-out", {}, cookie=cookie)  # in another window
            where = {"cookie": cookie, "referer": f"{server.address}/console/labelling?x=1"}
            typed = {"name": "mine", "source": "examples", "instructions": TYPED, "labels": "b\r\na"}
            ended = submit(server, "/labelling", typed, **where)
            text = ended.body.decode()
            assert ended.status == 403
            assert {name: ended.headers.get(name) for name in HEADERS} == HEADERS
            assert "not signed in any more" in text
            assert "<b>five" not in text
            assert "\u202e" not in text
            again = form_of(ended, "/sign-in")
            wrong = submit(server, "/sign-in", {**again, "key": "sk-wrong"})
            assert wrong.status == 401
            assert b"sk-wrong" not in wrong.body
            assert {**form_of(wrong, "/sign-in"), "key": ""} == {**again, "key": ""}
            back = submit(server, "/sign-in", {**form_of(wrong, "/sign-in"), "key": key})
            assert back.status == 200
            assert key.encode() not in back.body
            given = form_of(back, "/labelling")
            assert given["instructions"] == TYPED.replace("\n", "\r\n")
            assert 'href="/console/labelling?x=1"' in back.body.decode()
            cookie = back.headers["set-cookie"].partition(";")[0]
            assert submit(server, "/labelling", given, cookie=cookie).status == 303
            queue = api.labelling(project).queue("mine")
            assert queue.instructions.split() == TYPED.split()
            cross = {"origin": "http://evil.example"}
            assert TYPED.encode() not in submit(server, "/labelling", typed, **cross).body
            assert submit(server, "/sign-in", {**again, "key": key}, **cross).status == 403
            other = submit(server, "/sign-in", {**again, "key": key, "sent-to": "//evil.example/x"})
            assert b"evil" not in other.body


def test_a_form_that_is_refused_gives_back_what_was_typed(server: Running, own: Context) -> None:
    digest = own.store.catalog.channels()["production"]
    where = {"referer": f"{server.address}/console/releases/{digest}"}
    refused = submit(server, f"/releases/{digest}/promote", {"why": " ", "channel": "no such <i>"}, **where)
    assert refused.status == 400
    assert "no such &lt;i&gt;" in refused.body.decode()
    assert f'href="/console/releases/{digest}"' in refused.body.decode()
    gone = submit(server, f"/releases/{'0' * 64}/promote", {"why": TYPED}, **where)
    assert gone.status == 404, "the release was deleted while its page was open"
    assert "&lt;b&gt;five" in gone.body.decode()
    many = submit(server, "/rollback", {f"f{n}": "x" for n in range(300)})
    assert many.status == 400
    assert "too many fields" in many.body.decode()


def test_a_catalog_that_is_locked_keeps_nobody_waiting_and_takes_it_later(
    server: Running, own: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.labelling(own).create(Plan(name="locked", source="examples", size=5))
    item = own.store.catalog.labels.items("locked")[0]
    path = f"/labelling/locked/items/{item.id}"
    monkeypatch.setattr(sqlite_store, "WAIT", 0.5)
    own.store.catalog.engine.dispose()  # connections are made anew, with that patience
    other = sqlite3.connect(own.root / ".slipway" / "catalog.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        found = list[Reply]()
        asking = threading.Thread(target=lambda: found.append(submit(server, path, {"do": "correct", "text": TYPED})))
        asking.start()
        for page in ("", "/traces", "/labelling", "/runs"):
            assert server.get(f"/console{page}").status == 200, "reading goes on"
        assert server.get("/healthz").status == 200
        asking.join(30)
    finally:
        other.execute("ROLLBACK")
        other.close()
    (refused,) = found
    assert refused.status == 503, refused.body[-600:]
    assert "keeps" in refused.body.decode()
    given = form_of(refused, path)
    assert given["text"] == TYPED.replace("\n", "\r\n")
    assert submit(server, path, given).status == 303
    (judged,) = own.store.catalog.labels.judgements("locked")
    assert judged.value["text"].split() == clean_text(TYPED, Counter()).split()


def test_two_windows_on_one_item(server: Running, own: Context) -> None:
    api.labelling(own).create(Plan(name="twice", source="examples", size=3))
    path = f"/labelling/twice/items/{own.store.catalog.labels.items('twice')[0].id}"
    first, second = (form_of(server.get(f"/console{path}"), path) for _ in range(2))
    assert submit(server, path, {**first, "do": "accept"}).status == 303
    assert submit(server, path, {**first, "do": "accept"}).status == 303, "the button was pressed twice"
    late = submit(server, path, {**second, "do": "correct", "text": "mine"}, referer=f"{server.address}/console{path}")
    assert late.status == 409
    text = late.body.decode()
    assert "in the meantime" in text
    assert "mine" in text
    assert f'href="/console{path}"' in text
    assert "Send it again" not in text, "it would be refused again"
    fresh = form_of(server.get(f"/console{path}"), path)  # back to the form, which knows what stands now
    assert submit(server, path, {**fresh, "do": "correct", "text": "mine"}).status == 303
    assert [one.value["text"] for one in own.store.catalog.labels.judgements("twice")] == ["mine"]
    api.labelling(own).remove("twice")
    gone = submit(server, path, {**fresh, "do": "wrong", "text": "lost?"})
    assert gone.status == 404
    assert "lost?" in gone.body.decode()


def test_nothing_is_read_from_the_store_by_the_thread_that_answers_everybody(server: Running, own: Context) -> None:
    """So that a store that is slow keeps waiting only who asks for it."""
    trace = own.store.catalog.trace(
        server.chat("How much does the keel weigh?", model="demo").headers["x-slipway-trace"]
    )
    digest = next(one.digest for _, one in own.store.catalog.list("candidate", Candidate))
    queues = api.labelling(own)
    queues.create(Plan(name="two", source="examples", size=2, annotators=2))
    for name, decision in (("ann", "accept"), ("bob", "wrong")):
        while work := queues.next("two", Person(name)):
            queues.judge("two", work.item.id, Person(name), {"decision": decision})
    item = own.store.catalog.labels.items("two")[0].id
    asked, threads = list[str](), set[str]()
    engines = {own.store.catalog.engine, own.store.catalog.database.reader}
    threads_of: Any = lambda *_: threads.add(threading.current_thread().name)  # noqa: E731
    for engine in engines:
        event.listen(engine, "before_cursor_execute", threads_of)
    try:
        for page in ("", "/traces", f"/traces/{trace.id}", "/labelling", "/playground", "/releases", "/runs", "/kept"):
            asked.append(str(server.get(f"/console{page}").status))
        asked.append(str(submit(server, f"/traces/{trace.id}/replay", {"candidate": digest}).status))
        played = submit(server, "/playground", {"candidate": digest, "text": "What?"})
        path = played.headers["location"].removeprefix("/console")
        asked += [str(server.get(f"/console{path}").status), str(submit(server, path, {"best": "0"}).status)]
        asked.append(str(submit(server, f"/labelling/two/conflicts/{item}", {"do": "wrong"}).status))
        asked.append(str(submit(server, "/labelling/two/undo", {}).status))
        asked.append(str(submit(server, "/labelling/two/write", {}).status))
        asked.append(str(submit(server, "/labelling", {"name": "three", "source": "examples", "size": "1"}).status))
        asked.append(str(submit(server, "/forget", {"way": "trace", "what": trace.id, "why": "x"}).status))
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", threads_of)
    assert set(asked) == {"200", "303"}
    assert threads
    assert not [name for name in threads if "asyncio.run" in name or name.startswith("Thread-")], threads


def test_lists_of_thousands_come_in_pages(server: Running, own: Context) -> None:
    catalog, count = own.store.catalog, 2 * LISTED + 50
    release = catalog.list("release", Release)[0][1]
    with catalog.engine.begin() as connection:
        nouns = [msgspec.structs.replace(release, created_by=f"u{n}") for n in range(count)]
        rows = [{"kind": "release", "name": "demo", "digest": one.digest, "body": canonical(one), "at": now(), "seq": 900 + n}
                for n, one in enumerate(nouns)]  # fmt: skip
        connection.execute(insert(tables.nouns), rows)
        runs = [Run(id=f"{n:032x}", step="evaluate", key="k", status="done", started=now()) for n in range(count)]
        connection.execute(insert(tables.runs), [
            {"id": one.id, "step": one.step, "key": "k", "status": "done", "body": canonical(one)} for one in runs
        ])  # fmt: skip
        items = [Item(id=f"{n:032x}", input={"question": "x"}, text=f"item {n}") for n in range(count)]
        judged = [
            Judgement(id=f"{n:031x}{who}", item=one.id, by=who, key=who, at=now(), value={"decision": said, "text": ""})
            for n, one in enumerate(items)
            for who, said in (("a", "accept"), ("b", "wrong"))
        ]
        queue = Queue(name="big", kind="answer", source="traces", created=now(), by="x", annotators=2)
        connection.execute(insert(tables.label_queues).values(name="big", body=canonical(queue)))
        connection.execute(
            insert(tables.label_items), [{"id": one.id, "queue": "big", "body": canonical(one)} for one in items]
        )
        connection.execute(insert(tables.judgements), [
            {"id": one.id, "queue": "big", "item": one.item, "slot": f"by:{one.by}", "body": canonical(one)}
            for one in judged
        ])  # fmt: skip
    traces = [trace_of(request={"prompt": f"question {n}"}, at=now()) for n in range(count)]
    catalog.add_traces(traces, [feedback_of(one, comment="no") for one in traces])
    for path, least in (
        ("/releases", count),
        ("/runs", count),
        ("/labelling/big/conflicts", count),
        ("/feedback", count),
    ):
        seen, at, pages = list[str](), path, 0
        while at:
            text = server.get(f"/console{at}").body.decode()
            found = re.findall(
                r'<a href="/console(/(?:releases|runs|labelling/big/conflicts|traces)/[0-9a-f]{32,64})"', text
            )
            assert 0 < len(set(found)) <= 2 * LISTED + 2, at
            seen += found
            older = re.search(rf'href="/console({path}\?[^"]*start=\d+)">older', text)
            at, pages = unescape(older[1]) if older else "", pages + 1
        assert len(set(seen)) >= least, path
        assert pages == 3, path
    assert server.get("/console/runs?start=-1").status == 404
    assert server.get("/console/runs?start=99999").status == 200


JUNK: tuple[dict[str, Any], ...] = (
    {}, {"messages": "x"}, {"messages": [{"role": 5, "content": None}]}, {"messages": [[], 7, None]}, {"input": [1, 2]},
    {"prompt": [[1, 2], 3]}, {"messages": [{"role": "user", "content": [{"type": "image_url"}, 4]}]},
    {"messages": [{"role": "assistant", "content": "only an answer"}]}, {"prompt": {"a": 1}}, {"prompt": "\ud800"[:0]},
    {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "tool", "content": "c"}]},
)  # fmt: skip


def test_whatever_a_trace_holds_its_page_and_a_hand_made_replay_answer(server: Running, own: Context) -> None:
    digest = next(one.digest for _, one in own.store.catalog.list("candidate", Candidate))
    evil = '<img src=x onerror="1">\x1b[31m\u202e'
    calls = (
        ModelCall(messages=(Message("assistant", evil, tool_calls=(ToolCall(evil, evil, evil),)),), tools=(evil,)),
        ModelCall(after=0, messages=(Message("tool", evil, tool_call_id=evil),), times=3, scored=2),
        ModelCall(messages=(Message("user", evil),), raw=True),
    )
    for n, request in enumerate(JUNK):
        trace = trace_of(request=request, answer=Answer(text="x", raw="x") if n % 2 else None, calls=calls, at=now())
        own.store.catalog.add_traces([trace])
        shown = server.get(f"/console/traces/{trace.id}")
        assert shown.status == 200, request
        assert "<img" not in shown.body.decode()
        assert "\x1b" not in shown.body.decode()
        again = submit(server, f"/traces/{trace.id}/replay", {"candidate": digest})
        assert again.status in (200, 400), (request, again.body[-700:])
        if again.status == 400:
            assert "back to the form" in again.body.decode()
