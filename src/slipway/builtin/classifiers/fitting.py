"""Multinomial logistic regression on vectors and counted features, and how much of it to believe.

L2-regularised, the whole data at each step (`minimising`). Bias is not regularised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from slipway.builtin.classifiers.minimising import minimise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Classes = NDArray[np.int32]

STRENGTHS = (1.0, 4.0, 16.0, 64.0)  # C: how much an example weighs against the size of weights, as scikit-learn has it
FOLDS = 5
HOLD_OUT = 2000  # examples from which on one fold is enough to choose by


class Features(NamedTuple):
    """Of n texts: `vectors` [n, d] and `grams`, a sparse matrix [n, m]; either may have no columns."""

    vectors: Floats
    grams: Any

    def rows(self, which: NDArray[np.intp]) -> Features:
        """Some of the texts."""
        return Features(self.vectors[which], self.grams[which])


class Weights(NamedTuple):
    """`vectors` [d, L], `grams` [m, L], `bias` [L]."""

    vectors: Floats
    grams: Floats
    bias: Floats

    def scores(self, features: Features) -> NDArray[np.float64]:
        """[n, L]."""
        import numpy as np

        return np.asarray(features.vectors @ self.vectors + features.grams @ self.grams + self.bias, np.float64)


def fit(features: Features, classes: Classes, labels: int, strength: float, start: Weights | None = None) -> Weights:
    """The weights that minimise the mean cross-entropy + |W|^2 / (2 C n). `start`: weights to begin with."""
    import numpy as np

    vectors, grams = features
    n, d, m = len(classes), vectors.shape[1], grams.shape[1]
    shrink = 1.0 / (strength * n)
    turned, at = grams.T.tocsr(), np.arange(n)

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(d + m + 1, labels)
        scores = np.asarray(grams @ weights[d:-1]) + weights[-1]
        if d:
            scores += vectors @ weights[:d]
        scores -= scores.max(axis=1, keepdims=True)
        shares = np.exp(scores)
        sums = shares.sum(axis=1)
        size = float(np.square(weights[:-1]).sum(dtype=np.float64))
        value = float((np.log(sums) - scores[at, classes]).mean(dtype=np.float64)) + shrink / 2 * size
        shares /= sums[:, None]
        shares[at, classes] -= 1
        shares /= np.float32(n)
        slope = np.empty_like(weights)
        slope[:d] = vectors.T @ shares
        slope[d:-1] = turned @ shares
        slope[-1] = shares.sum(axis=0)
        slope[:-1] += np.float32(shrink) * weights[:-1]
        return value, slope.ravel()

    nothing = np.zeros((d + m + 1, labels), np.float32)
    first = nothing if start is None else np.vstack([start.vectors, start.grams, start.bias])
    made = minimise(loss, first.ravel()).reshape(d + m + 1, labels)
    return Weights(made[:d], made[d:-1], made[-1])


def choose_strength(
    features: Features, classes: Classes, labels: int, seed: int, told: Callable[[int, int], None]
) -> tuple[float, float]:
    """(the strength that is right most often on examples left out, that share), by cross-validation within the labels.

    Of strengths that are equally right, the one that finds the truth likelier. `told`: done, of how many.
    """
    import numpy as np

    folds = _folds(classes, seed)
    parts = range(1 if len(classes) > HOLD_OUT else FOLDS)
    found = {strength: [0.0, 0.0] for strength in STRENGTHS}
    tested = 0
    for part in parts:
        held = np.flatnonzero(folds == part)
        kept = np.flatnonzero(folds != part)
        weights = None
        tested += len(held)
        for n, strength in enumerate(STRENGTHS):
            weights = fit(features.rows(kept), classes[kept], labels, strength, weights)
            scores = weights.scores(features.rows(held))
            truth = scores[np.arange(len(held)), classes[held]]
            tops = scores.max(axis=1)
            found[strength][0] += float((scores.argmax(axis=1) == classes[held]).sum())
            found[strength][1] += float((truth - tops - np.log(np.exp(scores - tops[:, None]).sum(axis=1))).sum())
            told(part * len(STRENGTHS) + n + 1, len(parts) * len(STRENGTHS))
    best = max(STRENGTHS, key=lambda strength: tuple(found[strength]))
    return best, found[best][0] / max(1, tested)


def _folds(classes: Classes, seed: int) -> NDArray[np.intp]:
    """The fold of each example; every label is dealt evenly, beginning at another fold each."""
    import numpy as np

    found = np.zeros(len(classes), np.intp)
    draw = np.random.default_rng(seed)
    for label in np.unique(classes):
        members = draw.permutation(np.flatnonzero(classes == label))
        found[members] = (np.arange(len(members)) + int(label)) % FOLDS
    return found
