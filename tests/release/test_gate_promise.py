"""The gate's promise, by simulation: a reduced run of bench/gate.py (there: 1,000 trials of everything).

With a true rate of exactly 5% (or a power of exactly 80%) each check fails by chance once in 1,000 runs; seeds are
fixed, so it does not flicker.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from slipway.release.gate import Rule

PATH = Path(__file__).parents[2] / "bench" / "gate.py"
spec = importlib.util.spec_from_file_location("bench_gate", PATH)
assert spec is not None
bench = importlib.util.module_from_spec(spec)
sys.modules["bench_gate"] = bench
spec.loader.exec_module(bench)

TRIALS = 150


@pytest.mark.parametrize("world", ["binary", "token_f1", "clusters", "rare"])
def test_false_promotions_are_at_most_one_in_twenty(world):
    for rule, effect in bench.claims(world).values():
        passes = bench.rate(bench.WORLDS[world], rule, 60, effect, TRIALS, 11)
        assert not bench.too_many(passes, TRIALS), f"{rule}: {passes} of {TRIALS}"


@pytest.mark.parametrize("world", ["binary", "token_f1", "clusters"])
def test_the_declared_effect_is_seen(world):
    effect = bench.declared_effect(bench.WORLDS[world], 60, 30, 11)
    passes = bench.rate(bench.WORLDS[world], Rule(against="production", better=True), 60, effect, TRIALS, 12)
    assert not bench.too_few(passes, TRIALS), f"effect {effect}: {passes} of {TRIALS}"


def test_the_check_itself_can_fail():
    """A gate that judges by the measured value lets half of the equals through, and the check says so."""
    passes = bench.rate(
        bench.WORLDS["token_f1"], Rule(against="production", better=True, confidence="point"), 60, 0.0, TRIALS, 11
    )
    assert bench.too_many(passes, TRIALS)
