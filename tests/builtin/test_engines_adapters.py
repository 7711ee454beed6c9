"""Several adapters on one base: what one of them computed is never taken for another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from slipway.builtin.engines.llama.engine import LlamaEngine
from slipway.core.message import GenerateRequest, Sampling
from slipway.testing.engines import complete

pytest.importorskip("xllamacpp", reason="needs the extra 'llama'")
pytest.importorskip("gguf", reason="the tiny model is written with it")

from tiny_llama import write_adapter, write_llama  # noqa: E402

LONG = "The ship number twelve lies in the harbour since the storm of last week, and nobody knows why. " * 2
OTHER = "0123456789 " * 18
Asked = tuple[str, dict[str, float]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    adapters = {f"{name}.lora.gguf": write_adapter(folder / f"{name}.lora.gguf", n) for n, name in enumerate("ab")}
    return {"tiny.gguf": write_llama(folder / "tiny.gguf"), **adapters}


async def answered(files: Mapping[str, Path], asked: Sequence[Asked]) -> list[str]:
    """One after the other, by one slot of a new process."""
    config = LlamaEngine.Config(context=512, parallel=1, threads=1, spin=1000, measure=False, second_child=False)
    engine = LlamaEngine(config, "tiny", files)
    sampling = Sampling(max_tokens=8, temperature=0.0)
    try:
        await engine.start()
        return [
            (await complete(engine, GenerateRequest(prompt=prompt, sampling=sampling, adapters=scales))).text
            for prompt, scales in asked
        ]
    finally:
        await engine.close()


@pytest.mark.asyncio
async def test_a_prefix_that_one_adapter_computed_is_never_anothers(files: dict[str, Path]) -> None:
    """The slot has just served the adapter that asks, and the cache of prefixes holds the same tokens by another."""
    a, b, none = {"a": 1.0}, {"b": 1.0}, dict[str, float]()
    alone = {name: (await answered(files, [(LONG, scales)]))[0] for name, scales in (("b", b), ("none", none))}
    asked = [(LONG, a), (OTHER, b), (LONG, b), (OTHER, none), (LONG, none), (OTHER, b), (LONG, b)]
    said = await answered(files, asked)
    assert len({said[0], *alone.values()}) == 3, "each says something else"
    assert (said[2], said[4], said[6]) == (alone["b"], alone["none"], alone["b"])
