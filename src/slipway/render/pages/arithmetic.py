"""The two tables by which a verdict's arithmetic can be done again: its rules, and the values of every example.

Titles are the same in every language: a script reads them.
"""

from __future__ import annotations

from slipway.release.recount import Recount
from slipway.render.document import Column, Table

_RULES = ("metric", "slice", "rule", "test", "column", "side", "target", "least", "most", "alpha", "bound", "outcome")


def rules_table(found: Recount) -> Table:
    """One rule a row."""
    rows = [[getattr(line, name) for name in _RULES] for line in found.lines]
    return Table("", [Column(name) for name in _RULES], rows)


def values_table(found: Recount) -> Table:
    """One example a row; a value that it does not have is empty."""
    facets = sorted({key for score in found.scores for key in score.facets})
    names = ["example", "group", "language", *facets, *found.columns]
    rows = [
        [score.example, score.group or score.example, score.language, *(score.facets.get(key, "") for key in facets),
         *(column.get(score.example) for column in found.columns.values())]
        for score in found.scores
    ]  # fmt: skip
    return Table("", [Column(name) for name in names], rows)
