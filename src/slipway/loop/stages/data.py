"""Documents, the chunks cut from them, and examples: collected, cleaned, frozen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slipway.core.material import Dataset
from slipway.core.ref import Ref, digest_of
from slipway.data.chunks import make_chunks
from slipway.data.collect import Found, collect
from slipway.data.documents import make_documents
from slipway.data.examples import example_files, make_examples, read_entries
from slipway.data.losses import losses
from slipway.data.parsing.ocr import installed
from slipway.data.references import corpus_of
from slipway.data.sample import sampled
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.loop.fingerprint import fingerprint
from slipway.loop.stages.looks import rotation
from slipway.loop.state import Loop
from slipway.plugins import reporting


def freeze_documents(loop: Loop) -> Dataset | None:
    """The documents alone; None for a project without any."""
    config, root, store = loop.project.data, loop.context.root, loop.store
    if not config.has_documents:
        return None
    found, refused = collect(config, root)
    only = _sample(loop, found)
    if only is not None:
        found = [file for file in found if file.source in only]
    files = fingerprint([(file.source, file.path) for file in found], store)
    shown = config.model_dump(mode="json", include={"documents", "clean", "limits"})
    if config.fetched:
        shown |= {"fetched": {name: source.language for name, source in config.fetched.items()}}
    languages = sorted({source.ocr for source in config.documents if source.ocr})
    if languages:
        shown |= {"ocr": [installed(one).version for one in languages]}
    return _dataset(
        loop, "documents", [], [files, shown, [(name, note.reason) for name, note in refused]], make_documents,
        lambda: make_documents(config, root, store, loop.progress("documents"), only),
    )  # fmt: skip


def _sample(loop: Loop, found: Sequence[Found]) -> set[str] | None:
    """The sources of a sample, where one is asked for."""
    config, context = loop.project.data, loop.context
    if config.sample is None:
        return None
    entries = read_entries(config, context.root, loop.store, context.task, []) if config.examples else []
    named = {name for entry in entries for name in entry.example.relevant}
    kept = {file.source for file in sampled(found, named, config.sample)}
    context.listener.say(
        t(
            "a sample: {n} of {all} files, those that examples name among them; retrieval looks better than it is, and "
            "nothing is released",
            n=len(kept), all=len(found),
        )
    )  # fmt: skip
    return kept


def freeze_chunks(loop: Loop, documents: Dataset) -> Dataset:
    """The chunks of frozen documents."""
    config, store = loop.project.data, loop.store
    return _dataset(
        loop, "chunks", [documents.ref], config.chunk.model_dump(mode="json"), make_chunks,
        lambda: make_chunks(config, documents, store),
    )  # fmt: skip


def freeze_data(loop: Loop) -> tuple[Dataset | None, Dataset | None, Dataset]:
    """Documents, chunks and examples, frozen."""
    project, config, root, store = loop.project, loop.project.data, loop.context.root, loop.store
    documents = freeze_documents(loop)
    chunks = freeze_chunks(loop, documents) if documents is not None else None
    if not config.examples:
        raise ConfigError(
            t("the project has no examples: nothing can be measured"),
            t("list inputs with their references under data.examples"),
        )
    named = [file for source in config.examples for file in example_files(source, config.roots, root)]
    files = fingerprint([(file.source, file.path) for file in named], store)
    shown = config.model_dump(mode="json", include={"examples", "split"})
    rotated = rotation(loop.context)
    if rotated:
        shown |= {"rotated": rotated}
    task = project.task
    if task.name != "answer" or task.options:
        shown |= {"task": task.model_dump(mode="json")}
    examples = _dataset(
        loop, "examples", [documents.ref] if documents else [], [files, shown], make_examples,
        lambda: _examples(loop, documents, rotated),
        loop.context.plugins.code("tasks", task.name),
    )  # fmt: skip
    loop.outcome.losses = losses(loop.outcome.datasets, store)
    return documents, chunks, examples


def _examples(loop: Loop, documents: Dataset | None, rotated: int) -> Dataset:
    context = loop.context
    with reporting("tasks", loop.project.task.name):
        corpus = corpus_of(documents, loop.store)
        return make_examples(loop.project.data, context.root, loop.store, context.task, corpus, rotated)


def _dataset(
    loop: Loop,
    name: str,
    inputs: Sequence[Ref],
    config: object,
    by: Callable[..., Dataset],
    work: Callable[[], Dataset],
    plugin: str = "",
) -> Dataset:
    def put() -> Ref:
        return loop.store.catalog.put("dataset", name, work())

    code = loop.context.code.of(by.__module__)
    ref = loop.steps.step(name, inputs, config, digest_of([code, plugin]) if plugin else code, put)
    loop.outcome.datasets[name] = loop.store.catalog.get("dataset", ref.digest, Dataset)
    return loop.outcome.datasets[name]
