"""What a verdict of this project is weak in, from its candidates and examples (`release.warnings`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from slipway.core.candidate import Candidate
from slipway.core.material import Dataset, Example
from slipway.core.report import Report
from slipway.evaluate.scoring import facets
from slipway.i18n import Said
from slipway.loop.state import Loop
from slipway.release.planning import Place
from slipway.release.rules import Rule
from slipway.release.warnings import warnings


def cautions(
    loop: Loop,
    rules: Mapping[str, Rule],
    candidate: Candidate,
    report: Report,
    others: Mapping[str, Candidate],
    examples: Dataset,
) -> tuple[Said, ...]:
    """The warnings that stand in the verdict on a candidate."""
    places: defaultdict[str, list[Place]] = defaultdict(list)
    references: list[tuple[str, ...]] = []
    for one in loop.store.blobs.get_lines(examples.items, Example):
        places[str(one.split)].append(Place(group=one.group, language=one.language, facets=facets(one.meta)))
        if one.split == "gate":
            references.append(one.expected)
    return warnings(rules, candidate, report, others, places, references, loop.project.data.clean.languages)
