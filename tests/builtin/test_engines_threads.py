"""Threads and spinning: measured once for a machine and a model, remembered, never a reason to fail."""

from __future__ import annotations

import asyncio
import json

import pytest

from slipway.builtin.engines.llama import threads as thread_choice
from slipway.builtin.engines.llama.engine import LlamaEngine
from slipway.builtin.engines.llama.threads import Choice
from slipway.errors import EngineError


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(thread_choice, "IDLE_ENOUGH", -1.0)  # however busy the machine that runs the tests
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF and the rest")
    return path


class Stopwatch:
    def __init__(self, seconds):
        self.seconds = seconds
        self.asked = []

    async def __call__(self, choice):
        self.asked.append(choice)
        seconds = self.seconds(choice)
        if seconds is None:
            raise EngineError("it would not start")
        return seconds


async def test_the_fastest_is_chosen_and_remembered(model):
    watch = Stopwatch(lambda choice: 1.0 if choice.spin == 10_000 else 2.0)
    chosen = await thread_choice.choose(model, watch)
    assert chosen.spin == 10_000
    assert len(watch.asked) >= 2
    assert json.loads(thread_choice.memory_file().read_text())[thread_choice.key_of(model)]["spin"] == 10_000
    asked = len(watch.asked)
    assert await thread_choice.choose(model, watch) == chosen
    assert len(watch.asked) == asked, "remembered: nothing is measured again"
    model.write_bytes(b"GGUF and another rest")
    await thread_choice.choose(model, watch)
    assert len(watch.asked) > asked, "another model is measured"


async def test_a_hair_faster_is_not_worth_longer_spinning(model):
    assert (await thread_choice.choose(model, Stopwatch(lambda choice: 1.0 - choice.spin / 1e6))).spin == 1_000


async def test_a_candidate_that_fails_is_left_out(model):
    watch = Stopwatch(lambda choice: None if choice.spin == 1_000 else 5.0)
    assert (await thread_choice.choose(model, watch)).spin == 10_000


async def test_a_candidate_that_takes_too_long_is_left_out(model, monkeypatch):
    async def measure(choice):
        await asyncio.sleep(60 if choice.spin == 1_000 else 0)
        return 1.0

    monkeypatch.setattr(thread_choice, "LONGEST_SECONDS", 0.2)
    assert (await thread_choice.choose(model, measure)).spin == 10_000


async def test_when_nothing_can_be_measured_nothing_is_remembered(model):
    assert await thread_choice.choose(model, Stopwatch(lambda choice: None)) == thread_choice.default_choice()
    assert not thread_choice.memory_file().exists()


async def test_a_busy_machine_is_not_measured(model, monkeypatch):
    monkeypatch.setattr(thread_choice, "IDLE_ENOUGH", 2.0)
    watch = Stopwatch(lambda choice: 1.0)
    assert await thread_choice.choose(model, watch) == thread_choice.default_choice()
    assert not watch.asked


@pytest.mark.slow
@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b'{"x": 1}', b'{"x": {"threads": "many", "spin": 1}}', b"\xff"])
async def test_a_damaged_memory_is_measured_anew(model, damage):
    thread_choice.memory_file().parent.mkdir(parents=True)
    thread_choice.memory_file().write_bytes(damage)
    assert (await thread_choice.choose(model, Stopwatch(lambda choice: 1.0))).threads >= 1
    assert thread_choice.key_of(model) in json.loads(thread_choice.memory_file().read_text())


async def test_a_cache_that_cannot_be_written_is_no_failure(model, monkeypatch):
    monkeypatch.setenv("SLIPWAY_CACHE", str(model / "is a file"))
    assert (await thread_choice.choose(model, Stopwatch(lambda choice: 1.0))).threads >= 1


def test_one_thread_a_physical_core_is_tried_where_cores_have_siblings():
    assert {choice.threads for choice in thread_choice.candidates(8, 2)} == {8, 4}
    assert {choice.threads for choice in thread_choice.candidates(1, 1)} == {1}
    assert all(choice.threads <= 32 for choice in thread_choice.candidates(256, 1))
    assert thread_choice.usable_cores() >= 1


@pytest.mark.slow
async def test_the_engine_measures_at_its_first_load(smollm2_gguf, tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path))
    monkeypatch.setattr(thread_choice, "IDLE_ENOUGH", -1.0)
    monkeypatch.setattr(thread_choice, "LONGEST_SECONDS", 120.0)
    engine = LlamaEngine(LlamaEngine.Config(context=256), files={"model.gguf": smollm2_gguf})
    await engine.start()
    await engine.close()
    (entry,) = json.loads((tmp_path / "threads.json").read_text()).values()
    assert Choice(**entry) in thread_choice.candidates(thread_choice.usable_cores(), thread_choice.siblings())
