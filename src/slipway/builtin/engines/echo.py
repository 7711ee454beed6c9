"""An engine without a model, for tests and rehearsals: it answers with what it was asked. Owns no state.

Everything it says is a function of the request, so tests can state what must come out; delays and failures are
configured, so they can rehearse slowness and breakage.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import re
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from slipway.builtin.engines.checks import check_request, check_text, too_long
from slipway.builtin.engines.made import Made
from slipway.core.message import (
    Delta,
    FinishReason,
    GenerateRequest,
    LikelihoodRequest,
    Likelihoods,
    NamedTool,
    TokenLogprob,
    ToolCall,
    Usage,
)
from slipway.core.protocols import Capability
from slipway.errors import EngineError

if TYPE_CHECKING:
    from slipway.core.protocols import Vectors

_TOKEN = re.compile(r"\s*[a-zA-Z0-9_]+|\s*[^\sa-zA-Z0-9_]|\s+")


class EchoConfig(BaseModel):
    """How it behaves. `fail`: a message to fail with, after `fail_after` tokens; `reply`: said instead of the echo."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reply: str = ""
    delay: float = Field(default=0.0, ge=0, le=3600)  # seconds before the first token
    token_delay: float = Field(default=0.0, ge=0, le=60)  # seconds before each token
    fail: str = ""
    fail_after: int = Field(default=0, ge=0)
    fail_status: int = Field(default=502, ge=400, le=599)
    fail_retryable: bool = False
    context: int = Field(default=4096, ge=1)
    dimension: int = Field(default=64, ge=1, le=65536)


