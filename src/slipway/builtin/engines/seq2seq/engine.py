"""The engine of encoder-decoders of the T5 family: ONNX Runtime in this process, graphs built from safetensors.

A prompt is read once, then an answer is written token by token. There is no chat template: the texts of a conversation
are one input, as such models are trained. What it cannot do (JSON schemas, log-probabilities in answers, adapters,
tools, images) is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from slipway.builtin.engines.checks import check_fits, check_request, check_text, refuse, too_long
from slipway.builtin.engines.lazy import Lazy
from slipway.builtin.engines.seq2seq.drawing import Choices, Draw, Tail
from slipway.builtin.engines.seq2seq.loaded import Loaded
from slipway.core.message import (
    Delta,
    FinishReason,
    GenerateRequest,
    LikelihoodRequest,
    Likelihoods,
    Message,
    Usage,
)
from slipway.core.protocols import Capability
from slipway.i18n import t
from slipway.machine import usable_cores

T = TypeVar("T")


class Seq2SeqConfig(BaseModel):
    """What the project file may set. `context`: most tokens of a prompt, and of an answer. `threads`: requests that
    compute at once, each on one core; None: one for each usable core.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    context: int = Field(default=1024, ge=16, le=65_536)
    threads: int | None = Field(default=None, ge=1, le=512)


class Seq2SeqEngine(Lazy[Seq2SeqConfig, Loaded]):
    """`files`: `config.json`, `tokenizer.json` and `*.safetensors` of a T5 or mT5."""

    Config: ClassVar[type[Seq2SeqConfig]] = Seq2SeqConfig
    engine: ClassVar[str] = "seq2seq"
    capabilities: frozenset[Capability] = frozenset(("generate", "choices", "tokenize", "score"))

    def load(self) -> Loaded:
        """Build the graphs and load them."""
        return Loaded(self.name, self.files, self.config.threads or usable_cores())

    def let_go(self, loaded: Loaded) -> None:
        """What waits for a thread is cancelled."""
        loaded.pool.shutdown(wait=False, cancel_futures=True)

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta]:
        """Stream an answer; one of `choices` comes in one piece."""
        self._check(request)
        loaded = await self.loaded()
        prompt, choices = await self._read(loaded, request)
        tail, ids = Tail(request.sampling.stop), list[int]()
        finish: FinishReason = "length"
        async with aclosing(self._tokens(loaded, prompt, request, choices)) as tokens:
            async for token in tokens:
                ids.append(token)
                if token == loaded.shape.end:
                    finish = "stop"
                elif choices is None and (text := tail.push(loaded.text(ids))):
                    yield Delta(text=text)
                if tail.stopped:
                    finish = "stop"
                    break
        rest = tail.push(choices.answer if choices else loaded.text(ids), ended=True)
        usage = Usage(prompt_tokens=len(prompt), completion_tokens=len(ids))
        yield Delta(text=rest, finish=finish, usage=usage)

    async def likelihoods(self, asked: LikelihoodRequest) -> Likelihoods:
        """See `ScoresAnswers`; every answer is followed to its end."""
        self._check(asked.request)
        for answer in asked.answers:
            check_text(answer)
        loaded = await self.loaded()
        prompt = await self._compute(loaded, self._prompt, loaded, asked.request)
        writing = await self._compute(loaded, loaded.encode, prompt)
        found: list[tuple[float, int]] = []
        for answer in asked.answers:
            ids = [*loaded.tokens(answer), *([loaded.shape.end] if asked.ended else [])]
            if len(ids) > self.config.context:
                raise too_long(self.name, len(ids), self.config.context)
            logprobs = await self._compute(loaded, loaded.logprobs, writing, ids)
            found.append((sum(logprobs), len(ids)))
        return Likelihoods.of(found, len(prompt))

    async def count_tokens(self, text: str) -> int:
        """Tokens of raw text, without the one that ends it."""
        return len(await self.token_ids(text))

    async def prompt_ids(self, request: GenerateRequest) -> list[int]:
        """As the encoder reads them, the end included."""
        self._check(request)
        loaded = await self.loaded()
        return await self._compute(loaded, self._prompt, loaded, request)

    async def token_ids(self, text: str) -> list[int]:
        """Of text within an answer."""
        check_text(text)
        return (await self.loaded()).tokens(text)

    async def text_of(self, ids: Sequence[int]) -> str:
        """Without special tokens."""
        return (await self.loaded()).text(ids)

    async def answer_ids(self, request: GenerateRequest) -> list[int]:
        """Of an answer, the end included where it came."""
        self._check(request)
        loaded = await self.loaded()
        prompt, choices = await self._read(loaded, request)
        async with aclosing(self._tokens(loaded, prompt, request, choices)) as tokens:
            return [token async for token in tokens]

    # -- inside -------------------------------------------------------------------------------------------------------

    def _check(self, request: GenerateRequest) -> None:
        check_request(request, self.name, self.capabilities)
        check_fits(request, self.name, self.config.context)

    async def _read(self, loaded: Loaded, request: GenerateRequest) -> tuple[list[int], Choices | None]:
        """Tokens of the prompt, and the choices. In a thread: a long text takes a while."""
        return await self._compute(loaded, lambda: (self._prompt(loaded, request), self._choices(loaded, request)))

    def _prompt(self, loaded: Loaded, request: GenerateRequest) -> list[int]:
        text = request.prompt if request.prompt is not None else written(request.messages)
        ids = [*loaded.tokens(text), loaded.shape.end]
        if len(ids) > self.config.context:
            raise too_long(self.name, len(ids), self.config.context)
        return ids

    def _choices(self, loaded: Loaded, request: GenerateRequest) -> Choices | None:
        if not request.choices:
            return None
        tokens = {text: (*loaded.tokens(text), loaded.shape.end) for text in request.choices}
        if len(set(tokens.values())) < len(tokens):
            raise refuse(
                t("two of the choices are the same to the model '{name}': it cannot read what they differ in",
                  name=self.name),
                t("name them in characters that the model knows"),
            )  # fmt: skip
        return Choices(tokens)

    async def _tokens(
        self, loaded: Loaded, prompt: Sequence[int], request: GenerateRequest, choices: Choices | None
    ) -> AsyncGenerator[int]:
        """Tokens of an answer, to its end. Those that choices leave no choice about are not computed one by one."""
        writing = await self._compute(loaded, loaded.encode, prompt)
        draw, waiting, made = Draw(request.sampling), [loaded.shape.start], 0
        most = self.config.context if choices else request.sampling.max_tokens
        while made < most:
            allowed = choices.allowed if choices else None
            if allowed is not None and len(allowed) == 1:
                token = allowed[0]
            else:
                logits = await self._compute(loaded, loaded.step, writing, waiting)
                token, waiting = draw.next(logits[-1], allowed), []
            waiting.append(token)
            made += 1
            if choices:
                choices.take(token)
            yield token
            if token == loaded.shape.end:
                return

    async def _compute(self, loaded: Loaded, what: Callable[..., T], *given: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(loaded.pool, what, *given)


def written(messages: Sequence[Message]) -> str:
    """A conversation as the one text that is read."""
    return "\n\n".join(message.text for message in messages)
