"""The contract that every engine passes. Subclass it in a test file:

    class TestMyEngine(EngineContract):
        capabilities = frozenset({"generate", "tokenize"})

        @classmethod
        def make_engine(cls, request):
            return MyEngine(MyEngine.Config(), name="mine")

`make_engine` gets pytest's `request`, so that `request.getfixturevalue("tmp_path")` and the like work. Tests of a
capability that the class does not name are replaced by the test that asking for it is refused. The suite owns no
engine: it starts one for the whole class, and closes it.
"""

# ruff: noqa: D102 -- the name of a test says what it tests

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest
import pytest_asyncio

from slipway.core.message import (
    Completion,
    Delta,
    GenerateRequest,
    ImagePart,
    ImageUrl,
    Message,
    NamedTool,
    Sampling,
    TokenLogprob,
    Tool,
    ToolCall,
    Usage,
)
from slipway.core.protocols import CountsTokens, Embeds, Scores
from slipway.errors import EngineError

if TYPE_CHECKING:
    from slipway.core.protocols import Capability, Engine

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


@pytest.mark.asyncio(loop_scope="class")
class EngineContract:
    """What every engine does alike. Override `capabilities`, `make_engine`, and the knobs that do not fit."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    can_score: ClassVar[bool] = True  # `score` works; else it is refused, or not there
    deterministic: ClassVar[bool] = True  # temperature 0, and a seed, give the same answer again
    likely: ClassVar[tuple[str, str, str]] = ("The capital of France is", " Paris", " banana purple of the")

    @classmethod
    def make_engine(cls, request: pytest.FixtureRequest) -> Engine:
        """A new engine, not started."""
        raise NotImplementedError

    @pytest_asyncio.fixture(scope="class", loop_scope="class")
    @classmethod
    async def engine(cls, request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
        """The engine under test, started once for the class."""
        engine = cls.make_engine(request)
        await engine.start()
        yield engine
        await engine.close()

    def need(self, *capabilities: Capability) -> None:
        """Skip the test when the engine under test does not claim these."""
        lacking = [name for name in capabilities if name not in self.capabilities]
        if lacking:
            pytest.skip(f"the engine does not claim {', '.join(lacking)}")

    # -- life ---------------------------------------------------------------------------------------------------------

    async def test_claims_what_it_says(self, engine: Engine) -> None:
        assert engine.capabilities == self.capabilities
        assert isinstance(engine, Embeds) or "embed" not in self.capabilities
        assert isinstance(engine, CountsTokens) or "tokenize" not in self.capabilities
        assert isinstance(engine, Scores) or not self.can_score

    async def test_start_and_close_can_be_repeated(self, request: pytest.FixtureRequest) -> None:
        engine = self.make_engine(request)
        await engine.close()
        engine = self.make_engine(request)
        await asyncio.gather(engine.start(), engine.start())
        await engine.start()
        if "generate" in self.capabilities:
            assert (await complete(engine, _ask("Say something."))).usage.completion_tokens > 0
        await engine.close()
        await engine.close()

    # -- generation ---------------------------------------------------------------------------------------------------

    async def test_deltas_join_to_an_answer(self, engine: Engine) -> None:
        self.need("generate")
        answer = await complete(engine, _ask("Name three colours, with a word on each.", max_tokens=24))
        assert answer.text.strip()
        assert answer.finish in ("stop", "length")

    async def test_raw_prompt(self, engine: Engine) -> None:
        self.need("generate")
        answer = await complete(engine, _raw("The sun rises in the east and sets in the", max_tokens=4))
        assert answer.text

    async def test_usage_is_true(self, engine: Engine) -> None:
        self.need("generate", "tokenize")
        prompt = "One two three four five six seven eight nine ten, and then we all went home. 你好。"
        answer = await complete(engine, _raw(prompt, max_tokens=6))
        counted = await count(engine, prompt)
        assert answer.usage.prompt_tokens - counted in (0, 1), "the prompt's tokens, and at most one that begins it"
        assert 0 <= answer.usage.cached_tokens <= answer.usage.prompt_tokens
        assert answer.usage.completion_tokens - await count(engine, answer.text) in (0, 1)

    async def test_max_tokens(self, engine: Engine) -> None:
        self.need("generate")
        for limit in (1, 5):
            answer = await complete(engine, _raw("Once upon a time there was a king who had a", max_tokens=limit))
            assert (answer.usage.completion_tokens, answer.finish) == (limit, "length")

    async def test_stop_string(self, engine: Engine) -> None:
        self.need("generate")
        if not self.deterministic:
            pytest.skip("the engine does not answer twice alike")
        ask = "The quick brown fox jumps over the lazy dog and then it"
        free = await complete(engine, _raw(ask, max_tokens=16))
        stop = free.text.strip()[4:9]
        assert stop, "the free answer is too short to stop inside it"
        cut = await complete(engine, _raw(ask, max_tokens=16, stop=(stop, "\x07never")))
        assert cut.finish == "stop"
        assert cut.text == free.text[: free.text.index(stop)]

    async def test_same_seed_same_answer(self, engine: Engine) -> None:
        self.need("generate")
        if not self.deterministic:
            pytest.skip("the engine does not answer twice alike")
        request = _ask("Tell me a story.", max_tokens=12, temperature=1.0, seed=7)
        first, second, third = [await complete(engine, request) for _ in range(3)]
        assert second.text == third.text
        assert first.finish == second.finish

    async def test_logprobs(self, engine: Engine) -> None:
        self.need("generate", "logprobs")
        request = _raw("The capital of France is", max_tokens=4)
        answer = await complete(engine, GenerateRequest(prompt=request.prompt, sampling=request.sampling, logprobs=3))
        assert len(answer.logprobs) == answer.usage.completion_tokens
        assert "".join(token.token for token in answer.logprobs) == answer.text
        for token in answer.logprobs:
            assert token.logprob <= 0
            assert 1 <= len(token.top) <= 3
            values = [value for _, value in token.top]
            assert values == sorted(values, reverse=True)
            assert token.top[0][0] == token.token, "greedy: the most likely token was taken"
            assert math.isclose(token.top[0][1], token.logprob, abs_tol=1e-4)
        assert not (await complete(engine, request)).logprobs, "none were asked for"

    async def test_cancelling_frees_the_model(self, engine: Engine) -> None:
        self.need("generate")
        for _ in range(4):
            stream = engine.generate(_raw("Count: 1 2 3 4 5 6 7 8 9 10 11 12", max_tokens=1000))
            async for delta in stream:
                if delta.text:
                    break
            await cast("Any", stream).aclose()
        tasks = [asyncio.ensure_future(complete(engine, _ask(f"Long story {n}", max_tokens=1000))) for n in range(4)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (await complete(engine, _ask("Are you there?", max_tokens=4))).usage.completion_tokens > 0

    async def test_concurrent_requests_do_not_mix(self, engine: Engine) -> None:
        self.need("generate", "tokenize")
        prompts = [" ".join(["The number is", *[str(n)] * (n + 1)]) for n in range(6)]
        requests = [_raw(prompt, max_tokens=n + 1) for n, prompt in enumerate(prompts)]
        answers = await asyncio.gather(*(complete(engine, request) for request in requests))
        for n, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
            assert answer.usage.prompt_tokens - await count(engine, prompt) in (0, 1)
            assert answer.usage.completion_tokens <= n + 1
        if "choices" in self.capabilities:
            labels = [f"label {n}" for n in range(6)]
            asks = [GenerateRequest(prompt="Which one?", choices=(label,)) for label in labels]
            assert [answer.text for answer in await asyncio.gather(*(complete(engine, ask) for ask in asks))] == labels

    # -- constrained output -------------------------------------------------------------------------------------------

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

    # -- tools --------------------------------------------------------------------------------------------------------

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

    # -- what is refused ----------------------------------------------------------------------------------------------

    async def refused(self, engine: Engine, request: GenerateRequest) -> None:
        """The request must fail as the caller's mistake, and the engine must live on."""
        with pytest.raises(EngineError) as caught:
            await complete(engine, request)
        assert caught.value.status == 400
        assert not caught.value.retryable
        assert caught.value.message
        if "generate" in self.capabilities:
            assert (await complete(engine, _ask("Hello", max_tokens=1))).usage.completion_tokens == 1

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

    async def test_embed_or_refuse(self, engine: Engine) -> None:
        if not isinstance(engine, Embeds):
            return  # `test_claims_what_it_says` has seen that it does not claim to
        if "embed" not in self.capabilities:
            with pytest.raises(EngineError) as caught:
                await engine.embed(["hello"])
            assert caught.value.status == 400
            return
        import numpy as np

        texts = ["hello world", "你好，世界", "hello world", ""]
        vectors = await engine.embed(texts)
        assert vectors.dtype == np.float32
        assert vectors.shape[0] == len(texts)
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
        assert np.allclose(vectors[0], vectors[2], atol=1e-3)
        assert not np.allclose(vectors[0], vectors[1], atol=1e-2)
        assert (await engine.embed([])).shape == (0, vectors.shape[1])

    async def test_score_or_refuse(self, engine: Engine) -> None:
        prompt, better, worse = self.likely
        if not isinstance(engine, Scores):
            return
        if not self.can_score:
            with pytest.raises(EngineError) as caught:
                await engine.score(prompt, [better])
            assert caught.value.status == 400
            return
        good, bad, nothing = await engine.score(prompt, [better, worse, ""])
        assert bad < good < 0
        assert nothing == 0
        assert await engine.score(prompt, []) == []
        whole, head, tail = [
            (await engine.score(prompt + before, [text]))[0]
            for before, text in (("", better + worse), ("", better), (better, worse))
        ]
        assert math.isclose(whole, head + tail, rel_tol=0.05), "the chain rule of probability"

    async def test_count_tokens_or_refuse(self, engine: Engine) -> None:
        if not isinstance(engine, CountsTokens):
            return
        if "tokenize" not in self.capabilities:
            with pytest.raises(EngineError) as caught:
                await engine.count_tokens("hello")
            assert caught.value.status == 400
            return
        assert await engine.count_tokens("") == 0
        short, long = await engine.count_tokens("hello"), await engine.count_tokens("hello there, 你好世界 👍🏽")
        assert 0 < short < long


def _raw(prompt: str, **sampling: Any) -> GenerateRequest:
    return GenerateRequest(prompt=prompt, sampling=Sampling(**sampling))


def _ask(question: str, max_tokens: int = 8, **sampling: Any) -> GenerateRequest:
    return GenerateRequest(messages=(Message("user", question),), sampling=Sampling(max_tokens=max_tokens, **sampling))


__all__ = ["BAD_SAMPLING", "LABELS", "SCHEMA", "Delta", "EngineContract", "complete", "deep_schema"]
