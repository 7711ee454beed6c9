"""Agreement beside tables that were published, and beside the definitions written a second time, pair by pair."""

from __future__ import annotations

import random
from collections import Counter
from itertools import permutations
from typing import Any

import pytest

from slipway.stats.agreement import cohen, fleiss, krippendorff, mean_over_items

# Krippendorff 2011, "Computing Krippendorff's alpha-reliability": four observers, twelve units, data missing.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None], [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]  # fmt: skip
UNITS = list(zip(*OBSERVERS, strict=True))
# Fleiss 1971 has 30 subjects; this is the table of 10 subjects and 14 raters that textbooks repeat.
RATINGS = [
    (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1), (7, 7, 0, 0, 0),
    (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
]  # fmt: skip


def spread(counts: tuple[int, ...]) -> list[int]:
    return [category for category, n in enumerate(counts) for _ in range(n)]


@pytest.mark.parametrize(("distance", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_krippendorffs_own_example(distance: Any, published: float) -> None:
    found = krippendorff(UNITS, distance, draws=200)
    assert found is not None
    assert found.value == pytest.approx(published, abs=5e-4)
    assert found.items == 11, "one unit has a single value"
    assert found.low is not None
    assert found.low < found.value < (found.high or 0) <= 1


def test_fleiss_and_cohen_as_published() -> None:
    found = fleiss([spread(row) for row in RATINGS], draws=200)
    assert found is not None
    assert found.value == pytest.approx(0.210, abs=5e-4)
    # two readers of fifty grant proposals, the example of many textbooks: 20 yes-yes, 15 no-no
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    two = cohen(pairs, draws=200)
    assert two is not None
    assert two.value == pytest.approx(0.4)


def alpha_by_hand(units: list[list[Any]], distance: str) -> float:
    """From the coincidence matrix, entry by entry, with Krippendorff's metrics as he defines them."""
    kept = [[v for v in unit if v is not None] for unit in units]
    kept = [unit for unit in kept if len(unit) > 1]
    matrix: Counter[tuple[Any, Any]] = Counter()
    for unit in kept:
        for a, b in permutations(range(len(unit)), 2):
            matrix[unit[a], unit[b]] += 1 / (len(unit) - 1)  # type: ignore[assignment]
    often: Counter[Any] = Counter()
    for (a, _), n in matrix.items():
        often[a] += n
    order = sorted(often)

    def metric(a: Any, b: Any) -> float:
        if distance == "nominal":
            return float(a != b)
        if distance == "interval":
            return (a - b) ** 2
        low, high = sorted((order.index(a), order.index(b)))
        return (sum(often[v] for v in order[low : high + 1]) - (often[a] + often[b]) / 2) ** 2

    total = sum(often.values())
    observed = sum(n * metric(a, b) for (a, b), n in matrix.items()) / total
    expected = sum(often[a] * often[b] * metric(a, b) for a in order for b in order) / (total * (total - 1))
    return 1 - observed / expected


def kappa_by_hand(items: list[list[Any]]) -> float:
    """Fleiss: agreeing pairs of raters, against the squares of the shares."""
    m = len(items[0])
    pairs = [sum(a == b for a, b in permutations(one, 2)) / (m * (m - 1)) for one in items]
    often = Counter(v for one in items for v in one)
    chance = sum((n / (m * len(items))) ** 2 for n in often.values())
    return (sum(pairs) / len(pairs) - chance) / (1 - chance)


@pytest.mark.parametrize("seed", range(6))
def test_the_definitions_written_again_give_the_same(seed: int) -> None:
    rng = random.Random(seed)
    truth = [rng.randrange(4) for _ in range(25)]

    def said(true: int) -> int:
        return true if rng.random() < 0.7 else rng.randrange(4)

    whole = [[said(true) for _ in range(3)] for true in truth]
    holes = [[v if rng.random() < 0.75 else None for v in one] for one in whole]
    for distance in ("nominal", "ordinal", "interval"):
        found = krippendorff(holes, distance, draws=50)
        assert found is not None
        assert found.value == pytest.approx(alpha_by_hand(holes, distance), abs=1e-9)
    of_three = fleiss(whole, draws=50)
    assert of_three is not None
    assert of_three.value == pytest.approx(kappa_by_hand(whole), abs=1e-9)
    pairs = [(one[0], one[1]) for one in whole]
    seen, n = sum(a == b for a, b in pairs) / 25, 25
    chance = sum(sum(a == v for a, _ in pairs) * sum(b == v for _, b in pairs) / n**2 for v in range(4))
    two = cohen(pairs, draws=50)
    assert two is not None
    assert two.value == pytest.approx((seen - chance) / (1 - chance), abs=1e-9)


def test_where_nothing_varies_nothing_is_said() -> None:
    assert krippendorff([["a", "a"]] * 9) is None
    assert cohen([("a", "a")] * 9) is None
    assert fleiss([["a", "a", "a"]] * 9) is None
    assert krippendorff([]) is None
    assert krippendorff([["a", None], [None, "b"]]) is None
    perfect = krippendorff([["a", "a"], ["b", "b"]] * 5)
    assert perfect is not None
    assert (perfect.value, perfect.low) == (1.0, None)
    few = krippendorff([["a", "a"], ["b", "b"], ["a", "b"]])
    assert few is not None
    assert few.low is None
    with pytest.raises(ValueError, match="labels for each item"):
        fleiss([["a", "b"], ["a", "b", "c"]])
    with pytest.raises(ValueError, match="labels for each item"):
        fleiss([["a"]])
    assert mean_over_items([]) is None


def test_the_same_labels_give_the_same_interval() -> None:
    assert krippendorff(UNITS, "nominal", draws=100) == krippendorff(UNITS, "nominal", draws=100)
