"""The second child of a local engine: what could hold others up goes there, and whatever befalls it stays there."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest

from slipway.builtin.engines import compiling, gguf_model, places
from slipway.builtin.engines.llama.engine import LlamaEngine
from slipway.builtin.engines.openvino import engine as openvino
from slipway.builtin.engines.openvino.engine import OpenvinoEngine
from slipway.builtin.engines.process import supervisor
from slipway.core.message import GenerateRequest, Sampling
from slipway.errors import ConfigError, EngineError
from slipway.plugins import Plugins
from slipway.testing.engines import complete

ENGINES = {
    "llama": (LlamaEngine, {"context": 512, "threads": 1, "spin": 1000}),
    "openvino": (OpenvinoEngine, {"context": 512, "threads": 1, "parallel": 2}),
}
SHORT = GenerateRequest(prompt="Once upon a time", sampling=Sampling(max_tokens=2))
CHOICES = GenerateRequest(prompt="One:", choices=("red", "blue"))
PATTERN = GenerateRequest(prompt="JSON:", json_schema={"type": "string", "pattern": "^[ab]{3}$"})
HANGS = {"type": "string", "pattern": "((a{1,1000}){1,1000}){1,1000}"}


@pytest.fixture(params=ENGINES)
async def make(request, smollm2_gguf):
    kind, defaults = ENGINES[request.param]
    made = []

    async def start(on_event=None, **options):
        config = kind.Config(**{**defaults, **options})
        made.append(kind(config, name="smol", files={"model.gguf": smollm2_gguf}, on_event=on_event))
        await made[-1].start()
        return made[-1]

    yield start
    for engine in made:
        await engine.close()


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


async def until(condition, seconds=30.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_only_what_could_hold_others_up_goes_there(make):
    engine = await make()
    first = engine.pid
    await complete(engine, SHORT)
    assert (await complete(engine, CHOICES)).text in CHOICES.choices
    assert engine.second_pid is None, "not before it is needed"
    assert re.fullmatch('"[ab]{3}"', (await complete(engine, PATTERN)).text)
    second = engine.second_pid
    assert second not in (None, first)
    for pid, policy in ((first, os.SCHED_OTHER), (second, os.SCHED_IDLE)):
        assert {os.sched_getscheduler(int(thread)) for thread in os.listdir(f"/proc/{pid}/task")} == {policy}
    session = Path(f"/proc/{second}/autogroup")
    if session.exists():
        assert session.read_text().split()[-1] == "19"
    await engine.close()
    assert gone(first)
    assert gone(second)


@pytest.mark.slow
async def test_it_gets_a_share_of_a_full_machine(make):
    engine = await make(parallel=2, threads=os.cpu_count())
    await complete(engine, PATTERN)
    full = asyncio.Event()

    async def crowd():
        while not full.is_set():
            await complete(engine, GenerateRequest(prompt="Once upon a time", sampling=Sampling(max_tokens=48)))

    crowds = [asyncio.ensure_future(crowd()) for _ in range(4)]
    letters = {"type": "string", "pattern": "^[ab]{30}$"}
    ask = GenerateRequest(prompt="JSON:", json_schema=letters, sampling=Sampling(max_tokens=50))
    try:
        async with asyncio.timeout(60):
            assert re.fullmatch('"[ab]{30}"', (await complete(engine, ask)).text)
    finally:
        full.set()
        await asyncio.gather(*crowds)
    assert (await complete(engine, SHORT)).text


async def test_it_can_be_switched_off(make):
    engine = await make(second_child=False)
    assert re.fullmatch('"[ab]{3}"', (await complete(engine, PATTERN)).text)
    assert engine.second_pid is None


async def test_seeds_run_alone_there(smollm2_gguf):
    engine = OpenvinoEngine(OpenvinoEngine.Config(**ENGINES["openvino"][1]), files={"m.gguf": smollm2_gguf})
    await engine.start()

    def ask(seed):
        return GenerateRequest(prompt="Once", sampling=Sampling(max_tokens=8, temperature=1.0, seed=seed))

    await complete(engine, GenerateRequest(prompt="Once", sampling=Sampling(max_tokens=2, seed=1)))
    assert engine.second_pid is None, "without chance a seed means nothing"
    await complete(engine, ask(1))
    assert engine.second_pid is not None
    one, two, again = [answer.text for answer in await asyncio.gather(*(complete(engine, ask(n)) for n in (1, 2, 1)))]
    assert one == again != two
    await engine.close()


async def test_its_crashes_are_not_the_first_childs(make, monkeypatch):
    monkeypatch.setattr(supervisor, "PAUSE_SECONDS", 4.0)
    monkeypatch.setattr(compiling, "LONGEST_PAUSE", 0.0)  # on a slow machine it would outlast the one above
    events = []
    engine = await make(lambda event, details: events.append((event, details)), max_crashes=0)
    first = engine.pid
    await complete(engine, PATTERN)
    os.kill(engine.second_pid, signal.SIGKILL)
    await until(lambda: events)
    with pytest.raises(EngineError, match="died 1 time within"):
        await complete(engine, PATTERN)
    assert await engine.trouble() == ""
    assert (await complete(engine, SHORT)).usage.completion_tokens == 2
    assert (await complete(engine, CHOICES)).text
    await until(lambda: engine.second_pid is not None)
    await until(lambda: len(events) == 3)
    assert re.fullmatch('"[ab]{3}"', (await complete(engine, PATTERN)).text)
    assert engine.pid == first
    assert [event for event, _ in events] == ["engine.crashed", "engine.gave_up", "engine.restarted"]
    assert all(details["aside"] for _, details in events)


async def test_without_memory_for_it_there_is_one_child(make, monkeypatch):
    events = []
    engine = await make(lambda event, details: events.append((event, details)))
    monkeypatch.setattr(gguf_model, "free_bytes", lambda: 1 << 20)
    assert re.fullmatch('"[ab]{3}"', (await complete(engine, PATTERN)).text)
    await complete(engine, PATTERN)
    assert engine.second_pid is None
    assert [(event, "1 MB are free" in details["error"]) for event, details in events] == [("engine.not_started", True)]
    monkeypatch.undo()
    engine.places._aside._next = 0.0
    await complete(engine, PATTERN)
    assert engine.second_pid is not None


async def test_it_ends_when_nobody_needs_it(make, monkeypatch):
    monkeypatch.setattr(places, "IDLE_SECONDS", 0.5)
    engine = await make()
    for _ in range(2):
        await complete(engine, PATTERN)
        pid = engine.second_pid
        assert pid is not None
        await until(lambda: engine.second_pid is None)
        await until(lambda pid=pid: gone(pid))
    assert (await complete(engine, SHORT)).text


async def test_who_leaves_while_it_loads_does_not_stop_it_and_close_does(make):
    engine = await make()
    with pytest.raises(TimeoutError):
        await complete(engine, PATTERN, 0.05)
    await until(lambda: engine.second_pid is not None)
    pid = engine.second_pid
    await engine.close()
    assert gone(pid)
    await engine.start()
    waiting = asyncio.ensure_future(complete(engine, PATTERN))
    await asyncio.sleep(0.1)
    await engine.close()
    with pytest.raises(EngineError, match="not running"):
        await waiting
    folders = [folder for folder in Path("/tmp").glob(f"{supervisor.FOLDER}{os.getpid()}-*") if folder.is_dir()]
    assert folders == [], "each child has one"


@pytest.mark.slow
async def test_nobody_notices_a_grammar_that_hangs(smollm2_gguf, monkeypatch):
    """The estimate is taken away: what stands behind it must hold too."""
    monkeypatch.setattr(openvino, "check_schema_cost", lambda *_: None)
    config = OpenvinoEngine.Config(context=1024, threads=1, grammar_seconds=1.0)
    engine = OpenvinoEngine(config, "smol", {"m.gguf": smollm2_gguf})
    await engine.start()
    first = engine.pid
    ask = GenerateRequest(prompt="Once upon a time", sampling=Sampling(max_tokens=900))

    async def tokens():
        while True:
            async for delta in engine.generate(ask):
                yield delta

    bystander = tokens()
    await anext(bystander)
    hostile = asyncio.ensure_future(complete(engine, GenerateRequest(prompt="x", json_schema=HANGS)))
    while not hostile.done():
        await anext(bystander)
        assert await engine.trouble() == ""
    with pytest.raises(EngineError, match="compiled one grammar") as caught:
        await hostile
    assert caught.value.status == 400
    with pytest.raises(EngineError, match="cannot be enforced"):
        await complete(engine, GenerateRequest(prompt="y", json_schema=HANGS))
    assert await engine.trouble() == ""
    await anext(bystander)
    await bystander.aclose()
    assert engine.pid == first
    await engine.close()


@pytest.mark.parametrize("kind", ["llama", "openvino"])
def test_an_option_by_its_old_name_is_told_the_new_one(kind: str) -> None:
    with pytest.raises(ConfigError, match="'aside' is now called 'second_child'"):
        Plugins().config("engines", kind, {"aside": False}, "models.m")
