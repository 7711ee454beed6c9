"""`strategy: direct`: retrieve, show worked examples, ask the model once (or several times and vote), cite."""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import ClassVar, Literal, cast

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from slipway.builtin.strategies.labels import Labels, LabelsConfig
from slipway.builtin.strategies.quote import QuoteConfig, quoted
from slipway.core.answer import Answer, Citation, Step
from slipway.core.message import Completion, Delta, GenerateRequest, Usage
from slipway.core.protocols import Labelled, Work
from slipway.text.relevance import support
from slipway.text.simplified import simplified
from slipway.text.words import normalize_answer, words

SUPPORT = 0.5  # share of an answer's words that a passage must hold to be its source, when no marker names one
_MARKER = re.compile(r"\s*[\[【［](\d{1,3})[\]】］]")


class DirectConfig(BaseModel):
    """`fallback: quote`: where no passage supports the answer, a quote takes its place, as `strategy: quote` makes it.

    It is said when that is known, in one piece. `support`: share of the answer's words, those of the question aside,
    that one passage must hold (0 to 1). In a task of labels: `labels`, how one is chosen; under the confidence
    `threshold` it abstains.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fallback: Literal["quote"] | None = None
    support: float = Field(default=0.5, ge=0, le=1)
    threshold: float = Field(default=0.0, ge=0, le=1)
    labels: LabelsConfig = LabelsConfig()


class DirectStrategy:
    """One prompt, one answer. A candidate that votes or extracts says nothing before it is done.

    In a task of labels each label is scored where the engine can do that (`labels`). Else the model writes one, and the
    answer comes whole, with a confidence where there is one: the share of the votes for it, or how likely its tokens
    were, as engines on this machine tell.
    """

    Config: ClassVar[type[DirectConfig]] = DirectConfig

    def __init__(self, config: DirectConfig) -> None:
        self.config = config
        self._labels = Labels(config.labels)

    async def respond(self, work: Work) -> AsyncIterator[Delta | Answer]:
        """Text as it is made, then the answer."""
        candidate, text, fallback = work.candidate, work.task.text(work.input), self.config.fallback
        passages = await work.passages(text)
        request = work.request(passages, await work.examples(text))
        labelled = isinstance(work.task, Labelled)
        if isinstance(work.task, Labelled) and self._labels.scored(work):
            found = await self._labels.choose(work, request, work.task.labels)
            if (found.confidence or 0.0) < self.config.threshold:
                yield msgspec.structs.replace(found, text="", abstained=True)
                return
            yield Delta(text=found.text)
            yield found
            return
        at_once = candidate.samples > 1 or candidate.answer_pattern or fallback or labelled or work.whole
        if not at_once:
            said, last = "", Delta()
            stream = cast("AsyncGenerator[Delta, None]", work.generate(request))
            async with aclosing(stream):
                async for last in stream:
                    said += last.text
                    if last.text:
                        yield last
            completions = [Completion(text=said, finish=last.finish or "stop", usage=last.usage or Usage())]
            answer, chosen = said.strip(), 0
        else:
            completions = await _sample(work, request, candidate.samples)
            answer, chosen = _vote([work.extract(c.text) for c in completions])
            if fallback and not any(support(answer, p.text, text) >= self.config.support for p in passages):
                found = await _fallen_back(work, passages, completions[chosen])
                yield Delta(text=found.text)
                yield found
                return
            if labelled:
                async for piece in self._label(work, completions, chosen, answer):
                    yield piece
                return
            yield Delta(text=answer)
        yield Answer(
            text=_MARKER.sub("", answer) if passages else answer,
            raw=completions[chosen].text,
            citations=_cite(answer, passages),
            finish=completions[chosen].finish,
            samples=tuple(c.text for c in completions) if len(completions) > 1 else (),
        )

    async def _label(
        self, work: Work, completions: Sequence[Completion], chosen: int, said: str
    ) -> AsyncIterator[Delta | Answer]:
        """The label in what was said, or an abstention; a text that is none is left for the task to refuse."""
        confidence = _confidence(work, completions, chosen)
        answer = Answer(
            text=said,
            raw=completions[chosen].text,
            finish=completions[chosen].finish,
            samples=tuple(c.text for c in completions) if len(completions) > 1 else (),
            confidence=confidence,
            steps=(Step(name="labels", output="written by the model, not scored"),),
        )
        try:
            label = work.task.output(said).text
        except ValueError:
            yield answer
            return
        if confidence is not None and confidence < self.config.threshold:
            step = Step(name="labels", output=f"{label} {confidence:.2f}")
            yield msgspec.structs.replace(answer, text="", abstained=True, steps=(*answer.steps, step))
            return
        yield Delta(text=label)
        yield answer


def _confidence(work: Work, completions: Sequence[Completion], chosen: int) -> float | None:
    """Of a label, 0 to 1; None where nothing tells. Votes are counted by the label that each is."""
    if len(completions) > 1:
        votes = [_label_of(work, completion.text) for completion in completions]
        return votes.count(votes[chosen]) / len(votes)
    logprobs = completions[0].logprobs
    return min(1.0, math.exp(sum(one.logprob for one in logprobs))) if logprobs else None


def _label_of(work: Work, text: str) -> str:
    said = work.extract(text)
    try:
        return work.task.output(said).text
    except ValueError:
        return said


async def _fallen_back(work: Work, passages: Sequence[Citation], said: Completion) -> Answer:
    """A quote in place of what the model said, which stays in the answer's steps."""
    found = await quoted(work, passages, QuoteConfig())
    step = Step(name="quote", input=said.text, output=found.text)
    return msgspec.structs.replace(found, raw=said.text, steps=(step,))


async def _sample(work: Work, request: GenerateRequest, samples: int) -> list[Completion]:
    """`samples` draws; each has its own seed, so that they differ and yet can be repeated."""

    def nth(n: int) -> GenerateRequest:
        sampling = request.sampling
        if samples > 1:
            sampling = msgspec.structs.replace(sampling, seed=(sampling.seed or 0) + n)
        return msgspec.structs.replace(request, sampling=sampling)

    tasks = [asyncio.ensure_future(work.complete(nth(n))) for n in range(samples)]
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
        said = set(words(simplified(text)))
        held = [set(words(simplified(passage.shown or passage.text))) for passage in passages]
        shares = [len(said & own) / len(said) if said else 0.0 for own in held]
        best = max(shares)
        named = {shares.index(best) + 1} if best >= SUPPORT else set()
    return tuple(msgspec.structs.replace(p, cited=n in named) for n, p in enumerate(passages, 1))
