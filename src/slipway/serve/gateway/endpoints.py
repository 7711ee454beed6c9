"""The endpoints where models answer, and feedback. Owns the life of a request: check, wait, ask, record, answer.

The trace is durable before the answer is complete: before the only piece of a whole answer, before the last piece of
a stream. A request that never reached a model leaves no trace, only a count.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from time import perf_counter
from typing import Any, cast

import msgspec

from slipway.core.answer import Answer
from slipway.core.message import Delta, Usage
from slipway.core.protocols import CountsTokens, Embeds
from slipway.core.trace import Feedback, Trace
from slipway.errors import NotFound, SlipwayError
from slipway.i18n import Said, say, t
from slipway.plugins import reporting
from slipway.runtime import conventions
from slipway.serve.connection.call import Call, ClientDisconnected
from slipway.serve.gateway import openai_format
from slipway.serve.gateway.answering import Job
from slipway.serve.gateway.concurrency import Slots, Watch
from slipway.serve.gateway.openai_format import Form
from slipway.serve.gateway.router import Raw, Router, Served
from slipway.serve.prometheus import Metrics
from slipway.serve.recording.bodies import PARTS, Bodies
from slipway.serve.recording.recorder import Recorder
from slipway.serve.refuse import Refused, bad, draining, refusal, unexpected
from slipway.serve.requests import validate
from slipway.serve.requests.shapes import (
    ChatRequest,
    CompletionRequest,
    Embedded,
    EmbeddingRequest,
    FeedbackBody,
    GenerateBody,
    Generated,
    Vector,
    encode,
)
from slipway.serve.resources import ServeContext
from slipway.store.catalog import now

log = logging.getLogger("slipway.serve")

CLIENT_DISCONNECTED = 499
"""The status, in traces and metrics, of a request whose client closed the connection (nginx's number)."""


class Gateway:
    """Answers calls. One for each server; belongs to one event loop."""

    def __init__(
        self,
        context: ServeContext,
        router: Router,
        slots: Slots,
        recorder: Recorder,
        metrics: Metrics,
        bodies: Bodies,
    ) -> None:
        self._context = context
        self._config = context.config
        self._session = context.session
        self._router = router
        self._slots = slots
        self._recorder = recorder
        self._metrics = metrics
        self._bodies = bodies
        self._max_body = int(context.config.max_body)

    # -- endpoints ----------------------------------------------------------------------------------------------------

    async def chat(self, call: Call) -> None:
        """POST /v1/chat/completions."""
        await self._live(call, self._prepare_chat, "chat")

    async def completions(self, call: Call) -> None:
        """POST /v1/completions."""
        await self._live(call, self._prepare_completion, "text")

    async def generate(self, call: Call) -> None:
        """POST /generate."""
        await self._live(call, self._prepare_short, None)

    async def _prepare_chat(self, call: Call, body: bytes) -> Job:
        request, unknown = validate.read(body, ChatRequest)
        validate.check_chat(request)
        return await self._job(call, request, unknown)

    async def _prepare_short(self, call: Call, body: bytes) -> Job:
        short, unknown = validate.read(body, GenerateBody)
        return await self._job(call, validate.short_form(short, self._context.config.channel), unknown)

    async def _prepare_completion(self, call: Call, body: bytes) -> Job:
        request, unknown = validate.read(body, CompletionRequest)
        validate.check_completion(request)
        return await self._job(call, request, unknown)

    async def _job(self, call: Call, request: ChatRequest | CompletionRequest, unknown: tuple[str, ...]) -> Job:
        """Who answers, and what of the request is applied."""
        target = await self._router.resolve(request.model)
        call.model = target.name
        job = Job(target, _asked(request), stream=bool(request.stream))
        job.include_usage = bool(request.stream_options and request.stream_options.include_usage)
        if isinstance(target, Raw):
            job.generation = validate.generation(request)
            call.ignored = unknown
            return job
        call.release = target.digest
        job.overrides, ignored = validate.overrides(request)
        system: tuple[str, ...] = ()
        if isinstance(request, ChatRequest):
            turns, system = validate.conversation(request)
        else:
            turns = [{"role": "user", "content": str(request.prompt)}]
        with reporting("tasks", target.candidate.task):
            job.input = self._session.task(target.candidate).conversation(turns)
        call.ignored = (*system, *ignored, *unknown)
        return job

    # -- the life of a request ----------------------------------------------------------------------------------------

    async def _live(self, call: Call, prepare: Callable[[Call, bytes], Awaitable[Job]], form: Form | None) -> None:
        """Read, check, wait for a slot, ask, record, answer; `form` None is /generate."""
        job: Job | None = None
        answer: Answer | None = None
        try:
            with Watch(call.receive, self._config.deadline) as watch:
                body = await call.body(self._max_body)
                watch.listen()
                job = await prepare(call, body)
                if job.stream and form:
                    await self._stream(call, job, form)
                    return
                answer = await self._whole(call, job)
            await self._record(call, job, 200, answer)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 -- told to the client and logged
            await self._ended(call, job, error)
            return
        if form is None:
            made = encode(Generated(answer.text, round(call.seconds, 6)))
        else:
            own = openai_format.extension(answer, call.trace, call.release, call.ignored)
            made = openai_format.whole(form, call.model, answer, own, job.logprobs)
        await call.answer(200, made)

    @asynccontextmanager
    async def _slot(self, call: Call) -> AsyncGenerator[float]:
        """Wait for a slot and hold it; gives the moment at which the waiting began."""
        started = perf_counter()
        await self._slots.take()
        taken = perf_counter()
        call.queued = taken - started
        call.began = True
        try:
            yield started
        finally:
            self._slots.give(perf_counter() - taken)

    async def _whole(self, call: Call, job: Job) -> Answer:
        async with self._slot(call) as started:
            try:
                answer = await job.whole(self._session)
            finally:
                call.model_seconds += perf_counter() - started
        self._metrics.first_token(call.model, answer.first_token_seconds)
        return answer

    async def _stream(self, call: Call, job: Job, form: Form) -> None:
        """Send text as it is made. Headers go with the first piece, so that an early failure still has a status."""
        async with self._slot(call) as waited:
            chunks = openai_format.Chunks(form, call.model, call.trace)
            async with aclosing(job.pieces(self._session)) as pieces:
                async for piece in pieces:
                    call.model_seconds += perf_counter() - waited
                    answer = await self._send_piece(call, chunks, piece)
                    waited = perf_counter()
                    if answer is not None:
                        break
                else:
                    raise Refused(502, t("the model stopped without an answer"), t("try again"))
        await self._record(call, job, 200, answer)
        own = openai_format.extension(answer, call.trace, call.release, call.ignored)
        await call.piece(chunks.closing(answer, own, include_usage=job.include_usage), last=True)

    async def _send_piece(self, call: Call, chunks: openai_format.Chunks, piece: Delta | Answer) -> Answer | None:
        if not call.status:
            if isinstance(piece, Delta):
                call.first = call.seconds
                self._metrics.first_token(call.model, call.first)
            await call.begin()
            opening = chunks.opening()
        else:
            opening = b""
        if isinstance(piece, Answer):
            if opening:
                await call.piece(opening)
            return piece
        await call.piece(opening + chunks.text(piece))
        return None

    async def _record(
        self, call: Call, job: Job, status: int, answer: Answer | None = None, error: Said | str = ""
    ) -> None:
        """Write the trace; returns when it is durable (or at once, in relaxed mode)."""
        call.recorded = True
        if answer is not None:
            usage = answer.usage
            self._metrics.answer(call.model, usage.prompt_tokens, usage.completion_tokens, answer.cost, answer.currency)
        await self._recorder.write(self._trace(call, job, status, answer, error))

    def _trace(self, call: Call, job: Job, status: int, answer: Answer | None = None, error: Said | str = "") -> Trace:
        call.written = Trace(
            id=call.trace,
            at=now(),
            endpoint=call.endpoint,
            channel=job.target.channel if isinstance(job.target, Served) else "",
            release=call.release,
            status=status,
            request=job.asked,
            answer=answer,
            error=error,
            seconds=call.seconds,
            overhead_seconds=call.overhead,
            key=call.caller.key,
            tenant=call.caller.tenant,
            calls=job.calls(answer),
        )
        return call.written

    async def _ended(self, call: Call, job: Job | None, error: BaseException) -> None:
        """A request that did not come to its answer: say so to a client that is still there, and record it."""
        if isinstance(error, ClientDisconnected):
            call.status = CLIENT_DISCONNECTED
            if job is not None and call.began and not call.recorded:
                call.recorded = True
                self._recorder.later(self._trace(call, job, CLIENT_DISCONNECTED, error=say("the client disconnected")))
        elif isinstance(error, SlipwayError):
            await self._failed(call, job, refusal(error))
        elif isinstance(error, Exception):
            log.error("unexpected", extra={"trace": call.trace}, exc_info=error)
            await self._failed(call, job, unexpected())
        else:  # cancelled: the drain is over
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
            await self._failed(call, job, draining())

    async def _failed(self, call: Call, job: Job | None, refused: Refused) -> None:
        """Record a failure that reached a model, and tell the client: by status, or, mid-stream, by an event."""
        if job is not None and call.began and not call.recorded:
            try:
                await self._record(call, job, refused.status, error=refused.said)
            except Refused as error:
                refused = error
        if not call.status:
            await call.answer(refused.status, refused.json(), extra=refused.headers)
            return
        call.status = refused.status
        await call.piece(b"data: " + refused.json() + b"\n\n", last=True)

    # -- embeddings ---------------------------------------------------------------------------------------------------

    async def embeddings(self, call: Call) -> None:
        """POST /v1/embeddings."""
        job: Job | None = None
        try:
            with Watch(call.receive, self._config.deadline) as watch:
                body = await call.body(self._max_body)
                watch.listen()
                request, call.ignored = validate.read(body, EmbeddingRequest)
                texts = validate.inputs(request)
                target, engine = await self._embedder(call, request.model)
                job = Job(target, {**_asked(request), "input": texts})  # not token ids: what is kept must be redactable
                vectors, usage = await self._embed(call, target, engine, texts)
            await self._record(call, job, 200, Answer(text="", raw="", usage=usage, seconds=call.model_seconds))
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 -- told to the client and logged
            await self._ended(call, job, error)
            return
        packed = request.encoding_format == "base64"
        shown = [base64.b64encode(row.astype("<f4").tobytes()).decode() if packed else row.tolist() for row in vectors]
        counts = {"prompt_tokens": usage.prompt_tokens, "total_tokens": usage.prompt_tokens}
        await call.answer(200, encode(Embedded([Vector(v, n) for n, v in enumerate(shown)], call.model, counts)))

    async def _embedder(self, call: Call, name: str) -> tuple[Raw, Embeds]:
        target = await self._router.resolve(name)
        if isinstance(target, Raw) and "embed" in target.engine.capabilities and isinstance(target.engine, Embeds):
            call.model = target.name
            return target, target.engine
        able = [pin.name for pin in self._context.models.values()]
        raise bad(
            t("'{name}' makes no embeddings", name=name[:100]),
            t("ask an embedding model by its own name; models: {names}", names=", ".join(able) or "-"),
            param="model",
        )

    async def _embed(self, call: Call, target: Raw, engine: Embeds, texts: list[str]) -> tuple[Any, Usage]:
        async with self._slot(call) as started:
            try:
                with conventions.embedding(target.pin):
                    vectors = await engine.embed(texts)
                tokens = 0
                if isinstance(target.engine, CountsTokens) and "tokenize" in target.engine.capabilities:
                    for text in texts:
                        tokens += await target.engine.count_tokens(text)
            finally:
                call.model_seconds += perf_counter() - started
        return vectors, Usage(prompt_tokens=tokens)

    # -- feedback -----------------------------------------------------------------------------------------------------

    async def feedback(self, call: Call) -> None:
        """POST /v1/feedback: what a user says of one answer; durable before it is acknowledged."""
        try:
            with Watch(call.receive, self._config.deadline):
                body = await call.body(self._max_body)
            said, call.ignored = validate.read(body, FeedbackBody)
            if said.thumb is None and said.score is None and said.correction is None and said.comment is None:
                raise bad(t("the feedback says nothing"), t("send at least one of thumb, score, correction, comment"))
            kept = await self._check_trace(said.trace)
            feedback = Feedback(
                id=uuid.uuid4().hex,
                trace=said.trace,
                at=now(),
                thumb=said.thumb,
                score=said.score,
                correction=said.correction,
                comment=said.comment,
                by=call.caller.key,
            )
            await self._recorder.write(feedback)
        except ClientDisconnected:
            call.status = CLIENT_DISCONNECTED
            return
        except SlipwayError as error:
            await self._failed(call, None, refusal(error))
            return
        self._metrics.feedback.labels(said.thumb or "").inc()
        told: dict[str, object] = {"id": feedback.id, "object": "feedback", "trace": said.trace}
        if not kept:
            told["not_kept"] = PARTS
        await call.answer(200, msgspec.json.encode(told))

    async def _check_trace(self, trace: str) -> bool:
        """Whether question and answer of a trace are kept. Raises Refused (404) where there is no such trace."""
        if self._recorder.pending(trace):
            return self._bodies.keeps(trace)
        try:
            return (await asyncio.to_thread(self._context.store.catalog.trace, trace)).kept
        except NotFound as error:
            raise Refused(404, error.message, error.hint, param="trace", code="trace_not_found") from error


def _asked(request: msgspec.Struct) -> dict[str, Any]:
    """What was asked, for the trace: known fields only, so that nothing else a client sends (a key, say) is kept."""
    asked = cast("dict[str, Any]", msgspec.to_builtins(request))
    asked.pop("user", None)
    return asked
