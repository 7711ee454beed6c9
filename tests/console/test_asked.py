"""What a model read, on a trace's page: what is shown is what its engine was sent, for every strategy, or it is said
why nothing is shown. The engine tells what it was sent.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hosting import context

from served import Running, echo, promote, release, serving
from slipway import api
from slipway.builtin.engines.echo import EchoEngine
from slipway.core.answer import Answer
from slipway.core.candidate import Candidate, FewShot, ToolPin
from slipway.core.message import GenerateRequest, LikelihoodRequest, Message
from slipway.core.ref import canonical
from slipway.core.trace import Trace
from slipway.loop.context import Context
from slipway.loop.prompts import candidate_of, sent
from slipway.privacy.redact import Redactor
from slipway.runtime.asked import MOST, Calls
from slipway.serve.recording.bodies import without

PHONE = "+49 30 9018 20 411"
TEMPLATE = (
    "{% for e in examples %}{{ e.question }} -> {{ e.answer }}\n{% endfor %}{% for p in passages %}[{{ p.n }}] {{ p.text }}\n"
    "{% endfor %}{{ question }} ({{ language }})"
)
PLUGINS = '''
from typing import ClassVar
from pydantic import BaseModel
from slipway.core.answer import Answer
from slipway.core.message import Delta, GenerateRequest, Message

class Lookup:
    class Config(BaseModel):
        pass
    name: ClassVar = "lookup"
    description: ClassVar = "Looks a word up."
    parameters: ClassVar = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
    def __init__(self, config): pass
    async def call(self, arguments):
        return "<b>found</b> " + arguments["word"]

class Twice:
    """Asks with a prompt of its own, then with the candidate's and what came of it, then with a bare text."""
    class Config(BaseModel):
        pass
    def __init__(self, config): pass
    async def respond(self, work):
        question = work.task.text(work.input)
        first = await work.complete(GenerateRequest(messages=(Message("user", "Rephrase: " + question),)))
        base = work.request()
        more = (*base.messages, Message("assistant", first.text), Message("user", "Shorter."))
        await work.complete(GenerateRequest(messages=more))
        last = await work.complete(GenerateRequest(prompt="bare " + question))
        yield Delta(text=last.text)
        yield Answer(text=last.text, raw=last.text)
