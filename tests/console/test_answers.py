"""Asking from the console: replay and playground over HTTP. What may be asked by whom, and what is kept of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hosting import context

from served import Reply, Running, serving
from slipway import api
from slipway.console.answers import Side, column
from slipway.console.shared_text import markers, taken_over
from slipway.core.answer import Answer
from slipway.core.candidate import Candidate
from slipway.core.trace import PLAYGROUND, Trace
from slipway.loop.context import Context
from slipway.serve.recording.bodies import without


@pytest.fixture
def apart(folder: Path, tmp_path: Path) -> Iterator[Context]:
    """The project in a place of its own, so that what is kept here is all there is."""
    shutil.copytree(folder, tmp_path / "demo")
    with api.open_project(tmp_path / "demo") as found:
        yield found


@pytest.fixture
def own(apart: Context) -> Iterator[Running]:
    with serving(context(apart)) as found:
        found.until("/readyz")
        yield found


def submit(server: Running, path: str, given: dict[str, Any], **headers: str) -> Reply:
    sent = {"content-type": "application/x-www-form-urlencoded", "origin": server.address, **headers}
    return server.send("POST", f"/console{path}", urlencode(given, doseq=True).encode(), sent)


def candidates(project: Context) -> dict[str, str]:
    return {one.name: one.digest for _, one in reversed(project.store.catalog.list("candidate", Candidate))}


def asked(project: Context, server: Running, text: str = "How much does the keel weigh?") -> Trace:
    reply = server.chat(text, model="demo")
    return project.store.catalog.trace(reply.headers["x-slipway-trace"])


def test_a_trace_is_asked_again_and_nothing_is_kept(apart: Context, own: Running) -> None:
    trace, known = asked(apart, own), candidates(apart)
    before = api.traces(apart, 10)
    page = submit(own, f"/traces/{trace.id}/replay", {"candidate": known["plain"]})
    assert page.status == 200
    text = page.body.decode()
    assert "As it was answered" in text
    assert "By plain now" in text
    assert text.count("keel weigh?") >= 3, "the question, the answer of then and that of now"
    assert api.traces(apart, 10) == before
    assert submit(own, f"/traces/{trace.id}/replay", {"candidate": "x"}).status == 400
    assert submit(own, f"/traces/{trace.id}/replay", {"candidate": "0" * 64}).status == 404
    assert submit(own, f"/traces/{'0' * 32}/replay", {"candidate": known["plain"]}).status == 404


def test_a_form_of_another_page_asks_nothing(apart: Context, own: Running) -> None:
    trace, known = asked(apart, own), candidates(apart)
    for path in (f"/traces/{trace.id}/replay", "/playground", "/playground/0"):
        given = {"candidate": known["plain"], "text": "x", "best": "0"}
        assert submit(own, path, given, origin="http://evil.example").status == 403, path


def test_asking_here_is_refused_while_users_take_every_slot(apart: Context) -> None:
    with serving(context(apart, parallel=1, queue=0)) as server:
        server.until("/readyz")
        trace, known = asked(apart, server), candidates(apart)
        slots = server.application.slots
        slots.running += 1
        try:
            busy = submit(server, f"/traces/{trace.id}/replay", {"candidate": known["plain"]})
            assert busy.status == 429
            assert "busy" in busy.body.decode()
            assert submit(server, "/playground", {"candidate": known["plain"], "text": "x"}).status == 429
        finally:
            slots.running -= 1
        assert submit(server, f"/traces/{trace.id}/replay", {"candidate": known["plain"]}).status == 200
        assert slots.running == 0


def test_who_may_only_read_or_only_ask(apart: Context) -> None:
    keys = {scope: api.create_key(apart, scope, scope.split())[1] for scope in ("read", "ask", "ask read")}
    one, two = (api.create_key(apart, name, ["ask"])[1] for name in ("one", "two"))
    with serving(context(apart)) as server:
        server.until("/readyz")
        reply = server.chat("hello", model="demo", headers={"authorization": f"Bearer {keys['ask']}"})
        trace, known = reply.headers["x-slipway-trace"], candidates(apart)
        given = {"candidate": known["plain"], "text": "x"}
        for scope, replay, play in (("read", 403, 403), ("ask", 403, 303), ("ask read", 200, 303)):
            key = {"authorization": f"Bearer {keys[scope]}"}
            assert submit(server, f"/traces/{trace}/replay", given, **key).status == replay, scope
            assert submit(server, "/playground", given, **key).status == play, scope
        path = submit(server, "/playground", given, authorization=f"Bearer {one}").headers["location"]
        assert server.get(path, authorization=f"Bearer {one}").status == 200
        assert server.get(path, authorization=f"Bearer {two}").status == 404, "the answers are those of who asked"


def play(server: Running, project: Context, question: str, **more: str) -> tuple[str, str]:
    """(path of the answers, their page)."""
    known = candidates(project)
    reply = submit(server, "/playground", {"candidate": list(known.values()), "text": question, **more})
    assert reply.status == 303, reply.body[-500:]
    path = reply.headers["location"].removeprefix("/console")
    return path, server.get(f"/console{path}").body.decode()


def main_part(page: str) -> str:
    return page[page.index('<div class="sides">') : page.index("<fieldset>")]


def test_names_are_hidden_until_one_is_chosen_and_the_choice_is_mined(apart: Context, own: Running) -> None:
    question = "Which colour is the brand new winch of the ferry?"
    path, page = play(own, apart, question, blind="yes")
    shown = main_part(page)
    assert "grounded" not in shown
    assert "plain" not in shown
    assert "shown after the choice" in shown
    assert "passages" not in shown, "only one of them retrieves: that would tell"
    assert api.traces(apart, 10) == []
    assert submit(own, path, {"best": "7"}).status == 400
    assert submit(own, path, {"best": "0"}).status == 303
    revealed = main_part(own.get(f"/console{path}").body.decode())
    assert "grounded" in revealed
    assert "plain" in revealed
    assert submit(own, path, {"best": "0"}).status == 400, "chosen once"
    kept = api.feedback(apart, 10)
    assert sorted(one.score or 0.0 for one, _ in kept) == [0.0, 1.0]
    assert {of.channel for _, of in kept if of} == {PLAYGROUND}
    traffic = apart.store.catalog.traffic("")
    assert (traffic.requests, traffic.up) == (0, 0), "a choice here is no traffic, and no user's thumb"
    harvest = api.mine_feedback(apart)
    assert harvest.rows["preferences"] == 1
    row = (apart.root / harvest.files["preferences"]).read_text("utf-8")
    liked = next(of for one, of in kept if one.score == 1.0 and of)
    assert f"trace:{liked.id} " in row


def test_none_is_good(apart: Context, own: Running) -> None:
    path, _ = play(own, apart, "What is the tide tomorrow at noon?")
    assert submit(own, path, {"best": "none"}).status == 303
    assert {one.score for one, _ in api.feedback(apart, 10)} == {0.0}


def test_what_cannot_be_asked_is_told(apart: Context, own: Running) -> None:
    known = candidates(apart)
    assert submit(own, "/playground", {"candidate": known["plain"], "text": " "}).status == 400
    assert submit(own, "/playground", {"text": "x"}).status == 400
    assert submit(own, "/playground", {"candidate": known["plain"], "text": "x" * 20_001}).status == 400
    assert submit(own, "/playground", {"candidate": [f"{n:064x}" for n in range(5)], "text": "x"}).status == 400
    assert own.get("/console/playground/0000").status == 404


def test_a_trace_whose_texts_were_not_kept_is_not_asked_again(apart: Context, own: Running) -> None:
    bare = msgspec.structs.replace(without(asked(apart, own)), id="b" * 32)
    apart.store.catalog.add_traces([bare])
    assert "/replay" not in own.get(f"/console/traces/{bare.id}").body.decode()
    refused = submit(own, f"/traces/{bare.id}/replay", {"candidate": candidates(apart)["plain"]})
    assert refused.status == 400, refused.body[-600:]
    assert "not kept" in refused.body.decode()


def test_the_list_as_a_file_holds_what_is_filtered(apart: Context, own: Running) -> None:
    for n in range(3):
        asked(apart, own, f"=HYPERLINK(1) question {n}")
    other = asked(apart, own, "another")
    said = {"trace": other.id, "thumb": "down", "comment": "+1", "correction": "@x"}
    assert own.post("/v1/feedback", said).status < 300
    lines = own.get("/console/traces/export.jsonl").body.decode().splitlines()
    assert len(lines) == 4
    rows = own.get("/console/traces/export.csv?words=hyperlink").body.decode()
    assert rows.count(",'=HYPERLINK") == 3
    cells = own.get("/console/traces/export.csv?thumb=down").body.decode()
    assert ",down,,'@x,'+1," in cells
    assert own.get("/console/traces/export.exe").status == 404
    assert own.get("/console/traces/export.csv?status=9").status == 400
    headers = own.get("/console/traces/export.csv").headers
    assert headers["content-disposition"] == 'attachment; filename="traces.csv"'


def test_what_an_answer_took_over_is_marked() -> None:
    passage = "Before. The keel weighs exactly 13 tonnes when dry. After."
    ((start, end),) = taken_over(passage, "I think the Keel weighs exactly 13 tonnes [1].")
    assert passage[start:end] == "The keel weighs exactly 13 tonnes"
    assert taken_over(passage, "no words of it") == []
    chinese = "港口在早上七点半开门。"
    assert [chinese[a:b] for a, b in taken_over(chinese, "早上七点半")] == ["早上七点半"]
    assert markers("a [1] b [9] 【2】 [x]", 2) == [(2, 5), (12, 15)]


@pytest.mark.parametrize("plain", [True, False])
def test_an_answer_that_was_declined_is_told_from_an_empty_one(plain: bool) -> None:
    for answer, text in (
        (Answer(text="", raw="", abstained=True), "declined to answer"),
        (Answer(text="", raw=""), "(empty)"),
    ):
        side = Side(Candidate(name="one", task="answer"), answer)
        assert text in column("A", side, [], plain=plain)
