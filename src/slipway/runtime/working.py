"""One input being answered: what a strategy may use, with tokens and time counted. Knows no strategy and no task."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from slipway.core.answer import Citation
from slipway.core.candidate import Candidate
from slipway.core.message import Completion, Delta, GenerateRequest, LikelihoodRequest, Likelihoods, Usage
from slipway.core.protocols import (
    Capability,
    Completes,
    Engine,
    Input,
    Labelled,
    ScoresAnswers,
    Structured,
    Task,
    Tool,
    missing,
)
from slipway.core.spans import span
from slipway.errors import ConfigError, EngineError
from slipway.i18n import t
from slipway.plugins import reporting
from slipway.runtime import conventions
from slipway.runtime.asked import Calls, Prompt
from slipway.runtime.extract import extract
from slipway.runtime.prompt import build_messages
from slipway.runtime.session import Session
from slipway.runtime.vectors import text_vectors
from slipway.text.language import of_short_text

if TYPE_CHECKING:
    from slipway.core.protocols import Vectors

T = TypeVar("T")
MOST_CHOICES = 1000  # that an engine takes


class Overrides(msgspec.Struct, frozen=True):
    """What a caller may change of a measured candidate: shorter answers and more stop strings, nothing else.

    `whole`: no one reads along, so the model may say everything at once; the answer is the same.
    """

    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    whole: bool = False


AS_MEASURED = Overrides()


class Spent:
    """What answering has taken so far, and what the model was asked, also when it ends in an error. Seconds since it
    was made.
    """

    def __init__(self) -> None:
        self.usage = Usage()
        self.retrieve_seconds = 0.0
        self.calls = Calls()
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time."""
        return time.monotonic() - self._started


