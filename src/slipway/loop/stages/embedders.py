"""Embedders made for a project: what `retrieve.tune` says is done once for all candidates that say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from slipway.adapt.candidates import effective
from slipway.adapt.served import serving
from slipway.adapt.tuning import TuneJob, tune
from slipway.core.artifact import Artifact
from slipway.core.candidate import ModelPin
from slipway.core.material import Chunk, Dataset, Example
from slipway.core.protocols import makes_embedder, settled_by
from slipway.core.ref import Ref, digest_of
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.loop.state import WORK, Loop
from slipway.runtime.vectors import embed_texts

if TYPE_CHECKING:
    from slipway.core.protocols import Vectors


def tuned_embedder(
    loop: Loop,
    name: str,
    pins: Mapping[str, ModelPin],
    examples: Dataset,
    chunks: Dataset | None,
    label: str = "",
) -> Artifact | None:
    """What the tuner of a candidate's retriever made, now or in an earlier run; None without one. `label`: at the end
    of the names of its step and its artifact.

    Raises ConfigError for a tuner that makes something else, or an embedder that is not there.
    """
    retrieve, context, store = effective(loop.project, name).retrieve, loop.context, loop.store
    if retrieve is None or retrieve.tune is None or chunks is None:
        return None
    options, plugins, task = retrieve.tune, context.plugins, context.task
    where = f"candidates.{name}.retrieve.tune"
    tuner = plugins.load("tuners", options.name)
    if not makes_embedder(tuner):
        raise ConfigError(
            t("{where}: the tuner '{name}' makes no embedder", where=where, name=options.name),
            t("use `contrastive` here, or `quantize` or `prune`; other tuners stand in `tune` of the candidate"),
        )
    if retrieve.embedder is None or retrieve.mode == "lexical":
        raise ConfigError(t("{where}: there is no embedder to tune", where=where), t("name it: embedder: NAME"))
    base = pins[retrieve.embedder]
    held = [e for e in store.blobs.get_lines(examples.items, Example) if e.split in tuner.reads]
    asked = [base, options.model_dump(mode="json"), [(e.id, e.split, e.relevant) for e in held]]
    asked += [settled_by(tuner, plugins.config("tuners", options.name, options.options, where))]
    code = digest_of(
        [
            *(context.code.of(module) for module in ("slipway.adapt.tuning", "slipway.runtime.vectors")),
            *(plugins.code(*one) for one in (("tuners", options.name), ("engines", base.engine))),
            plugins.code("tasks", loop.project.task.name),
        ]
    )
    step = f"tune:{retrieve.embedder}{label}"

    def work() -> Ref:
        folder = store.folder / WORK / digest_of([step, asked, chunks.ref, code])[:32]
        job = TuneJob(
            name=retrieve.embedder or "", base=base, files=context.locate(base), folder=folder, held=held,
            reads=tuner.reads, task=task, embed=lambda texts: vectors_of(loop, step, base, texts),
            load=lambda made: serving(base, made, context.locate, context.plugins, context.wait),
            render=lambda example: (), listener=loop.progress(step), hear=loop.hear,
            corpus=lambda: list(store.blobs.get_lines(chunks.items, Chunk)),
        )  # fmt: skip
        made = tune(job, options, [examples.ref, chunks.ref], plugins, store)
        return store.catalog.put("artifact", f"{made.name}{label}", made)

    ref = loop.steps.step(step, [chunks.ref], asked, code, work)
    return store.catalog.get("artifact", ref.digest, Artifact)


def vectors_of(loop: Loop, step: str, base: ModelPin | None, texts: Sequence[str]) -> Vectors:
    """What an embedding model makes of texts; without one, rows without columns."""
    import numpy as np

    if base is None or not texts:
        return np.zeros((len(texts), 0), np.float32)

    async def work() -> Vectors:
        engine = await loop.context.session.embedder(base)
        return await embed_texts(loop.store, texts, base, engine, loop.progress(step))

    return loop.context.wait(work())
