"""The agent: tools that it calls, what becomes of their failures, and how often it may call them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from slipway import api
from slipway.builtin.strategies.agent import AgentConfig, AgentStrategy
from slipway.core.answer import Answer
from slipway.core.candidate import Candidate, ModelPin, ToolPin
from slipway.errors import ConfigError, EngineError
from slipway.plugins import Plugins
from slipway.runtime.respond import answer
from slipway.runtime.session import Session
from slipway.store.store import Store
from slipway.testing.projects import FILE, write_project

TOOL = """
import asyncio
from typing import ClassVar
from pydantic import BaseModel

class Lookup:
    class Config(BaseModel):
        model_config = {"extra": "forbid"}
        fail: str = ""
        pause: float = 0.0
    name: ClassVar = "lookup"
    description: ClassVar = "Looks a word up."
    parameters: ClassVar = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
    def __init__(self, config): self.config = config
    async def call(self, arguments):
        await asyncio.sleep(self.config.pause)
        if self.config.fail == "crash": raise KeyError("the table")
        if self.config.fail: raise ValueError(self.config.fail)
        return "found: " + arguments["word"]
"""

RESTLESS = """
import json
from typing import ClassVar
from pydantic import BaseModel
from slipway.core.message import Delta, ToolCall, Usage

class Restless:
    '''Calls `each` tools whenever it may, and when it must not, too, unless it obeys; then says what it was told.'''
    class Config(BaseModel):
        obeys: bool = True
        each: int = 1
        tool: str = "lookup"
        arguments: str = '{"word": "keel"}'
        said: str = ""
    capabilities: ClassVar = frozenset(("generate", "tools"))
    def __init__(self, config, name="", files=None, on_event=None): self.config = config
    async def start(self): pass
    async def close(self): pass
    async def generate(self, request):
        config, usage = self.config, Usage(prompt_tokens=10, completion_tokens=1)
        if request.tool_choice != "none" or not config.obeys:
            at = len(request.messages)
            calls = tuple(ToolCall(f"call_{at}_{n}", config.tool, config.arguments) for n in range(config.each))
            yield Delta(text=config.said)
            yield Delta(tool_calls=calls, finish="tool_calls", usage=usage)
            return
        yield Delta(text=json.dumps([[m.tool_call_id, m.text] for m in request.messages if m.role == "tool"]))
        yield Delta(finish="stop", usage=usage)
"""


def ask(folder: Path, options: str, text: str, agent: str = "agent") -> api.Answer:
    file = FILE.replace("prompt: plain.md}", f"prompt: plain.md, strategy: {agent}, tools: [{options}]}}")
    write_project(folder, file)
    (folder / "lookup.py").write_text(TOOL, "utf-8")
    with api.open_project(folder) as project:
        api.run(project, "evaluate")
        return api.ask(project, text, candidate="plain")


def test_an_agent_calls_a_tool_and_answers_with_what_it_found(tmp_path: Path) -> None:
    found = ask(tmp_path, "./lookup.py:Lookup", "please lookup the keel")
    (step,) = found.steps
    assert (step.name, step.error) == ("lookup", "")
    assert "keel" in json.loads(step.input)["word"]
    assert step.output.startswith("found: ")
    assert found.text == step.output


def test_an_agent_that_needs_no_tool_answers_at_once(tmp_path: Path) -> None:
    assert ask(tmp_path, "./lookup.py:Lookup", "hello").steps == ()


def test_tools_that_do_not_exist_are_named_with_their_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="slipway.yaml:\\d+"):
        ask(tmp_path, "no_such_tool", "hello")


def test_an_agent_needs_a_number_of_turns() -> None:
    assert AgentStrategy(AgentConfig()).config.turns == 5
    with pytest.raises(ValueError, match="turns"):
        AgentConfig(turns=0)


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    (tmp_path / "lookup.py").write_text(TOOL, "utf-8")
    (tmp_path / "restless.py").write_text(RESTLESS, "utf-8")
    made = Session(Store(tmp_path / "state"), lambda pin: {}, plugins=Plugins(tmp_path))
    yield made
    await made.close()


async def agent(
    session: Session, model: dict[str, Any] | None = None, tool: dict[str, Any] | None = None, **options: Any
) -> Answer:
    """What it answers with a model that calls tools as often as it may."""
    asked = Candidate(
        name="agent",
        task="answer",
        model=ModelPin(name="writer", engine="./restless.py:Restless", source="", options=model or {}),
        prompt="{{ question }}",
        strategy="agent",
        strategy_options=options,
        tools=(ToolPin(tool="./lookup.py:Lookup", options=tool or {}),),
    )
    return await answer(asked, {"question": "how heavy is the keel?"}, session)


@pytest.mark.parametrize(
    ("options", "error"),
    [({"fail": "crash"}, "KeyError: 'the table'"), ({"fail": "no such word"}, "no such word"),
     ({"pause": 5}, "no result within 0.05 s")],
)  # fmt: skip
async def test_a_tool_that_fails_is_a_step_and_the_model_is_told(
    session: Session, options: dict[str, Any], error: str
) -> None:
    found = await agent(session, tool=options, turns=1, seconds=0.05)
    assert [(step.name, step.output, step.error) for step in found.steps] == [("lookup", "", error)]
    assert json.loads(found.text) == [["call_1_0", f"error: {error}"]]


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ({"tool": "find"}, "there is no tool 'find'; there are: lookup"),
        ({"arguments": '{"word": '}, "the arguments are not JSON"),
        ({"arguments": "[" * 100_000}, "the arguments are not JSON"),
        ({"arguments": '["keel"]'}, "the arguments must be a JSON object"),
        ({"arguments": '{"wrod": "keel"}'}, "these arguments are missing: word"),
        ({"arguments": ""}, "these arguments are missing: word"),
    ],
)
async def test_a_call_that_no_tool_can_answer_is_told_to_the_model(
    session: Session, model: dict[str, Any], error: str
) -> None:
    found = await agent(session, model, turns=1)
    assert [step.error.startswith(error) for step in found.steps] == [True]
    assert json.loads(found.text)[0][1].startswith(f"error: {error}")


@pytest.mark.parametrize("turns", [1, 3])
async def test_after_the_last_turn_the_model_must_answer(session: Session, turns: int) -> None:
    found = await agent(session, turns=turns)
    assert [step.output for step in found.steps] == ["found: keel"] * turns
    assert [text for _, text in json.loads(found.text)] == ["found: keel"] * turns
    assert found.usage.prompt_tokens == 10 * (turns + 1), "every completion counts"
    assert found.finish == "stop"


async def test_several_calls_of_one_turn_are_made_at_once_and_told_in_their_order(session: Session) -> None:
    found = await agent(session, {"each": 3}, {"pause": 0.3}, turns=1)
    assert [name for name, _ in json.loads(found.text)] == ["call_1_0", "call_1_1", "call_1_2"]
    assert sum(step.seconds for step in found.steps) > found.seconds, "one after the other they would take longer"


async def test_a_model_that_goes_on_calling_calls_nothing_more(session: Session) -> None:
    found = await agent(session, {"obeys": False, "said": "as far as I know"}, turns=2)
    assert len(found.steps) == 2
    assert found.text == "as far as I know"


async def test_a_model_that_only_calls_has_not_answered(session: Session) -> None:
    with pytest.raises(EngineError, match="2") as caught:
        await agent(session, {"obeys": False}, turns=2)
    assert "turns" in caught.value.hint