class Working:
    """`core.protocols.Work`, over a session's engines and retrievers."""

    def __init__(
        self, candidate: Candidate, input: Input, session: Session, overrides: Overrides, spent: Spent
    ) -> None:
        self.candidate = candidate
        self.task: Task = session.task(candidate)
        self.input = self.task.input(input)
        self._text = self.task.text(self.input)
        self.tools: Mapping[str, Tool] = session.tools(candidate)
        self.whole = overrides.whole
        self._given = input
        self._session = session
        self._overrides = overrides
        self._spent = spent
        self._engine: Engine | None = None

    async def begin(self) -> None:
        """Have the model loaded, so that what it takes is no part of anything else."""
        self._engine = await self._session.model(self.candidate)

    async def passages(self, text: str) -> tuple[Citation, ...]:
        """What the candidate retrieves for a text."""
        if self.candidate.retrieve is None:
            return ()
        started = time.monotonic()
        with span("retrieval") as part, part.inside():
            retriever = await self._session.retriever(self.candidate.retrieve)
            reranker = self.candidate.retrieve.reranker
            ranks = await self._session.ranker(reranker) if reranker else None
            found = await retriever.search(text, self.candidate.retrieve, ranks)
            if part.on:
                part.note(conventions.retrieval(self.candidate.retrieve, len(found)))
        self._spent.retrieve_seconds += time.monotonic() - started
        return found

    async def similarity(self, text: str, others: Sequence[str]) -> Sequence[float] | None:
        """How near the others are to a text, 0 to 1, by the embedder that the candidate retrieves with."""
        if self.candidate.retrieve is None or not others:
            return None
        started = time.monotonic()
        retriever = await self._session.retriever(self.candidate.retrieve)
        found = await retriever.similarity(text, others)
        self._spent.retrieve_seconds += time.monotonic() - started
        return found

    async def vectors(self, texts: Sequence[str]) -> Vectors:
        """By the candidate's encoder."""
        import numpy as np

        if self.candidate.encoder is None:
            return np.zeros((len(texts), 0), np.float32)
        with conventions.embedding(self.candidate.encoder):
            return await text_vectors(texts, await self._session.embedder(self.candidate.encoder))

    async def files(self) -> Mapping[str, Path]:
        """The candidate's files."""
        return await self._session.files(self.candidate)

    async def examples(self, text: str) -> Sequence[Mapping[str, Any]]:
        """The fixed examples, or those nearest the text."""
        few_shot = self.candidate.few_shot
        if few_shot is None:
            return ()
        if few_shot.choose == "fixed" or few_shot.embedder is None:
            return few_shot.examples[: few_shot.k]
        return await self._session.nearest_examples(few_shot, text, self.task)

    def request(
        self, passages: Sequence[Citation] = (), examples: Sequence[Input] = (), input: Input | None = None
    ) -> GenerateRequest:
        """The candidate's prompt for the input, or for another one, within what the caller may change."""
        candidate, overrides, sampling = self.candidate, self._overrides, self.candidate.sampling
        if overrides.max_tokens is not None or overrides.stop:
            most = sampling.max_tokens
            limit = most if overrides.max_tokens is None else min(most, overrides.max_tokens)
            sampling = msgspec.structs.replace(sampling, max_tokens=limit, stop=(*sampling.stop, *overrides.stop))
        language = self._language()
        messages = build_messages(
            candidate.prompt, candidate.system, input or self.input, passages, examples, language, self.task
        )
        self._spent.calls.made(Prompt(messages, passages, examples, input, language))
        return GenerateRequest(
            messages=messages,
            sampling=sampling,
            json_schema=self._schema(),
            choices=candidate.choices or self._labels(),
            logprobs=int(self._tells_confidence()),
            adapters=candidate.adapters,
        )

    def _schema(self) -> dict[str, Any] | None:
        """Of the candidate, else of the task, where the engine can hold an answer to it."""
        candidate, task = self.candidate, self.task
        free = candidate.json_schema is not None or candidate.answer_pattern or candidate.tools or candidate.choices
        if free or not isinstance(task, Structured) or not self.can("json_schema"):
            return candidate.json_schema
        return task.json_schema

    def _labels(self) -> tuple[str, ...]:
        """The labels of the task, where the engine can hold an answer to them and nothing else is asked for: a tool, a
        JSON schema, or an answer within a text. More than an engine takes are read out of what the model says.
        """
        candidate, task = self.candidate, self.task
        free = candidate.json_schema is not None or candidate.answer_pattern or candidate.tools
        if not isinstance(task, Labelled) or free or not self.can("choices") or len(task.labels) > MOST_CHOICES:
            return ()
        return tuple(task.labels)

    def _tells_confidence(self) -> bool:
        """Whether to ask how likely the tokens of a label were. Servers elsewhere are not: many refuse it."""
        here = self.candidate.model is not None and bool(self.candidate.model.files)
        return isinstance(self.task, Labelled) and here and self.can("logprobs")

    def can(self, capability: Capability) -> bool:
        """Whether the candidate's model can do this."""
        return self._engine is not None and capability in self._engine.capabilities

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Delta]:
        """The model's deltas. Raises EngineError when the last one is missing: the stream was cut."""
        last = Delta()
        running = self._running()
        self._spent.calls.sent(request)
        with conventions.generation(self.candidate.model, request, stream=True) as part:
            with reporting("engines", self._engine_name()):
                async with aclosing(generator(part.over(running.generate(request)))) as stream:
                    async for last in stream:
                        yield last
            if last.finish is None:
                raise cut()
            part.made(last.finish, last.usage)
        self._spent.usage += last.usage or Usage()

    async def complete(self, request: GenerateRequest) -> Completion:
        """The model's whole answer."""
        running = self._running()
        self._spent.calls.sent(request)
        with conventions.generation(self.candidate.model, request) as part, part.inside():
            with reporting("engines", self._engine_name()):
                completion = await complete(running, request)
            part.made(completion.finish, completion.usage)
        self._spent.usage += completion.usage
        return completion

    async def likelihoods(self, asked: LikelihoodRequest) -> Likelihoods:
        """By the candidate's model. Raises EngineError where it cannot."""
        running = self._running()
        if not isinstance(running, ScoresAnswers):
            raise missing(self.candidate.model.name if self.candidate.model else "", "score")
        self._spent.calls.sent(asked.request, len(asked.answers))
        with conventions.generation(self.candidate.model, asked.request) as part, part.inside():
            with reporting("engines", self._engine_name()):
                found = await running.likelihoods(asked)
            part.made("", found.usage)
        self._spent.usage += found.usage
        return found

    def _engine_name(self) -> str:
        return self.candidate.model.engine if self.candidate.model else ""

    def extract(self, said: str) -> str:
        """The answer within what the model said."""
        return extract(said, self.candidate.answer_pattern)

    def _language(self) -> str:
        """The language the input names, else that of its text; a BCP 47 tag, `und` when it cannot be told."""
        named = self._given.get("language")
        return named if isinstance(named, str) and named else of_short_text(self._text)

    def _running(self) -> Engine:
        if self._engine is None:
            raise ConfigError(
                t("the strategy '{name}' asked a model, and the candidate has none", name=self.candidate.strategy),
                t("a strategy that asks one must not set `asks_model = False`"),
            )
        return self._engine


async def complete(engine: Engine, request: GenerateRequest) -> Completion:
    """A generation, waited for; the model is freed when the caller is cancelled."""
    if isinstance(engine, Completes):
        return await engine.complete(request)
    async with aclosing(generator(engine.generate(request))) as stream:
        return join([delta async for delta in stream])


def join(deltas: Sequence[Delta]) -> Completion:
    """Deltas as one completion. Raises EngineError when the last one is missing: the stream was cut."""
    last = deltas[-1] if deltas else Delta()
    if last.finish is None:
        raise cut()
    return Completion(
        text="".join(d.text for d in deltas),
        finish=last.finish,
        usage=last.usage or Usage(),
        logprobs=tuple(p for d in deltas for p in d.logprobs),
        tool_calls=tuple(call for d in deltas for call in d.tool_calls),
    )


def cut() -> EngineError:
    """The error of a stream without an end."""
    return EngineError(t("the model's answer was cut off"), t("try again"), retryable=True, status=502)


def generator(stream: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """The same; what engines and strategies return are async generators, which have `aclose`."""
    return cast("AsyncGenerator[T, None]", stream)
