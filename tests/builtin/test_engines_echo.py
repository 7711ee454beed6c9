"""Echo passes the contract, and does what a rehearsal needs of it."""

from __future__ import annotations

import asyncio

import pytest

from slipway.builtin.engines.echo import EchoEngine
from slipway.core.message import GenerateRequest, Message, Sampling
from slipway.errors import EngineError
from slipway.testing.engines import EngineContract, complete


class TestEcho(EngineContract):
    capabilities = EchoEngine.capabilities

    @classmethod
    def make_engine(cls, request):
        return EchoEngine(EchoEngine.Config(token_delay=0.0001))


def make(**options):
    return EchoEngine(EchoEngine.Config(**options))


async def test_it_says_what_it_was_asked():
    messages = (Message("system", "be kind"), Message("user", "你好 world!"))
    answer = await complete(make(), GenerateRequest(messages=messages))
    assert answer.text == "你好 world!"
    assert answer.usage.completion_tokens == 4
    assert answer.usage.prompt_tokens == 6


async def test_a_fixed_reply_and_a_choice_found_in_the_text():
    assert (await complete(make(reply="yes"), GenerateRequest(prompt="?"))).text == "yes"
    choices = GenerateRequest(prompt="it is green", choices=("red", "green"))
    assert (await complete(make(), choices)).text == "green"


async def test_it_fails_when_told_to_after_some_tokens():
    seen = []

    async def ask():
        engine = make(fail="out of order", fail_after=2, fail_status=503)
        async for delta in engine.generate(GenerateRequest(prompt="a b c d")):
            seen.append(delta.text)  # noqa: PERF401 -- a comprehension would lose what came before the failure

    with pytest.raises(EngineError, match="out of order") as caught:
        await ask()
    assert seen == ["a", " b"]
    assert caught.value.status == 503


async def test_a_cancelled_answer_leaves_nothing_active():
    engine = make(token_delay=60)
    stream = engine.generate(GenerateRequest(prompt="a b c", sampling=Sampling()))
    task = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.01)
    assert engine.active == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert engine.active == 0


async def test_too_long_a_prompt_is_refused():
    with pytest.raises(EngineError, match="4 tokens"):
        await complete(make(context=4), GenerateRequest(prompt="a b c d"))
