"""What an engine refuses: sampling out of bounds, malformed requests, what it does not claim to do."""

# ruff: noqa: D102 -- the name of a test says what it tests

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from slipway.core.message import GenerateRequest, ImagePart, ImageUrl, Message, NamedTool, Sampling, Tool, ToolCall
from slipway.testing.engines.requests import BAD_SAMPLING, IMAGE, SCHEMA, TOOL, deep_schema
from slipway.testing.engines.suite import EngineSuite

if TYPE_CHECKING:
    from slipway.core.protocols import Capability, Engine


class Refusals(EngineSuite):
    """A mistake of the caller is told as one, and the engine lives on."""

    @pytest.mark.parametrize("values", BAD_SAMPLING, ids=lambda value: str(value)[:40])
    async def test_bad_sampling_is_refused(self, engine: Engine, values: dict[str, Any]) -> None:
        self.need("generate")
        await self.refused(engine, GenerateRequest(prompt="Hello", sampling=Sampling(**values)))

    async def test_malformed_requests_are_refused(self, engine: Engine) -> None:
        self.need("generate")
        message = Message("user", "hello")
        for request in (
            GenerateRequest(),
            GenerateRequest(messages=(message,), prompt="hello"),
            GenerateRequest(prompt="half a pair \ud83d"),
            GenerateRequest(messages=(Message("user", "half a pair \ud83d"),)),
            GenerateRequest(prompt="hello", logprobs=-1),
            GenerateRequest(prompt="hello", logprobs=10_000),
            GenerateRequest(messages=(message,), tool_choice=NamedTool("nothing")),
            GenerateRequest(messages=(message,), tools=(TOOL, TOOL)),
            GenerateRequest(messages=(message,), tools=(Tool(name="two words"),)),
            GenerateRequest(messages=(message,), tools=(Tool(name="f", parameters=deep_schema(100)),)),
            GenerateRequest(prompt="hello", tools=(TOOL,)),
            GenerateRequest(messages=(message,), tools=(TOOL,), choices=("a", "b")),
            GenerateRequest(messages=(Message("tool", "a result of nothing"),)),
            GenerateRequest(messages=(Message("user", "x", (ToolCall("1", "f", "{}"),)),)),
            GenerateRequest(messages=(Message("user", (ImagePart(ImageUrl("https://example.org/x.png")),)),)),
        ):
            await self.refused(engine, request)

    async def test_missing_capabilities_are_refused(self, engine: Engine) -> None:
        asks: dict[Capability, GenerateRequest] = {
            "generate": GenerateRequest(prompt="hello"),
            "logprobs": GenerateRequest(prompt="hello", logprobs=1),
            "json_schema": GenerateRequest(prompt="hello", json_schema=SCHEMA),
            "choices": GenerateRequest(prompt="hello", choices=("a", "b")),
            "adapters": GenerateRequest(prompt="hello", adapters={"nothing": 1.0}),
            "tools": GenerateRequest(messages=(Message("user", "hello"),), tools=(TOOL,)),
            "images": GenerateRequest(messages=(Message("user", (ImagePart(ImageUrl(IMAGE)),)),)),
        }
        for capability in asks.keys() - self.capabilities:
            await self.refused(engine, asks[capability])
