"""An engine that asks any OpenAI-compatible server (vLLM, TEI, a cloud service, another Slipway). Owns the shape of
generation and embedding over HTTP; `http` owns connections, `wire` the JSON. There is no `score`: no such server
reports the log-probabilities of given text reliably.

What a server promises and does not keep is found out: a JSON schema or choices that it ignored, a stream that ends in
the middle, a missing token count (then counts are 0, and `on_event` is told once).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, ClassVar, cast

import msgspec

from slipway.builtin.engines.checks import check_request, check_text
from slipway.builtin.engines.made import Made
from slipway.builtin.engines.openai.config import OpenAIConfig
from slipway.builtin.engines.openai.http import Server, error_message
from slipway.builtin.engines.openai.wire import (
    Embeddings,
    Events,
    Heard,
    Spoken,
    body_of,
    read_embeddings,
    read_ranking,
    read_spoken,
)
from slipway.core.message import Completion, Delta, FinishReason, GenerateRequest, Usage
from slipway.core.protocols import Capability, missing
from slipway.errors import EngineError
from slipway.files import UNDECODABLE
from slipway.i18n import t

if TYPE_CHECKING:
    from slipway.core.protocols import Vectors


class OpenAIEngine(Made[OpenAIConfig]):
    """Asks `/chat/completions` for messages, `/completions` for raw prompts, `/embeddings` for vectors."""

    Config: ClassVar[type[OpenAIConfig]] = OpenAIConfig
    engine: ClassVar[str] = "openai"

    def prepare(self) -> None:
        """What it can do is for the project file to say."""
        config = self.config
        tokenize: frozenset[Capability] = frozenset(("tokenize",)) if config.tokenize else frozenset()
        self.capabilities: frozenset[Capability] = frozenset(config.can) | tokenize
        self._server = Server(config, self.name)
        self._told = False
        self._dimension = 0

    async def start(self) -> None:
        """Read the key. Nothing is sent: whether the server answers, the first request finds out."""
        await self._server.open()

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    # -- generation ---------------------------------------------------------------------------------------------------

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta]:
        """Stream an answer. With choices, one delta: it is not known that the answer is one of them before it ends."""
        check_request(request, self.name, self.capabilities)
        if request.choices:
            whole = await self.complete(request)
            yield Delta(text=whole.text, logprobs=whole.logprobs, finish=whole.finish, usage=whole.usage)
            return
        heard = Heard()
        async with aclosing(self._stream(request)) as parts:
            async for part in parts:
                delta = heard.take(part)
                if delta.text:
                    yield delta
        whole = self._checked(request, heard)
        yield Delta(tool_calls=whole.tool_calls, finish=whole.finish, usage=whole.usage)

    async def complete(self, request: GenerateRequest) -> Completion:
        """The whole answer at once: what `generate` would stream, for less work. Cancelling frees the server."""
        check_request(request, self.name, self.capabilities)
        heard = Heard()
        if self.config.stream == "always":
            async with aclosing(self._stream(request)) as parts:
                async for part in parts:
                    heard.take(part)
        else:
            async with self._server.post(_path(request), self._body(request, stream=False)) as response:
                answer = read_spoken(await self._server.read(response))
            if not answer.choices:
                raise self._failed(answer.error)
            heard.take(answer)
        return self._checked(request, heard)

    def _checked(self, request: GenerateRequest, heard: Heard) -> Completion:
        """What was heard as a whole answer. Raises EngineError when it is none, or breaks a promise."""
        if heard.finish is None:
            raise self._cut_off()
        calls = heard.calls if request.tools else ()
        finish = self._finish(heard.finish, called=bool(calls))
        usage = heard.usage or self._uncounted()
        if request.choices:
            return Completion(text=self._chosen(request, heard.text), finish="stop", usage=usage)
        self._check_constraint(request, heard.text, finish)
        return Completion(text=heard.text, finish=finish, usage=usage, logprobs=tuple(heard.logprobs), tool_calls=calls)

    async def _stream(self, request: GenerateRequest) -> AsyncGenerator[Spoken]:
        """The chunks of a streamed answer up to `[DONE]` or the end of the stream."""
        events = Events()
        async with self._server.post(_path(request), self._body(request, stream=True), stream=True) as response:
            async for data in self._server.pieces(response):
                for payload in events.feed(data):
                    if payload == b"[DONE]":
                        return
                    yield self._part(payload)
            if (payload := events.unfinished) and payload != b"[DONE]":
                yield self._part(payload)

    def _part(self, payload: bytes) -> Spoken:
        part = read_spoken(payload)
        if part.error is not None:
            raise self._failed(part.error)
        return part

    def _body(self, request: GenerateRequest, *, stream: bool) -> bytes:
        config = self.config
        return body_of(
            request,
            config.model,
            stream=stream,
            max_tokens_field=config.max_tokens_field,
            choices_by=config.choices_by,
        )

    # -- the rest of the protocol -------------------------------------------------------------------------------------

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of the server, scaled to unit length, [n, dimension]; n = 0 before any other call: dimension 0."""
        return await self._vectors([self.config.prefix + text for text in texts])

    async def embed_question(self, text: str) -> Vectors:
        """Of a question: with `question_prefix` in place of `prefix`, where there is one."""
        own = self.config.question_prefix
        return await self._vectors([(self.config.prefix if own is None else own) + text])

    async def _vectors(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        if "embed" not in self.capabilities:
            raise missing(self.name, "embed")
        for text in texts:
            check_text(text)
        rows: list[list[float]] = []
        for start in range(0, len(texts), self.config.embed_batch):
            rows += await self._embed(texts[start : start + self.config.embed_batch])
        if not rows:
            return np.zeros((0, self._dimension), np.float32)
        if len({len(row) for row in rows}) != 1:
            raise EngineError(t("the server of '{name}' sent vectors of different lengths", name=self.name))
        self._dimension = len(rows[0])
        vectors = np.asarray(rows, np.float64)
        with np.errstate(over="ignore"):
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise EngineError(t("the server of '{name}' sent a vector that is zero or not finite", name=self.name))
        return (vectors / lengths).astype(np.float32)

    async def rank(self, question: str, texts: Sequence[str]) -> list[float]:
        """The server's scores of the texts, by `/rerank`; an empty list for none."""
        if "rank" not in self.capabilities:
            raise missing(self.name, "rank")
        for text in (question, *texts):
            check_text(text)
        if not texts:
            return []
        body = {"model": self.config.model, "query": question, "documents": list(texts), "top_n": len(texts)}
        async with self._server.post("/rerank", msgspec.json.encode(body)) as response:
            answer = read_ranking(await self._server.read(response))
        scores = {one.index: one.relevance_score for one in answer.results}
        if sorted(scores) != list(range(len(texts))):
            sent, asked = len(scores), len(texts)
            raise EngineError(
                t("the server of '{name}' ranked {sent} of {asked} texts", name=self.name, sent=sent, asked=asked)
            )
        return [scores[at] for at in range(len(texts))]

    async def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        body = msgspec.json.encode({"model": self.config.model, "input": list(texts), "encoding_format": "float"})
        async with self._server.post("/embeddings", body) as response:
            answer: Embeddings = read_embeddings(await self._server.read(response))
        if len(answer.data) != len(texts):
            raise EngineError(
                t("the server sent {found} vectors for {n} texts", found=len(answer.data), n=len(texts)),
                t("lower embed_batch of the model"),
            )
        if all(item.index >= 0 for item in answer.data):
            answer.data.sort(key=lambda item: item.index)
        return [item.embedding for item in answer.data]

    async def count_tokens(self, text: str) -> int:
        """Tokens by the server's own /tokenize; refused when the config does not say that it has one."""
        if not self.config.tokenize:
            raise missing(self.name, "tokenize")
        check_text(text)
        asked = {"content": text, "add_special": False}
        if self.config.tokenize == "vllm":
            asked = {"model": self.config.model, "prompt": text, "add_special_tokens": False}
        async with self._server.post("/tokenize", msgspec.json.encode(asked), root=True) as response:
            answer = msgspec.json.decode(await self._server.read(response), type=dict[str, object])
        count, tokens = answer.get("count"), answer.get("tokens")
        if isinstance(count, int):
            return count
        if isinstance(tokens, list):
            return len(cast("list[object]", tokens))
        raise EngineError(t("/tokenize of the server of '{name}' gave no tokens", name=self.name))

    # -- what a server may do wrong -----------------------------------------------------------------------------------

    def _finish(self, reason: str, *, called: bool) -> FinishReason:
        if reason == "content_filter":
            raise EngineError(
                t("the server of '{name}' stopped the answer by its content filter", name=self.name),
                t("change the request, or the server's filter"),
            )
        if reason in ("length", "max_tokens"):
            return "length"
        return "tool_calls" if called else "stop"  # some servers say `stop` for both

    def _check_constraint(self, request: GenerateRequest, text: str, finish: FinishReason) -> None:
        if request.json_schema is None or finish != "stop":
            return
        try:
            msgspec.json.decode(text)
        except UNDECODABLE as error:
            raise EngineError(
                t("the server of '{name}' ignored the JSON schema: its answer is not JSON", name=self.name),
                t("remove json_schema from the model's `can`, or use a server that supports response_format"),
            ) from error

    def _chosen(self, request: GenerateRequest, text: str) -> str:
        """The choice in an answer, verified: servers ignore what they do not know."""
        found: object = text
        if self.config.choices_by == "json_schema":
            try:
                found = msgspec.json.decode(text, type=dict[str, object]).get("choice")
            except UNDECODABLE:
                found = text
        if isinstance(found, str) and found not in request.choices:
            found = found.strip()
        if isinstance(found, str) and found in request.choices:
            return found
        raise EngineError(
            t("the server of '{name}' ignored the choices: it said something else", name=self.name),
            t("set choices_by of the model to what the server understands, or raise max_tokens"),
        )

    def _failed(self, error: object) -> EngineError:
        said = self._server.clean(msgspec.json.encode({"error": error})) if error_message({"error": error}) else ""
        return EngineError(
            t("the server of '{name}' failed: {said}", name=self.name, said=said or t("it gave no answer")),
            t("its own log should say more; try again"),
            retryable=True,
        )

    def _cut_off(self) -> EngineError:
        return EngineError(
            t("the server of '{name}' ended the answer in the middle", name=self.name),
            t("its own log should say why; try again"),
            retryable=True,
        )

    def _uncounted(self) -> Usage:
        """No usage from the server: nothing is made up. Tokens and costs then count as 0, and someone is told once."""
        if not self._told:
            self._told = True
            why = t("the server of '{name}' reports no token usage: tokens and costs count as 0", name=self.name)
            self.tell("engine.uncounted", {"engine": "openai", "model": self.name, "why": why})
        return Usage()


def _path(request: GenerateRequest) -> str:
    return "/chat/completions" if request.prompt is None else "/completions"
