"""A share of requests keeps its texts; the others keep what they took, and everything else about them still works."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import msgspec
import pytest

from served import echo, make_context, promote, release, serving
from slipway import api
from slipway.core.answer import Answer, Citation, Step
from slipway.core.message import ToolCall, Usage
from slipway.core.ref import canonical
from slipway.i18n import said_of, say, told
from slipway.loop.mine import mine
from slipway.serve.recording.bodies import PARTS, Bodies, without
from slipway.store.store import Store
from slipway.testing.catalogs import feedback_of, trace_of
from slipway.testing.projects import write_project

SAID = "Zacharias Quintilius"
IDS = [f"{n:032x}" for n in range(4000)]


def full() -> Answer:
    cited = Citation(chunk="c", source=f"{SAID}.md", path=(SAID,), start=0, end=9, text=SAID, score=0.5, shown=SAID)
    return Answer(
        text=SAID, raw=SAID, citations=(cited,), usage=Usage(prompt_tokens=7, completion_tokens=3), seconds=1.5,
        cost=0.25, currency="CNY", samples=(SAID,), tool_calls=(ToolCall(SAID, SAID, SAID),), confidence=0.5,
        steps=(Step(name="tool", input=SAID, output=SAID, seconds=0.1, error=SAID),),
    )  # fmt: skip


def test_a_share_is_kept_by_the_id_alone_and_a_larger_share_keeps_more() -> None:
    tenth, half = Bodies(0.1, b"salt"), Bodies(0.5, b"salt")
    kept = [id for id in IDS if tenth.keeps(id)]
    assert 320 < len(kept) < 480  # 400 expected, 19 the standard deviation
    assert kept == [id for id in IDS if Bodies(0.1, b"salt").keeps(id)]
    assert all(half.keeps(id) for id in kept)
    assert kept != [id for id in IDS if Bodies(0.1, b"other").keeps(id)]  # whoever chooses ids does not choose this
    assert all(map(Bodies(1.0, b"").keeps, IDS))
    assert not any(map(Bodies(0.0, b"").keeps, IDS))


def test_without_its_texts_a_trace_says_what_it_took() -> None:
    asked = {"model": "demo", "max_tokens": 5, "stream": True, "messages": [{"role": "user", "content": SAID}],
             "stop": [SAID], "input": SAID, "prompt": SAID, "tools": [{"x": SAID}]}  # fmt: skip
    why = say("the model's text is no output of the task: {why}", why=SAID)
    bare = without(trace_of(request=asked, answer=msgspec.structs.replace(full(), error=why), error=SAID, status=502))
    assert SAID.encode() not in canonical(bare)
    assert bare.answer is not None
    assert (bare.answer.usage.prompt_tokens, bare.answer.seconds, bare.answer.cost) == (7, 1.5, 0.25)
    assert (bare.answer.citations[0].score, bare.answer.steps[0].name, bare.answer.confidence) == (0.5, "tool", 0.5)
    assert bare.request == {"model": "demo", "max_tokens": 5, "stream": True}
    assert not bare.kept
    other = without(trace_of(error=said_of(f"a library says {SAID}"), status=500))
    assert SAID.encode() not in canonical(other)
    assert told(bare.answer.error).startswith("the model's text is no output of the task")


def test_what_is_not_kept_is_nowhere_and_feedback_to_it_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    promote(store, release(store, echo()))
    with serving(make_context(store, [echo()], bodies=0.0)) as server:
        server.until()
        for more in ({}, {"stream": True}, {"model": "writer"}):
            reply = server.chat(f"{SAID} asks", **more)
            assert SAID in reply.text
        trace = reply.headers["x-slipway-trace"]
        told = server.post("/v1/feedback", {"trace": trace, "thumb": "down"})
        assert told.status == 200
        assert told.json["not_kept"] == list(PARTS)
        assert not store.catalog.trace(trace).kept
    with sqlite3.connect(tmp_path / "catalog.db") as database:
        assert not [row for row in database.execute("select body from traces") if SAID.encode() in row[0]]


def test_feedback_to_what_is_kept_says_nothing_of_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    promote(store, release(store, echo()))
    with serving(make_context(store, [echo()])) as server:
        server.until()
        trace = server.chat("hello").headers["x-slipway-trace"]
        assert "not_kept" not in server.post("/v1/feedback", {"trace": trace, "thumb": "up"}).json


def test_mining_skips_what_was_not_kept_and_counts_it(tmp_path: Path) -> None:
    with api.open_project(write_project(tmp_path / "demo").parent) as project:
        kept = trace_of(request={"messages": [{"role": "user", "content": "Which rope?"}]}, answer=full())
        bare = without(trace_of(request=kept.request, answer=full()))
        said = [(feedback_of(kept, correction="hemp"), kept), (feedback_of(bare, correction="jute"), bare)]
        found = mine(project.task, said)
    assert ["hemp" in str(row) for row in found.examples] == [True]
    assert found.left["not-kept"] == 1
    assert json.dumps(found.examples).count("jute") == 0


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_a_share(tmp_path: Path, share: float) -> None:
    with pytest.raises(ValueError, match="bodies"):
        make_context(Store(tmp_path), [], bodies=share)
