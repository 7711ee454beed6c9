"""The loop, read from top to bottom: models, documents, chunks, examples, indexes, candidates, reports, the gate, a
release. Each step is skipped when nothing it depends on has changed (see `execute`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal

import msgspec

from slipway.adapt.candidates import effective, make_candidate
from slipway.adapt.tuning import TuneJob, tune
from slipway.core.artifact import Artifact
from slipway.core.candidate import Candidate, ModelPin, Retrieval
from slipway.core.material import Dataset, Example
from slipway.core.ref import Ref, digest_of
from slipway.core.release import Release, Verdict
from slipway.core.report import Report, Score
from slipway.data.chunks import make_chunks
from slipway.data.collect import collect
from slipway.data.documents import make_documents
from slipway.data.examples import example_files, make_examples
from slipway.errors import ConfigError, NotFound, nearest
from slipway.evaluate.aggregate import build_report, meanings
from slipway.evaluate.scoring import evaluate, scorers_of
from slipway.i18n import t
from slipway.loop.context import Context, whoami
from slipway.loop.execute import Steps
from slipway.loop.fingerprint import fingerprint
from slipway.loop.model_lock import pin_models
from slipway.project.places import read_text
from slipway.release.bundle import make_release, verify
from slipway.release.gate import Rule, choose, judge
from slipway.release.promote import PASSED, promote
from slipway.runtime.prompt import build_messages

Stage = Literal["data", "adapt", "evaluate", "release"]
STAGES: tuple[Stage, ...] = ("data", "adapt", "evaluate", "release")


class Outcome(msgspec.Struct, kw_only=True):
    """What one `run` did and found. Absent parts belong to stages that were not asked for."""

    ran: list[str] = []
    cached: list[str] = []
    datasets: dict[str, Dataset] = {}
    metrics: list[str] = []  # the ones the project asks for and gates on
    reports: dict[str, dict[str, Report]] = {}  # split -> candidate -> report
    chosen: str = ""
    verdict: Verdict | None = None
    release: Release | None = None
    promoted: bool = False
    refused: str = ""  # why nothing was released, in a sentence
    hint: str = ""


class Loop:
    """One run over an open project, the lock held."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.project = context.project
        self.store = context.store
        self.steps = Steps(context)
        self._indexed: set[str] = set()  # what candidates share is built once
        context.check_options()
        self.meanings = meanings(self.project, context.plugins)
        asked = dict.fromkeys([*self.project.evaluate.names, *self.project.gate])
        self.outcome = Outcome(ran=self.steps.ran, cached=self.steps.cached, metrics=list(asked))

    def run(self, until: Stage = "release") -> Outcome:
        """Bring every stage up to `until` up to date; `outcome.refused` says why nothing was released."""
        last = STAGES.index(until)
        if last >= 3:
            self._check_channels()
        _, chunks, examples = self.data()
        if last >= 1:
            candidates = self.adapt(chunks, examples)
            if last >= 2:
                self.measure(candidates, examples, "dev")
            if last >= 3:
                self.release(candidates, examples)
        return self.outcome

    # data ------------------------------------------------------------------------------------------------------
    def data(self) -> tuple[Dataset | None, Dataset | None, Dataset]:
        """Documents, chunks and examples, frozen."""
        project, config, root, store = self.project, self.project.data, self.context.root, self.store
        documents = chunks = None
        if config.documents:
            found, refused = collect(config.documents, root, config.roots)
            files = fingerprint([(file.source, file.path) for file in found], store)
            shown = config.model_dump(mode="json", include={"documents", "clean", "limits"})
            documents = self._dataset(
                "documents", [], [files, shown, [(name, note.reason) for name, note in refused]], make_documents,
                lambda: make_documents(config, root, store, self._progress("documents")),
            )  # fmt: skip
            frozen = documents
            chunks = self._dataset(
                "chunks", [documents.ref], config.chunk.model_dump(mode="json"), make_chunks,
                lambda: make_chunks(config, frozen, store),
            )  # fmt: skip
        if not config.examples:
            raise ConfigError(
                t("the project has no examples: nothing can be measured"),
                t("list inputs with their references under data.examples"),
            )
        named = [file for source in config.examples for file in example_files(source, config.roots, root)]
        files = fingerprint([(file.source, file.path) for file in named], store)
        shown = config.model_dump(mode="json", include={"examples", "split"})
        task = project.task
        if task.name != "answer" or task.options:
            shown |= {"task": task.model_dump(mode="json")}
        examples = self._dataset(
            "examples", [], [files, shown], make_examples,
            lambda: make_examples(config, root, store, self.context.task),
            self.context.plugins.code("tasks", task.name),
        )  # fmt: skip
        return documents, chunks, examples

    def _dataset(
        self,
        name: str,
        inputs: Sequence[Ref],
        config: object,
        by: Callable[..., Dataset],
        work: Callable[[], Dataset],
        plugin: str = "",
    ) -> Dataset:
        def put() -> Ref:
            return self.store.catalog.put("dataset", name, work())

        code = self.context.code.of(by.__module__)
        ref = self.steps.step(name, inputs, config, digest_of([code, plugin]) if plugin else code, put)
        self.outcome.datasets[name] = self.store.catalog.get("dataset", ref.digest, Dataset)
        return self.outcome.datasets[name]

    def _progress(self, name: str) -> Callable[[int, int | None], None]:
        return partial(self.context.listener.progress, name)

    # adapt -----------------------------------------------------------------------------------------------------
    def adapt(self, chunks: Dataset | None, examples: Dataset) -> dict[str, Candidate]:
        """Every candidate of the project, frozen, its passages embedded and indexed."""
        project, context = self.project, self.context
        if not project.candidates:
            raise ConfigError(t("the project has no candidates"), t("add one under candidates: a prompt and a model"))
        used = self._models_used()
        pins = pin_models(
            project.model_copy(update={"models": {n: m for n, m in project.models.items() if n in used}}),
            context.root, context.lock_file, context.listener.progress, context.plugins,
        )  # fmt: skip
        train = [e for e in self.store.blobs.get_lines(examples.items, Example) if e.split == "train"]
        candidates: dict[str, Candidate] = {}
        for name in project.candidates:
            artifact = self._tuned(name, pins, examples)
            candidate = make_candidate(
                project, name, context.root, pins, chunks.ref if chunks else None, train, context.plugins, artifact
            )
            candidates[name] = candidate
            self.store.catalog.put("candidate", name, candidate)  # again: one that came back is the newest of its name
        for candidate in candidates.values():
            self._index(candidate)
        context.session.expect(candidates.values())
        return candidates

    def _tuned(self, name: str, pins: Mapping[str, ModelPin], examples: Dataset) -> Artifact | None:
        """What the candidate's tuner made, now or in an earlier run; None without one."""
        config, context, store = effective(self.project, name), self.context, self.store
        if config.tune is None or config.model is None or config.prompt is None:
            return None
        base, prompt = pins[config.model], read_text(context.root, config.prompt, f"candidates.{name}.prompt")
        plugins, task, options = context.plugins, context.task, config.tune
        reads = plugins.load("tuners", options.name).reads
        held = [e for e in store.blobs.get_lines(examples.items, Example) if e.split in reads]
        asked = [base, options.model_dump(mode="json"), [(e.id, e.split) for e in held]]
        asked += [prompt, config.system] if reads else []
        code = digest_of([context.code.of("slipway.adapt.tuning"), plugins.code("tuners", options.name)])
        folder = store.folder / "work" / digest_of([name, asked, code])[:32]

        def work() -> Ref:
            job = TuneJob(
                name=name, base=base, files=context.locate(base), folder=folder, held=held, reads=reads,
                render=lambda e: build_messages(prompt, config.system, task.input(e.input), (), (), e.language),
                listener=self._progress(f"tune:{name}"),
            )  # fmt: skip
            made = tune(job, options, [examples.ref] if reads else [], plugins, store)
            return store.catalog.put("artifact", name, made)

        ref = self.steps.step(f"tune:{name}", [], asked, code, work)
        return store.catalog.get("artifact", ref.digest, Artifact)

    def _models_used(self) -> set[str]:
        used: set[str] = set()
        for name in self.project.candidates:
            config = effective(self.project, name)
            parts = (config, config.retrieve, config.few_shot)
            named = [getattr(part, "model", None) or getattr(part, "embedder", None) for part in parts if part]
            used |= {n for n in named if n}
        return used

    def _index(self, candidate: Candidate) -> None:
        """Embed and index ahead of the first question; several candidates on the same passages share one step."""
        retrieval = candidate.retrieve
        if retrieval is None:
            return
        from slipway.runtime.retrieve import Retriever, embedder_key, indexes_key

        context, embedder = self.context, retrieval.embedder
        name, same = f"index:{embedder.name}" if embedder else "index:words", indexes_key(retrieval)
        if same in self._indexed:
            return
        self._indexed.add(same)

        async def build() -> None:
            engine = await context.session.embedder(embedder) if embedder else None
            await Retriever.open(self.store, retrieval, engine, self._progress(name), context.plugins)

        def work() -> Ref:
            context.wait(build())
            return Ref("index", name.removeprefix("index:"), same)

        key = [same, embedder_key(embedder) if embedder else ""]
        code = [context.code.of("slipway.runtime.retrieve"), *self._indexes(retrieval)]
        self.steps.step(name, [retrieval.chunks], key, digest_of(code), work)

    def _indexes(self, retrieval: Retrieval) -> list[str]:
        """The code of what fetches passages."""
        plugins = self.context.plugins
        if retrieval.embedder is None:
            return [plugins.code("indexes", retrieval.lexical)]
        engine = plugins.code("engines", retrieval.embedder.engine)
        return [engine, *(plugins.code("indexes", name) for name in (retrieval.index, retrieval.lexical))]

    def _answering(self, candidate: Candidate) -> str:
        """The code that answers with a candidate: what evaluation and serving share, and the plug-ins it uses."""
        few_shot, plugins = candidate.few_shot, self.context.plugins
        used = [self.context.code.of("slipway.runtime.respond")]
        used += [plugins.code("engines", candidate.model.engine)] if candidate.model else []
        used += [plugins.code("tasks", candidate.task), plugins.code("strategies", candidate.strategy)]
        used += [plugins.code("tools", pin.tool) for pin in candidate.tools]
        used += self._indexes(candidate.retrieve) if candidate.retrieve else []
        used += [plugins.code("engines", few_shot.embedder.engine)] if few_shot and few_shot.embedder else []
        return digest_of(used)

    # evaluate --------------------------------------------------------------------------------------------------
    def measure(
        self, candidates: Mapping[str, Candidate], examples: Dataset, split: Literal["dev", "gate"]
    ) -> dict[str, Report]:
        """A report for each candidate on one split."""
        found = self.outcome.reports.setdefault(split, {})
        for name, candidate in candidates.items():
            found[name] = self._report(candidate, examples, split)
        return found

    def _report(self, candidate: Candidate, examples: Dataset, split: Literal["dev", "gate"]) -> Report:
        context, store, config = self.context, self.store, self.project.evaluate
        name = f"evaluate:{candidate.name}:{split}"
        answering, scorers = self._answering(candidate), scorers_of(config.metrics, context.plugins)
        code = [answering, context.code.of(evaluate.__module__, build_report.__module__)]
        code += [context.plugins.code("scorers", one.scorer) for one in scorers]
        prices = [self.project.machine.model_dump(mode="json")]
        prices += [model.model_dump(mode="json")["price"] for model in self.project.models.values()]

        def work() -> Ref:
            chosen = [e for e in store.blobs.get_lines(examples.items, Example) if e.split == split]
            if not chosen:
                raise ConfigError(
                    t("the split '{split}' has no examples", split=split),
                    t("add examples, or give it a larger share under data.split"),
                )
            scores = context.wait(evaluate(candidate, chosen, context.session, config, answering, self._progress(name)))
            currency = next((s.answer.currency for s in scores if s.answer.currency), "")
            blob = store.blobs.put_lines(scores)
            report = build_report(candidate.ref, examples.ref, split, scores, blob, currency, self.meanings)
            return store.catalog.put("report", f"{candidate.name}/{split}", report)

        ref = self.steps.step(
            name, [candidate.ref, examples.ref],
            [config.model_dump(mode="json"), prices, msgspec.to_builtins(self.meanings)], digest_of(code), work,
        )  # fmt: skip
        return store.catalog.get("report", ref.digest, Report)

    def scores(self, report: Report) -> list[Score]:
        """The scores a report was made from."""
        return list(self.store.blobs.get_lines(report.scores, Score))

    # release ---------------------------------------------------------------------------------------------------
    def release(self, candidates: Mapping[str, Candidate], examples: Dataset) -> None:
        """Choose on dev, confirm on gate against the champion, release, promote."""
        project, outcome = self.project, self.outcome
        rules = {metric: Rule(**rule.model_dump()) for metric, rule in project.gate.items()}
        if not rules:
            raise ConfigError(
                t("the project has no gate: nothing may be released"),
                t("add a rule under gate, e.g. token_f1: {min: 0.3}"),
            )
        dev = outcome.reports["dev"]
        ranking = choose(rules, dev, prefer=project.release.prefer, metric=self._quality())
        if not ranking:
            outcome.refused = t("no candidate meets the gate's rules on the dev split; the gate split was not used")
            outcome.hint = t("`slipway eval list` shows how far each is; improve one, or change the gate")
            return
        outcome.chosen = ranking[0]
        candidate = candidates[outcome.chosen]
        report = self.measure({candidate.name: candidate}, examples, "gate")[candidate.name]
        outcome.verdict = self._judge(candidate, report, examples, rules)
        if outcome.verdict.outcome != "pass":
            words = {"fail": t("it fails"), "insufficient": t("the gate split is too small to tell")}
            outcome.refused = t(
                "{candidate} does not pass the gate: {why}",
                candidate=candidate.name,
                why=words[outcome.verdict.outcome],
            )
            outcome.hint = t("nothing was released; what serves goes on serving. Each rule is explained above")
            return
        self._ship(candidate, report, outcome.verdict)

    def _quality(self) -> str:
        return self.project.release.metric or self.project.evaluate.names[0]

    def _check_channels(self) -> None:
        """Raise ConfigError for a rule about a channel that never was, when others are: a comparison with nothing."""
        known = self.store.catalog.channels()
        for metric, rule in self.project.gate.items():
            if known and rule.against and rule.against not in known:
                near = nearest(rule.against, known)
                command = f"slipway release promote RELEASE --channel {rule.against}"
                raise ConfigError(
                    t("gate.{metric}.against: no channel is called '{channel}'", metric=metric, channel=rule.against),
                    (t("did you mean '{near}'?", near=near) + " " if near else "")
                    + t("`{command}` makes it", command=command),
                )

    def _champion(self, channel: str, candidate: Candidate) -> Release | None:
        """The release to beat on a channel: the one it points at or, when that is this very candidate, the one before.

        The one before is what its verdict compared it with. Promoted to a channel that its verdict did not look at, it
        is the last other candidate that served there.
        """
        catalog = self.store.catalog
        digest = catalog.channels().get(channel)
        if digest is None:
            return None
        current = catalog.release(digest)
        if current.candidate.digest != candidate.digest:
            return current
        verdict = catalog.get("verdict", current.verdict.digest, Verdict)
        if channel in verdict.champions:
            return catalog.release(verdict.champions[channel].digest)
        if channel == self.project.serve.channel or any(rule.against == channel for rule in verdict.rules):
            return catalog.release(verdict.champion.digest) if verdict.champion else None
        before = (catalog.release(row["release"]) for row in catalog.history(channel))
        return next((release for release in before if release.candidate.digest != candidate.digest), None)

    def _judge(self, candidate: Candidate, report: Report, examples: Dataset, rules: Mapping[str, Rule]) -> Verdict:
        store = self.store
        rivals: dict[str, tuple[Ref, Report, list[Score]]] = {}
        for channel in sorted({rule.against for rule in rules.values() if rule.against}):
            champion = self._champion(channel, candidate)
            if champion is not None:
                theirs = self._report(
                    store.catalog.get("candidate", champion.candidate.digest, Candidate), examples, "gate"
                )
                rivals[channel] = (champion.ref, theirs, self.scores(theirs))

        def work() -> Ref:
            uses = store.catalog.use_gate(self.gate_split(examples), candidate.digest)
            verdict = judge(rules, report, self.scores(report), rivals, gate_uses=uses)
            verdict = msgspec.structs.replace(verdict, history=store.catalog.head())
            return store.catalog.put("verdict", candidate.name, verdict)

        inputs = [report.ref, *(ref for release, theirs, _ in rivals.values() for ref in (release, theirs.ref))]
        asked = {metric: msgspec.to_builtins(rule) for metric, rule in rules.items()}
        config = [asked, {channel: release.digest for channel, (release, *_) in rivals.items()}]
        ref = self.steps.step("gate", inputs, config, self.context.code.of(judge.__module__), work)
        return store.catalog.get("verdict", ref.digest, Verdict)

    def gate_split(self, examples: Dataset) -> str:
        """Names the gate examples, whatever the other splits hold: what uses of the gate are counted by."""
        return digest_of([e.id for e in self.store.blobs.get_lines(examples.items, Example) if e.split == "gate"])

    def _ship(self, candidate: Candidate, report: Report, verdict: Verdict) -> None:
        project, store, outcome = self.project, self.store, self.outcome
        verdict_ref = Ref("verdict", candidate.name, verdict.digest)

        def work() -> Ref:
            release = make_release(project.name, candidate, report, verdict, store, whoami())
            return store.catalog.put("release", project.name, release)

        code = self.context.code.of(make_release.__module__)
        ref = self.steps.step("release", [candidate.ref, report.ref, verdict_ref], [], code, work)
        outcome.release = store.catalog.release(ref.digest)
        if not project.release.promote:
            return
        channel, release = project.serve.channel, outcome.release

        def point() -> Ref:
            # A step, so that a rollback by hand is not undone by the next run.
            outcome.promoted = promote(
                store, channel, release, by=whoami(), why=PASSED,
                verify=lambda r: verify(r, store, self.context.locate),
            )  # fmt: skip
            return ref

        self.steps.step(f"promote:{channel}", [ref], [], "", point)


def run(context: Context, until: Stage = "release") -> Outcome:
    """`slipway run`: the loop up to a stage. Raises Busy when another run is at work in this project."""
    with context.store.lock():
        return Loop(context).run(until)


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
        _, chunks, examples = loop.data()
        candidate = loop.adapt(chunks, examples)[name]
        if split == "gate":
            context.store.catalog.use_gate(loop.gate_split(examples), candidate.digest)
            return loop.measure({name: candidate}, examples, "gate")[name]
        return loop.measure({name: candidate}, examples, "dev")[name]
