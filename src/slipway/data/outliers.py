"""Documents far from the rest in length or mix of characters: flagged for a person, never dropped.

Robust z-scores, 0.6745 (x - median) / MAD, flagged beyond 3.5 (Iglewicz & Hoaglin 1993), so that the outliers
themselves do not move the measure. Below eight documents there is no rest to be far from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from slipway.core.material import Change, Document

_FAR = 3.5
_FEWEST = 8
# The least deviation that counts as ordinary: without it, a uniform corpus would flag every small difference.
_LEAST = {"outlier-length": 0.35, "outlier-characters": 0.03}


def robust_scores(values: Sequence[float], least: float) -> list[float]:
    """The robust z-score of each value; `least` is the smallest median deviation that is believed."""
    middle = median(values)
    deviation = max(median(abs(value - middle) for value in values), least)
    return [0.6745 * (value - middle) / deviation for value in values]


def flag_outliers(documents: Sequence[Document], mixes: Sequence[tuple[int, int, int]]) -> list[Change]:
    """A Change for each document whose log length, or share of letters, is far from the others'."""
    if len(documents) < _FEWEST:
        return []
    lengths = [math.log(max(1, len(document.text))) for document in documents]
    letters = [mix[0] / max(1, sum(mix)) for mix in mixes]
    details = {
        "outlier-length": [f"{len(document.text):,} characters" for document in documents],
        "outlier-characters": [f"{share:.0%} of the characters are letters" for share in letters],
    }
    changes: list[Change] = []
    for reason, values in (("outlier-length", lengths), ("outlier-characters", letters)):
        usual = math.exp(median(values)) if reason == "outlier-length" else median(values)
        shown = f"{usual:,.0f}" if reason == "outlier-length" else f"{usual:.0%}"
        for number, score in enumerate(robust_scores(values, _LEAST[reason])):
            if abs(score) > _FAR:
                detail = f"{details[reason][number]}, half of the documents have more than {shown}"
                changes.append(_flagged(documents[number].source, reason, detail))
    return changes


def _flagged(source: str, reason: str, detail: str) -> Change:
    return Change(item=source, step="outliers", action="flagged", reason=reason, detail=detail)
