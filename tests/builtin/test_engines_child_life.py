"""An engine's child: it dies, hangs, is orphaned or cannot load, and only its own requests notice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from processes import stop
from slipway.builtin.engines.gguf_model import read_header
from slipway.builtin.engines.llama.engine import LlamaEngine
from slipway.builtin.engines.openvino.engine import OpenvinoEngine
from slipway.core.message import GenerateRequest, Sampling
from slipway.errors import ConfigError, EngineError
from slipway.testing.engines import complete

LONG = GenerateRequest(prompt="Once upon a time", sampling=Sampling(max_tokens=900))
SHORT = GenerateRequest(prompt="Once upon a time", sampling=Sampling(max_tokens=2))


ENGINES = {
    "llama": (LlamaEngine, {"context": 1024, "threads": 1, "spin": 1000}),
    "openvino": (OpenvinoEngine, {"context": 1024, "threads": 1, "parallel": 2}),
}


@pytest.fixture(params=ENGINES)
def make(request):
    """Makes an engine of each kind, with two slots."""
    kind, defaults = ENGINES[request.param]

    def made(model, on_event=None, **options):
        config = kind.Config(**{**defaults, **options})
        return kind(config, name="smol", files={"model.gguf": model}, on_event=on_event)

    return made


def gone(pid):
    """Whether the process is no more (a zombie that is not reaped yet counts as gone)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


async def answers_in_the_end(engine):
    """A machine may be slow enough that two seconds without a token are no hang."""
    for _ in range(20):
        try:
            return (await complete(engine, SHORT)).text
        except EngineError:
            await asyncio.sleep(0.5)
    return ""


# -- crashes ----------------------------------------------------------------------------------------------------------


async def test_a_crash_fails_only_what_was_in_flight(make, smollm2_gguf):
    events = []
    engine = make(smollm2_gguf, lambda event, fields: events.append((event, fields)))
    await engine.start()
    first = engine.pid
    streams = [engine.generate(LONG) for _ in range(2)]
    for stream in streams:
        await anext(stream)
    waiting = asyncio.ensure_future(complete(engine, SHORT))  # both slots are taken: it waits, and must survive
    await asyncio.sleep(0.05)
    os.kill(first, signal.SIGSEGV)

    async def drain(stream):
        async for _ in stream:
            pass

    for outcome in await asyncio.gather(*map(drain, streams), return_exceptions=True):
        assert isinstance(outcome, EngineError)
        assert (outcome.retryable, outcome.status) == (True, 503)
    assert (await waiting).usage.completion_tokens == 2
    assert engine.pid not in (None, first)
    assert [event for event, _ in events] == ["engine.crashed", "engine.restarted"]
    assert events[0][1]["code"] == -signal.SIGSEGV
    pid = engine.pid
    await engine.close()
    assert gone(pid)
    with pytest.raises(EngineError, match="not running"):
        await complete(engine, SHORT)


async def test_after_too_many_crashes_it_is_tried_again_now_and_then(make, smollm2_gguf, monkeypatch):
    monkeypatch.setattr("slipway.builtin.engines.process.supervisor.PAUSE_SECONDS", 2.0)
    engine = make(smollm2_gguf, max_crashes=1)
    await engine.start()
    for _ in range(2):
        os.kill(engine.pid, signal.SIGKILL)
        await asyncio.sleep(0.2)
        if _ == 0:
            assert (await complete(engine, SHORT)).text
    with pytest.raises(EngineError, match="died 2 times") as caught:
        await complete(engine, SHORT)
    assert caught.value.status == 503
    assert not caught.value.retryable
    assert "died 2 times" in await engine.trouble()
    async with asyncio.timeout(30):
        while await engine.trouble():
            await asyncio.sleep(0.1)
    assert (await complete(engine, SHORT)).text
    await engine.close()
    await engine.start()
    assert (await complete(engine, SHORT)).text
    await engine.close()


async def test_a_child_that_hangs_is_started_again(make, smollm2_gguf):
    engine = make(smollm2_gguf, stall_seconds=2.0)
    await engine.start()
    pid = engine.pid
    stop(pid)
    with pytest.raises(EngineError) as caught:
        await complete(engine, SHORT)
    assert (caught.value.retryable, caught.value.status) == (True, 504)
    assert await answers_in_the_end(engine)
    assert engine.pid != pid
    await engine.close()


async def test_close_ends_a_child_that_does_not_listen(make, smollm2_gguf):
    engine = make(smollm2_gguf)
    await engine.start()
    pid = engine.pid
    stop(pid)
    await engine.close()
    assert gone(pid)


