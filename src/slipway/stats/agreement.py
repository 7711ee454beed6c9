"""How far annotators agree beyond chance, each with an interval over items. On plain arrays; knows no queue.

Cohen 1960, "A coefficient of agreement for nominal scales"; Fleiss 1971, "Measuring nominal scale agreement among many
raters"; Krippendorff 2011, "Computing Krippendorff's alpha-reliability", for any number of annotators and missing data.
Each coefficient is a function of how often every item counts, so that one function serves the estimate (once), the
bootstrap (as drawn) and the jackknife (all but one). Intervals are BCa over items (Efron 1987): items are what was
drawn, their judgements belong together. A coefficient is None where nothing varies: agreement beyond chance is then
not defined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from slipway.stats.distributions import normal_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Distance = Literal["nominal", "ordinal", "interval"]
Labels = Sequence[Any]  # the labels that one item got, or label and None of each annotator
DRAWS = 2_000
FEWEST = 5  # items, below which no interval is given


@dataclass(frozen=True)
class Agreement:
    """`value`: 1 is agreement on everything, 0 what chance gives. `items`: how many it rests on."""

    value: float
    low: float | None
    high: float | None
    items: int


def cohen(pairs: Sequence[tuple[Any, Any]], draws: int = DRAWS, seed: int = 0) -> Agreement | None:
    """Cohen's kappa of two annotators from their labels of the same items."""
    import numpy as np

    names = {name: place for place, name in enumerate(dict.fromkeys(one for pair in pairs for one in pair))}
    first, second = (np.eye(len(names))[[names[pair[side]] for pair in pairs]] for side in (0, 1)) if pairs else (0, 0)
    same = np.array([float(a == b) for a, b in pairs])

    def kappa(weights: Floats) -> Floats:
        n = weights.sum(axis=1)
        chance = ((weights @ first) * (weights @ second)).sum(axis=1) / n**2
        return _beyond((weights @ same) / n, chance)

    return _over_items(kappa, len(pairs), draws, seed)


def fleiss(items: Sequence[Labels], draws: int = DRAWS, seed: int = 0) -> Agreement | None:
    """Fleiss' kappa; every item has the same number of labels, two or more. Raises ValueError for anything else."""
    sizes = {len(one) for one in items}
    if len(sizes) > 1 or (sizes and min(sizes) < 2):
        raise ValueError(f"labels for each item: {sorted(sizes)}")
    counts, _ = _counts(items)
    m = min(sizes, default=2)
    agreed = ((counts**2).sum(axis=1) - m) / (m * (m - 1))

    def kappa(weights: Floats) -> Floats:
        n = weights.sum(axis=1)
        shares = (weights @ counts) / (n * m)[:, None]
        return _beyond((weights @ agreed) / n, (shares**2).sum(axis=1))

    return _over_items(kappa, len(items), draws, seed)


def krippendorff(
    items: Sequence[Labels], distance: Distance = "nominal", draws: int = DRAWS, seed: int = 0
) -> Agreement | None:
    """Krippendorff's alpha. A label that is None is missing; an item with fewer than two labels says nothing.

    `distance`: labels that are different (nominal), ranks (ordinal) or numbers (interval). Squared differences of ranks
    are those of the middle ranks of the labels, which is Krippendorff's ordinal metric.
    """
    import numpy as np

    paired = [kept for one in items if len(kept := [label for label in one if label is not None]) > 1]
    counts, labels = _counts(paired, ordered=distance != "nominal")
    sizes = counts.sum(axis=1)
    numbers = np.array(labels, dtype=np.float64) if distance == "interval" else None
    unlike = (sizes**2 - (counts**2).sum(axis=1)) / (sizes - 1) if distance == "nominal" else None

    def alpha(weights: Floats) -> Floats:
        often = weights @ counts  # how often each label occurs: [draws, labels]
        n = often.sum(axis=1)
        if unlike is not None:
            observed, expected = weights @ unlike, n**2 - (often**2).sum(axis=1)
        else:
            middle = np.cumsum(often, axis=1) - often / 2
            at = middle if numbers is None else np.broadcast_to(numbers, often.shape)
            spread = sizes * (at**2 @ counts.T) - (at @ counts.T) ** 2
            observed = 2 * (weights * spread / (sizes - 1)).sum(axis=1)
            expected = 2 * (n * (often * at**2).sum(axis=1) - (often * at).sum(axis=1) ** 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(expected > 1e-9 * n, 1 - (n - 1) * observed / expected, np.nan)

    return _over_items(alpha, len(paired), draws, seed)


def mean_over_items(values: Sequence[float], draws: int = DRAWS, seed: int = 0) -> Agreement | None:
    """The mean of a measure that each item has by itself, such as how far marked spans overlap."""
    import numpy as np

    given = np.array(values, dtype=np.float64)
    return _over_items(lambda weights: weights @ given / weights.sum(axis=1), len(values), draws, seed)


def _beyond(seen: Floats, chance: Floats) -> Floats:
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(chance < 1 - 1e-12, (seen - chance) / (1 - chance), np.nan)


def _counts(items: Sequence[Labels], *, ordered: bool = False) -> tuple[Floats, list[Any]]:
    """How many of an item's labels are which: [items, labels], and the labels."""
    import numpy as np

    every = dict.fromkeys(label for one in items for label in one)
    labels = sorted(every) if ordered else list(every)
    place = {label: number for number, label in enumerate(labels)}
    counts = np.zeros((len(items), len(labels)))
    for number, one in enumerate(items):
        for label in one:
            counts[number, place[label]] += 1
    return counts, labels


def _over_items(statistic: Callable[[Floats], Floats], items: int, draws: int, seed: int) -> Agreement | None:
    """The statistic and its 95% BCa interval. `statistic`: weights of items, [draws, items], to values, [draws]."""
    import numpy as np

    if not items:
        return None
    value = float(statistic(np.ones((1, items)))[0])
    if not np.isfinite(value):
        return None
    if items < FEWEST:
        return Agreement(value, None, None, items)
    random, part = np.random.default_rng(seed), max(1, 4_000_000 // items)
    drawn = [
        statistic(
            random.multinomial(items, np.full(items, 1 / items), size=min(part, draws - start)).astype(np.float64)
        )
        for start in range(0, draws, part)
    ]
    found = np.sort(np.concatenate(drawn))
    found = found[np.isfinite(found)]  # NaN sorts last, and a draw in which nothing varies says nothing
    left = statistic(1 - np.eye(items)) if items <= 1_000 else np.full(2, value)
    left = left[np.isfinite(left)]
    if len(found) < draws / 2 or found[0] == found[-1]:
        return Agreement(value, None, None, items)
    low, high = _bca(found, value, left)
    return Agreement(value, min(low, value), max(high, value), items)


def _bca(found: Floats, value: float, left: Floats) -> tuple[float, float]:
    """Ends of the interval: quantiles of the bootstrap, moved for its bias and its skew."""
    import numpy as np
    from scipy.special import ndtr

    below = (np.sum(found < value) + np.sum(found == value) / 2) / len(found)
    bias = normal_quantile(float(np.clip(below, 1 / len(found), 1 - 1 / len(found))))
    deviations = left.mean() - left if len(left) else left
    spread = float((deviations**2).sum()) ** 1.5
    skew = float((deviations**3).sum()) / (6 * spread) if spread > 0 else 0.0
    ends: list[float] = []
    for at in (-1.959964, 1.959964):
        moved = bias + (bias + at) / (1 - skew * (bias + at))
        ends.append(float(np.quantile(found, ndtr(moved))))
    return min(ends), max(ends)
