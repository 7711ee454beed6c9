"""The monitor's promise, by simulation: a small run of bench/monitor.py (there: 200 quiet weeks, every change)."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
spec = importlib.util.spec_from_file_location("bench_monitor", BENCH / "monitor.py")
assert spec is not None
bench = importlib.util.module_from_spec(spec)
sys.modules["bench_monitor"] = bench
assert spec.loader is not None
spec.loader.exec_module(bench)


@pytest.mark.slow
def test_quiet_weeks_are_quiet_and_changes_are_told_by_their_own_rules() -> None:
    # at 5% two or more false alarms in 12 weeks come in one of 8 runs; the seeds are fixed, so it is this run or none
    assert bench.quiet(12, bench.World(), 1000)[0] <= 1
    for change, metrics in (
        ({"support": 0.45}, {"citation_support", "retrieval_score"}),
        ({"slower": 3.0}, {"latency", "ttft", "seconds_per_token"}),
        ({"chinese": 0.7}, {"languages", "unknown_words"}),
    ):
        watched = bench.Watched(77, bench.World())
        alerts = watched.go_on(replace(bench.World(), **change), 3 * bench.DAY)
        assert {one.metric for one in alerts} & metrics, change
        assert {one.metric for one in alerts} <= metrics, change
