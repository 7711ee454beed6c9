"""OpenVINO GenAI in a supervised child process: the fastest of the local engines on a CPU, and the default one.

Owns the capabilities and the guards in front of OpenVINO. It reads the GGUF files of a few architectures, has neither
adapters nor log-probabilities, and enforces fewer keywords of JSON schema: for these, `llama` is there. Spawning and
restarts are `process`'s, what its files say `gguf_model`'s, what a grammar can enforce `grammar`'s.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, ClassVar

import msgspec
from pydantic import Field

from slipway.builtin.engines.checks import check_fits, check_request, check_text, refuse, too_long
from slipway.builtin.engines.compiling import Turn
from slipway.builtin.engines.gguf_model import ModelHeader, check_files
from slipway.builtin.engines.grammar import check_enforceable, one_of
from slipway.builtin.engines.grammar_cost import check_choices_cost, check_schema_cost, is_quick
from slipway.builtin.engines.local import COMPILE_TIMES, LocalConfig, LocalEngine
from slipway.builtin.engines.places import ASIDE_PARALLEL, Place
from slipway.builtin.engines.process.http import ChildHttp, ChildLost
from slipway.builtin.engines.process.limits import ROOM_BYTES, Limits
from slipway.builtin.engines.process.supervisor import ChildSettings
from slipway.core.message import Delta, FinishReason, GenerateRequest, Usage
from slipway.core.protocols import Capability
from slipway.errors import EngineError
from slipway.i18n import t
from slipway.machine import usable_cores

ARCHITECTURES = ("llama", "qwen2", "qwen3")
TOKENIZER = "gpt2"  # GGUF's name for byte-level BPE
BLOCK = 32  # tokens; how OpenVINO's CPU plug-in lays out keys and values


class OpenvinoConfig(LocalConfig):
    """What the project file may set for a model of this engine."""

    parallel: int = Field(default=4, ge=1, le=256)  # requests answered at once; more wait
    threads: int | None = Field(default=None, ge=1, le=512)  # None: every core this process may use
    batch: int = Field(default=256, ge=16, le=65_536)  # tokens computed at a time; cancellation waits for them


class OpenvinoEngine(LocalEngine[OpenvinoConfig]):
    """A GGUF model of a supported architecture. `files`: one `*.gguf`. A request with a seed runs alone."""

    Config: ClassVar[type[OpenvinoConfig]] = OpenvinoConfig
    engine: ClassVar[str] = "openvino"
    capabilities: frozenset[Capability] = frozenset(("generate", "json_schema", "choices", "tokenize"))

    async def count_tokens(self, text: str) -> int:
        """Tokens of raw text; a control token that it spells out counts as text."""
        check_text(text)
        control = self.header.spelled_control if self.header else None
        cuts = [found.start() + 1 for found in control.finditer(text)] if control else []
        texts = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        return (await self._post("/tokenize", {"texts": texts}))["count"]

    # -- inside -------------------------------------------------------------------------------------------------------

    async def deltas(self, request: GenerateRequest) -> AsyncGenerator[Delta]:
        """See `LocalEngine`."""
        self._check(request)
        # GenAI draws for all requests from one generator, seeded again by each request: a seed holds for a lone one.
        alone = request.sampling.seed is not None and request.sampling.temperature > 0
        body = await self._body(request)
        vocabulary = self.header.vocabulary if self.header else 0
        quick = not alone and is_quick(request.json_schema, request.choices, vocabulary)
        async with self.places.place(quick=quick) as place:
            turn = await place.turn(request)
            try:
                async with place.room(alone=alone), aclosing(self._stream(place, body, turn)) as lines:
                    async for line in lines:
                        if request.choices and line.get("finish") == "length":
                            raise too_long(self.name, line["prompt_tokens"], self.config.context)
                        yield _delta(line)
            finally:
                if turn is not None:
                    turn.close()

    def _check(self, request: GenerateRequest) -> None:
        check_request(request, self.name, self.capabilities)
        check_fits(request, self.name, self.config.context)
        vocabulary = self.header.vocabulary if self.header else 0
        if request.json_schema is not None:
            check_enforceable(request.json_schema)
            check_schema_cost(request.json_schema, self.config.grammar_seconds, vocabulary)
        if request.choices:
            check_choices_cost(request.choices, self.config.grammar_seconds, vocabulary)

    async def _body(self, request: GenerateRequest) -> dict[str, Any]:
        """What /generate takes, for a checked request."""
        sampling = request.sampling
        body: dict[str, Any] = {
            "prompt": await self._prompt(request),
            "special": request.prompt is not None,  # a chat template writes what begins a prompt itself
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "stop": sampling.stop,
            "frequency_penalty": sampling.frequency_penalty,
            "presence_penalty": sampling.presence_penalty,
        }
        if request.choices:
            body["grammar"] = one_of(request.choices)
            body["max_tokens"] = self.config.context  # half a label is no label; the grammar ends it
        if request.json_schema is not None:
            body["json_schema"] = request.json_schema
        return body

    async def _prompt(self, request: GenerateRequest) -> str:
        if request.prompt is not None:
            return request.prompt
        messages = self.header.disarm(request.messages) if self.header else []
        return (await self._post("/template", {"messages": messages}))["prompt"]

    async def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        async with self.places.first.http.respond(path, body) as response:
            answer = msgspec.json.decode(await response.read())
        if "error" in answer:
            raise self._failure(answer)
        return answer

    async def _stream(self, place: Place, body: Mapping[str, Any], turn: Turn | None) -> AsyncGenerator[dict[str, Any]]:
        """Lines of an answer; raises EngineError when the child dies or stalls before the last one."""
        if turn is not None:
            turn.begin()
        try:
            async with aclosing(self._lines(place.http, body)) as lines:
                async for line in lines:
                    if "error" in line:
                        raise self._uncompiled(place, line, turn)
                    if "compiled" not in line:
                        yield line
                    elif turn is not None:
                        turn.done(line["compiled"])
        except ChildLost as lost:
            if turn is not None and turn.open and lost.limit:
                raise turn.failed(lost.limit) from lost
            raise

    def _uncompiled(self, place: Place, line: Mapping[str, Any], turn: Turn | None) -> EngineError:
        """The child could not compile a grammar, and ends; those beside it learn that they were not the cause."""
        why = _plain(line["error"])
        place.process.kill(why)
        return turn.failed(why) if turn is not None else self._failure(line)

    async def _lines(self, child: ChildHttp, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        pid = child.process.pid
        async with child.respond("/generate", body) as response:
            if response.status != 200:
                raise self._failure(msgspec.json.decode(await response.read()))
            async for data in response.content:
                line = msgspec.json.decode(data)
                yield line
                if "finish" in line:
                    return
        raise child.died(pid)

    def _failure(self, answer: Mapping[str, Any]) -> EngineError:
        if answer.get("prompt_tokens", 0) >= self.config.context:
            return too_long(self.name, answer["prompt_tokens"], self.config.context)
        why = _plain(str(answer.get("error")))
        return refuse(t("OpenVINO refused the request to '{name}': {message}", name=self.name, message=why))

    # -- before the start ---------------------------------------------------------------------------------------------

    def _checked(self, parallel: int) -> ModelHeader:
        """The model's header. Raises EngineError for files, architectures and sizes that OpenVINO cannot load."""
        header = check_files(self.name, self.model, (), self.config.context, parallel, held_twice=True)
        hint = t("set `engine: llama` for this model")
        if self.adapters:
            raise EngineError(
                t("'{name}' has adapters, which OpenVINO does not take", name=self.name), hint, status=503
            )
        kind = header.header.scalars.get("tokenizer.ggml.model")
        if header.architecture not in ARCHITECTURES or kind != TOKENIZER:
            what = {"architecture": header.architecture or "?", "tokenizer": kind or "?"}
            raise EngineError(
                t("OpenVINO cannot read '{name}' ({architecture}, tokenizer {tokenizer})", name=self.name, **what),
                hint,
                status=503,
            )
        return header

    async def first_settings(self) -> ChildSettings:
        """See `LocalEngine`."""
        self.header = await asyncio.to_thread(self._checked, self.config.parallel)
        return self._settings(self.header, self.config.parallel)

    def second_settings(self) -> ChildSettings:
        """See `LocalEngine`."""
        settings = self._settings(self._checked(ASIDE_PARALLEL), ASIDE_PARALLEL)
        return replace(settings, line={**settings.line, "spare": True})

    def _settings(self, header: ModelHeader, parallel: int) -> ChildSettings:
        config = self.config
        line = {
            "model": str(self.model), "context": config.context, "parallel": parallel, "batch": config.batch,
            "threads": config.threads or usable_cores(), "control": header.control, "ends": header.ends,
            "trained": header.context,
            "blocks": (-(-config.context // BLOCK) + 1) * parallel,  # what is not in use holds prefixes
        }  # fmt: skip
        return ChildSettings(
            name=self.name, engine="openvino", runtime="OpenVINO", module="slipway.builtin.engines.openvino.child",
            line=line, load_seconds=config.load_seconds, max_crashes=config.max_crashes,
            limits=Limits(
                memory_gb=config.memory_gb, grammar_seconds=config.grammar_seconds * COMPILE_TIMES,
                room=header.cache_bytes(config.context * parallel) + ROOM_BYTES,
                stall_seconds=config.stall_seconds,
            ),
        )  # fmt: skip


def _delta(line: Mapping[str, Any]) -> Delta:
    finish: FinishReason | None = line.get("finish")
    if finish is None:
        return Delta(text=line["text"])
    usage = Usage(prompt_tokens=line["prompt_tokens"], completion_tokens=line["completion_tokens"])
    return Delta(text=line["text"], finish=finish, usage=usage)


def _plain(why: str) -> str:
    """OpenVINO's error without the places in its source where it was raised."""
    return re.sub(r"^(Exception from |\[[\d:]+\] )\S+:\s*", "", why.strip(), flags=re.MULTILINE).strip()[:500]