class EchoEngine(Made[EchoConfig]):
    """Answers with the last user message (or the prompt, or a tool's result), token by token; embeds by hashing tokens.

    It calls the tool that the message names, or that it must.
    """

    Config: ClassVar[type[EchoConfig]] = EchoConfig
    engine: ClassVar[str] = "echo"
    capabilities: frozenset[Capability] = frozenset(
        ("generate", "embed", "logprobs", "json_schema", "choices", "tokenize", "tools", "score")
    )

    def prepare(self) -> None:
        """Nothing is being answered yet."""
        self.active = 0  # requests being answered now

    async def start(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to free."""

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Delta]:
        """Stream the echo, one token a delta."""
        check_request(request, self.name, self.capabilities)
        prompt_tokens = self._prompt_tokens(request)
        called = _called(request)
        text, finish = ("", "tool_calls") if called else _cut(self._answer(request), request)
        tokens = _tokens(text)
        if len(tokens) > request.sampling.max_tokens:
            tokens, finish = tokens[: request.sampling.max_tokens], "length"
        self.active += 1
        try:
            await asyncio.sleep(self.config.delay)
            for made, token in enumerate(tokens):
                self._maybe_fail(made)
                await asyncio.sleep(self.config.token_delay)
                yield Delta(text=token, logprobs=_logprobs(token, request.logprobs))
            self._maybe_fail(len(tokens))
            made = len(tokens) + sum(len(_tokens(call.arguments)) for call in called)
            usage = Usage(prompt_tokens=prompt_tokens, completion_tokens=made)
            yield Delta(tool_calls=called, finish=finish, usage=usage)
        finally:
            self.active -= 1

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of signed token hashes (the hashing trick, Weinberger et al. 2009), [n, dimension]."""
        import numpy as np

        self._maybe_fail(self.config.fail_after)
        await asyncio.sleep(self.config.delay)
        vectors = np.zeros((len(texts), self.config.dimension), np.float32)
        for row, text in enumerate(texts):
            check_text(text)
            vectors[row, 0] = 1e-3  # an empty text has a direction too
            for token in _tokens(text):
                value = _hash(token.strip().lower())
                vectors[row, value % self.config.dimension] += 1.0 if value >> 63 else -1.0
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    async def score(self, prompt: str, continuations: Sequence[str]) -> list[float]:
        """A fixed made-up log-probability for each token, so sums chain and longer is less likely."""
        self._maybe_fail(self.config.fail_after)
        return [sum(_logprob(token) for token in _tokens(text)) for text in continuations]

    async def likelihoods(self, asked: LikelihoodRequest) -> Likelihoods:
        """What it would say of these is a hundred times likelier than the others, whatever they are."""
        check_request(asked.request, self.name, self.capabilities)
        prompt = self._prompt_tokens(asked.request)
        await asyncio.sleep(self.config.delay)
        self._maybe_fail(self.config.fail_after)
        said = self._answer(msgspec.structs.replace(asked.request, choices=asked.answers or ("",), json_schema=None))
        share = math.log(1 / (len(asked.answers) + 99))
        found = [share + math.log(100) * (answer == said) for answer in asked.answers]
        counts = [len(_tokens(answer)) for answer in asked.answers]
        return Likelihoods.of(list(zip(found, counts, strict=True)), prompt)

    async def count_tokens(self, text: str) -> int:
        """Words, and single characters of what is not a word."""
        check_text(text)
        return len(_tokens(text))

    def _prompt_tokens(self, request: GenerateRequest) -> int:
        texts = [request.prompt] if request.prompt is not None else [m.text for m in request.messages]
        count = sum(len(_tokens(text)) for text in texts)
        limit = self.config.context
        if count >= limit:
            raise too_long(self.name, count, limit)
        return count

    def _answer(self, request: GenerateRequest) -> str:
        asked = request.prompt or next((m.text for m in reversed(request.messages) if m.role in ("user", "tool")), "")
        text = self.config.reply or asked
        if request.choices:
            return next((choice for choice in request.choices if choice in text), request.choices[0])
        if request.json_schema is not None:
            return json.dumps(_instance(request.json_schema, request.json_schema, text), ensure_ascii=False)
        return text

    def _maybe_fail(self, made: int) -> None:
        if self.config.fail and made >= self.config.fail_after:
            raise EngineError(self.config.fail, retryable=self.config.fail_retryable, status=self.config.fail_status)


def _called(request: GenerateRequest) -> tuple[ToolCall, ...]:
    """The tool that must be called, or that the user's last message names; its strings hold the message."""
    choice, last = request.tool_choice, request.messages[-1] if request.messages else None
    if choice == "none" or last is None or last.role != "user":
        return ()
    named = choice.name if isinstance(choice, NamedTool) else ""
    for tool in request.tools:
        if tool.name == named or (not named and (choice == "required" or tool.name in last.text)):
            arguments = json.dumps(_instance(tool.parameters, tool.parameters, last.text), ensure_ascii=False)
            return (ToolCall(f"call_{len(request.messages)}", tool.name, arguments),)
    return ()


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _logprob(token: str) -> float:
    return -1.0 - (_hash(token) % 1000) / 1000


def _logprobs(token: str, top: int) -> tuple[TokenLogprob, ...]:
    if not top:
        return ()
    logprob = _logprob(token)
    others = tuple((f"{token}{n}", logprob - n) for n in range(1, top))
    return (TokenLogprob(token=token, logprob=logprob, top=((token, logprob), *others)),)


def _cut(text: str, request: GenerateRequest) -> tuple[str, FinishReason]:
    found = [at for stop in request.sampling.stop if (at := text.find(stop)) >= 0]
    return (text[: min(found)] if found else text), "stop"


def _instance(schema: Any, root: dict[str, Any], text: str) -> Any:
    """The simplest value that fits the usual keywords of a JSON schema; strings hold `text`."""
    if not isinstance(schema, dict):
        return text
    if "$ref" in schema:
        node: Any = root
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            node = node[part]
        return _instance(node, root, text)
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return _instance(schema[key][0], root, text)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return next((value for value in schema["enum"] if str(value) in text), schema["enum"][0])
    return _typed(schema, root, text)


def _typed(schema: dict[str, Any], root: dict[str, Any], text: str) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {key: _instance(value, root, text) for key, value in schema.get("properties", {}).items()}
    if kind == "array":
        return [_instance(schema.get("items", {}), root, text)] * schema.get("minItems", 1)
    if kind == "string":
        return text[: schema.get("maxLength", len(text))].ljust(schema.get("minLength", 0), "-")
    return {"integer": schema.get("minimum", 0), "number": schema.get("minimum", 0), "boolean": False}.get(kind)
