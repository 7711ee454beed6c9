"""Answer every example of a split with one candidate, through the code that serves, and score each answer.

Answers are remembered one by one (by candidate, example and code), so an interrupted evaluation goes on where it was.
Scores are computed again each time: they are cheap, and their definition may have changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from slipway.core.answer import Answer
from slipway.core.candidate import Candidate
from slipway.core.material import Example
from slipway.core.message import Usage
from slipway.core.protocols import Scorer
from slipway.core.ref import digest_of
from slipway.core.report import Score
from slipway.errors import ConfigError, EngineError
from slipway.files import UNDECODABLE
from slipway.i18n import say, t
from slipway.plugins import Plugins, is_file, reporting
from slipway.project.plugin_config import MetricConfig
from slipway.project.schema import EvaluateConfig
from slipway.runtime.respond import AS_MEASURED, Spent, answer
from slipway.runtime.session import Session

Progress = Callable[[int, int], None]
ATTEMPTS = 3  # for errors that an engine calls retryable


async def evaluate(
    candidate: Candidate,
    examples: Sequence[Example],
    session: Session,
    config: EvaluateConfig,
    code: str,
    progress: Progress | None = None,
) -> list[Score]:
    """One Score an example, in the order of the examples.

    `code` is the digest of the code that answers: part of an answer's cache key. An example that cannot be answered
    has `answer.error` set and scores 0; when none can, the first error is raised.
    """
    scorers = make_scorers(config.metrics, session.plugins)
    answers = await _answers(candidate, examples, session, config, code, progress)
    if examples and all(a.error for a in answers):
        raise EngineError(
            t("{candidate} could not answer any example: {why}", candidate=candidate.name, why=answers[0].error),
            t("fix the cause and run again; `slipway check` looks at models and engines"),
        )
    return [score(example, got, scorers) for example, got in zip(examples, answers, strict=True)]


def score(example: Example, answer: Answer, scorers: Mapping[str, Scorer]) -> Score:
    """Apply the scorers to one answer; one without an answer gets the worst wherever it could have scored.

    Raises EngineError that names a scorer that fails, and the example.
    """
    metrics: dict[str, float] = {}
    for name, scorer in scorers.items():
        with reporting("scorers", f"{name} ({example.source})"):
            value = scorer.score(example, answer)
            if value is not None:
                if not 0 <= value <= 1:
                    raise ValueError(f"{value} does not lie between 0 and 1")
                worst = 0.0 if scorer.higher_is_better else 1.0
                metrics[name] = worst if answer.failed else float(value)
    return Score(
        example=example.id,
        group=example.group or example.id,
        language=example.language,
        answer=answer,
        metrics=metrics,
        expected=example.expected,
        facets=facets(example.meta),
    )


def facets(meta: Mapping[str, Any]) -> dict[str, str]:
    """What of an example's `meta` can name a slice: single values of at most 40 characters, as text."""
    found = {key: str(value) for key, value in sorted(meta.items()) if isinstance(value, str | int)}
    return {key: value for key, value in found.items() if 0 < len(value) <= 40}


def scorers_of(metrics: Sequence[MetricConfig], plugins: Plugins) -> list[MetricConfig]:
    """The metrics that scorers make; the others (latency, cost, ...) are aggregates of what was measured anyway."""
    known = plugins.known("scorers")
    found = [metric for metric in metrics if metric.scorer in known or is_file(metric.scorer)]
    names = {metric.name for metric in metrics}
    if "macro_f1" in names and "accuracy" not in names:  # macro F1 is counted from right and wrong
        found.append(MetricConfig(name="accuracy", scorer="accuracy"))
    return found


def make_scorers(metrics: Sequence[MetricConfig], plugins: Plugins) -> dict[str, Scorer]:
    """Metric -> the scorer that makes it, with its options."""
    return {
        one.name: plugins.make("scorers", one.scorer, one.options, f"evaluate.metrics.{one.name}")
        for one in scorers_of(metrics, plugins)
    }


async def _answers(
    candidate: Candidate,
    examples: Sequence[Example],
    session: Session,
    config: EvaluateConfig,
    code: str,
    progress: Progress | None,
) -> list[Answer]:
    catalog = session.store.catalog
    keys = [digest_of([candidate.digest, example.input, code]) for example in examples]
    known: dict[str, Answer] = {}
    for key, value in catalog.recall("answer", keys).items():
        with contextlib.suppress(*UNDECODABLE):  # a damaged memory is no memory
            known[key] = msgspec.json.decode(value, type=Answer)
    missing = [(k, e) for k, e in zip(keys, examples, strict=True) if k not in known]
    done = len(examples) - len(missing)
    if missing:
        # Loading a model is no part of a latency.
        await session.model(candidate)
        if candidate.retrieve:
            await session.retriever(candidate.retrieve)
    slots = asyncio.Semaphore(config.parallel)

    async def one(key: str, example: Example) -> None:
        nonlocal done
        async with slots:
            got = await _attempt(candidate, example, session, config.timeout)
        known[key] = got
        if not got.error:  # an error is tried again by the next run
            await asyncio.to_thread(catalog.remember, "answer", {key: msgspec.json.encode(got)})
        done += 1
        if progress:
            progress(done, len(examples))

    tasks = [asyncio.ensure_future(one(key, example)) for key, example in missing]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [_priced(known[key], candidate, session) for key in keys]


def _priced(got: Answer, candidate: Candidate, session: Session) -> Answer:
    cost, currency = session.cost(candidate.model, got.usage, got.seconds)  # prices may have changed since
    return msgspec.structs.replace(got, cost=cost, currency=currency)


async def _attempt(candidate: Candidate, example: Example, session: Session, timeout: float) -> Answer:
    """The answer; or the error, with the tokens and the seconds that all attempts took."""
    usage, seconds = Usage(), 0.0
    for attempt in range(1, ATTEMPTS + 1):
        spent, again = Spent(), False
        try:
            async with asyncio.timeout(timeout):
                return await answer(candidate, example.input, session, AS_MEASURED, spent)
        except TimeoutError:
            why = say("no answer within {n:g} s", n=timeout)
        except ConfigError as error:
            why = error.said
        except EngineError as error:
            why, again = error.said, error.retryable and attempt < ATTEMPTS
        usage, seconds = usage + spent.usage, seconds + spent.seconds
        if not again:
            return Answer(text="", raw="", error=why, usage=usage, seconds=seconds)
        await asyncio.sleep(random.uniform(0, 2**attempt))
    raise AssertionError  # the loop above returns
