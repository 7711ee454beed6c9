"""The steps of an agent: in OpenAI's routes, whole and streamed, and in the trace that is kept of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from served import PROJECT, Running, echo, make_context, promote, release, serving
from slipway.core.candidate import ToolPin
from slipway.core.trace import Trace
from slipway.plugins import Plugins
from slipway.runtime.session import Session
from slipway.store.store import Store

TOKEN = "ghp_A1b2C3d4E5f6G7h8J9k0L1m2N3p4Q5r6S7t8"
TOOLS = """
from typing import ClassVar
from pydantic import BaseModel

class Lookup:
    class Config(BaseModel):
        found: str = ""
        fail: str = ""
    name: ClassVar = "lookup"
    description: ClassVar = "Looks a word up."
    parameters: ClassVar = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
    def __init__(self, config): self.config = config
    async def call(self, arguments):
        if self.config.fail: raise RuntimeError(self.config.fail)
        return self.config.found or "found: " + arguments["word"]
"""


class Agents:
    """A server whose release is an agent; `store` holds its traces."""

    def __init__(self, folder: Path, server: Running, store: Store) -> None:
        self.folder, self.server, self.store = folder, server, store

    def trace(self, id: str) -> Trace:
        return self.store.catalog.trace(id)


def serve(folder: Path, **tool: Any) -> Iterator[Agents]:
    (folder / "tools.py").write_text(TOOLS, "utf-8")
    store = Store(folder / ".slipway")
    model = echo(context=100_000)
    tools = (ToolPin(tool="./tools.py:Lookup", options=tool),)
    promote(store, release(store, model, strategy="agent", tools=tools))
    session = Session(store, lambda pin: {}, plugins=Plugins(folder))
    context = dataclasses.replace(make_context(store, [model]), session=session)
    with serving(context) as server:
        server.until()
        yield Agents(folder, server, store)
    store.close()


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agents]:
    yield from serve(tmp_path_factory.mktemp("agents"))


def kept(agents: Agents, id: str) -> list[dict[str, Any]]:
    found = agents.trace(id).answer
    assert found is not None
    return list(msgspec.to_builtins(found.steps))


def check(steps: list[dict[str, Any]]) -> None:
    (step,) = steps
    assert set(step) == {"name", "input", "output", "seconds"}
    assert step["name"] == "lookup"
    assert msgspec.json.decode(step["input"]) == {"word": "lookup the keel"}
    assert step["output"] == "found: lookup the keel"
    assert 0 <= step["seconds"] < 60


def test_a_whole_answer_shows_its_steps_and_the_trace_keeps_the_same(agents: Agents) -> None:
    reply = agents.server.chat("lookup the keel")
    assert reply.text == "found: lookup the keel"
    own = reply.json["slipway"]
    check(own["steps"])
    assert kept(agents, own["trace"]) == own["steps"]


def test_a_streamed_answer_shows_them_once_at_its_end(agents: Agents) -> None:
    reply = agents.server.chat("lookup the keel", stream=True)
    assert reply.text == "found: lookup the keel"
    assert reply.events[-1] == "[DONE]"
    told = [event["slipway"] for event in reply.events[:-1] if "slipway" in event]
    (own,) = (one for one in told if "steps" in one)
    assert own is told[-1]
    check(own["steps"])
    assert kept(agents, own["trace"]) == own["steps"]
    assert own["trace"] == reply.headers["x-slipway-trace"]


def test_plain_completions_show_them_too(agents: Agents) -> None:
    body = {"model": PROJECT, "prompt": "lookup the keel"}
    reply = agents.server.post("/v1/completions", body)
    assert reply.json["choices"][0]["text"] == "found: lookup the keel"
    check(reply.json["slipway"]["steps"])


def test_the_short_form_has_its_two_fields_and_the_trace_has_the_steps(agents: Agents) -> None:
    reply = agents.server.post("/generate", {"prompt": "lookup the keel"})
    assert set(reply.json) == {"generated_text", "processing_time"}
    assert reply.json["generated_text"] == "found: lookup the keel"
    check(kept(agents, reply.headers["x-slipway-trace"]))


def test_an_answer_without_a_step_shows_none(agents: Agents) -> None:
    reply = agents.server.chat("hello")
    assert reply.text == "hello"
    assert "steps" not in reply.json["slipway"]
    assert kept(agents, reply.headers["x-slipway-trace"]) == []


def test_a_tool_that_fails_is_an_answer_whose_step_says_why(tmp_path: Path) -> None:
    for agents in serve(tmp_path, fail="the table is gone"):
        reply = agents.server.chat("lookup the keel")
        assert reply.status == 200
        (step,) = reply.json["slipway"]["steps"]
        assert step["error"] == "RuntimeError: the table is gone"
        assert reply.text == "error: RuntimeError: the table is gone"
        assert kept(agents, reply.headers["x-slipway-trace"]) == [step]


@pytest.mark.parametrize("tool", [{"found": f"the key is {TOKEN}"}, {"fail": f"the key is {TOKEN}"}])
def test_a_secret_in_a_step_is_not_kept(tmp_path: Path, tool: dict[str, Any]) -> None:
    """Though the answer itself says nothing of it: its text stops before."""
    for agents in serve(tmp_path, **tool):
        reply = agents.server.chat("lookup the keel", stop=["the key is"])
        assert TOKEN not in reply.text
        (step,) = kept(agents, reply.headers["x-slipway-trace"])
        assert "the key is" in step.get("output", "") + step.get("error", "")
        assert TOKEN not in str(step)


def test_a_secret_that_is_sent_to_a_tool_is_not_kept(agents: Agents) -> None:
    reply = agents.server.chat(f"lookup the keel {TOKEN}")
    (step,) = kept(agents, reply.headers["x-slipway-trace"])
    assert step["name"] == "lookup"
    assert TOKEN not in str(step)
