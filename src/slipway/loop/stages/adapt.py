"""Every candidate of the project, frozen: models pinned, what must be tuned tuned, passages indexed."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.adapt.candidates import effective, make_candidate, task_of
from slipway.adapt.served import serving
from slipway.adapt.tuning import TuneJob, tune
from slipway.core.artifact import Artifact
from slipway.core.candidate import Candidate, Retrieval
from slipway.core.material import Dataset, Example
from slipway.core.protocols import from_nothing, makes_classifier, makes_embedder, makes_model, settled_by
from slipway.core.ref import Ref, digest_of
from slipway.errors import ConfigError, MissingPrerequisite, SlipwayError
from slipway.i18n import t
from slipway.loop.judged import KINDS, judged
from slipway.loop.model_lock import pin_models
from slipway.loop.stages.asking import Asking, models_named
from slipway.loop.stages.embedders import tuned_embedder, vectors_of
from slipway.loop.stages.prompting import Prompts
from slipway.loop.state import WORK, Loop, Making
from slipway.project.places import read_text


def make_candidates(
    loop: Loop, chunks: Dataset | None, examples: Dataset, failed: dict[str, SlipwayError] | None = None
) -> dict[str, Candidate]:
    """Every candidate of the project, frozen, its passages embedded and indexed.

    `failed` takes those whose tuner failed, with the error, so that the others are made; without it, or where none can
    be made, the first error is raised.
    """
    project, context = loop.project, loop.context
    if not project.candidates:
        raise ConfigError(t("the project has no candidates"), t("add one under candidates: a prompt and a model"))
    used = _models_used(loop)
    pins = pin_models(
        project.model_copy(update={"models": {n: m for n, m in project.models.items() if n in used}}),
        context.root, context.lock_file, context.listener.progress, context.plugins,
    )  # fmt: skip
    seen = [e for e in loop.store.blobs.get_lines(examples.items, Example) if e.split in ("train", "dev")]
    making, candidates = Making(pins, chunks), dict[str, Candidate]()
    for name in project.candidates:
        try:
            candidates[name] = candidate = _made(loop, name, making, examples, seen)
        except MissingPrerequisite:
            raise
        except SlipwayError as error:
            if failed is None or not _trains_alone(loop, name):
                raise
            failed[name] = error
            context.listener.say(f"  {name}: {error.message}")
            continue
        loop.made[candidate.digest] = making
        loop.store.catalog.put("candidate", name, candidate)  # again: one that came back is the newest of its name
    if failed and not candidates:
        raise next(iter(failed.values()))
    for candidate in candidates.values():
        _index(loop, candidate)
    context.session.expect(candidates.values())
    return candidates


def _trains_alone(loop: Loop, name: str) -> bool:
    """Whether it has a tuner, and none of the embedder that others share: that would fail for each of them anew."""
    config = effective(loop.project, name)
    return bool(config.tune) and not (config.retrieve and config.retrieve.tune)


def make_one(
    loop: Loop, name: str, making: Making, examples: Dataset, seen: Sequence[Example], label: str
) -> Candidate:
    """A candidate of the project made from other examples, its passages indexed. `seen`: where labels, and the worked
    examples of train, come from. `label`: at the end of the names of its steps and artifacts.
    """
    candidate = _made(loop, name, making, examples, seen, label)
    _index(loop, candidate)
    return candidate


def _made(
    loop: Loop, name: str, making: Making, examples: Dataset, seen: Sequence[Example], label: str = ""
) -> Candidate:
    (pins, chunks), context = (making.pins, making.chunks), loop.context
    embedder = tuned_embedder(loop, name, pins, examples, chunks, label)
    artifact = _tuned(loop, name, making, examples, seen, embedder, label)
    at = chunks.ref if chunks else None
    return make_candidate(loop.project, name, context.root, pins, at, seen, context.plugins, artifact, embedder)


def _tuned(
    loop: Loop,
    name: str,
    making: Making,
    examples: Dataset,
    seen: Sequence[Example],
    embedder: Artifact | None,
    label: str,
) -> Artifact | None:
    """What the candidate's tuner made, now or in an earlier run; None without one."""
    config, context, store = effective(loop.project, name), loop.context, loop.store
    pins, chunks, step = making.pins, making.chunks, f"tune:{name}{label}"
    plugins, options = context.plugins, config.tune
    if options is None:
        return None
    tuner = plugins.load("tuners", options.name)
    if makes_embedder(tuner) and not makes_model(tuner):
        raise ConfigError(
            t("candidates.{name}.tune: the tuner '{tuner}' makes an embedder", name=name, tuner=options.name),
            t("write it under retrieve: candidates.{name}.retrieve.tune", name=name),
        )
    lacking = config.prompt is None or (config.model is None and not from_nothing(tuner))
    if lacking and not makes_classifier(tuner):
        return None  # `make_candidate` says what is missing
    base = pins[config.model] if config.model else None
    task, task_options = task_of(loop.project, seen, plugins)
    prompt = read_text(context.root, config.prompt, f"candidates.{name}.prompt") if config.prompt else ""
    reads = tuner.reads
    held = [e for e in store.blobs.get_lines(examples.items, Example) if e.split in reads]
    asked = [base, options.model_dump(mode="json"), [(e.id, e.split) for e in held]]
    asked += [prompt, config.system, task_options] if reads else []
    plain: Candidate | None = None
    if reads and not makes_classifier(tuner):
        at = chunks.ref if chunks else None
        plain = make_candidate(loop.project, name, context.root, pins, at, seen, plugins, None, embedder)
        asked += [[plain.retrieve, plain.few_shot]] if plain.retrieve or plain.few_shot else []
    asked += [settled_by(tuner, plugins.config("tuners", options.name, options.options, f"candidates.{name}.tune"))]
    asking = Asking(loop, name, tuner, pins)
    asked += [asking.key] if asking.key else []
    said = judged(context, examples, [kind for kind in KINDS if kind in reads])
    asked += [[one.digest for one in (*said.preferences, *said.thumbs)]] if set(KINDS) & set(reads) else []
    used = [context.code.of("slipway.adapt.tuning"), plugins.code("tuners", options.name)]
    if plain is not None:
        used += [context.code.of("slipway.loop.stages.prompting"), plugins.code("tasks", loop.project.task.name)]
        used += _indexes(loop, plain.retrieve) if plain.retrieve else []
    if makes_classifier(tuner):
        used += [
            plugins.code("tasks", loop.project.task.name),
            *([plugins.code("engines", base.engine)] if base else []),
        ]
        used += [context.code.of("slipway.runtime.vectors")]
    code = digest_of(used)
    folder = store.folder / WORK / digest_of([name, asked, code])[:32]

    def work() -> Ref:
        prompts = Prompts(loop, step, plain, held) if plain is not None else None
        job = TuneJob(
            name=name, base=base, files=context.locate(base) if base else {}, folder=folder, held=held, reads=reads,
            task=task, embed=lambda texts: vectors_of(loop, step, base, texts),
            render=prompts.of if prompts is not None else lambda _: (),
            listener=loop.progress(step), hear=loop.hear, pairs=said.preferences, judged=said.thumbs,
            other=asking.model,
            teach=lambda model, some: asking.answers(model, some, examples, chunks), grade=asking.score,
            load=lambda made: serving(base, made, context.locate, context.plugins, context.wait),
        )  # fmt: skip
        made = tune(job, options, [examples.ref] if reads else [], plugins, store)
        return store.catalog.put("artifact", f"{name}{label}", made)

    ref = loop.steps.step(step, [], asked, code, work)
    return store.catalog.get("artifact", ref.digest, Artifact)


