"""Candidates answer the examples of a split, through the code that serves.

Answers are remembered one by one (by candidate, example and code), so an interrupted evaluation goes on where it was.
Candidates that are asked in one go take turns, a block of examples each, so that all are timed while the machine is
equally busy: a latency measured an hour ago on a busy machine says nothing beside one measured now.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from slipway.core.answer import Answer
from slipway.core.candidate import Candidate
from slipway.core.material import Example
from slipway.core.message import Usage
from slipway.core.ref import digest_of
from slipway.errors import ConfigError, EngineError
from slipway.files import UNDECODABLE
from slipway.i18n import say
from slipway.project.schema import EvaluateConfig
from slipway.runtime.respond import AS_MEASURED, Spent, answer
from slipway.runtime.session import Session

Progress = Callable[[int, int], None]
SEEDS = 64  # that one answer may use: the most `samples` of a candidate
ATTEMPTS = 3  # for errors that an engine calls retryable
_TURNS = 8  # examples of a turn, for each that is answered at the same time: few enough to be alike, enough to be busy


class Asked(NamedTuple):
    """A candidate, and the digest of the code that answers with it: part of an answer's cache key.

    `by`: who answers each example in its place, one for each (`evaluate.folds`); empty: it answers all itself.
    """

    candidate: Candidate
    code: str
    by: Sequence[Candidate] = ()


@dataclass(frozen=True)
class Timing:
    """When answers were measured: the same `at` is the same stretch of time, under the same load.

    `cohort` names the candidates whose latencies are to be compared; what was measured with others, or alone, is
    answered again. Empty: answers are used again whenever they were made.
    """

    at: str = ""
    cohort: str = ""


async def answer_all(
    asked: Sequence[Asked],
    examples: Sequence[Example],
    session: Session,
    config: EvaluateConfig,
    timing: Timing = Timing(),
    progress: Progress | None = None,
) -> list[list[tuple[Answer, ...]]]:
    """For each candidate its answers to each example, in the order of the examples; one that cannot be made has `error`
    set. Where tokens are drawn, an example has `config.repeats` answers, each with seeds of its own; else one.

    Raises what loading a model or an index raises, before anything is answered.
    """
    draws = [[_Work.of(again, examples, session, timing) for again in _drawn(one, config.repeats)] for one in asked]
    work = [one for each in draws for one in each]
    waiting = [one for one in work if one.missing]
    for one in {id(who): who for each in waiting for who in each.by}.values():
        await session.model(one)  # loading a model is no part of a latency
        if one.retrieve:
            await session.retriever(one.retrieve)
    done = sum(key in one.known for one in work for key in one.keys)
    total = len(work) * len(examples)

    def told() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, total)

    size = len(examples) if len(waiting) < 2 else _TURNS * config.parallel
    for turn, start in enumerate(range(0, len(examples), max(1, size))):
        first = turn % max(1, len(waiting))
        for one in [*waiting[first:], *waiting[:first]]:
            await one.answer(range(start, min(start + size, len(examples))), config, told)
    return [list(zip(*(one.answers() for one in each), strict=True)) for each in draws]


def _drawn(asked: Asked, times: int) -> list[Asked]:
    """What is asked, and then the same with other seeds; only once where no token is drawn."""
    seed, found = asked.candidate.sampling.seed or 0, [asked]
    for nth in range(1, times if asked.candidate.sampling.temperature > 0 else 1):
        sampling = msgspec.structs.replace(asked.candidate.sampling, seed=seed + nth * SEEDS)
        known: dict[int, Candidate] = {}  # the same object for the same candidate, as it stands there for many examples
        for one in (asked.candidate, *asked.by):
            known.setdefault(id(one), msgspec.structs.replace(one, sampling=sampling))
        found.append(Asked(known[id(asked.candidate)], asked.code, [known[id(one)] for one in asked.by]))
    return found


@dataclass
class _Work:
    """What one candidate has to answer, or others `by` its side, and what of that is known already, by cache key."""

    candidate: Candidate
    by: Sequence[Candidate]
    examples: Sequence[Example]
    session: Session
    timing: Timing
    keys: list[str]
    known: dict[str, Answer]

    @classmethod
    def of(cls, asked: Asked, examples: Sequence[Example], session: Session, timing: Timing) -> _Work:
        named = [timing.cohort] if timing.cohort else []
        by = asked.by or [asked.candidate] * len(examples)
        digests = {id(one): one.digest for one in by}
        keys = [
            digest_of([digests[id(one)], example.input, asked.code, *named])
            for one, example in zip(by, examples, strict=True)
        ]
        known: dict[str, Answer] = {}
        for key, value in session.store.catalog.recall("answer", keys).items():
            with contextlib.suppress(*UNDECODABLE):  # a damaged memory is no memory
                known[key] = msgspec.json.decode(value, type=Answer)
        return cls(asked.candidate, by, examples, session, timing, keys, known)

    @property
    def missing(self) -> bool:
        return any(key not in self.known for key in self.keys)

    async def answer(self, which: range, config: EvaluateConfig, told: Callable[[], None]) -> None:
        """Answer what is missing of some examples, `config.parallel` at a time."""
        slots = asyncio.Semaphore(config.parallel)

        async def one(key: str, candidate: Candidate, example: Example) -> None:
            async with slots:
                got = await _attempt(candidate, example, self.session, config.timeout)
            got = self.known[key] = msgspec.structs.replace(got, timed=self.timing.cohort or self.timing.at)
            if not got.error:  # an error is tried again by the next run
                memory = {key: msgspec.json.encode(got)}
                await asyncio.to_thread(self.session.store.catalog.remember, "answer", memory)
            told()

        missing = [(self.keys[n], self.by[n], self.examples[n]) for n in which if self.keys[n] not in self.known]
        tasks = [asyncio.ensure_future(one(*each)) for each in missing]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def answers(self) -> list[Answer]:
        return [self._priced(self.known[key]) for key in self.keys]

    def _priced(self, got: Answer) -> Answer:
        cost, currency = self.session.cost(self.candidate.model, got.usage, got.seconds)  # prices may have changed
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
