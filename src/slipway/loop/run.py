"""The loop, read from top to bottom: models, documents, chunks, examples, indexes, candidates, reports, the gate, a
release. Each step is skipped when nothing it depends on has changed (see `execute`); what a stage does is in `stages`.
"""

from __future__ import annotations

from slipway.core.report import Report
from slipway.errors import ConfigError, NotFound, nearest
from slipway.i18n import t
from slipway.loop.context import Context
from slipway.loop.stages.adapt import make_candidates
from slipway.loop.stages.data import freeze_data
from slipway.loop.stages.evaluate import measure
from slipway.loop.stages.release import check_channels, gate_split, release
from slipway.loop.state import STAGES, Loop, Outcome, Stage

__all__ = ["STAGES", "Outcome", "Stage", "report_for", "run"]


def run(context: Context, until: Stage = "release") -> Outcome:
    """`slipway run`: bring the stages up to `until` up to date; `refused` of the outcome says why nothing was released.

    Raises Busy when another run is at work in this project.
    """
    with context.store.lock():
        loop = Loop(context)
        last = STAGES.index(until)
        if last >= 3:
            check_channels(loop)
        _, chunks, examples = freeze_data(loop)
        if last >= 1:
            candidates = make_candidates(loop, chunks, examples)
            if last >= 2:
                measure(loop, candidates, examples, "dev")
            if last >= 3:
                release(loop, candidates, examples)
        return loop.outcome


def report_for(context: Context, name: str, split: str) -> Report:
    """The up-to-date report of one candidate of the project on a split, measured now if need be.

    A look at the gate split is counted, whether or not anything had to be measured.
    """
    if split not in ("dev", "gate"):
        raise ConfigError(t("'{split}' is not dev or gate", split=split), t("candidates are compared on dev or gate"))
    if name not in context.project.candidates:
        near = nearest(name, context.project.candidates)
        raise NotFound(
            t("no candidate is called '{name}'", name=name),
            t("did you mean '{near}'?", near=near) if near else ", ".join(context.project.candidates),
        )
    with context.store.lock():
        loop = Loop(context)
        _, chunks, examples = freeze_data(loop)
        candidate = make_candidates(loop, chunks, examples)[name]
        if split == "gate":
            context.store.catalog.use_gate(gate_split(loop, examples), candidate.digest)
            return measure(loop, {name: candidate}, examples, "gate")[name]
        return measure(loop, {name: candidate}, examples, "dev")[name]
