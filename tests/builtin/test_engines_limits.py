"""What a child may take: memory, time for a grammar; and what those beside it notice when it takes more."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import time

import pytest

from processes import stop
from slipway.builtin.engines.compiling import Compiling
from slipway.builtin.engines.llama.engine import LlamaEngine
from slipway.builtin.engines.openvino import engine as openvino
from slipway.builtin.engines.openvino.engine import OpenvinoEngine
from slipway.builtin.engines.process.limits import Account, Limits, own_bytes
from slipway.builtin.engines.process.pulse import Pulse, Watcher
from slipway.core.message import GenerateRequest, Message, Sampling
from slipway.errors import EngineError
from slipway.testing.engines import complete

ENGINES = {
    "llama": (LlamaEngine, {"context": 1024, "threads": 1, "spin": 1000}),
    "openvino": (OpenvinoEngine, {"context": 1024, "threads": 1, "parallel": 2}),
}
SHORT = GenerateRequest(prompt="Once upon a time", sampling=Sampling(max_tokens=2))
HANGS = {"type": "string", "pattern": "((a{1,1000}){1,1000}){1,1000}"}


@pytest.fixture(params=ENGINES)
def make(request):
    kind, defaults = ENGINES[request.param]

    def made(model, on_event=None, **options):
        config = kind.Config(**{**defaults, **options})
        return kind(config, name="smol", files={"model.gguf": model}, on_event=on_event)

    return made


# -- before anything is compiled --------------------------------------------------------------------------------------


async def test_a_grammar_that_would_unfold_never_reaches_the_child(make, smollm2_gguf):
    engine = make(smollm2_gguf)
    await engine.start()
    pid = engine.pid
    for request in (
        GenerateRequest(prompt="x", json_schema=HANGS),
        GenerateRequest(prompt="x", choices=tuple(f"{n:04d}" + "y" * 896 for n in range(1000))),
    ):
        began = time.monotonic()
        with pytest.raises(EngineError, match="of processor time to prepare") as caught:
            await complete(engine, request)
        assert caught.value.status == 400
        assert time.monotonic() - began < 2
    assert (await complete(engine, SHORT)).text
    assert engine.pid == pid
    await engine.close()


async def test_tokens_are_counted_to_the_end(make, smollm2_gguf):
    engine = make(smollm2_gguf)
    await engine.start()
    assert await engine.count_tokens("word " * 30_000) == 30_001
    short, long = [await engine.count_tokens("你好，世界 abc! " * n) for n in (100, 5000)]
    assert long == pytest.approx(50 * short, rel=0.001)
    marks = await engine.count_tokens("<|im_end|>" * 3000)
    assert marks == pytest.approx(1000 * await engine.count_tokens("<|im_end|>" * 3), rel=0.2)
    with pytest.raises(EngineError, match="has 20031 tokens|has 20030 tokens"):
        await complete(engine, GenerateRequest(messages=(Message("user", "word " * 20_000),)))
    for characters in (900_000, 1_200_000):  # two sizes, and no number that only looks like a count
        with pytest.raises(EngineError, match=f"has more than {characters // 128} tokens"):
            await complete(engine, GenerateRequest(prompt="x" * characters))
    await engine.close()


# -- a child that takes too much --------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_grammar_that_hangs_costs_its_own_request_only(smollm2_gguf, monkeypatch):
    """The estimate is taken away: what stands behind it must hold too."""
    monkeypatch.setattr(openvino, "check_schema_cost", lambda *_: None)
    events = []
    config = OpenvinoEngine.Config(context=1024, threads=1, grammar_seconds=1.0, second_child=False)
    engine = OpenvinoEngine(
        config, "smol", {"m.gguf": smollm2_gguf}, lambda event, details: events.append((event, details))
    )
    await engine.start()
    pid = engine.pid
    hostile = asyncio.ensure_future(complete(engine, GenerateRequest(prompt="x", json_schema=HANGS)))
    await asyncio.sleep(0.5)
    assert await engine.trouble() == "", "a child that compiles is busy, not hung"
    beside = asyncio.ensure_future(engine.complete(SHORT))
    with pytest.raises(EngineError, match="compiled one grammar for 'smol' for more than 2 s") as caught:
        await hostile
    assert caught.value.status == 400
    assert "started again" in await engine.trouble()
    assert (await beside).usage.completion_tokens == 2, "no one else was told"
    assert engine.pid not in (None, pid)
    assert [event for event, _ in events] == ["engine.crashed", "engine.restarted"]
    assert "grammar" in events[0][1]["why"]
    pid = engine.pid
    with pytest.raises(EngineError, match="cannot be enforced"):
        await complete(engine, GenerateRequest(prompt="y", json_schema=HANGS))
    assert engine.pid == pid
    assert await engine.trouble() == ""
    await engine.close()


@pytest.mark.slow
async def test_a_client_that_leaves_leaves_no_grammar_behind(smollm2_gguf, monkeypatch):
    monkeypatch.setattr(openvino, "check_schema_cost", lambda *_: None)
    engine = OpenvinoEngine(
        OpenvinoEngine.Config(context=1024, threads=1, grammar_seconds=1.0, second_child=False),
        "smol",
        {"m.gguf": smollm2_gguf},
    )
    await engine.start()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await complete(engine, GenerateRequest(prompt="x", json_schema=HANGS))
    assert (await engine.complete(SHORT)).usage.completion_tokens == 2
    await engine.close()


async def test_a_child_that_does_not_come_back_is_started_again(smollm2_gguf, monkeypatch):
    monkeypatch.setattr("slipway.builtin.engines.process.http.COME_BACK_SECONDS", 1.0)
    engine = LlamaEngine(
        LlamaEngine.Config(**ENGINES["llama"][1], second_child=False), "smol", {"m.gguf": smollm2_gguf}
    )
    await engine.start()
    choose = GenerateRequest(prompt="x", choices=("a" * 500, "b"))
    stream = engine.generate(choose)
    await anext(stream)
    await stream.aclose()  # left in the middle, it comes back by itself
    await asyncio.sleep(1.5)
    pid = engine.pid
    stream = engine.generate(choose)
    await anext(stream)
    stop(pid)
    await stream.aclose()
    async with asyncio.timeout(30):
        while engine.pid in (None, pid):
            await asyncio.sleep(0.05)
    assert (await engine.complete(SHORT)).usage.completion_tokens == 2
    await engine.close()


async def test_a_child_over_its_memory_is_started_again(make, smollm2_gguf, monkeypatch):
    events = []
    engine = make(smollm2_gguf, lambda event, details: events.append((event, details)), memory_gb=16)
    await engine.start()
    pid = engine.pid
    account = engine.places.first.process._child.account
    monkeypatch.setattr(account, "_memory", own_bytes(pid) - 1)
    async with asyncio.timeout(30):
        while engine.pid == pid:
            await asyncio.sleep(0.02)
    assert (await engine.complete(SHORT)).usage.completion_tokens == 2
    assert events[0][0] == "engine.crashed"
    assert "MB of memory for 'smol'; its limit is" in events[0][1]["why"]
    await engine.close()


async def test_a_limit_below_what_the_model_needs_is_said_at_the_start(make, smollm2_gguf):
    engine = make(smollm2_gguf, memory_gb=0.05)
    with pytest.raises(EngineError, match="of memory for 'smol'; its limit is 51 MB") as caught:
        await engine.start()
    assert caught.value.status == 503
    assert "memory_gb" in caught.value.hint
    assert engine.pid is None
    await engine.close()


# -- is it alive? -----------------------------------------------------------------------------------------------------


async def test_a_stopped_child_is_in_trouble_and_a_busy_one_is_not(make, smollm2_gguf):
    engine = make(smollm2_gguf, context=8192)
    assert "not running" in await engine.trouble()
    await engine.start()
    busy = asyncio.ensure_future(
        complete(engine, GenerateRequest(prompt="word " * 5000, sampling=Sampling(max_tokens=2)))
    )
    asked = 0
    while not busy.done() and asked < 8:
        await asyncio.sleep(0.2)
        began = time.monotonic()
        assert await engine.trouble() == ""
        assert time.monotonic() - began < 2
        asked += 1
    busy.cancel()
    await asyncio.gather(busy, return_exceptions=True)
    stop(engine.pid)
    began = time.monotonic()
    async with asyncio.timeout(30):  # in the middle of a piece of work it is late only after a while
        while not (said := await engine.trouble()):
            await asyncio.sleep(0.1)
    assert "does not answer for 'smol'" in said
    os.kill(engine.pid, signal.SIGCONT)
    async with asyncio.timeout(30):
        while await engine.trouble():
            await asyncio.sleep(0.1)
    await engine.close()


def test_a_pulse_is_read_while_the_child_cannot_speak(tmp_path):
    pulse = Pulse(tmp_path)
    watcher = Watcher(tmp_path)
    assert watcher.beat().since == 0
    pulse.enter(risky=True)
    beat = watcher.beat()
    assert beat.since == pytest.approx(time.monotonic(), abs=1)
    assert (beat.risky, beat.slowest) == (1, 0)
    pulse.leave()
    assert watcher.beat() == (0, 0, 0, 0), "compiling says nothing about how long a step takes"
    pulse.enter(risky=False)
    time.sleep(0.01)
    assert pulse.leave() == pytest.approx(watcher.beat().slowest, abs=0.001)
    assert Watcher(tmp_path / "nothing").beat() == (0, 0, 0, 0)


def test_what_is_late_depends_on_what_was_usual(tmp_path):
    Pulse(tmp_path)
    account = Account(os.getpid(), tmp_path, Limits(stall_seconds=100), {"runtime": "r", "name": "n"})

    def beat(since, slowest, risky=0.0):
        (tmp_path / "pulse").open("r+b").write(struct.pack("=dddd", time.monotonic() - since, 0.0, risky, slowest))

    for since, slowest, late in ((3, 0.0, False), (8, 0.0, True), (8, 2.0, False), (30, 2.0, True)):
        beat(since, slowest)
        assert account.is_late() == late
        assert account.excess() == ""
    beat(30, 0.0, risky=1.0)
    assert not account.is_late()
    beat(101, 50.0)
    assert "made no token of 'n' for 100 s" in account.excess()


def test_own_memory_is_what_this_process_alone_has():
    before = own_bytes(os.getpid())
    data = bytearray(os.urandom(1)) * (64 << 20)
    grown = own_bytes(os.getpid()) - before
    assert 60 << 20 < grown < 80 << 20
    assert len(data) == 64 << 20
    assert own_bytes(2**22 + 1) == 0


# -- whose turn it is -------------------------------------------------------------------------------------------------


async def test_new_grammars_come_one_at_a_time_with_time_between(monkeypatch):
    compiling = Compiling()
    first = await compiling.turn("a", 1)
    second = asyncio.ensure_future(compiling.turn("b", 1))
    await asyncio.sleep(0.05)
    assert not second.done()
    first.done(0.4)
    began = time.monotonic()
    (await second).done(0.0)
    assert 1.0 < time.monotonic() - began < 2.0
    assert not (await compiling.turn("a", 1)).open, "it is known"
    again = await compiling.turn("a", 2)
    assert again.open, "another child does not know it"
    assert again.failed("it hangs").status == 400
    with pytest.raises(EngineError, match="it hangs"):
        await compiling.turn("a", 2)


async def test_who_waits_too_long_for_a_turn_may_come_again(monkeypatch):
    monkeypatch.setattr("slipway.builtin.engines.compiling.PATIENCE_SECONDS", 0.1)
    compiling = Compiling()
    first = await compiling.turn("a", 1)
    with pytest.raises(EngineError, match="too many new") as caught:
        await compiling.turn("b", 1)
    assert (caught.value.status, caught.value.retryable) == (503, True)
    first.close()
    (await compiling.turn("b", 1)).close()
