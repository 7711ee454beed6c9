"""The loop, read from top to bottom: models, documents, chunks, examples, indexes, candidates, reports, the gate, a
release. Each step is skipped when nothing it depends on has changed (see `execute`); what a stage does is in `stages`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from slipway.core.candidate import Candidate, Retrieval
from slipway.core.look import Look
from slipway.core.material import Dataset
from slipway.core.report import Report
from slipway.data.split import slices
from slipway.errors import Busy, ConfigError, NotFound, SlipwayError, nearest
from slipway.i18n import t
from slipway.loop.at_work import at_work
from slipway.loop.context import Context
from slipway.loop.stages.adapt import make_candidates
from slipway.loop.stages.data import freeze_chunks, freeze_data, freeze_documents
from slipway.loop.stages.evaluate import measure, pin_rates, reports_on
from slipway.loop.stages.looks import LOCKED, afford, earlier_looks, gate_ids, look, rotation
from slipway.loop.stages.planning import plan_gate
from slipway.loop.stages.release import check_channels, release
from slipway.loop.state import STAGES, Damage, Loop, Outcome, Stage
from slipway.project.plugin_options import check_measured
from slipway.release.bundle import check_blobs, models_of

__all__ = [
    "STAGES",
    "Outcome",
    "Stage",
    "by_words",
    "looks",
    "plan_gate",
    "reports_for",
    "rotate",
    "run",
    "show_answers",
]


def run(context: Context, until: Stage = "release") -> Outcome:
    """`slipway run`: bring the stages up to `until` up to date; `refused` of the outcome says why nothing was released.

    Raises Busy when another run is at work in this project.
    """
    with at_work(context):
        loop = Loop(context)
        last = STAGES.index(until)
        if last >= 3:
            check_measured(context.project, context.file)
            check_channels(loop)
        _, chunks, examples = freeze_data(loop)
        if last >= 1:
            failed: dict[str, SlipwayError] = {}
            candidates = make_candidates(loop, chunks, examples, failed)
            if last >= 2:
                pin_rates(loop, candidates.values())
                measure(loop, candidates, examples, "dev")
            for error in failed.values():  # the others are measured by now; no look is spent while one is missing
                raise error
            if last >= 3 and context.project.data.sample is not None:
                loop.outcome.refused = t("a sample of the documents was measured, and what serves must know them all")
                loop.outcome.hint = t("run again without --sample, or without data.sample in slipway.yaml")
            elif last >= 3:
                release(loop, candidates, examples)
                loop.outcome.damage = list(_damage(loop))
        return loop.outcome


def _damage(loop: Loop) -> Iterator[Damage]:
    """What serves and is not whole. Models are looked for; their bytes are read when they are loaded, or verified."""
    catalog = loop.store.catalog
    for channel, digest in catalog.channels().items():
        try:
            served = catalog.release(digest)
            check_blobs(served, loop.store)
            for model in models_of(catalog.get("candidate", served.candidate.digest, Candidate)):
                loop.context.locate(model)
        except SlipwayError as error:
            yield Damage(channel, error.message, error.hint)


def reports_for(context: Context, names: Sequence[str], split: str, *, timed: bool = False) -> list[Report]:
    """The up-to-date reports of candidates of the project on a split, measured now if need be; with `timed`, so that
    their latencies can be compared.

    On the gate split each is a look, which is counted whether or not anything had to be measured; raises GateFailed
    when none is left.
    """
    if split not in ("dev", "gate"):
        raise ConfigError(t("'{split}' is not dev or gate", split=split), t("candidates are compared on dev or gate"))
    for name in names:
        if name not in context.project.candidates:
            near = nearest(name, context.project.candidates)
            raise NotFound(
                t("no candidate is called '{name}'", name=name),
                t("did you mean '{near}'?", near=near) if near else ", ".join(context.project.candidates),
            )
    with at_work(context):
        loop = Loop(context)
        _, chunks, examples = freeze_data(loop)
        failed: dict[str, SlipwayError] = {}
        every = make_candidates(loop, chunks, examples, failed)
        for name in names:
            if name in failed:
                raise failed[name]
        candidates = {every[name].digest: every[name] for name in names}
        ids = gate_ids(context, examples) if split == "gate" else []
        if split == "gate":
            for digest in candidates:
                afford(context, ids, "comparison", [digest])
        made = reports_on(loop, list(candidates.values()), examples, split, timed=timed)
        found = dict(zip(candidates, made, strict=True))
        if split == "gate":
            for digest, report in found.items():
                look(context, ids, "comparison", [digest], report.answers)
        return [found[every[name].digest] for name in names]


def by_words(context: Context) -> Candidate:
    """A candidate that quotes the documents by words alone: their index is made in seconds, and no model is asked.

    Belongs to no project file, is measured by nothing and can be released by nothing. Raises Busy while a run reads the
    documents for the first time, ConfigError for a project without documents.
    """
    if not context.project.data.has_documents:
        raise ConfigError(
            t("the project has no documents: there is nothing to quote"), t("list them under data.documents")
        )
    try:
        with at_work(context):
            loop = Loop(context)
            documents = freeze_documents(loop)
            assert documents is not None
            chunks = freeze_chunks(loop, documents)
    except Busy:  # a run is at work: what it has read already is enough
        found = context.store.catalog.list("dataset", Dataset, "chunks")
        if not found:
            raise
        chunks = found[0][1]
    task = context.project.task
    retrieve = Retrieval(chunks=chunks.ref, embedder=None, mode="lexical", top_k=5)
    return Candidate(name="now", task=task.name, task_options=task.options, strategy="quote", retrieve=retrieve)


def show_answers(context: Context, report: Report, *, refuse: bool = True) -> None:
    """Count the look that showing a report's answers on the gate split is. Raises GateFailed when none is left.

    `refuse` False: counted in any case, for what must be possible after the last look, such as checking a verdict.
    """
    dataset = context.store.catalog.get("dataset", report.dataset.digest, Dataset)
    ids, candidates = gate_ids(context, dataset), [report.candidate.digest]
    look(context, ids, "answers", candidates, report.scores, refuse=refuse)


def looks(context: Context) -> list[Look]:
    """Every look at examples that are now in the gate split, the first first."""
    with at_work(context):
        _, _, examples = freeze_data(Loop(context))
        return earlier_looks(context, gate_ids(context, examples))


def rotate(context: Context) -> Dataset:
    """Make the reserve, or its next part, the gate split; what was the gate becomes dev. Returns the new examples.

    Written to slipway.lock, so that every machine splits alike. Raises ConfigError when nothing is left in reserve.
    """
    with at_work(context):
        times = rotation(context) + 1
        if times > slices(context.project.data.split):
            raise ConfigError(
                t("nothing is in reserve: data.split.reserve is {share:g}, and it was rotated in {n} times",
                  share=context.project.data.split.reserve, n=times - 1),
                t("add fresh examples from traffic or labelling, and keep a share of them: data.split.reserve: 0.2"),
            )  # fmt: skip
        before = context.lock_file.get(LOCKED) or {}
        context.lock_file.put(LOCKED, {**before, "rotated": str(times)})
        try:
            _, _, examples = freeze_data(Loop(context))
        except BaseException:
            context.lock_file.put(LOCKED, {**before, "rotated": str(times - 1)})
            raise
        return examples
