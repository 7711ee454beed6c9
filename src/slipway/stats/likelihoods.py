"""Perplexity and bits per byte of references: a ratio of totals over examples, with its interval by whole groups.

A long reference weighs more than a short one: the total of nats is divided by that of tokens or bytes, as language
models are compared (Jelinek et al. 1977; bits per byte: Gao et al. 2020, The Pile). An example is a mean over its
tokens or bytes that counts as often as it has them, so that the ratio is a mean over groups of different sizes, and has
Gaffke's bound like any other (`means`). No likelihood has a highest value: twice the largest of an example is taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from slipway.core.metrics import MetricInfo
from slipway.core.report import Score

if TYPE_CHECKING:
    from slipway.stats.grouping import Floats

_LARGEST = 700.0  # nats a token, above which e to their power is no number


def unscored(scores: Sequence[Score]) -> int:
    """Examples with a reference whose likelihood is not known: where there are any, the ratio is that of others."""
    return sum(any(score.expected) and score.likelihood is None for score in scores)


def value(score: Score, info: MetricInfo) -> float | None:
    """Nats a token (perplexity), or bits a byte, of one example; None where they are not known."""
    found = score.likelihood
    if found is None:
        return None
    if info.name == "perplexity":
        return found.nats / found.tokens
    return found.nats / math.log(2) / max(1, found.bytes)


def weights(scores: Sequence[Score], info: MetricInfo) -> Floats:
    """How much each example counts: its tokens, or its bytes, [n]."""
    import numpy as np

    found = [score.likelihood for score in scores]
    sizes = [0 if one is None else one.tokens if info.name == "perplexity" else max(1, one.bytes) for one in found]
    return np.array(sizes, dtype=np.float64)


def shown(info: MetricInfo, mean: float | None) -> float | None:
    """A mean as it is told: perplexity is e to the power of the nats a token."""
    return mean if mean is None or info.name != "perplexity" else math.exp(min(mean, _LARGEST))
