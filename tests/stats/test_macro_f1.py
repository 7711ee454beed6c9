"""Macro F1 where an example has several references, and where a prediction is no label at all."""

from __future__ import annotations

import pytest

from slipway.core.answer import Answer
from slipway.core.metrics import METRICS
from slipway.core.report import Score
from slipway.stats.samples import aggregate


def value(*examples: tuple[str, str], failed: int = -1) -> float:
    """`(references split by |, prediction)`; right is what equals any reference."""
    scores = [
        Score(
            example=str(n),
            group=str(n),
            language="en",
            answer=Answer(text=told, raw=told, error="no answer" if n == failed else ""),
            metrics={"accuracy": float(told in references.split("|"))},
            expected=tuple(references.split("|")),
        )
        for n, (references, told) in enumerate(examples)
    ]
    found = aggregate(scores, METRICS["macro_f1"])
    assert found is not None
    assert found.low <= found.value <= found.high
    return found.value


def test_any_reference_is_right_and_the_label_credited_is_that_one():
    assert value(("a|b", "b"), ("b", "b"), ("a", "a")) == 1.0
    # Credited as b: two of label b, both found; label a is found once and missed never.
    assert value(("a|b", "b"), ("b", "b"), ("a", "b")) == pytest.approx((2 * 2 / (2 + 3) + 0) / 2)
    # Neither reference: the first one is the label that was missed.
    assert value(("a|b", "c"), ("a", "a"), ("c", "c")) == pytest.approx((2 * 1 / (2 + 1) + 2 * 1 / (1 + 2)) / 2)


def test_a_prediction_outside_the_labels_is_wrong_and_adds_no_label():
    missed = value(("a", "a"), ("a", "what is this"), ("b", "b"))
    assert missed == pytest.approx((2 * 1 / (2 + 1) + 1) / 2)
    assert value(("a", "a"), ("a", "something else again"), ("b", "b")) == missed
    assert value(("a", "a"), ("a", "a"), ("b", "b"), failed=1) == pytest.approx(missed)
