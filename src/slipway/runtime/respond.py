"""The one way from an input to an answer. Evaluation and serving both call `respond`: what was measured is what ships.

Retrieve, choose few-shot examples, render, complete (once, or `samples` times and vote), extract, cite.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeVar, cast

import msgspec

from slipway.core.answer import Answer, Citation
from slipway.core.candidate import Candidate, FewShot
from slipway.core.message import Completion, Delta, GenerateRequest, Message, Sampling, Usage
from slipway.core.protocols import Completes, Engine
from slipway.errors import EngineError
from slipway.i18n import t
from slipway.runtime.extract import extract
from slipway.runtime.prompt import build_messages, question_of
from slipway.runtime.session import Session
from slipway.text.words import normalize_answer, words

T = TypeVar("T")

_MARKER = re.compile(r"\s*[\[【［](\d{1,3})[\]】］]")
SUPPORT = 0.5  # share of an answer's words that a passage must hold to be its source, when no marker names one


class Overrides(msgspec.Struct, frozen=True):
    """What a caller may change of a measured candidate: shorter answers and more stop strings, nothing else.

    `whole`: nobody reads along, so the model may say everything at once; the answer is the same.
    """

    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    whole: bool = False


AS_MEASURED = Overrides()


async def respond(
    candidate: Candidate, input: Mapping[str, Any], session: Session, overrides: Overrides = AS_MEASURED
) -> AsyncIterator[Delta | Answer]:
    """Answer one input: text deltas as they are made, then exactly one Answer.

    A candidate that votes or extracts says nothing before it is done, then everything in one delta. Closing the
    iterator frees the model at once. Raises EngineError, or ConfigError for an input it cannot work with.
    """
    started = time.monotonic()
    question = question_of(input)
    engine = await session.engine(candidate.model)
    passages: tuple[Citation, ...] = ()
    if candidate.retrieve:
        retriever = await session.retriever(candidate.retrieve)
        passages = await retriever.search(question, candidate.retrieve)
    retrieved = time.monotonic() - started
    examples = await _examples(candidate.few_shot, question, session)
    messages = build_messages(candidate.prompt, candidate.system, input, passages, examples)
    request = _request(candidate, messages, overrides)
    first = 0.0
    live = candidate.samples == 1 and not candidate.answer_pattern and not overrides.whole
    if live:
        pieces: list[Delta] = []
        async with aclosing(_generator(engine.generate(request))) as stream:
            async for delta in stream:
                if delta.text and not first:
                    first = time.monotonic() - started
                pieces.append(delta)
                if delta.text:
                    yield delta
        completions = [join(pieces)]
        text, chosen = completions[0].text.strip(), 0
    else:
        completions = await _sample(engine, request, candidate.samples)
        text, chosen = _vote([extract(c.text, candidate.answer_pattern) for c in completions])
        first = time.monotonic() - started
        yield Delta(text=text)
    usage = sum((c.usage for c in completions), Usage())
    seconds = time.monotonic() - started
    cost, currency = session.cost(candidate.model, usage, seconds)
    yield Answer(
        text=_MARKER.sub("", text) if passages else text,
        raw=completions[chosen].text,
        citations=_cite(text, passages),
        usage=usage,
        finish=completions[chosen].finish,
        seconds=seconds,
        first_token_seconds=first or seconds,
        retrieve_seconds=retrieved,
        cost=cost,
        currency=currency,
        samples=tuple(c.text for c in completions) if len(completions) > 1 else (),
    )


async def answer(
    candidate: Candidate, input: Mapping[str, Any], session: Session, overrides: Overrides = AS_MEASURED
) -> Answer:
    """`respond`, waited for."""
    async with aclosing(_generator(respond(candidate, input, session, overrides))) as stream:
        async for piece in stream:
            if isinstance(piece, Answer):
                return piece
    raise EngineError(t("the model stopped without an answer"), t("try again; if it stays so, run `slipway check`"))


async def complete(engine: Engine, request: GenerateRequest) -> Completion:
    """A generation, waited for; the model is freed when the caller is cancelled."""
    if isinstance(engine, Completes):
        return await engine.complete(request)
    async with aclosing(_generator(engine.generate(request))) as stream:
        return join([delta async for delta in stream])


def join(deltas: Sequence[Delta]) -> Completion:
    """Deltas as one completion. Raises EngineError when the last one is missing: the stream was cut."""
    last = deltas[-1] if deltas else Delta()
    if last.finish is None:
        raise EngineError(t("the model's answer was cut off"), t("try again"), retryable=True, status=502)
    return Completion(
        text="".join(d.text for d in deltas),
        finish=last.finish,
        usage=last.usage or Usage(),
        logprobs=tuple(p for d in deltas for p in d.logprobs),
        tool_calls=tuple(call for d in deltas for call in d.tool_calls),
    )


def _generator(stream: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    return cast("AsyncGenerator[T, None]", stream)  # engines and `respond` are async generators: they have aclose()


def _request(candidate: Candidate, messages: tuple[Message, ...], overrides: Overrides) -> GenerateRequest:
    sampling = candidate.sampling
    if overrides.max_tokens is not None or overrides.stop:
        limit = sampling.max_tokens if overrides.max_tokens is None else min(sampling.max_tokens, overrides.max_tokens)
        sampling = msgspec.structs.replace(sampling, max_tokens=limit, stop=(*sampling.stop, *overrides.stop))
    return GenerateRequest(
        messages=messages,
        sampling=sampling,
        json_schema=candidate.json_schema,
        choices=candidate.choices,
        adapters=candidate.adapters,
    )


async def _sample(engine: Engine, request: GenerateRequest, samples: int) -> list[Completion]:
    """`samples` draws; each has its own seed, so that they differ and yet can be repeated."""

    def nth(n: int) -> GenerateRequest:
        sampling: Sampling = request.sampling
        if samples > 1:
            sampling = msgspec.structs.replace(sampling, seed=(sampling.seed or 0) + n)
        return msgspec.structs.replace(request, sampling=sampling)

    tasks = [asyncio.ensure_future(complete(engine, nth(n))) for n in range(samples)]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _vote(answers: Sequence[str]) -> tuple[str, int]:
    """The answer most samples agree on once normalised, the earliest among equals, and its place (Wang et al. 2022)."""
    said = [normalize_answer(a) for a in answers]
    counts = Counter(said)
    place = max(range(len(answers)), key=lambda n: (counts[said[n]], -n))
    return answers[place], place


def _cite(text: str, passages: Sequence[Citation]) -> tuple[Citation, ...]:
    """Mark what the answer rests on: passages it names as [n]; without any, the one that holds most of its words."""
    named = {int(n) for n in _MARKER.findall(text)} & set(range(1, len(passages) + 1))
    if not named and passages:
        said = set(words(text))
        shares = [len(said & set(words(p.shown or p.text))) / len(said) if said else 0.0 for p in passages]
        best = max(shares)
        named = {shares.index(best) + 1} if best >= SUPPORT else set()
    return tuple(msgspec.structs.replace(p, cited=n in named) for n, p in enumerate(passages, 1))


async def _examples(few_shot: FewShot | None, question: str, session: Session) -> Sequence[Mapping[str, str]]:
    if few_shot is None:
        return ()
    if few_shot.choose == "fixed" or few_shot.embedder is None:
        return few_shot.examples[: few_shot.k]
    return await session.nearest_examples(few_shot, question)
