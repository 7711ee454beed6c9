"""What the contract of engines asks, and how an answer is put together."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

from slipway.core.message import (
    Completion,
    GenerateRequest,
    Message,
    Sampling,
    TokenLogprob,
    Tool,
    ToolCall,
    Usage,
)
from slipway.core.protocols import CountsTokens

if TYPE_CHECKING:
    from slipway.core.protocols import Engine

LABELS = ("refund", "shipping delay", "退款申请", 'a "quoted" \\ label', "好评 👍🏽")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 40}, "kind": {"enum": ["village", "town"]}},
    "required": ["city", "kind"],
    "additionalProperties": False,
}
TOOL = Tool(
    name="weather",
    description="The weather in a city.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
IMAGE = "data:image/png;base64,iVBORw0KGgo="
BAD_SAMPLING: tuple[dict[str, Any], ...] = (
    {"temperature": math.nan},
    {"temperature": -0.5},
    {"temperature": math.inf},
    {"temperature": 1e9},
    {"top_p": math.nan},
    {"top_p": 0.0},
    {"top_p": 1.5},
    {"max_tokens": 0},
    {"max_tokens": -1},
    {"max_tokens": 10**12},
    {"seed": -1},
    {"seed": 2**64},
    {"frequency_penalty": math.nan},
    {"frequency_penalty": 99.0},
    {"presence_penalty": -99.0},
    {"stop": ("",)},
    {"stop": ("x",) * 1000},
)


async def complete(engine: Engine, request: GenerateRequest, seconds: float = 120.0) -> Completion:
    """The deltas of one generation joined, checked for the shape that the protocol promises.

    A generation that takes longer than `seconds` fails with TimeoutError: no test may hang.
    """
    async with asyncio.timeout(seconds):
        return await _complete(engine, request)


async def _complete(engine: Engine, request: GenerateRequest) -> Completion:
    text, logprobs, calls, last = "", list[TokenLogprob](), list[ToolCall](), None
    async for delta in engine.generate(request):
        assert last is None, "nothing may follow the delta that carries `finish`"
        text += delta.text
        logprobs += delta.logprobs
        calls += delta.tool_calls
        assert (delta.finish is None) == (delta.usage is None), "`finish` and `usage` come together"
        last = delta if delta.finish else None
    assert last is not None, "the last delta must carry `finish` and `usage`"
    assert last.finish is not None
    return Completion(
        text=text,
        finish=last.finish,
        usage=last.usage or Usage(),
        logprobs=tuple(logprobs),
        tool_calls=tuple(calls),
    )


async def count(engine: Engine, text: str) -> int:
    """Tokens of a text, of an engine that claims to count them."""
    assert isinstance(engine, CountsTokens)
    return await engine.count_tokens(text)


def deep_schema(depth: int) -> dict[str, Any]:
    """A JSON schema of arrays of arrays, `depth` deep."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


def raw(prompt: str, **sampling: Any) -> GenerateRequest:
    """A prompt as it stands."""
    return GenerateRequest(prompt=prompt, sampling=Sampling(**sampling))


def ask(question: str, max_tokens: int = 8, **sampling: Any) -> GenerateRequest:
    """A question by a user."""
    return GenerateRequest(messages=(Message("user", question),), sampling=Sampling(max_tokens=max_tokens, **sampling))
