"""What constrained output keeps: choices, a JSON schema, tools."""

# ruff: noqa: D102 -- the name of a test says what it tests

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from slipway.core.message import GenerateRequest, Message, NamedTool
from slipway.testing.engines.requests import LABELS, SCHEMA, TOOL, complete, deep_schema
from slipway.testing.engines.suite import EngineSuite

if TYPE_CHECKING:
    from slipway.core.protocols import Engine


class Constraints(EngineSuite):
    """An answer is what was allowed, and nothing else."""

    async def test_choices(self, engine: Engine) -> None:
        self.need("choices")
        request = GenerateRequest(messages=(Message("user", "Which label fits? The parcel is late."),), choices=LABELS)
        answer = await complete(engine, request)
        assert answer.text in LABELS
        assert answer.finish == "stop"

    @pytest.mark.parametrize("label", [*LABELS, "plain", "with\nnewline", "[a|b]* {x} $ ^", "𠮷野家 ünï"])
    async def test_one_choice_comes_out_whole(self, engine: Engine, label: str) -> None:
        self.need("choices")
        assert (await complete(engine, GenerateRequest(prompt="The label is:", choices=(label,)))).text == label

    async def test_a_choice_may_begin_another(self, engine: Engine) -> None:
        self.need("choices")
        labels = ("no", "not at all", "nothing")
        assert (await complete(engine, GenerateRequest(prompt="Answer:", choices=labels))).text in labels

    async def test_json_schema(self, engine: Engine) -> None:
        self.need("json_schema")
        ask = (Message("user", "Describe Bath as JSON."),)
        answer = await complete(engine, GenerateRequest(messages=ask, json_schema=SCHEMA))
        value = json.loads(answer.text)
        assert set(value) == {"city", "kind"}
        assert isinstance(value["city"], str)
        assert value["kind"] in ("village", "town")

    @pytest.mark.parametrize("depth", [100, 20_000])
    async def test_a_deep_schema_is_refused(self, engine: Engine, depth: int) -> None:
        self.need("json_schema")
        await self.refused(engine, GenerateRequest(prompt="x", json_schema=deep_schema(depth)))

    async def test_a_tool_is_called_and_its_result_read(self, engine: Engine) -> None:
        self.need("tools")
        ask = Message("user", "What is the weather in Bath?")
        choice = NamedTool(TOOL.name)
        answer = await complete(engine, GenerateRequest(messages=(ask,), tools=(TOOL,), tool_choice=choice))
        assert answer.finish == "tool_calls"
        (call,) = answer.tool_calls
        assert call.name == TOOL.name
        assert isinstance(json.loads(call.arguments)["city"], str)
        turns = (ask, Message("assistant", "", (call,)), Message("tool", "rain", tool_call_id=call.id))
        told = await complete(engine, GenerateRequest(messages=turns, tools=(TOOL,), tool_choice="none"))
        assert told.text.strip()
        assert not told.tool_calls
