"""Joins rankings of the same things into one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def reciprocal_rank_fusion(
    rankings: Iterable[Sequence[str]], k: float = 60.0, weights: Sequence[float] | None = None
) -> list[tuple[str, float]]:
    """Each id with the sum of `weight / (k + rank)` over the rankings it is in; best first, ties by id.

    Cormack, Clarke and Buettcher 2009. Ranks count from 1; `weights` default to 1; an id counts once in a ranking,
    at its first place. Scores of the rankings themselves are not used, so they need not be comparable.
    """
    total: dict[str, float] = {}
    for at, ranking in enumerate(rankings):
        weight = 1.0 if weights is None else weights[at]
        for rank, name in enumerate(dict.fromkeys(ranking), start=1):
            total[name] = total.get(name, 0.0) + weight / (k + rank)
    return sorted(total.items(), key=lambda entry: (-entry[1], entry[0]))
