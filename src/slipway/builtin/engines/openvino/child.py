"""The process that OpenVINO lives in: `python -m slipway.builtin.engines.openvino.child`. Knows nothing of Slipway.

It serves four paths on a unix socket: /alive, /tokenize, /template, and /generate, which streams lines of JSON. All
requests share one pipeline of OpenVINO GenAI, which batches them continuously and keeps the prefixes of prompts.

A step of the pipeline holds Python's lock, so a thread of its own would gain nothing: steps and requests take turns in
one event loop.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import secrets
import socket
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from slipway.builtin.engines.openvino.text import Tail, pieces
from slipway.builtin.engines.process.child import live
from slipway.builtin.engines.process.pulse import Pulse

PROBE = "Tokens are bytes: äöü, 你好, 👍🏽.\n\tEnd"
TURNS = 8  # of the event loop between two steps: what it takes to accept, read and queue a request
FLUSH_SECONDS = 0.2


class Job:
    """One answer in the making; `lines` are what the client is sent."""

    def __init__(self, handle: Any, tail: Tail, prompt_tokens: int, *, constrained: bool) -> None:
        self.lines = asyncio.Queue[dict[str, Any]]()
        self.compiling = constrained  # until its first token: by then its grammar was compiled
        self.compile_seconds = 0.0
        self.done = False
        self._handle = handle
        self._tail = tail
        self._made = 0
        self._prompt_tokens = prompt_tokens

    def read(self) -> None:
        """Pass on the tokens that the last step made."""
        while not self.done and self._handle.can_read():
            for output in self._handle.read().values():
                self._take(output.generated_ids, output.finish_reason.name)

    def cancel(self) -> None:
        """Make no more tokens."""
        if not self.done:
            self.done = True
            self._handle.cancel()

    def _take(self, tokens: Sequence[int], reason: str) -> None:
        if self.compiling:
            self.compiling = False
            self.lines.put_nowait({"compiled": self.compile_seconds})
        text = ""
        for token in tokens:
            self._made += 1
            text += self._tail.push(token)
            if self._tail.stopped:
                self.cancel()
                return self._put(text, "stop")
        if reason == "NONE":
            return self._put(text, None)
        self.done = True
        return self._put(text + self._tail.end(), "length" if reason == "LENGTH" else "stop")

    def _put(self, text: str, finish: str | None) -> None:
        if finish is not None:
            counts = {"prompt_tokens": self._prompt_tokens, "completion_tokens": self._made}
            self.lines.put_nowait({"text": text, "finish": finish, **counts})
        elif text:
            self.lines.put_nowait({"text": text})


class Pipeline:
    """The model. Made from the settings line: `model` (a path), `context`, `parallel`, `blocks` (of 32 tokens, for keys
    and values), `batch`, `threads`, `control` (texts of control tokens), `ends` (ids of tokens that end an answer),
    `trained` (the longest text in tokens that its tokenizer does not cut; 0: unknown).
    """

    def __init__(self, settings: dict[str, Any], pulse: Pulse) -> None:
        self._pulse = pulse
        # Importing OpenVINO reports to a server on the internet; without this package it has nothing to report with.
        sys.modules["openvino_telemetry"] = None  # pyright: ignore[reportArgumentType]
        self._genai: Any = importlib.import_module("openvino_genai")
        self._openvino: Any = importlib.import_module("openvino")
        self._numpy: Any = importlib.import_module("numpy")
        self._settings = settings
        schedule = self._genai.SchedulerConfig()
        schedule.cache_size = 0
        schedule.num_kv_blocks = settings["blocks"]
        schedule.max_num_seqs = settings["parallel"]
        schedule.max_num_batched_tokens = settings["batch"]
        schedule.enable_prefix_caching = True
        # Its own choices depend on the processor (bfloat16, 8-bit keys): answers would not be the same everywhere.
        precision = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f16"}
        self._pipeline = self._genai.ContinuousBatchingPipeline(
            settings["model"], schedule, "CPU", {"INFERENCE_NUM_THREADS": settings["threads"], **precision}
        )
        self._tokenizer = self._pipeline.get_tokenizer()
        control = {text.encode() for text in settings["control"]}
        self._pieces = {at: piece for piece, at in self._tokenizer.get_vocab().items() if piece not in control}
        if b"".join(self._pieces.get(at, b"") for at in self.tokens(PROBE)) != PROBE.encode():
            raise ValueError("the tokens of this model are not the bytes of the text")
        self._jobs: list[Job] = []
        self._wake = asyncio.Event()
        self._count = 0

    def tokens(self, text: str, *, special: bool = False) -> list[int]:
        """Ids of a text's tokens; `special`: with what the model wants before any prompt."""
        if not text:
            return []
        return self._tokenizer.encode(text, add_special_tokens=special).input_ids.data[0].tolist()

    async def count(self, text: str) -> int:
        """Tokens of a text of any length: the tokenizer cuts what the model was not trained for, without a word."""
        total, left = 0, [text]
        while left:
            piece = left.pop()
            found = len(self.tokens(piece))
            if len(piece) > 1 and found >= (self._settings["trained"] or found + 1):
                left += pieces(piece, len(piece) // 2)
            else:
                total += found
            await asyncio.sleep(0)
        return total

    def template(self, messages: list[dict[str, str]]) -> str:
        """The prompt for a conversation, up to where the answer begins."""
        return self._tokenizer.apply_chat_template(messages, add_generation_prompt=True)

    def start(self, tokens: Sequence[int], body: dict[str, Any]) -> Job:
        """Queue a generation. Raises RuntimeError for what GenAI refuses, and when there is no room for an answer."""
        room = self._settings["context"] - len(tokens)
        if room <= 0:
            raise RuntimeError("the prompt fills the context")
        config = self._config(body, room)
        config.validate()
        ids = self._openvino.Tensor(self._numpy.array([tokens], dtype=self._numpy.int64))
        self._count += 1
        handle = self._pipeline.add_request(self._count, ids, config)
        constrained = bool(body.get("grammar") or body.get("json_schema"))
        job = Job(handle, Tail(self._pieces, body["stop"]), len(tokens), constrained=constrained)
        self._jobs.append(job)
        self._wake.set()
        return job

    async def work(self) -> None:
        """Make tokens whenever there is a request; never returns. A pipeline that fails cannot be used again."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pipeline.has_non_finished_requests():
                await self._step()
                for job in self._jobs:
                    job.read()
                self._jobs = [job for job in self._jobs if not job.done]
                for _ in range(TURNS):
                    await asyncio.sleep(0)

    async def _step(self) -> None:
        compiling = [job for job in self._jobs if job.compiling]
        self._pulse.enter(risky=bool(compiling))
        try:
            self._pipeline.step()
        except (RuntimeError, MemoryError) as error:
            await self._give_up(str(error))
        seconds = self._pulse.leave()
        for job in compiling:
            job.compile_seconds = max(job.compile_seconds, seconds)

    async def _give_up(self, why: str) -> None:
        """A grammar that cannot be compiled is the likely cause: tell its client, and end; the parent starts again."""
        for job in self._jobs:
            if job.compiling:
                job.lines.put_nowait({"error": why})
        await asyncio.sleep(FLUSH_SECONDS)
        os._exit(1)

    def _config(self, body: dict[str, Any], room: int) -> Any:
        config = self._genai.GenerationConfig()
        config.max_new_tokens = min(body["max_tokens"], room)
        config.do_sample = body["temperature"] > 0
        if config.do_sample:
            config.temperature = body["temperature"]
            config.top_p = body["top_p"]
        config.rng_seed = secrets.randbits(32) if body.get("seed") is None else body["seed"]
        config.frequency_penalty = body["frequency_penalty"]
        config.presence_penalty = body["presence_penalty"]
        config.stop_token_ids = set(self._settings["ends"])
        if body.get("grammar") or body.get("json_schema"):
            config.structured_output_config = self._genai.StructuredOutputConfig()
            if body.get("grammar"):
                config.structured_output_config.grammar = body["grammar"]
            else:
                config.structured_output_config.json_schema = json.dumps(body["json_schema"])
        return config


def application(pipeline: Pipeline) -> web.Application:
    """The four paths."""

    async def alive(request: web.Request) -> web.Response:
        return web.json_response({})

    async def tokenize(request: web.Request) -> web.Response:
        texts = Counter((await request.json())["texts"])
        return web.json_response({"count": sum([n * await pipeline.count(text) for text, n in texts.items()])})

    async def template(request: web.Request) -> web.Response:
        try:
            return web.json_response({"prompt": pipeline.template((await request.json())["messages"])})
        except RuntimeError as error:
            return web.json_response({"error": str(error)}, status=400)

    async def generate(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        tokens = pipeline.tokens(body["prompt"], special=body["special"])
        try:
            job = pipeline.start(tokens, body)
        except RuntimeError as error:
            count = max(len(tokens), await pipeline.count(body["prompt"]))
            return web.json_response({"error": str(error), "prompt_tokens": count}, status=400)
        try:
            response = web.StreamResponse()
            await response.prepare(request)
            line: dict[str, Any] = {}
            while "finish" not in line and "error" not in line:
                line = await job.lines.get()
                await response.write(json.dumps(line).encode() + b"\n")
        finally:
            job.cancel()
        return response

    made = web.Application(client_max_size=1 << 30)
    made.add_routes([web.get("/alive", alive), web.post("/tokenize", tokenize)])
    made.add_routes([web.post("/template", template), web.post("/generate", generate)])
    return made


def load(settings: dict[str, Any]) -> Callable[[], None]:
    """Load the model and listen."""
    pipeline = Pipeline(settings, Pulse(Path(settings["socket"]).parent))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(settings["socket"])
    listener.listen(128)

    async def run() -> None:
        runner = web.AppRunner(application(pipeline), handler_cancellation=True, access_log=None)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        await pipeline.work()

    return lambda: asyncio.run(run())


if __name__ == "__main__":
    live(load)