'''
POOL = tuple({"question": f"about {word}", "answer": word} for word in ("anchors", "masts", "sails", "winches"))


class Told:
    """What engines were sent: (messages, answers that were scored)."""

    def __init__(self) -> None:
        self.sent = list[tuple[tuple[Message, ...], int]]()

    def note(self, request: GenerateRequest, scored: int = 0) -> None:
        bare = (Message("user", request.prompt or ""),)
        self.sent.append((request.messages if request.prompt is None else bare, scored))


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    found, generate, likelihoods = Told(), EchoEngine.generate, EchoEngine.likelihoods

    def generating(self: EchoEngine, request: GenerateRequest) -> Any:
        found.note(request)
        return generate(self, request)

    async def scoring(self: EchoEngine, asked: LikelihoodRequest) -> Any:
        found.note(asked.request, len(asked.answers))
        return await likelihoods(self, asked)

    EchoEngine.generate, EchoEngine.likelihoods = generating, scoring
    yield found
    EchoEngine.generate, EchoEngine.likelihoods = generate, likelihoods


@pytest.fixture(scope="module")
def harbour(as_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    folder = Path(shutil.copytree(as_run, tmp_path_factory.mktemp("asked") / "demo"))
    (folder / "mine.py").write_text(PLUGINS, "utf-8")
    with api.open_project(folder) as project:
        yield project


@pytest.fixture(scope="module")
def known(harbour: Context) -> dict[str, str]:
    """Channel -> its release."""
    model = echo(context=100_000)
    grounded = next(one for _, one in harbour.store.catalog.list("candidate", Candidate) if one.name == "grounded")
    few = FewShot(examples=POOL, choose="nearest", k=2, embedder=echo("embedder"))
    tools = (ToolPin(tool="./mine.py:Lookup"),)
    task = {"task": "classify", "task_options": {"labels": ["keel", "mast", "sail"]}}
    kinds: dict[str, dict[str, Any]] = {
        "direct": {"retrieve": grounded.retrieve, "system": "Be brief.", "few_shot": FewShot(examples=POOL, k=1)},
        "nearest": {"few_shot": few, "retrieve": grounded.retrieve},
        "votes": {"samples": 3},
        "agent": {"strategy": "agent", "tools": tools, "few_shot": few},
        "labels": {**task, "prompt": "{{ text }}"},
        "written": {**task, "prompt": "{{ text }}", "strategy_options": {"labels": {"by": "write"}}},
        "own": {"strategy": "./mine.py:Twice"},
        "quote": {"strategy": "quote", "retrieve": grounded.retrieve},
    }
    made = dict[str, str]()
    for name, more in kinds.items():
        found = release(
            harbour.store, None if name == "quote" else model, name=name,
            **{"prompt": "" if name == "quote" else TEMPLATE, **more},
        )  # fmt: skip
        promote(harbour.store, found, name)
        made[name] = found.digest
    return made


def serve(project: Context, **config: Any) -> Any:
    return serving(dataclasses.replace(context(project, **config), verify=lambda release: None))


@pytest.fixture(scope="module")
def server(harbour: Context, known: dict[str, str], told: Told) -> Iterator[Running]:
    with serve(harbour) as found:
        found.until("/readyz")
        yield found


def ask(server: Running, project: Context, channel: str, text: str, **more: Any) -> Trace:
    waited = server.until(f"/v1/models/demo@{channel}")
    assert waited.status == 200
    reply = server.chat(text, model=f"demo@{channel}", **more)
    return project.store.catalog.trace(reply.headers["x-slipway-trace"])


def whole(project: Context, trace: Trace) -> list[tuple[tuple[Message, ...], int]]:
    """What the page shows of each request, put together, as often as it was sent."""
    found, every = list[tuple[Message, ...]](), list[tuple[tuple[Message, ...], int]]()
    for one in sent(project, trace, candidate_of(project, trace)):
        assert not one.lost, one.lost
        found.append((*(found[one.call.after] if one.call.after is not None else ()), *one.messages))
        every += [(found[-1], one.call.scored)] * one.call.times
    return every


def page(server: Running, trace: Trace) -> str:
    body = server.get(f"/console/traces/{trace.id}").body.decode()
    return body[body.index("the prompt as the model read it") :]


@pytest.mark.parametrize("channel", ["direct", "nearest", "votes", "agent", "labels", "written", "own"])
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_shown_is_what_was_sent(
    server: Running, harbour: Context, told: Told, channel: str, stream: bool
) -> None:
    told.sent.clear()
    trace = ask(server, harbour, channel, "lookup the sails of the keel", stream=stream)
    assert trace.status == 200
    assert told.sent
    assert whole(harbour, trace) == told.sent
    shown = re.sub(r"\s+", " ", page(server, trace))
    assert "lookup the sails of the keel" in shown


def test_texts_are_kept_once(server: Running, harbour: Context) -> None:
    for channel in ("direct", "nearest", "votes", "labels"):
        trace = ask(server, harbour, channel, "How much does the keel weigh?")
        assert trace.calls
        assert not any(call.messages for call in trace.calls), channel
        assert len(canonical(trace.calls)) < 600, channel


def test_an_agents_requests_are_told_in_order_and_nothing_twice(server: Running, harbour: Context) -> None:
    trace = ask(server, harbour, "agent", "lookup the winch")
    first, second = trace.calls
    assert (first.tools, second.after) == (("lookup",), 0)
    assert [one.role for one in second.messages] == ["assistant", "tool"]
    shown = page(server, trace)
    places = [shown.index(text) for text in ("request 1", "request 2", "calls of tools", "&lt;b&gt;found", "Steps on")]
    assert places == sorted(places)
    assert "<b>found" not in shown


def test_who_asks_no_model_says_what_it_looked_at(server: Running, harbour: Context) -> None:
    trace = ask(server, harbour, "quote", "How much does the keel weigh?")
    shown = page(server, trace)
    assert trace.calls == ()
    assert "No model was asked" in shown
    assert "docs/keel.md" in shown[shown.index("What it looked at") :]


def test_a_request_that_failed_tells_what_was_asked(server: Running, harbour: Context, told: Told) -> None:
    broken = release(harbour.store, echo(fail="out of order"), name="broken", retrieve=None, prompt=TEMPLATE)
    promote(harbour.store, broken, "broken")
    told.sent.clear()
    trace = ask(server, harbour, "broken", "How much does the keel weigh?")
    assert trace.status == 502
    assert whole(harbour, trace) == told.sent


def test_a_raw_model_read_what_was_sent(harbour: Context, told: Told) -> None:
    model = echo("writer")
    with serving(dataclasses.replace(context(harbour), models={"writer": model})) as server:
        reply = server.chat("hello", model="writer")
        trace = harbour.store.catalog.trace(reply.headers["x-slipway-trace"])
        assert "A raw model was asked" in page(server, trace)


def test_what_was_not_sent_is_never_shown(server: Running, harbour: Context) -> None:
    """A trace that was changed, one of a version that kept no calls, and one whose release is gone."""
    trace = ask(server, harbour, "nearest", "How much does the keel weigh?")
    filled = trace.calls[0].filled
    assert filled
    changes: list[dict[str, Any]] = [
        {"request": {"messages": [{"role": "user", "content": "Never asked"}]}},
        {"calls": (msgspec.structs.replace(trace.calls[0], filled=msgspec.structs.replace(filled, examples=(9, 9))),)},
        {"calls": (msgspec.structs.replace(trace.calls[0], filled=msgspec.structs.replace(filled, examples=(0, 1))),)},
        {"calls": (msgspec.structs.replace(trace.calls[0], filled=msgspec.structs.replace(filled, input={"x": 1})),)},
        {"calls": ()},
        {"release": "0" * 64},
    ]
    for n, change in enumerate(changes):
        altered = msgspec.structs.replace(trace, id=f"{n:032x}", **change)
        harbour.store.catalog.add_traces([altered])
        found = sent(harbour, altered, candidate_of(harbour, altered))
        assert all(one.lost and not one.messages for one in found), change
        shown = page(server, altered)
        assert "->" not in shown, "no example of the prompt"
        assert "cannot be shown" in shown or "not noted" in shown


def test_what_is_masked_is_masked_in_what_was_sent_too(harbour: Context, known: dict[str, str], told: Told) -> None:
    with serve(harbour, redact="mask") as server:
        plain = ask(server, harbour, "nearest", "How much does the keel weigh?")
        asked = ask(server, harbour, "nearest", f"Whom does {PHONE} belong to?")
        other = ask(server, harbour, "direct", f"Is {PHONE} the harbour's?", stream=True)
        assert "[phone]" in page(server, asked)
    assert plain.calls[0].filled
    assert PHONE.encode() not in canonical((asked, other))
    masked = Redactor("mask").value(msgspec.to_builtins(told.sent[-2][0]))
    assert [*msgspec.to_builtins(whole(harbour, asked)[0][0])] == masked
    assert asked.calls[0].filled is None, "nothing made again could be checked"


def test_what_is_not_kept_leaves_nothing(harbour: Context, known: dict[str, str]) -> None:
    with serve(harbour, bodies=0.0) as server:
        assert ask(server, harbour, "own", "Where is Zacharias?").calls == ()


def test_what_is_forgotten_leaves_nothing(server: Running, harbour: Context) -> None:
    trace = ask(server, harbour, "agent", "lookup a Quintilius")
    assert b"Quintilius" in canonical(trace.calls)
    assert without(trace).calls == ()
    steps = trace.answer.steps if trace.answer else ()
    bare = {"request": {"prompt": "?"}, "answer": None, "calls": ()}
    read = msgspec.structs.replace(trace, id="c" * 32, **{**bare, "calls": trace.calls})
    found = msgspec.structs.replace(trace, id="d" * 32, **{**bare, "answer": Answer(text="", raw="", steps=steps)})
    harbour.store.catalog.add_traces([read, found])
    gone = api.forget(harbour, matching="quintilius", yes=True, why="asked to")
    assert {trace.id, read.id, found.id} <= set(gone.traces), "also where only the model or a step holds it"
    assert server.get(f"/console/traces/{trace.id}").status == 404


def test_a_secret_that_a_tool_returned_is_not_kept(server: Running, harbour: Context) -> None:
    token = "ghp_A1b2C3d4E5f6G7h8J9k0L1m2N3p4Q5r6S7t8"
    trace = ask(server, harbour, "agent", f"lookup {token}")
    assert token.encode() not in canonical(trace)
    assert len(whole(harbour, trace)) == 2


def test_a_choice_in_the_playground_tells_it_too(server: Running, harbour: Context) -> None:
    digest = next(one.digest for _, one in harbour.store.catalog.list("candidate", Candidate) if one.name == "own")
    given = f"candidate={digest}&text=What+now%3F"
    headers = {"content-type": "application/x-www-form-urlencoded", "origin": server.address}
    path = server.send("POST", "/console/playground", given.encode(), headers).headers["location"]
    server.send("POST", path, b"best=0", headers)
    trace = api.traces(harbour, 1)[0]
    assert [len(messages) for messages, _ in whole(harbour, trace)] == [1, 3, 1]
    assert "Rephrase: What now?" in page(server, trace)


def test_more_requests_than_are_noted() -> None:
    calls = Calls()
    for n in range(MOST + 2):
        calls.sent(GenerateRequest(messages=(Message("user", str(n)),)))
    assert len(calls.of(Candidate(name="x", task="answer"), None)) == MOST
