"""A real server for tests, over a real store: in a thread of this process, or as a child that can be killed.

As a program: `python served.py FOLDER '{"config": {...}, "engine": {...}}'` prints its address and serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from commands import forks
from slipway.builtin.engines.echo import EchoEngine
from slipway.core.candidate import Candidate, ModelPin
from slipway.core.database import Address
from slipway.core.message import Delta, GenerateRequest, Sampling
from slipway.core.ref import Ref
from slipway.core.release import Release
from slipway.project.schema import ServeConfig
from slipway.runtime.session import Session
from slipway.serve.app import Application, create_app
from slipway.serve.resources import ServeContext
from slipway.serve.server import bind, make_server, run
from slipway.store.store import Store

PROJECT = "docs-assistant"


def echo(name: str = "writer", **options: Any) -> ModelPin:
    return ModelPin(name=name, engine="echo", source="", options=options)


def release(
    store: Store, model: ModelPin | None, prompt: str = "{{ question }}", name: str = "plain", **more: Any
) -> Release:
    """A release of a candidate, in the store, not yet promoted."""
    candidate = Candidate(
        name=name, model=model, prompt=prompt, sampling=Sampling(max_tokens=64), **{"task": "answer", **more}
    )
    store.catalog.put("candidate", name, candidate)
    made = Release(
        name=PROJECT,
        candidate=candidate.ref,
        report=Ref("report", f"{name}/gate", "0" * 64),
        verdict=Ref("verdict", name, "1" * 64),
        pins={},
        created="2026-01-01T00:00:00Z",
        created_by="test",
        slipway="0",
    )
    store.catalog.put("release", PROJECT, made)
    return made


def promote(store: Store, made: Release, channel: str = "production") -> None:
    store.catalog.promote(channel, made.digest, by="test", why="test")


def make_context(store: Store, models: list[ModelPin], verify: Any = lambda made: None, **config: Any) -> ServeContext:
    return ServeContext(
        project=PROJECT,
        config=ServeConfig.model_validate({"port": 0, **config}),
        store=store,
        session=Session(store, lambda pin: {}),
        verify=verify,
        models={pin.name: pin for pin in models},
    )


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]

    @property
    def events(self) -> list[Any]:
        lines = [line[6:] for line in self.body.decode().split("\n") if line.startswith("data: ")]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]

    @property
    def text(self) -> str:
        """What a chat answer says, whole or streamed."""
        if self.headers["content-type"].startswith("text/event-stream"):
            choices = [choice for event in self.events if event != "[DONE]" for choice in event.get("choices", [])]
            return "".join(choice["delta"].get("content", "") for choice in choices)
        return self.json["choices"][0]["message"]["content"]


class Client:
    """Plain HTTP, one connection a request, so that nothing is hidden."""

    def __init__(self, address: str) -> None:
        self.address = address
        parts = urlsplit(address)
        self.host, self.port = parts.hostname or "", parts.port or 0

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.request(method, path, data, {"content-type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            found = {key.lower(): value for key, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.send("GET", path, headers=headers)

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Reply:
        return self.send("POST", path, body, headers)

    def chat(self, text: str = "hello", model: str = PROJECT, **more: Any) -> Reply:
        headers = more.pop("headers", None)
        body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
        return self.post("/v1/chat/completions", body, headers)

    def until(self, path: str = "/readyz", status: int = 200, seconds: float = 30.0) -> Reply:
        """Ask until the answer has this status."""
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                reply = self.get(path)
                if reply.status == status:
                    return reply
            assert time.monotonic() < end, f"{path} never answered with {status}"
            time.sleep(0.02)


class Running(Client):
    """A server in a thread of this process."""

    def __init__(self, address: str, application: Application) -> None:
        super().__init__(address)
        self.application = application


@contextlib.contextmanager
def serving(context: ServeContext) -> Iterator[Running]:
    application = create_app(context)
    listener = bind(context.config.host, context.config.port)
    server = make_server(application)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    host, port = listener.getsockname()[:2]
    running = Running(f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}", application)
    try:
        running.until("/healthz")
        yield running
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@contextlib.contextmanager
def held() -> Iterator[threading.Event]:
    """The echo engines of this process say nothing until the event is set: a model that is slow for as long as a test
    needs, and no longer.
    """
    released, genuine = threading.Event(), EchoEngine.generate

    async def waiting(self: EchoEngine, request: GenerateRequest) -> AsyncIterator[Delta]:
        while not released.is_set():
            await asyncio.sleep(0.005)
        async for delta in genuine(self, request):
            yield delta

    EchoEngine.generate = waiting
    try:
        yield released
    finally:
        EchoEngine.generate = genuine
        released.set()


@contextlib.contextmanager
def child(
    folder: Path, environment: dict[str, str] | None = None, **spec: Any
) -> Iterator[tuple[Forked | subprocess.Popen[bytes], Client]]:
    """A server as a child process; `spec`: config, engine (options of echo), store, release (false: raw model only).

    Forked from a process that has the imports, but for one with an environment of its own: that is `program`.
    """
    if environment is not None:
        with program(folder, environment, **spec) as found:
            yield found
        return
    with tempfile.TemporaryDirectory() as place:
        process = Forked(folder, Path(place), spec)
        try:
            yield process, Client(process.address())
        finally:
            process.kill()
            process.wait()


class Forked:
    """As much of `subprocess.Popen` as tests of servers need."""

    def __init__(self, folder: Path, place: Path, spec: dict[str, Any]) -> None:
        self._place = place
        self._process = forks.Process(
            target=_forked, args=(dict(os.environ), str(folder), json.dumps(spec), str(place)), daemon=True
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def address(self) -> str:
        """Where it answers; raises AssertionError, with what it said, for one that ended before."""
        while not (self._place / "address").exists():
            if self._process.exitcode is not None:
                raise AssertionError((self._place / "err").read_text("utf-8"))
            time.sleep(0.005)
        return (self._place / "address").read_text("utf-8")

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code; negative: the signal that ended it."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("server", timeout or 0)
        return self._process.exitcode


def _forked(environment: dict[str, str], folder: str, spec: str, place: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(place, name), os.O_WRONLY | os.O_CREAT), number)

    def tell(address: str) -> None:
        Path(place, "aside").write_text(address, "utf-8")
        Path(place, "aside").rename(Path(place, "address"))

    main(Path(folder), json.loads(spec), tell)


@contextlib.contextmanager
def program(
    folder: Path, environment: dict[str, str] | None = None, **spec: Any
) -> Iterator[tuple[subprocess.Popen[bytes], Client]]:
    """This file as a program of its own."""
    process = subprocess.Popen(
        [sys.executable, __file__, str(folder), json.dumps(spec)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode().strip()
        assert line, process.stderr.read().decode() if process.stderr else ""
        yield process, Client(line)
    finally:
        process.kill()
        process.communicate()


def main(folder: Path, spec: dict[str, Any], ready: Callable[[str], None]) -> None:
    store = Store(folder, Address(**spec.get("store", {})))
    model = echo(**spec.get("engine", {}))
    if spec.get("release", True) and not store.catalog.channels():
        promote(store, release(store, model))
    run(make_context(store, [model], **spec.get("config", {})), ready)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), lambda address: print(address, flush=True))
