"""Whether what is served gives the labels of the trained network, and how much counted words add to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from slipway.builtin.classifiers.classifier import Classifier
from slipway.builtin.classifiers.network import Scoring
from slipway.errors import SlipwayError
from slipway.i18n import joined, t
from slipway.text.visible import line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST = 300  # examples that both are asked about
_NAMED = 5
_MIXES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)
_TEMPERATURES = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)


class Parity(NamedTuple):
    """Of `examples`, the share with another label, and the mean cosine of the scores (about their mean)."""

    examples: int
    differences: float
    cosine: float

    @property
    def measured(self) -> dict[str, float]:
        """For `Made.measured`."""
        found = {"examples": float(self.examples), "differences": self.differences, "cosine": self.cosine}
        return {f"parity_{name}": value for name, value in found.items()}


def compare(
    texts: Sequence[str], trained: NDArray[np.float32], served: Scoring, labels: Sequence[str], bound: float
) -> Parity:
    """`trained`: [texts, labels], what the trained network says. Raises SlipwayError beyond `bound`, with examples."""
    import numpy as np

    other: list[str] = []
    cosines: list[float] = []
    for text, row in zip(texts, trained, strict=True):
        own = served.scores(text)
        assert own is not None, "it was read for training"
        here, there = row.astype(np.float64) - row.mean(), own - own.mean()
        length = float(np.linalg.norm(here) * np.linalg.norm(there))
        cosines.append(float(here @ there) / length if length else 1.0)
        if int(row.argmax()) != int(own.argmax()):
            other.append(f"'{line(text[:80])}': {labels[int(row.argmax())]} / {labels[int(own.argmax())]}")
    found = Parity(len(texts), len(other) / max(1, len(texts)), round(float(np.mean(cosines)), 9) if cosines else 1.0)
    if found.differences > bound:
        raise SlipwayError(
            t(
                "the network that would be served and the trained one give {n} of {all} examples different labels "
                "(trained / served): {examples}",
                n=len(other), all=len(texts), examples=joined(other[:_NAMED]),
            ),
            t("use precision: fp32, or allow this share: disagreement: {share:.3f}", share=found.differences),
        )  # fmt: skip
    return found


def mixed(classifier: Classifier, texts: Sequence[str], classes: Sequence[int]) -> tuple[float, float]:
    """(mix, alone): how often the scores of counted features are added to those of the network, and what they are
    multiplied with where it cannot read a text, so that the labels of dev (`classes`) are likeliest at some
    temperature.
    """
    import numpy as np

    nothing = np.zeros(0, np.float32)
    own = [classifier.network.scores(text) if classifier.network else None for text in texts]
    linear = [classifier.linear(text, nothing) for text in texts]

    def loss(scores: NDArray[np.float64], truth: NDArray[np.intp], temperature: float) -> float:
        held = scores / temperature
        held -= held.max(axis=1, keepdims=True)
        return float((np.log(np.exp(held).sum(axis=1)) - held[np.arange(len(truth)), truth]).mean())

    read = [n for n, row in enumerate(own) if row is not None]
    mix, alone, best = 0.5, 1.0, 1.0
    if len(read) >= 10:
        network = np.stack([row for row in own if row is not None])
        counted, truth = np.stack([linear[n] for n in read]), np.array([classes[n] for n in read])
        tried = [(loss(network + m * counted, truth, at), m, at) for m in _MIXES for at in _TEMPERATURES]
        _, mix, best = min(tried)
    unread = [n for n in range(len(texts)) if own[n] is None]
    if len(unread) >= 10:
        counted, truth = np.stack([linear[n] for n in unread]), np.array([classes[n] for n in unread])
        alone = best / min((loss(counted, truth, at), at) for at in _TEMPERATURES)[1]
    return mix, alone
