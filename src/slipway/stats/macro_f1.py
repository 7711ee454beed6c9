"""Macro F1 over labels, as a function of weights, and its bounds.

An example is counted under one label: the reference that the prediction equals, else its first reference. The mean is
over the labels that examples are counted under. A prediction outside these labels is wrong: it takes from the recall
of the label that was right, and adds no label of its own, however many different ones there are. With one reference
each this is scikit-learn's `f1_score(labels=sorted(set(gold)), average="macro")`; an F1 over the predicted labels too
(its default) would fall with every new way to be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from slipway.stats.resampling import draws_for, exponential_weights

if TYPE_CHECKING:
    from slipway.stats.grouping import Codes, Floats, Statistic


NOTHING = "\0"  # the prediction of an answer that is none; no label is this


def credited(references: Sequence[str], predicted: str) -> str:
    """The label that a prediction is counted under: the reference it equals, else the first. All normalised."""
    return predicted if predicted in references else references[0]


def macro_f1(gold: Sequence[str], predicted: Sequence[str]) -> Statistic:
    """Macro F1 as a function of weights [draws, n], over the labels that `gold` has (`credited`)."""
    truth, guess = _label_matrices(gold, predicted)
    hit = truth * guess
    return lambda weights: _f1(weights @ hit, weights @ truth, weights @ guess)


def macro_f1_bounds(
    gold: Sequence[str], predicted: Sequence[str], codes: Codes, tail: float, seed: int
) -> tuple[float, float]:
    """Bayesian bootstrap with one more group whose labels are spread as seen: all wrong below, all right above."""
    import numpy as np

    truth, guess = _label_matrices(gold, predicted)
    groups = int(codes.max()) + 1
    drawn = exponential_weights(min(2_000, draws_for(len(gold))), groups + 1, seed)
    weights, extra = drawn[:, :-1][:, codes].astype(np.float64), drawn[:, -1:].astype(np.float64)
    added = extra * truth.mean(axis=0)[None, :] * (len(gold) / groups)
    hits, truths, guesses = weights @ (truth * guess), weights @ truth + added, weights @ guess + added
    low = float(np.quantile(_f1(hits, truths, guesses), tail))
    return low, float(np.quantile(_f1(hits + added, truths, guesses), 1 - tail))


def _label_matrices(gold: Sequence[str], predicted: Sequence[str]) -> tuple[Floats, Floats]:
    """Which label each example has and which it was given, each [n, labels]; labels are those of `gold`."""
    import numpy as np

    labels = np.array(sorted(set(gold)))
    return (
        (np.array(gold)[:, None] == labels).astype(np.float64),
        (np.array(predicted)[:, None] == labels).astype(np.float64),
    )


def _f1(hits: Floats, truths: Floats, guesses: Floats) -> Floats:
    """Mean over the labels that occur of 2 hits / (truths + guesses); arrays are [draws, labels]."""
    import numpy as np

    present = truths > 0
    scores = np.where(present, 2 * hits / np.maximum(truths + guesses, 1e-300), 0.0)
    return scores.sum(axis=1) / np.maximum(present.sum(axis=1), 1)
