"""The short form of `bench/hostile.py`: whatever is asked, the well-behaved are answered and the child is there after it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "hostile.py"
EVERY = 5  # a fifth of the requests; the whole is the bench


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_hostile", BENCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_there_are_enough_of_them(bench):
    names = [name for name, _ in bench.hostile()]
    assert len(names) >= 100


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["llama", "openvino"])
async def test_nobody_else_notices(bench, kind, smollm2_gguf):
    requests = list(bench.hostile())[::EVERY]
    names = [name for name, _ in requests]
    result = await bench.measure(kind, smollm2_gguf, requests, 3.0)
    print(bench.report(kind, result))
    assert result.failed == [], "a well-behaved request was not answered"
    assert len(result.beside) > 2
    assert set(result.outcomes) == set(names), "each ended"
    assert result.slowest[0] < bench.DEADLINE + 20
    assert result.trouble == ""
    assert result.memory < 3 << 30
