"""What an engine that generates keeps: deltas, usage, limits, stops, seeds, cancelling, many at once."""

# ruff: noqa: D102 -- the name of a test says what it tests

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, cast

import pytest

from slipway.core.message import GenerateRequest
from slipway.testing.engines.requests import ask, complete, count, raw
from slipway.testing.engines.suite import EngineSuite

if TYPE_CHECKING:
    from slipway.core.protocols import Engine


class Generation(EngineSuite):
    """Answers are whole, counted and repeatable; who leaves frees the model."""

    async def test_deltas_join_to_an_answer(self, engine: Engine) -> None:
        self.need("generate")
        answer = await complete(engine, ask("Name three colours, with a word on each.", max_tokens=24))
        assert answer.text.strip()
        assert answer.finish in ("stop", "length")

    async def test_raw_prompt(self, engine: Engine) -> None:
        self.need("generate")
        answer = await complete(engine, raw("The sun rises in the east and sets in the", max_tokens=4))
        assert answer.text

    async def test_usage_is_true(self, engine: Engine) -> None:
        self.need("generate", "tokenize")
        prompt = "One two three four five six seven eight nine ten, and then we all went home. 你好。"
        answer = await complete(engine, raw(prompt, max_tokens=6))
        counted = await count(engine, prompt)
        assert answer.usage.prompt_tokens - counted in (0, 1), "the prompt's tokens, and at most one that begins it"
        assert 0 <= answer.usage.cached_tokens <= answer.usage.prompt_tokens
        assert answer.usage.completion_tokens - await count(engine, answer.text) in (0, 1)

    async def test_max_tokens(self, engine: Engine) -> None:
        self.need("generate")
        for limit in (1, 5):
            answer = await complete(engine, raw("Once upon a time there was a king who had a", max_tokens=limit))
            assert (answer.usage.completion_tokens, answer.finish) == (limit, "length")

    async def test_stop_string(self, engine: Engine) -> None:
        self.need("generate")
        if not self.deterministic:
            pytest.skip("the engine does not answer twice alike")
        begin = "The quick brown fox jumps over the lazy dog and then it"
        free = await complete(engine, raw(begin, max_tokens=16))
        stop = free.text.strip()[4:9]
        assert stop, "the free answer is too short to stop inside it"
        cut = await complete(engine, raw(begin, max_tokens=16, stop=(stop, "\x07never")))
        assert cut.finish == "stop"
        assert cut.text == free.text[: free.text.index(stop)]

    async def test_same_seed_same_answer(self, engine: Engine) -> None:
        self.need("generate")
        if not self.deterministic:
            pytest.skip("the engine does not answer twice alike")
        request = ask("Tell me a story.", max_tokens=12, temperature=1.0, seed=7)
        first, second, third = [await complete(engine, request) for _ in range(3)]
        assert second.text == third.text
        assert first.finish == second.finish

    async def test_logprobs(self, engine: Engine) -> None:
        self.need("generate", "logprobs")
        request = raw("The capital of France is", max_tokens=4)
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
            stream = engine.generate(raw("Count: 1 2 3 4 5 6 7 8 9 10 11 12", max_tokens=1000))
            async for delta in stream:
                if delta.text:
                    break
            await cast("Any", stream).aclose()
        tasks = [asyncio.ensure_future(complete(engine, ask(f"Long story {n}", max_tokens=1000))) for n in range(4)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (await complete(engine, ask("Are you there?", max_tokens=4))).usage.completion_tokens > 0

    async def test_concurrent_requests_do_not_mix(self, engine: Engine) -> None:
        self.need("generate", "tokenize")
        prompts = [" ".join(["The number is", *[str(n)] * (n + 1)]) for n in range(6)]
        requests = [raw(prompt, max_tokens=n + 1) for n, prompt in enumerate(prompts)]
        answers = await asyncio.gather(*(complete(engine, request) for request in requests))
        for n, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
            assert answer.usage.prompt_tokens - await count(engine, prompt) in (0, 1)
            assert answer.usage.completion_tokens <= n + 1
        if "choices" in self.capabilities:
            labels = [f"label {n}" for n in range(6)]
            asks = [GenerateRequest(prompt="Which one?", choices=(label,)) for label in labels]
            assert [answer.text for answer in await asyncio.gather(*(complete(engine, ask) for ask in asks))] == labels