def _models_used(loop: Loop) -> set[str]:
    used: set[str] = set()
    for name in loop.project.candidates:
        config = effective(loop.project, name)
        parts = (config, config.retrieve, config.few_shot)
        named = [getattr(part, key, None) for part in parts for key in ("model", "embedder", "reranker")]
        used |= {n for n in named if n}
        if config.tune is not None:
            used |= set(models_named(loop.context.plugins.load("tuners", config.tune.name), config.tune))
    return used


def _index(loop: Loop, candidate: Candidate) -> None:
    """Embed and index ahead of the first question; several candidates on the same passages share one step."""
    retrieval = candidate.retrieve
    if retrieval is None:
        return
    from slipway.runtime.retrieve import Retriever, embedder_key, indexes_key, indexes_whole

    context, embedder = loop.context, retrieval.embedder
    name, same = f"index:{embedder.name}" if embedder else "index:words", indexes_key(retrieval)
    if same in loop.indexed:
        return
    loop.indexed.add(same)

    async def build() -> None:
        engine = await context.session.embedder(embedder) if embedder else None

        told: list[str] = []

        def say(text: str) -> None:
            context.listener.say(text)
            if not told:
                told.append(t('meanwhile, `slipway ask --now "..."` quotes the documents by their words'))
                context.listener.say(f"  {told[0]}")

        await Retriever.open(loop.store, retrieval, engine, loop.progress(name), context.plugins, say)

    def work() -> Ref:
        context.wait(build())
        return Ref("index", name.removeprefix("index:"), same)

    key = [same, embedder_key(embedder) if embedder else ""]
    code = [context.code.of("slipway.runtime.retrieve"), *_indexes(loop, retrieval)]
    loop.steps.step(
        name, [retrieval.chunks], key, digest_of(code), work,
        lambda _: indexes_whole(loop.store, retrieval, context.plugins),
    )  # fmt: skip


def _indexes(loop: Loop, retrieval: Retrieval) -> list[str]:
    """The code of what fetches passages."""
    plugins = loop.context.plugins
    if retrieval.embedder is None:
        return [plugins.code("indexes", retrieval.lexical)]
    engine = plugins.code("engines", retrieval.embedder.engine)
    return [engine, *(plugins.code("indexes", name) for name in (retrieval.index, retrieval.lexical))]


def answering(loop: Loop, candidate: Candidate) -> str:
    """The code that answers with a candidate: what evaluation and serving share, and the plug-ins it uses."""
    few_shot, plugins = candidate.few_shot, loop.context.plugins
    used = [loop.context.code.of("slipway.runtime.respond")]
    used += [plugins.code("engines", candidate.model.engine)] if candidate.model else []
    used += [plugins.code("tasks", candidate.task), plugins.code("strategies", candidate.strategy)]
    used += [plugins.code("tools", pin.tool) for pin in candidate.tools]
    used += _indexes(loop, candidate.retrieve) if candidate.retrieve else []
    reranker = candidate.retrieve.reranker if candidate.retrieve else None
    used += [plugins.code("engines", reranker.engine)] if reranker else []
    used += [plugins.code("engines", candidate.encoder.engine)] if candidate.encoder else []
    used += [plugins.code("engines", few_shot.embedder.engine)] if few_shot and few_shot.embedder else []
    return digest_of(used)
