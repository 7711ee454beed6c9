"""Macro F1 over labels, as a function of weights, and as a sum over examples.

An example is counted under one label: the reference that the prediction equals, else its first reference. The mean is
over the labels that examples are counted under. A prediction outside these labels is wrong: it takes from the recall
of the label that was right, and adds no label of its own, however many different ones there are. With one reference
each this is scikit-learn's `f1_score(labels=sorted(set(gold)), average="macro")`; an F1 over the predicted labels too
(its default) would fall with every new way to be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slipway.stats.grouping import Floats, Statistic


_FEW = 2  # examples
NOTHING = "\0"  # the prediction of an answer that is none; no label is this


def credited(references: Sequence[str], predicted: str) -> str:
    """The label that a prediction is counted under: the reference it equals, else the first. All normalised."""
    return predicted if predicted in references else references[0]


def macro_f1(gold: Sequence[str], predicted: Sequence[str]) -> Statistic:
    """Macro F1 as a function of weights [draws, n], over the labels that `gold` has (`credited`)."""
    truth, guess = _label_matrices(gold, predicted)
    hit = truth * guess
    return lambda weights: _f1(weights @ hit, weights @ truth, weights @ guess)


def macro_f1_influence(gold: Sequence[str], predicted: Sequence[str]) -> tuple[Floats, float, float]:
    """What each example adds to macro F1, to first order, [n], and the least and the most that one more could add.

    The contributions are centred on the value itself: macro F1 is their mean, and their scatter is its scatter
    (infinitesimal jackknife; Efron 1982). With one example or two the first order says nothing, and one more could add
    anything from 0 to 1, as to a share.
    """
    import numpy as np

    truth, guess = _label_matrices(gold, predicted)
    weight = truth.sum(axis=0) + guess.sum(axis=0)
    scores = 2 * (truth * guess).sum(axis=0) / weight
    n, labels = truth.shape
    rate = n / (labels * weight)
    added = (2 * truth * guess - scores * (truth + guess)) @ rate
    losses = np.sort(scores * rate)[::-1]
    value = float(scores.mean())
    least, most = value - float(losses[:2].sum()), value + float(((2 - 2 * scores) * rate).max())
    return value + added, *((least, most) if n > _FEW else (min(least, 0.0), max(most, 1.0)))


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