ORPHAN = """
import asyncio, importlib, sys
from slipway.core.message import GenerateRequest
Engine = getattr(importlib.import_module("slipway.builtin.engines." + sys.argv[1] + ".engine"), sys.argv[1].title() + "Engine")
async def main():
    engine = Engine(Engine.Config(context=256, threads=1), files={"m.gguf": sys.argv[2]})
    print("loading", flush=True)
    await engine.start()
    print(engine.pid, flush=True)
    async for _ in engine.generate(GenerateRequest(prompt="Once")):
        print("token", flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.fixture(params=ENGINES)
def orphanage(request, smollm2_gguf):
    """A process that loads an engine, says so, and answers."""
    command = [sys.executable, "-c", ORPHAN, request.param, str(smollm2_gguf)]
    return lambda: subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_no_orphan_when_the_parent_is_killed_while_answering(orphanage):
    parent = orphanage()
    assert parent.stdout.readline() == "loading\n"
    child = int(parent.stdout.readline())
    parent.stdout.readline()
    assert not gone(child)
    parent.kill()
    parent.wait()
    assert until(lambda: gone(child))


def test_no_orphan_when_the_parent_is_killed_while_loading(orphanage):
    def children(pid):
        found = set()
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    fields = (folder / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if int(fields[1]) == pid:
                    found.add(int(folder.name))
        return found

    for delay in (0.0, 0.15, 0.4):
        parent = orphanage()
        parent.stdout.readline()
        assert until(lambda pid=parent.pid: children(pid))
        time.sleep(delay)
        spawned = children(parent.pid)
        parent.kill()
        parent.wait()
        assert until(lambda pids=spawned: all(gone(pid) for pid in pids))


# -- files that cannot be loaded --------------------------------------------------------------------------------------


def tiny_gguf(path, architecture="llama", tensors=False, **keys):
    """A GGUF that is whole, and of no use."""
    gguf = pytest.importorskip("gguf")
    np = pytest.importorskip("numpy")
    writer = gguf.GGUFWriter(str(path), architecture)
    for key, value in keys.items():
        name = key.replace("__", ".")
        (writer.add_string if isinstance(value, str) else writer.add_uint32)(name, value)
    if tensors:
        writer.add_tensor("token_embd.weight", np.zeros((64, 64), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


async def refusal(make, model, **options):
    engine = make(model, **options)
    with pytest.raises(EngineError) as caught:
        await engine.start()
    assert engine.pid is None
    await engine.close()
    assert caught.value.hint
    return caught.value.message


async def test_files_that_are_no_model(make, tmp_path):
    path = tmp_path / "model.gguf"
    assert "does not exist" in await refusal(make, path)
    path.write_bytes(b"")
    assert "not a GGUF file" in await refusal(make, path)
    path.write_bytes(b"<html>404</html>")
    assert "not a GGUF file (it begins with b'<htm')" in await refusal(make, path)
    path.write_bytes(b"GGUF\x03\0\0\0" + b"\xff" * 64)
    assert "damaged" in await refusal(make, path)
    path.write_bytes(b"GGUF\x63\0\0\0" + b"\0" * 64)
    assert "damaged" in await refusal(make, path)


async def test_a_truncated_model_says_how_much_is_missing(make, tmp_path, smollm2_gguf):
    whole = smollm2_gguf.read_bytes()
    path = tmp_path / "model.gguf"
    for size in (len(whole) - 1, len(whole) // 2):
        path.write_bytes(whole[:size])
        assert f"truncated: it has {size} bytes of {len(whole)}" in await refusal(make, path)
    path.write_bytes(whole[:100_000])
    assert "damaged" in await refusal(make, path)


async def test_an_adapter_is_no_model(make, tmp_path):
    path = tiny_gguf(tmp_path / "model.gguf", general__type="adapter")
    assert "is a LoRA adapter" in await refusal(make, path)


async def test_a_model_that_does_not_fit_into_memory(make, tmp_path):
    sizes = {"llama__block_count": 10_000, "llama__embedding_length": 1 << 20, "llama__attention__head_count": 8}
    assert "MB of memory" in await refusal(make, tiny_gguf(tmp_path / "model.gguf", **sizes))


async def test_what_the_engine_itself_cannot_load(make, tmp_path):
    engine = make(tiny_gguf(tmp_path / "model.gguf", tensors=True, tokenizer__ggml__model="gpt2"))
    with pytest.raises(EngineError, match="could not load 'smol'") as caught:
        await engine.start()
    assert caught.value.hint
    assert engine.pid is None


async def test_a_context_the_model_was_not_trained_for(make, smollm2_gguf):
    assert "trained for 8192 tokens" in await refusal(make, smollm2_gguf, context=100_000)


@pytest.mark.parametrize(
    "option", [{"parallel": 0}, {"context": 0}, {"context": 1 << 40}, {"threads": 0}, {"wrong": 1}]
)
def test_absurd_options_are_refused(make, option):
    with pytest.raises(ValueError, match=next(iter(option))):
        make("model.gguf", **option)


def test_exactly_one_model_file():
    for files in ({}, {"a.gguf": "a", "b.gguf": "b"}, {"a.lora.gguf": "a"}):
        with pytest.raises(ConfigError, match="exactly one GGUF"):
            OpenvinoEngine(OpenvinoEngine.Config(), files=files)


def test_a_damaged_header_never_ends_in_anything_but_an_engine_error(tmp_path, smollm2_gguf):
    path = tiny_gguf(tmp_path / "m.gguf", tensors=True, general__name="x", llama__block_count=3)
    whole = path.read_bytes()
    draw = random.Random(7)
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 8)):
            data[draw.randrange(4, len(data) - 64 * 64 * 4)] = draw.randrange(256)
        path.write_bytes(data[: draw.choice([len(data), draw.randrange(4, len(data))])])
        with contextlib.suppress(EngineError):
            assert read_header(path).cache_bytes(10) >= 0


def test_what_a_header_says(smollm2_gguf):
    header = read_header(smollm2_gguf)
    assert (header.architecture, header.context, header.is_adapter) == ("llama", 8192, False)
    assert "<|im_end|>" in header.control
    assert header.cache_bytes(1) == 30 * 3 * (64 + 64) * 2
