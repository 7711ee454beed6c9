"""llama.cpp, through xllamacpp, in a supervised child process: every GGUF model, adapters, log-probabilities.

Owns the capabilities and the guards in front of llama.cpp. Spawning and restarts are `process`'s, the wire format
`wire`'s, what its files say `gguf_model`'s.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, ClassVar

import msgspec
from pydantic import Field

from slipway.builtin.engines.checks import check_fits, check_request, check_text, refuse, too_long
from slipway.builtin.engines.compiling import Turn
from slipway.builtin.engines.gguf_model import ModelHeader, check_files
from slipway.builtin.engines.grammar_cost import check_choices_cost, check_schema_cost, is_quick
from slipway.builtin.engines.likelihoods import walk
from slipway.builtin.engines.llama import wire
from slipway.builtin.engines.llama.logprobs import Gaps
from slipway.builtin.engines.llama.threads import Choice, choose, default_choice
from slipway.builtin.engines.local import COMPILE_TIMES, LocalConfig, LocalEngine
from slipway.builtin.engines.places import ASIDE_PARALLEL, Place
from slipway.builtin.engines.process.http import ChildHttp, ChildLost
from slipway.builtin.engines.process.limits import ROOM_BYTES, Limits
from slipway.builtin.engines.process.supervisor import ChildSettings, EngineProcess
from slipway.core.message import Delta, GenerateRequest, LikelihoodRequest, Likelihoods, TokenLogprob, Usage
from slipway.core.protocols import Capability
from slipway.errors import EngineError
from slipway.i18n import t

MEASURED_PROMPT, MEASURED_ANSWER = 192, 16  # tokens
BATCH, SMALL_BATCH = 512, 128  # prompt tokens at a time: a larger batch is faster, and cancelling waits for one
SMALL_BYTES = 400 << 20  # a model file up to which the larger batch takes a second or two on two cores
_WITH_ADAPTERS: frozenset[Capability] = frozenset(("adapters",))
RETURNED = {"MALLOC_TRIM_THRESHOLD_": "131072"}  # glibc gives what is freed back, rather than keep ever larger pieces
TAIL = 64  # characters of a prompt that may decide how what follows it is cut into tokens
MOST_CONTINUATIONS = 20_000  # that are remembered as tokens
OUTSIDE_JSON = "y"  # no JSON value has it outside a string


class LlamaConfig(LocalConfig):
    """What the project file may set for a model of this engine."""

    spin: int | None = Field(default=None, ge=0, le=10**9)  # GOMP_SPINCOUNT; None: measured
    measure: bool = True  # at the first load on this machine; False: every core, and 1,000
    batch: int | None = Field(default=None, ge=16, le=4096)  # prompt tokens at a time; None: by the size of the file
    cache_mb: int = Field(
        default=128, ge=0, le=1_048_576
    )  # for prefixes that no slot holds; 0 where there are adapters


class LlamaEngine(LocalEngine[LlamaConfig]):
    """A GGUF model. `files`: one `*.gguf`, and any number of adapters `<name>.lora.gguf`."""

    Config: ClassVar[type[LlamaConfig]] = LlamaConfig
    engine: ClassVar[str] = "llama"
    capabilities: frozenset[Capability] = frozenset(
        ("generate", "logprobs", "json_schema", "choices", "tokenize", "score")
    )

    def prepare(self) -> None:
        """With adapters there is one more thing that it can do."""
        super().prepare()
        if self.adapters:
            self.capabilities = self.capabilities | _WITH_ADAPTERS
        self._choice = default_choice()
        self._continuations: dict[tuple[str, str], list[int]] = {}
        self._probe: int = 0  # id of the token that spells OUTSIDE_JSON

    async def start(self) -> None:
        """Check the files, settle the threads, load the model. Raises EngineError that says what is wrong."""
        if await self.start_child():
            self._probe = (await self._tokenize(OUTSIDE_JSON))[-1]

    async def score(self, prompt: str, continuations: Sequence[str]) -> list[float]:
        """Sum of the log-probabilities of each continuation's tokens, chained one forced token at a time.

        The continuation is tokenized together with the prompt, and what follows the prompt's own tokens is scored,
        as lm-evaluation-harness does.
        """
        check_text(prompt)
        begin = await self._tokenize(prompt, whole=True)
        sums: list[float] = []
        for continuation in continuations:
            check_text(continuation)
            ids = await self._tokenize(prompt + continuation, whole=True)
            if ids[: len(begin)] != begin:
                ids = begin + await self._tokenize(continuation)
            if len(ids) >= self.config.context:
                raise too_long(self.name, len(ids), self.config.context)
            if not begin:  # nothing stands before the first token: let the model's own beginning do so
                ids = [self._beginning(), *ids]
            start = max(1, len(begin))
            sums.append(sum([await self._logprob(ids[:at], ids[at]) for at in range(start, len(ids))]))
        return sums

    async def likelihoods(self, asked: LikelihoodRequest) -> Likelihoods:
        """See `core.protocols.ScoresAnswers`. The tree of the answers' tokens is walked, likeliest branch first."""
        request, answers = asked.request, asked.answers
        self._check(msgspec.structs.replace(request, json_schema=None, choices=()))
        scales, prompt = self._scales(request.adapters), await self._prompt(request)
        begin = await self._tokenize(prompt, whole=True)
        ends = self.header.ends if self.header and asked.ended else []
        ids = [(*await self._continued(prompt, begin, answer), *ends[:1]) for answer in answers]
        longest = len(begin) + max(map(len, ids), default=0)
        if longest > self.config.context:
            raise too_long(self.name, longest, self.config.context)
        within = math.inf if asked.within is None else asked.within
        place, read = self.places.first, list[int]()
        async with place.room():

            async def ask(path: tuple[int, ...], wanted: tuple[int, ...]) -> dict[int, float]:
                return await self._of_several(place, [*begin, *path], wanted, scales, read)

            found = await walk(ids, list(asked.offsets) or [0.0] * len(ids), within, ask)
        usage = Usage(prompt_tokens=len(begin), completion_tokens=len(read), cached_tokens=min(read[:1] or [0]))
        return Likelihoods(answers=found, usage=usage)

    async def count_tokens(self, text: str) -> int:
        """Tokens of raw text; control tokens that it spells out count as text."""
        check_text(text)
        return len(await self._tokenize(text)) if text else 0

    async def prompt_ids(self, request: GenerateRequest) -> list[int]:
        """Of a request as llama.cpp reads it: through the model's template, with the token that begins a text."""
        return await self._tokenize(await self._prompt(request), whole=True)

    async def token_ids(self, text: str) -> list[int]:
        """Of raw text; control tokens that it spells out count as text."""
        check_text(text)
        return await self._tokenize(text) if text else []

    async def text_of(self, ids: Sequence[int]) -> str:
        """The text of token ids."""
        return (await self._post("/detokenize", {"tokens": list(ids)}))["content"]

    async def answer_ids(self, request: GenerateRequest) -> list[int]:
        """What is generated for a request, token by token."""
        self._check(request)
        body = wire.completion(
            request, await self._prompt(request), self._scales(request.adapters), self.config.context
        )
        place = self.places.first
        async with place.room():
            answer = await self._post_to(place.http, "/completion", wire.told_tokens(body))
        return answer["tokens"]

    # -- inside -------------------------------------------------------------------------------------------------------

    async def deltas(self, request: GenerateRequest) -> AsyncGenerator[Delta]:
        """See `LocalEngine`."""
        self._check(request)
        scales = self._scales(request.adapters)
        prompt = await self._prompt(request)
        quick = is_quick(request.json_schema, request.choices)
        async with self.places.place(quick=quick) as place:
            turn = await place.turn(request)
            try:
                async with place.room():
                    if turn is not None and turn.open and request.json_schema is not None:
                        await self._check_schema(place, request.json_schema, turn)
                    body = wire.completion(request, prompt, scales, self.config.context)
                    async with aclosing(self._replied(place, body, request, turn)) as deltas:
                        async for delta in deltas:
                            yield delta
            finally:
                if turn is not None:
                    turn.close()

    async def _replied(
        self, place: Place, body: Mapping[str, Any], request: GenerateRequest, turn: Turn | None
    ) -> AsyncGenerator[Delta]:
        gaps = Gaps()
        async with aclosing(self._chunks(place, body, turn)) as chunks:
            async for chunk in chunks:
                delta = wire.delta_of(chunk)
                if request.choices and delta.finish == "length":
                    raise too_long(self.name, chunk["tokens_evaluated"], self.config.context)
                if request.logprobs:
                    delta = gaps.take(chunk, delta)
                if delta.finish and gaps.found:
                    held = await self._held(place, gaps, body, request)
                    delta = msgspec.structs.replace(delta, logprobs=held)
                yield delta

    def _check(self, request: GenerateRequest) -> None:
        check_request(request, self.name, self.capabilities)
        check_fits(request, self.name, self.config.context)
        if request.json_schema is not None:
            check_schema_cost(request.json_schema, self.config.grammar_seconds)
        if request.choices:
            check_choices_cost(request.choices, self.config.grammar_seconds)

    async def _chunks(self, place: Place, body: Mapping[str, Any], turn: Turn | None) -> AsyncGenerator[dict[str, Any]]:
        """Chunks of a completion. A grammar that the child does not survive is remembered."""
        if turn is not None:
            turn.begin()
        try:
            async with aclosing(self._stream(place.http, body, risky=turn is not None)) as chunks:
                async for chunk in chunks:
                    if turn is not None:
                        turn.done()
                    yield chunk
        except ChildLost as lost:
            if turn is not None and turn.open and lost.limit:
                raise turn.failed(lost.limit) from lost
            raise

    async def _prompt(self, request: GenerateRequest) -> str:
        if request.prompt is not None:
            return request.prompt
        messages = self.header.disarm(request.messages) if self.header else []
        answer = await self._post("/apply-template", {"messages": messages})
        return answer["prompt"]

    def _scales(self, wanted: Mapping[str, float]) -> list[float]:
        for name in wanted:
            if name not in self.adapters:
                known = ", ".join(sorted(self.adapters)) or "-"
                raise refuse(
                    t("the model '{model}' has no adapter '{name}'", model=self.name, name=name),
                    t("known: {names}", names=known),
                )
        return [float(wanted.get(name, 0.0)) for name in self.adapters]

    async def _check_schema(self, place: Place, schema: dict[str, Any], turn: Turn) -> None:
        """Refuse a schema that llama.cpp cannot enforce; it would ignore it without a word.

        A token that no JSON value begins with is forced: a schema in force forbids it all the same.
        """
        turn.begin()
        body = wire.forced([self._probe], self._probe, 0, self._scales({}))
        try:
            async with asyncio.timeout(self.config.grammar_seconds * COMPILE_TIMES):
                body["json_schema"] = wire.compact(schema)
                answer = await self._post_to(place.http, "/completion", body, risky=True)
        except (TimeoutError, ChildLost) as error:
            why = error.limit if isinstance(error, ChildLost) else t("it takes too long to compile")
            if not why:
                raise
            raise turn.failed(why) from error
        if answer["content"].strip().startswith(OUTSIDE_JSON):
            said = re.findall(r"failed to compile JSON schema: (.*)", place.process.complaints)
            raise refuse(
                t("the JSON schema cannot be enforced: {why}", why=said[-1] if said else t("llama.cpp ignores it")),
                t("use the usual keywords: type, properties, required, items, enum, const, anyOf, $ref into $defs"),
            )
        turn.done()

    async def _held(
        self, place: Place, gaps: Gaps, body: Mapping[str, Any], request: GenerateRequest
    ) -> tuple[TokenLogprob, ...]:
        async def look_up(ids: list[int], token: int) -> TokenLogprob:
            return await self._look_up(place, ids, token, self._scales(request.adapters), request.logprobs)

        return await gaps.fill(await self._tokenize(body["prompt"], whole=True), self._tokenize, look_up)

    async def _logprob(self, ids: Sequence[int], token: int) -> float:
        place = self.places.first
        async with place.room():
            return (await self._look_up(place, ids, token, self._scales({}), 1)).logprob

    async def _look_up(
        self, place: Place, ids: Sequence[int], token: int, scales: Sequence[float], top: int
    ) -> TokenLogprob:
        """What the model thinks of `token` after `ids`, its text left empty; the caller holds a slot.

        A token that ends inside a character is not reported when it is made, so it is looked up among the
        alternatives of another, first the likely ones, then all.
        """
        for force, alternatives in ((token, top), (self._probe, 1000), (self._probe, 2**31 - 1)):
            answer = await self._post_to(place.http, "/completion", wire.forced(ids, force, alternatives, scales))
            for entry in answer.get("completion_probabilities") or ():
                for found in (entry, *entry["top_logprobs"]):
                    if found["id"] == token:
                        return wire.logprob({**entry, "token": "", "logprob": found["logprob"]}, top)
        raise EngineError(t("llama.cpp reports no probability for token {token}", token=token))

    async def _of_several(
        self, place: Place, ids: Sequence[int], wanted: Sequence[int], scales: Sequence[float], read: list[int]
    ) -> dict[int, float]:
        """Log-probabilities of some tokens after `ids`: of one as the model gives it, of the others by their ratio to
        it once all are raised above everything else. So two requests do for any number of them.
        """
        body = wire.forced(ids, wanted[0], 1, scales)
        first = await self._post_to(place.http, "/completion", body)
        read.append(first.get("timings/cache_n") or 0)
        (entry,) = first.get("completion_probabilities") or ({},)
        known = entry.get("logprob") if entry.get("id") == wanted[0] else None
        if known is None:
            known = (await self._look_up(place, ids, wanted[0], scales, 1)).logprob
        if len(wanted) == 1:
            return {wanted[0]: min(0.0, known)}
        answer = await self._post_to(place.http, "/completion", wire.raised(ids, wanted, scales))
        # Nothing is reported where the token drawn ends inside a character: each is looked up then.
        (entry,) = answer.get("completion_probabilities") or ({"top_probs": []},)
        shares = {one["id"]: one["prob"] for one in entry["top_probs"]}
        if shares.get(wanted[0], 0.0) <= 0 or any(shares.get(token, 0.0) <= 0 for token in wanted):
            others = {token: (await self._look_up(place, ids, token, scales, 1)).logprob for token in wanted[1:]}
            return {wanted[0]: known, **others}
        base = known - math.log(shares[wanted[0]])
        return {token: min(0.0, base + math.log(shares[token])) for token in wanted}

    async def _continued(self, prompt: str, begin: Sequence[int], answer: str) -> list[int]:
        """The tokens of an answer after the prompt; they may differ from those of the answer alone."""
        check_text(answer)
        key = (prompt[-TAIL:], answer)
        if key not in self._continuations:
            ids = await self._tokenize(prompt + answer, whole=True)
            same = ids[: len(begin)] == list(begin)
            if len(self._continuations) >= MOST_CONTINUATIONS:
                self._continuations.clear()
            self._continuations[key] = ids[len(begin) :] if same else await self._tokenize(answer)
        return self._continuations[key]

    def _beginning(self) -> int:
        token = self.header.beginning if self.header else None
        if token is not None:
            return token
        raise refuse(t("the model '{name}' cannot score without a prompt", name=self.name))

    async def _tokenize(self, text: str, *, whole: bool = False) -> list[int]:
        """`whole`: as a prompt would be read, with the token that begins it and control tokens."""
        answer = await self._post("/tokenize", {"content": text, "add_special": whole, "parse_special": whole})
        return answer["tokens"]

    async def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return await self._post_to(self.places.first.http, path, body)

    async def _post_to(
        self, child: ChildHttp, path: str, body: Mapping[str, Any], *, risky: bool = False
    ) -> dict[str, Any]:
        async with child.respond(path, body, risky=risky) as response:
            answer = msgspec.json.decode(await response.read())
        if "error" in answer:
            raise wire.failure(self.name, answer["error"])
        return answer

    async def _stream(
        self, child: ChildHttp, body: Mapping[str, Any], *, risky: bool
    ) -> AsyncGenerator[dict[str, Any]]:
        """Chunks of a completion; raises EngineError when the child dies or stalls before the last one."""
        pid, events = child.process.pid, wire.Events()
        async with child.respond("/completion", body, risky=risky) as response:
            if response.status != 200:
                raise wire.failure(self.name, msgspec.json.decode(await response.read())["error"])
            async for data in response.content.iter_any():
                for chunk in events.feed(data):
                    if "stop" not in chunk:
                        raise wire.failure(self.name, chunk.get("error", chunk))
                    yield chunk
                    if chunk["stop"]:
                        return
        raise child.died(pid)

    # -- before the start ---------------------------------------------------------------------------------------------

    def _checked(self, parallel: int) -> ModelHeader:
        return check_files(self.name, self.model, tuple(self.adapters.values()), self.config.context, parallel)

    async def first_settings(self) -> ChildSettings:
        """See `LocalEngine`."""
        self.header = await asyncio.to_thread(self._checked, self.config.parallel)
        self._choice = await self._chosen()
        return self._settings(self._choice, self.config.parallel)

    def second_settings(self) -> ChildSettings:
        """See `LocalEngine`."""
        self._checked(ASIDE_PARALLEL)
        return self._settings(self._choice, ASIDE_PARALLEL, spare=True)

    def _settings(self, choice: Choice, parallel: int, **more: Any) -> ChildSettings:
        config = self.config
        line = {
            "model": str(self.model), "adapters": [str(path) for path in self.adapters.values()],
            "context": config.context, "parallel": parallel, "batch": self._batch(), "cache_mb": self._cache_mb,
            "threads": choice.threads,
        }  # fmt: skip
        return ChildSettings(
            name=self.name, engine="llama", runtime="llama.cpp", module="slipway.builtin.engines.llama.child",
            line={**line, **more},
            environment={"GOMP_SPINCOUNT": str(choice.spin), **(RETURNED if self.adapters else {})},
            load_seconds=config.load_seconds, max_crashes=config.max_crashes, ping="/slots", health="/health",
            limits=Limits(
                memory_gb=config.memory_gb, stall_seconds=config.stall_seconds, room=ROOM_BYTES + self._cache_bytes()
            ),
        )  # fmt: skip

    def _batch(self) -> int:
        size = self.header.size if self.header else 0
        return self.config.batch or (BATCH if size <= SMALL_BYTES else SMALL_BATCH)

    def _cache_bytes(self) -> int:
        """Memory for keys and values, those of prefixes that no slot holds included."""
        config = self.config
        held = self.header.cache_bytes(config.context * config.parallel) if self.header else 0
        return held + (self._cache_mb << 20)

    @property
    def _cache_mb(self) -> int:
        """With adapters nothing: llama.cpp finds a prefix there by its tokens alone, whichever adapter computed it."""
        return 0 if self.adapters else self.config.cache_mb

    async def _chosen(self) -> Choice:
        config, default = self.config, default_choice()
        if config.measure and (config.threads is None or config.spin is None):
            default = await choose(self.model, self._measure)
        return Choice(
            threads=default.threads if config.threads is None else config.threads,
            spin=default.spin if config.spin is None else config.spin,
        )

    async def _measure(self, choice: Choice) -> float:
        """Seconds for a short prompt and answer under `choice`, the better of two tries, in a child of its own."""
        settings = self._settings(choice, 1, adapters=[], context=MEASURED_PROMPT * 2, cache_mb=0)
        process = EngineProcess(settings)
        await process.start()
        child = ChildHttp(process, self.config.stall_seconds)
        try:
            tries: list[float] = []
            for first in (10, 11):
                body = wire.measured([first + at % 200 for at in range(MEASURED_PROMPT)], MEASURED_ANSWER)
                answer = await self._post_to(child, "/completion", body)
                tries.append((answer["timings/prompt_ms"] + answer["timings/predicted_ms"]) / 1000)
            return min(tries)
        finally:
            await process.stop()
