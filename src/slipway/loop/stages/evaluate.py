"""Candidates answer the examples of a split and are scored: reports."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import groupby
from typing import Any, Literal, TypeVar

import msgspec

from slipway.core.answer import Answer
from slipway.core.candidate import Candidate, ModelPin
from slipway.core.material import Dataset, Example
from slipway.core.metrics import rounded
from slipway.core.ref import Ref, digest_of
from slipway.core.report import ReferenceLikelihood, Report, Score
from slipway.errors import ConfigError, EngineError, SlipwayError
from slipway.evaluate.aggregate import build_report
from slipway.evaluate.answering import Asked, Progress, Timing, answer_all
from slipway.evaluate.encoders import encoders, teach
from slipway.evaluate.likelihood import Scored, first_reason, likelihoods
from slipway.evaluate.scoring import make_scorers, score_all, scorers_of
from slipway.i18n import Said, say, t
from slipway.loop.context import whoami
from slipway.loop.model_lock import pin_models
from slipway.loop.rates import measure as measure_rate
from slipway.loop.rates import pin_rate, wanted
from slipway.loop.stages.adapt import answering
from slipway.loop.stages.folding import Answered, Folding
from slipway.loop.state import Loop
from slipway.runtime.cost import Rate, make_cost
from slipway.runtime.session import Session

T = TypeVar("T")


def pin_rates(loop: Loop, candidates: Iterable[Candidate]) -> None:
    """Measure how fast each model is whose speed is its price and was not measured yet; written to slipway.lock.

    An engine that cannot answer is left to the evaluation, which says so.
    """
    context = loop.context
    for candidate in candidates:
        pin = candidate.model
        if pin is None or not wanted(loop.project, pin) or context.rate_of(pin) is not None:
            continue

        async def work(candidate: Candidate = candidate, pin: ModelPin = pin) -> Rate:
            engine = await context.session.engine(pin, candidate.adapter_files)
            return await measure_rate(engine, whoami())

        with suppress(EngineError):
            rate = context.wait(work())
            pin_rate(context.lock_file, pin, rate)
            context.listener.say(
                t(
                    "{model}: {prompt} s for 1,000 tokens read, {completion} s for 1,000 generated; pinned in "
                    "slipway.lock, and costs are computed from it",
                    model=pin.name, prompt=rounded(1000 * rate.prompt), completion=rounded(1000 * rate.completion),
                )
            )  # fmt: skip


def measure(
    loop: Loop, candidates: Mapping[str, Candidate], examples: Dataset, split: Literal["dev", "gate"]
) -> dict[str, Report]:
    """A report for each candidate on one split."""
    found = loop.outcome.reports.setdefault(split, {})
    found.update(zip(candidates, reports_on(loop, list(candidates.values()), examples, split), strict=True))
    return found


def reports_on(
    loop: Loop,
    candidates: Sequence[Candidate],
    examples: Dataset,
    split: Literal["dev", "gate"],
    *,
    timed: bool = False,
) -> list[Report]:
    """The report of each candidate on one split, measured now where it is not up to date, in turns.

    `timed`: their latencies are going to be compared. Where they were not all measured in the same stretch of time, all
    are measured again together, once: the same candidates find those answers again.
    """
    steps = _steps(loop, candidates, examples, split, Timing(at=uuid.uuid4().hex))
    waiting = sum(not one.finished for one in steps)
    if not timed or waiting in (0, len(steps)):  # else some would be measured now and others were before
        found = _reports(loop, steps)
        if not timed or same_time(found):
            return found
    cohort = digest_of(sorted([one.digest, answering(loop, one)] for one in candidates))
    return _reports(loop, _steps(loop, candidates, examples, split, Timing(cohort=cohort)))


def same_time(reports: Sequence[Report]) -> bool:
    """Whether the latencies of these reports were measured under the same load."""
    return len(reports) < 2 or bool(reports[0].timed) and len({one.timed for one in reports}) == 1


def _steps(
    loop: Loop, candidates: Sequence[Candidate], examples: Dataset, split: Literal["dev", "gate"], timing: Timing
) -> list[_Measuring]:
    folds = split == "dev" and loop.project.evaluate.folds and candidates
    folding = Folding(loop, examples, candidates) if folds else None
    return [
        _Measuring(loop, candidate, examples, split, timing, folding.of(candidate) if folding else None)
        for candidate in candidates
    ]


def _reports(loop: Loop, steps: Sequence[_Measuring]) -> list[Report]:
    waiting = [one for one in steps if not one.finished and not one.apart]
    while waiting:  # those that answer the same examples together
        same = [one for one in waiting if one.together == waiting[0].together]
        if len(same) > 1:
            _answer_in_turns(loop, same)
        waiting = [one for one in waiting if one not in same]
    return [one.report() for one in steps]


def _answer_in_turns(loop: Loop, waiting: Sequence[_Measuring]) -> None:
    """All that have to be measured, so that each is timed under the load of all. Remembered; the steps find it.

    Where a model cannot be loaded, the step that needs it says so, in its turn.
    """
    name, first = f"answer:{waiting[0].split}", waiting[0]
    asked = [one.asked for one in waiting]
    config, progress = loop.project.evaluate, loop.progress(name)
    loop.context.listener.step(name, "running")
    started, state = time.monotonic(), "failed"
    try:
        with suppress(SlipwayError):
            work = answer_all(asked, first.chosen, loop.context.session, config, first.timing, progress)
            for one, answers in zip(waiting, loop.context.wait(work), strict=True):
                one.answers = answers
            state = "done"
    except KeyboardInterrupt:
        state = "interrupted"
        raise
    finally:
        loop.context.listener.step(name, state, time.monotonic() - started)


class _Measuring:
    """The step that measures one candidate on one split. `answers`: those that were made before, if they were."""

    def __init__(
        self,
        loop: Loop,
        candidate: Candidate,
        examples: Dataset,
        split: Literal["dev", "gate"],
        timing: Timing,
        folded: Answered | None,
    ) -> None:
        self.loop, self.candidate, self.examples, self.timing, self.folded = loop, candidate, examples, timing, folded
        self.split: Literal["dev", "gate"] = split
        self.asked = Asked(candidate, answering(loop, candidate), folded.by if folded else ())
        self.apart = folded is not None and folded.apart
        self.answers: list[tuple[Answer, ...]] | None = None
        prices = [loop.project.machine.model_dump(mode="json")]
        prices += [model.model_dump(mode="json")["price"] for model in loop.project.models.values()]
        rate = loop.context.rate_of(candidate.model)
        if rate is not None:
            prices.append(msgspec.to_builtins(rate))
        measured = loop.project.evaluate.model_dump(mode="json", exclude={"folds"})
        config = [measured, prices, msgspec.to_builtins(loop.meanings)]
        if timing.cohort:
            config.append(timing.cohort)
        if folded is not None:
            each = zip(folded.examples, folded.by or [candidate] * len(folded.examples), strict=True)
            config.append({"folds": loop.project.evaluate.folds, "by": digest_of([[e.id, c.digest] for e, c in each])})
        self.encoders = encoder_pins(loop)
        if self.encoders:
            engines = [loop.context.plugins.code("engines", pin.engine) for pin in self.encoders.values()]
            config.append([msgspec.to_builtins(self.encoders), engines])
        self.step = (
            f"evaluate:{candidate.name}:{split}", [candidate.ref, examples.ref], config, measured_by(loop, candidate)
        )  # fmt: skip

    @property
    def together(self) -> list[str]:
        """The examples by id where there are folds: those who answer the same ones take turns."""
        return [example.id for example in self.folded.examples] if self.folded else []

    @property
    def finished(self) -> bool:
        return self.loop.steps.finished(*self.step) is not None

    @cached_property
    def chosen(self) -> list[Example]:
        """The examples of the split; where there are folds, those of train and dev."""
        if self.folded is not None and self.folded.examples:
            return list(self.folded.examples)
        found = [e for e in self.loop.store.blobs.get_lines(self.examples.items, Example) if e.split == self.split]
        if not found:
            raise ConfigError(
                t("the split '{split}' has no examples", split=self.split),
                t("add examples, or give it a larger share under data.split"),
            )
        return found

    def report(self) -> Report:
        """From an earlier run, or made now."""
        ref = self.loop.steps.step(*self.step, self._work)
        return self.loop.store.catalog.get("report", ref.digest, Report)

    def _work(self) -> Ref:
        loop, store, config, session = self.loop, self.loop.store, self.loop.project.evaluate, self.loop.context.session
        if self.answers is None:
            self.answers = self._answered()
        scorers = make_scorers(config.metrics, session.plugins)
        loop.context.wait(teach(scorers, self.encoders, self.chosen, self.answers, session))
        scores = score_all(self.candidate, self.chosen, self.answers, scorers)
        scores, why = self._with_likelihoods(scores)
        if self.folded is not None and self.folded.folds:
            scores = [msgspec.structs.replace(score, folds=self.folded.folds) for score in scores]
        currency = next((s.answer.currency for s in scores if s.answer.currency), "")
        blob = store.blobs.put_lines(scores)
        made = build_report(
            self.candidate.ref, self.examples.ref, self.split, scores, blob, currency, loop.meanings
        )  # fmt: skip
        if why is not None:
            made = msgspec.structs.replace(made, unscored=why)
        if self.folded is not None and self.folded.pooled:
            made = msgspec.structs.replace(made, folds=config.folds or 0)
        return store.catalog.put("report", f"{self.candidate.name}/{self.split}", made)

    def _answered(self) -> list[tuple[Answer, ...]]:
        """Now, of this candidate alone."""
        config, told = self.loop.project.evaluate, self.loop.progress(self.step[0])
        done, total = 0, len(self.chosen)

        async def ask(
            session: Session, by: Sequence[Candidate], some: Sequence[Example]
        ) -> Sequence[tuple[Answer, ...]]:
            nonlocal done
            before = done
            asked = Asked(self.candidate, self.asked.code, by)
            progress: Progress = lambda n, _: told(before + n, total)  # noqa: E731
            (found,) = await answer_all([asked], some, session, config, self.timing, progress)
            done += len(some)
            return found

        return self._each(ask)

    def _with_likelihoods(self, scores: list[Score]) -> tuple[list[Score], Said | None]:
        """The scores with how likely the references are, where a metric asks; and why some have none."""
        config = self.loop.project.evaluate
        if not config.likelihoods:
            return scores, None

        async def ask(session: Session, by: Sequence[Candidate], some: Sequence[Example]) -> Sequence[Scored]:
            return await likelihoods(by, some, session, config, code, one_more)

        done, progress = 0, self.loop.progress(f"{self.step[0]}:references")

        def one_more() -> None:
            nonlocal done
            done += 1
            progress(done, len(scores))

        code = digest_of([self.asked.code, self.loop.context.code.of(likelihoods.__module__)])
        found = self._each(ask)
        missing, why = first_reason(found)
        told = None if why is None else say(
            "no perplexity: {n} of {all} references could not be scored; {why}", n=missing,
            all=sum(any(score.expected) for score in scores), why=why,
        )  # fmt: skip
        return [
            msgspec.structs.replace(score, likelihood=one if isinstance(one, ReferenceLikelihood) else None)
            for score, one in zip(scores, found, strict=True)
        ], told

    def _each(
        self, ask: Callable[[Session, Sequence[Candidate], Sequence[Example]], Coroutine[Any, Any, Sequence[T]]]
    ) -> list[T]:
        """What is asked of each example, in order. Candidates of folds that bring a model each are loaded one after the
        other, each in a session of its own.
        """
        context, by = self.loop.context, self.asked.by or [self.candidate] * len(self.chosen)
        if not self.apart:
            return list(context.wait(ask(context.session, by, self.chosen)))

        async def alone(whose: Candidate, some: Sequence[Example]) -> Sequence[T]:
            cost = make_cost(self.loop.project, context.rate_of)
            session = Session(context.store, context.locate, cost, context.tell, context.plugins)
            try:
                return await ask(session, [whose] * len(some), some)
            finally:
                await session.close()

        found: list[T] = []
        for _, each in groupby(zip(by, self.chosen, strict=True), key=lambda one: one[0].digest):
            together = list(each)
            found += context.wait(alone(together[0][0], [example for _, example in together]))
        return found


def encoder_pins(loop: Loop) -> dict[str, ModelPin]:
    """Metric -> the model that embeds for it, of scorers that compare meanings; its files pulled where they are not."""
    project, context = loop.project, loop.context
    named = encoders(project, make_scorers(project.evaluate.metrics, context.plugins))
    if not named:
        return {}
    models = {name: project.models[name] for name in named.values()}
    pins = pin_models(
        project.model_copy(update={"models": models}),
        context.root, context.lock_file, context.listener.progress, context.plugins,
    )  # fmt: skip
    return {metric: pins[name] for metric, name in named.items()}


def measured_by(loop: Loop, candidate: Candidate) -> str:
    """The code that answers with a candidate and scores what it answers."""
    plugins = loop.context.plugins
    ours = (answer_all.__module__, score_all.__module__, teach.__module__, build_report.__module__)
    code = [answering(loop, candidate), loop.context.code.of(*ours)]
    code += [loop.context.code.of(likelihoods.__module__)] if loop.project.evaluate.likelihoods else []
    return digest_of(
        [*code, *(plugins.code("scorers", one.scorer) for one in scorers_of(loop.project.evaluate.metrics, plugins))]
    )


def cost_of(loop: Loop, candidate: Candidate, report: Report, scores: Sequence[Score]) -> float:
    """What a query costs, as candidates are compared by it: money where anything has a price; else the seconds that the
    pinned rates give; else tokens, of which one that is generated counts as three that are read. What retrieval takes
    is counted for no candidate, so one that asks no model costs nothing.
    """
    if candidate.model is None:
        return 0.0
    if report.currency or "cost_per_query" in report.metrics:
        found = report.metrics.get("cost_per_query")
        return found.value if found is not None else math.inf
    rate = loop.context.rate_of(candidate.model) or Rate(prompt=1.0, completion=3.0)
    return sum(rate.seconds(score.answer.usage) for score in scores) / max(1, len(scores))


def scores_of(loop: Loop, report: Report) -> list[Score]:
    """The scores a report was made from."""
    return list(loop.store.blobs.get_lines(report.scores, Score))
