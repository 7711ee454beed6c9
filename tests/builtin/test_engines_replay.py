"""Replay passes the contract while it records, and says the same again from the file alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from slipway.builtin.engines.echo import EchoEngine
from slipway.builtin.engines.replay import ReplayEngine
from slipway.core.message import GenerateRequest
from slipway.errors import ConfigError, EngineError
from slipway.testing.engines import EngineContract, complete

_numbers = itertools.count()


class TestReplay(EngineContract):
    capabilities = EchoEngine.capabilities

    @classmethod
    def make_engine(cls, request):
        folder = request.getfixturevalue("tmp_path_factory").mktemp("replay")
        config = ReplayEngine.Config(path=str(folder / f"{next(_numbers)}.jsonl"))
        return ReplayEngine(config).record(EchoEngine(EchoEngine.Config(token_delay=0.0001)))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "answers.jsonl"


async def record(path):
    engine = ReplayEngine(ReplayEngine.Config(path=str(path))).record(EchoEngine(EchoEngine.Config()))
    await engine.start()
    return (
        await complete(engine, GenerateRequest(prompt="你好 world", logprobs=2)),
        await engine.embed(["a", "b"]),
        await engine.score("a", ["b", "c d"]),
        await engine.count_tokens("a b c"),
    )


async def test_what_was_recorded_is_said_again(path):
    said = await record(path)
    engine = ReplayEngine(ReplayEngine.Config(), files={"answers.jsonl": path})
    await engine.start()
    assert await complete(engine, GenerateRequest(prompt="你好 world", logprobs=2)) == said[0]
    assert np.array_equal(await engine.embed(["a", "b"]), said[1])
    assert await engine.score("a", ["b", "c d"]) == said[2]
    assert await engine.count_tokens("a b c") == 3


async def test_an_unknown_request_is_refused(path):
    await record(path)
    engine = ReplayEngine(ReplayEngine.Config(path=str(path)))
    await engine.start()
    with pytest.raises(EngineError, match="no answer to this 'generate'") as caught:
        await complete(engine, GenerateRequest(prompt="never asked"))
    assert caught.value.status == 400
    assert "record it again" in caught.value.hint


async def test_an_answer_cut_off_is_not_recorded(path):
    engine = ReplayEngine(ReplayEngine.Config(path=str(path))).record(EchoEngine(EchoEngine.Config()))
    await engine.start()
    stream = engine.generate(GenerateRequest(prompt="a b c"))
    await anext(stream)
    await stream.aclose()
    assert not path.exists()


@pytest.mark.parametrize(
    ("text", "line"), [("", 1), ("{}\n", 1), ('{"slipway_replay":1,"capabilities":[]}\nnonsense\n', 2)]
)
async def test_a_damaged_file_is_named_with_its_line(path, text, line):
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"answers.jsonl:{line}:"):
        await ReplayEngine(ReplayEngine.Config(path=str(path))).start()


async def test_a_missing_file_is_named(path):
    with pytest.raises(ConfigError, match="does not exist"):
        await ReplayEngine(ReplayEngine.Config(path=str(path))).start()
    with pytest.raises(ConfigError, match="which file"):
        ReplayEngine(ReplayEngine.Config())
