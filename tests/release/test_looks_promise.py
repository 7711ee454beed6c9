"""The promise over many looks and many candidates: a reduced run of bench/gate_looks.py. Seeds are fixed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "bench" / "gate_looks.py"
spec = importlib.util.spec_from_file_location("bench_gate_looks", PATH)
assert spec is not None
assert spec.loader is not None
bench = importlib.util.module_from_spec(spec)
sys.modules["bench_gate_looks"] = bench
spec.loader.exec_module(bench)

TRIALS = 150


@pytest.mark.parametrize("world", ["random", "climb", "vote", "extended"])
def test_twenty_looks_let_a_bad_candidate_through_at_most_once_in_twenty_sequences(world: str) -> None:
    errors, _ = bench.rate(world, 50, TRIALS, seed=11)
    assert not bench.too_many(errors, TRIALS), errors


def test_a_counter_that_restarts_would_not_hold() -> None:
    errors, _ = bench.rate("random", 50, 30, fixed=True, seed=11)
    assert bench.too_many(errors, 30)


def test_what_is_certain_is_released_among_borderline_ones() -> None:
    errors, released = bench.rate("choice", 50, TRIALS, seed=11)
    assert not bench.too_many(errors, TRIALS), errors
    assert released >= 0.95
