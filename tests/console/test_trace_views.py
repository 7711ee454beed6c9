"""What an answer took, on a trace's page and beside a replay: a small amount is told, and not rounded to nothing."""

from __future__ import annotations

from slipway.console.trace_views import facts_of
from slipway.core.answer import Answer


def test_a_small_cost_and_a_short_time_are_told() -> None:
    found = facts_of(Answer(text="bug", raw="bug", cost=4.87e-07, currency="CNY", first_token_seconds=0.00345))
    values = [value for _, value in found]
    assert "0.00000049 CNY" in values
    assert "0.00345 s" in values
    assert "" in [value for _, value in facts_of(Answer(text="bug", raw="bug"))]
