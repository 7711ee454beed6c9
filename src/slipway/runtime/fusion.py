"""Joins rankings of the same things into one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def reciprocal_rank_fusion(rankings: Iterable[Sequence[str]], k: float = 60.0) -> list[tuple[str, float]]:
    """Each id with the sum of `1 / (k + rank)` over the rankings it is in; best first, ties by id.

    Cormack, Clarke and Buettcher 2009. Ranks count from 1; an id counts once in a ranking,
    at its first place. Scores of the rankings themselves are not used, so they need not be comparable.
    """
    total: dict[str, float] = {}
    for ranking in rankings:
        for rank, name in enumerate(dict.fromkeys(ranking), start=1):
            total[name] = total.get(name, 0.0) + 1 / (k + rank)
    return sorted(total.items(), key=lambda entry: (-entry[1], entry[0]))
