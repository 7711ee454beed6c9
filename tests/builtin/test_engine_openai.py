"""The `openai` engine: the contract over our own gateway, and every way in which a server can fail, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import shutil
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from served import Running, echo, make_context, serving
from slipway.builtin.engines.openai.engine import OpenAIConfig, OpenAIEngine
from slipway.builtin.engines.openai.http import retry_after
from slipway.core.message import (
    Completion,
    Delta,
    GenerateRequest,
    ImagePart,
    ImageUrl,
    Message,
    NamedTool,
    Sampling,
    TextPart,
    Tool,
    ToolCall,
    Usage,
)
from slipway.errors import ConfigError, EngineError, MissingPrerequisite
from slipway.store.store import Store
from slipway.testing.engines import EngineContract, complete

ASK = GenerateRequest(messages=(Message("user", "hello there"),), sampling=Sampling(max_tokens=20))
CAN = frozenset({"generate", "embed", "logprobs", "json_schema", "choices", "tools", "images"})
KEY = "sk-very-secret-0123456789"


# -- the contract, over our own gateway -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    store = Store(tmp_path_factory.mktemp("state"))
    with serving(make_context(store, [echo()], parallel=16)) as running:
        yield running


class TestContract(EngineContract):
    capabilities = CAN
    can_score = False

    @classmethod
    def make_engine(cls, request: pytest.FixtureRequest) -> OpenAIEngine:
        address = request.getfixturevalue("gateway").address
        return OpenAIEngine(OpenAIConfig(base_url=f"{address}/v1", model="writer"), name="remote")


class TestContractAlwaysStreaming(EngineContract):
    capabilities = CAN
    can_score = False

    @classmethod
    def make_engine(cls, request: pytest.FixtureRequest) -> OpenAIEngine:
        address = request.getfixturevalue("gateway").address
        config = OpenAIConfig(base_url=f"{address}/v1/", model="writer", stream="always", choices_by="guided_choice")
        return OpenAIEngine(config, name="remote")


async def test_whole_and_streamed_answers_are_the_same(gateway: Running) -> None:
    async with started(f"{gateway.address}/v1", model="writer") as engine:
        for request in (
            ASK,
            GenerateRequest(prompt="one two three", sampling=Sampling(max_tokens=2), logprobs=2),
            GenerateRequest(
                messages=ASK.messages, json_schema={"type": "object", "properties": {"a": {"type": "string"}}}
            ),
            GenerateRequest(messages=ASK.messages, choices=("there", "hello")),
        ):
            assert await engine.complete(request) == await complete(engine, request)


async def test_cancelling_stops_the_server(tmp_path: Path) -> None:
    with serving(make_context(Store(tmp_path), [echo(token_delay=0.05)])) as gateway:
        slots = gateway.application.slots
        request = GenerateRequest(prompt="word " * 300, sampling=Sampling(max_tokens=1000))
        async with started(f"{gateway.address}/v1", model="writer") as engine:
            for ask in (lambda: engine.complete(request), lambda: complete(engine, request)):
                task = asyncio.ensure_future(ask())
                while not slots.running:
                    await asyncio.sleep(0.01)
                task.cancel()
                started_at = time.monotonic()
                while slots.running:
                    await asyncio.sleep(0.01)
                    assert time.monotonic() - started_at < 5, "the server works on for no one"


# -- a server that does what a test says -------------------------------------------------------------------------------

Answer = bytes | Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any] | None


class Script:
    """Answers one request after the other with given bytes; None closes the connection without an answer."""

    def __init__(self, answers: tuple[Answer, ...]) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.closed = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                line, *rest = head.strip().split("\r\n")
                headers = {k.lower(): v for k, v in (item.split(": ", 1) for item in rest)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests.append((line, headers, json.loads(body or b"null")))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if callable(answer):
                    await answer(reader, writer)
                elif answer is not None:
                    writer.write(answer)
                    await writer.drain()
                if answer is None or callable(answer) or b"connection: close" in answer:
                    break
        self.closed += 1
        writer.close()


@contextlib.asynccontextmanager
async def script(*answers: Answer) -> AsyncIterator[Script]:
    found = Script(answers)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield found
    finally:
        server.close()


@contextlib.asynccontextmanager
async def started(url: str, **config: Any) -> AsyncIterator[OpenAIEngine]:
    values: dict[str, Any] = {"base_url": url, "model": "m", "backoff": 0.01, **config}
    engine = OpenAIEngine(OpenAIConfig(**values), name="remote")
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


def http(status: int, body: bytes | dict[str, Any], **headers: str) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status} X",
        f"content-length: {len(data)}",
        *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + data


def whole(text: str | None = "fine", finish: str | None = "stop", **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}
    return http(200, {"choices": [choice], "usage": usage, **more})


def stream(*events: Any) -> bytes:
    """A whole event stream that ends by closing the connection."""
    lines = "".join(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n" for event in events)
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n" + lines.encode()


def piece(text: str = "", finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text}, "finish_reason": finish}], **more}


FINE = Completion(text="fine", finish="stop", usage=Usage(prompt_tokens=3, completion_tokens=2, cached_tokens=1))


# -- what is sent -----------------------------------------------------------------------------------------------------


async def test_what_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    async with (
        script(whole()) as server,
        started(server.url, api_key_env="TEST_KEY", headers={"x-team": "a"}) as engine,
    ):
        sampling = Sampling(temperature=0.5, max_tokens=7, stop=("x",), seed=0, presence_penalty=1.0)
        assert await engine.complete(GenerateRequest(messages=(Message("user", "hi"),), sampling=sampling)) == FINE
        line, headers, body = server.requests[0]
        assert line == "POST /v1/chat/completions HTTP/1.1"
        assert headers["authorization"] == f"Bearer {KEY}"
        assert headers["x-team"] == "a"
        assert body == {
            "model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.5, "top_p": 1.0,
            "max_tokens": 7, "stop": ["x"], "seed": 0, "presence_penalty": 1.0,
        }  # fmt: skip
        await engine.complete(GenerateRequest(prompt="raw"))
        assert server.requests[1][0] == "POST /v1/completions HTTP/1.1"
        assert server.requests[1][2]["prompt"] == "raw"
        assert server.closed == 0, "the connection is kept"


async def test_newer_and_older_names() -> None:
    choices = GenerateRequest(prompt="x", choices=("a", "b"))
    async with script(whole("a")) as server:
        async with started(
            server.url, max_tokens_field="max_completion_tokens", choices_by="structured_outputs"
        ) as one:
            assert (await one.complete(choices)).text == "a"
        async with started(server.url, choices_by="guided_choice") as two:
            assert (await two.complete(choices)).text == "a"
    assert server.requests[0][2]["max_completion_tokens"] == 256
    assert server.requests[0][2]["structured_outputs"] == {"choice": ["a", "b"]}
    assert server.requests[1][2]["guided_choice"] == ["a", "b"]


async def test_streams_of_many_shapes() -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": None}}
    first = {"choices": [{"delta": {"role": "assistant"}, "finish_reason": None}]}
    answer = stream(first, piece("fi"), piece("ne"), piece(finish="stop"), usage, "[DONE]")
    async with script(answer) as server, started(server.url) as engine:
        deltas = [delta async for delta in engine.generate(ASK)]
    assert [delta.text for delta in deltas] == ["fi", "ne", ""]
    assert (deltas[-1].finish, deltas[-1].usage and deltas[-1].usage.prompt_tokens) == ("stop", 3)
    assert server.requests[0][2]["stream_options"] == {"include_usage": True}

    async def crumbs(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = stream(piece("你"), ": comment", piece("好", "length", usage=usage["usage"])).replace(b"\n", b"\r\n")
        raw = raw.replace(b"\r\r\n", b"\r\n").replace(b"data: : comment", b": comment\r\nevent: x")
        for at in range(len(raw)):
            writer.write(raw[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0)

    async with script(crumbs) as server, started(server.url) as engine:
        answer = await complete(engine, ASK)
    assert (answer.text, answer.finish, answer.usage.completion_tokens) == ("你好", "length", 2)


async def test_a_server_that_counts_nothing_is_told_about_once() -> None:
    heard: list[tuple[str, Mapping[str, Any]]] = []
    async with script(http(200, {"choices": [{"text": "fine", "finish_reason": "stop"}]})) as server:
        config = OpenAIConfig(base_url=server.url, model="m")
        engine = OpenAIEngine(config, "remote", on_event=lambda event, details: heard.append((event, details)))
        await engine.start()
        answers = [await engine.complete(GenerateRequest(prompt="x")) for _ in range(3)]
        await engine.close()
    assert answers[0].text == "fine"
    assert answers[0].usage.prompt_tokens == 0
    assert [(event, details["model"]) for event, details in heard] == [("engine.uncounted", "remote")]
    assert "no token usage" in heard[0][1]["why"]


# -- tools and images -------------------------------------------------------------------------------------------------

TOOL = Tool(name="weather", description="In a city.", parameters={"type": "object"})
CALLS = (ToolCall("a", "weather", '{"city": "Bath"}'), ToolCall("b", "weather", "{}"))
TURNS = (
    Message("user", (TextPart("this"), ImagePart(ImageUrl("data:image/png;base64,AAAA")))),
    Message("assistant", "", CALLS[:1]),
    Message("tool", "rain", tool_call_id="a"),
)
WITH_TOOLS = GenerateRequest(messages=TURNS, tools=(TOOL,))


def called(index: int | None = None, **more: Any) -> dict[str, Any]:
    names = ({} if index is None else {"index": index}) | ({"id": more["id"]} if "id" in more else {})
    return {**names, "type": "function", "function": {k: v for k, v in more.items() if k != "id"}}


def calling(*calls: Any, finish: str | None = None, key: str = "delta") -> dict[str, Any]:
    return {"choices": [{key: {"content": None, "tool_calls": list(calls)}, "finish_reason": finish}]}


async def test_tools_and_images_are_sent() -> None:
    async with script(whole()) as server, started(server.url) as engine:
        await engine.complete(WITH_TOOLS)
        await engine.complete(GenerateRequest(messages=TURNS, tools=(TOOL,), tool_choice=NamedTool("weather")))
    body = server.requests[0][2]
    function = {"name": "weather", "arguments": '{"city": "Bath"}'}
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "this"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "type": "function", "function": function}]},
        {"role": "tool", "content": "rain", "tool_call_id": "a"},
    ]
    tool = {"name": "weather", "description": "In a city.", "parameters": {"type": "object"}}
    assert body["tools"] == [{"type": "function", "function": tool}]
    assert body["tool_choice"] == "auto"
    assert server.requests[1][2]["tool_choice"] == {"type": "function", "function": {"name": "weather"}}


async def test_tool_calls_are_read_whole_and_streamed() -> None:
    args = '{"city": "Bath"}'
    both = calling(
        called(id="a", name="weather", arguments=args),
        called(id="b", name="weather", arguments=""),
        finish="stop",
        key="message",
    )
    parts = [
        calling(called(1, id="b", name="weather")), calling(called(0, id="a", name="weather", arguments=args[:5])),
        calling(called(0, arguments=args[5:]), finish="tool_calls"), "[DONE]",
    ]  # fmt: skip
    for answer in (http(200, both), stream(*parts)):
        async with script(answer) as server, started(server.url) as engine:
            found = await (
                engine.complete(WITH_TOOLS) if answer[:200].find(b"event-stream") < 0 else complete(engine, WITH_TOOLS)
            )
            assert (found.tool_calls, found.finish, found.text) == (CALLS, "tool_calls", "")
    async with script(http(200, both)) as server, started(server.url) as engine:
        assert not (await engine.complete(ASK)).tool_calls, "no tools were offered"


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (calling(called(128, name="weather")), "no OpenAI answer"),
        (calling(called(-1, name="weather")), "no OpenAI answer"),
        (calling(*[called(name="weather")] * 129), "no OpenAI answer"),
        (calling(called(0, name=7)), "no OpenAI answer"),
        (calling(called(0, arguments="{}"), finish="tool_calls"), "without saying which"),
    ],
)
async def test_odd_tool_calls_are_no_answer(part: Any, words: str) -> None:
    async with script(stream(part, "[DONE]")) as server, started(server.url) as engine:
        with pytest.raises(EngineError, match=words):
            await complete(engine, WITH_TOOLS)


async def test_tool_calls_without_end_are_cut() -> None:
    flood = stream(*[calling(called(0, name="weather", arguments="x" * 50_000))] * 25)
    async with script(flood) as server, started(server.url, max_answer_mb=1) as engine:
        with pytest.raises(EngineError, match="sent more than 1 MB"):
            await complete(engine, WITH_TOOLS)


async def test_an_engine_that_can_no_tools_refuses_them() -> None:
    async with started("http://127.0.0.1:9/v1", can=["generate"]) as engine:
        with pytest.raises(EngineError, match="no 'tools'") as caught:
            await engine.complete(WITH_TOOLS)
    assert caught.value.status == 400


# -- what is too much ---------------------------------------------------------------------------------------------------


async def pour(writer: asyncio.StreamWriter, head: bytes, piece: bytes, most: int) -> int:
    """Send `piece` again and again, up to `most` bytes or until the other side has had enough; the bytes sent."""
    sent = 0
    writer.write(head)
    with contextlib.suppress(ConnectionError):
        while sent < most:
            writer.write(piece)
            await writer.drain()
            sent += len(piece)
    return sent


HEAD = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
CHUNK = b"data: " + json.dumps({"choices": [{"delta": {"content": "x" * 50_000}}]}).encode() + b"\n\n"


@pytest.mark.parametrize("how", ["whole", "generate", "embed"])
async def test_an_answer_without_end_is_cut(how: str) -> None:
    sent: list[int] = []

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent.append(await pour(writer, HEAD, CHUNK if how == "generate" else b" " * 50_000, 200_000_000))

    async with script(flood) as server, started(server.url, max_answer_mb=4) as engine:
        asks: dict[str, Callable[[], Any]] = {
            "whole": lambda: engine.complete(ASK), "generate": lambda: complete(engine, ASK),
            "embed": lambda: engine.embed(["a"]),
        }  # fmt: skip
        with pytest.raises(EngineError, match="sent more than 4 MB") as caught:
            await asks[how]()
        while not sent:
            await asyncio.sleep(0.01)
    assert caught.value.status == 502
    assert "max_answer_mb" in caught.value.hint
    assert sent[0] < 50_000_000, "it went on to the end"


async def test_an_error_without_end_is_cut() -> None:
    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pour(writer, HEAD.replace(b"200 OK", b"500 X"), b"oh no! " * 10_000, 200_000_000)

    async with script(flood) as server, started(server.url, retries=0) as engine:
        with pytest.raises(EngineError, match="oh no!") as caught:
            await engine.complete(ASK)
    assert len(caught.value.message) < 1000


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
async def test_a_compressed_answer_is_not_unfolded(encoding: str) -> None:
    bomb = http(200, gzip.compress(b" " * 50_000_000), content_encoding=encoding)
    async with script(bomb) as server, started(server.url) as engine:
        with pytest.raises(EngineError, match="compressed its answer") as caught:
            await engine.complete(ASK)
        with pytest.raises(EngineError, match="compressed its answer"):
            await complete(engine, ASK)
    assert caught.value.status == 502
    assert server.requests[0][1]["accept-encoding"] == "identity"


DEEP = b"[" * 100_000
ODD = [
    http(200, b'{"choices": [{"text": "x", "finish_reason": "stop", "x": ' + DEEP),
    http(200, b'{"error": ' + DEEP),
    http(200, b'{"choices": [{"text": "\xff", "finish_reason": "stop"}]}'),
    whole(usage={"prompt_tokens": -1}),
    whole(usage={"prompt_tokens": 10**30}),
    whole(choices=[{"text": "x", "finish_reason": "stop", "logprobs": {"content": 7}}]),
    whole(choices=[{"text": "x", "finish_reason": "stop", "logprobs": {"content": [{"token": 1}]}}]),
    whole(choices=[{"text": "x", "finish_reason": "stop", "logprobs": {"tokens": ["a"], "token_logprobs": ["b"]}}]),
]


@pytest.mark.parametrize("answer", ODD, ids=range(len(ODD)))
async def test_odd_values_are_no_answer(answer: bytes) -> None:
    async with script(answer) as server, started(server.url) as engine:
        with pytest.raises(EngineError, match="no OpenAI answer"):
            await engine.complete(ASK)


@pytest.mark.parametrize("body", [DEEP, b'{"error": {"message": "\xff"}}'], ids=["deep", "no UTF-8"])
async def test_an_error_that_is_no_json(body: bytes) -> None:
    async with script(http(400, body)) as server, started(server.url) as engine:
        with pytest.raises(EngineError, match="status 400"):
            await engine.complete(ASK)


async def test_a_redirect_does_not_carry_the_key_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    async with script(whole()) as thief:
        for status in (301, 302, 303, 307, 308):
            away = http(status, b"", location=thief.url + "/chat/completions")
            async with script(away) as server, started(server.url, api_key_env="TEST_KEY") as engine:
                for ask in (lambda engine=engine: engine.complete(ASK), lambda engine=engine: engine.embed(["a"])):
                    with pytest.raises(EngineError, match="redirect"):
                        await ask()
        assert not thief.requests


# -- what goes wrong --------------------------------------------------------------------------------------------------

LEAK = {"error": {"message": f"Incorrect API key provided: {KEY}"}}
REFUSALS: list[tuple[Answer, int, bool, str, str]] = [
    (http(401, LEAK), 502, False, "refused the API key (status 401)", "TEST_KEY"),
    (http(403, LEAK), 502, False, "refused the API key (status 403)", "TEST_KEY"),
    (http(404, {"error": {"message": "no model m"}}), 502, False, "no model m", "`model` and `base_url`"),
    (http(400, {"error": {"message": f"too long, {KEY}"}}), 400, False, "too long, ***", "as the message says"),
    (http(422, {"detail": "x", "message": "bad field"}), 400, False, "bad field", "as the message says"),
    (http(307, b"", location="http://evil/"), 502, False, "redirect", "base_url"),
    (http(429, {"error": "slow down"}), 429, True, "slow down", "later"),
    (http(500, b"<html>oops</html>"), 502, True, "oops", "log"),
    (http(503, b""), 502, True, "status 503", "log"),
    (http(418, b"teapot"), 502, False, "status 418", "OpenAI-compatible"),
    (http(200, b"<html>hello</html>"), 502, False, "no OpenAI answer", "OpenAI-compatible"),
    (http(200, b""), 502, False, "no OpenAI answer", "OpenAI-compatible"),
    (http(200, b'{"choices": [{"message"'), 502, False, "no OpenAI answer", "OpenAI-compatible"),
    (http(200, b'{"choices": 7}'), 502, False, "no OpenAI answer", "OpenAI-compatible"),
    (http(200, {"choices": []}), 502, True, "gave no answer", "log"),
    (http(200, {"error": {"message": "boom"}}), 502, True, "boom", "log"),
    (http(200, {}, connection="close")[:-2] + b'{"choices"', 502, True, "broke", "try"),
    (whole(finish=None), 502, True, "in the middle", "try again"),
    (whole(finish="content_filter"), 502, False, "content filter", "filter"),
    (None, 502, True, "broke the connection", "try again"),
    (
        b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\nconnection: close\r\n\r\n{",
        502,
        True,
        "broke the connection",
        "try again",
    ),
    (b"garbage\r\n\r\nconnection: close", 502, True, "broke the connection", "try again"),
]


@pytest.mark.parametrize(("answer", "status", "retryable", "words", "hint"), REFUSALS)
async def test_failures(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, status: int, retryable: bool, words: str, hint: str
) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    async with script(answer) as server, started(server.url, api_key_env="TEST_KEY", retries=0) as engine:
        with pytest.raises(EngineError) as caught:
            await engine.complete(ASK)
    error = caught.value
    assert (error.status, error.retryable) == (status, retryable), error
    assert words in error.message
    assert hint in error.hint
    assert KEY not in str(error)


STREAM_FAILURES: list[tuple[bytes, str, str]] = [
    (stream(piece("half")), "half", "in the middle"),
    (stream(), "", "in the middle"),
    (stream(piece("half"), {"error": {"message": "cuda out of memory"}}), "half", "cuda out of memory"),
    (stream(piece("half"), "{not json"), "half", "no OpenAI answer"),
    (stream(piece("half"), piece(finish="content_filter")), "half", "content filter"),
    (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n", "", "broke the connection"),
    (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\ndata: " + b"x" * 5_000_000, "", "more than"),
]


@pytest.mark.parametrize(("answer", "said", "words"), STREAM_FAILURES)
async def test_failures_of_streams(answer: bytes, said: str, words: str) -> None:
    async with script(answer) as server, started(server.url, retries=3) as engine:
        got = list[Delta]()

        async def listen() -> None:
            async for delta in engine.generate(ASK):
                got.append(delta)  # noqa: PERF401 -- what came before the error counts

        with pytest.raises(EngineError, match=words):
            await listen()
    assert "".join(delta.text for delta in got) == said
    assert len(server.requests) == 1, "nothing is tried again once an answer has begun"


async def test_promises_that_are_not_kept() -> None:
    async with script(whole("just prose")) as server, started(server.url) as engine:
        with pytest.raises(EngineError, match="ignored the JSON schema"):
            await engine.complete(GenerateRequest(messages=ASK.messages, json_schema={"type": "object"}))
        with pytest.raises(EngineError, match="ignored the choices"):
            await engine.complete(GenerateRequest(messages=ASK.messages, choices=("a", "b")))
        server.answers = [whole('{"choice": "c"}')]
        with pytest.raises(EngineError, match="ignored the choices"):
            await engine.complete(GenerateRequest(messages=ASK.messages, choices=("a", "b")))
        server.answers = [whole(" a\n")]
        assert (await engine.complete(GenerateRequest(messages=ASK.messages, choices=("a", "b")))).text == "a"


async def test_nobody_there() -> None:
    async with started("http://127.0.0.1:9/v1", retries=1) as engine:
        with pytest.raises(EngineError, match="cannot be reached") as refused:
            await engine.complete(ASK)
    assert (refused.value.status, refused.value.retryable) == (503, True)
    async with started("http://nobody.invalid/v1", retries=0) as engine:
        with pytest.raises(EngineError, match="cannot be resolved"):
            await engine.complete(ASK)


async def test_a_server_that_speaks_no_tls() -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 this is plain HTTP\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with started(f"https://127.0.0.1:{port}/v1", retries=3) as engine:
        with pytest.raises(EngineError, match="TLS") as caught:
            await engine.complete(ASK)
    assert not caught.value.retryable
    server.close()


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl command to make a certificate")
async def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-keyout",
        key,
        "-out",
        certificate,
    ]
    subprocess.run([*make, *subject], check=True, capture_output=True)
    secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    secure.load_cert_chain(certificate, key)
    found = Script((whole(),))
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0, ssl=secure)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}/v1"
    async with started(url) as engine:
        with pytest.raises(EngineError, match="TLS") as caught:
            await engine.complete(ASK)
    assert "ca_file" in caught.value.hint
    async with started(url, ca_file=str(certificate)) as engine:
        assert await engine.complete(ASK) == FINE
    server.close()


async def test_too_slow() -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def stalls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(stream(piece("first ")))
        await reader.read()

    async with script(never) as server, started(server.url, timeout=0.3, retries=2) as engine:
        with pytest.raises(EngineError, match="did not answer in time") as late:
            await engine.complete(ASK)
        assert late.value.status == 504
        assert len(server.requests) == 1, "a server that is too slow is not asked the same again"
    async with script(stalls) as server, started(server.url, first_token_timeout=0.3) as engine:
        with pytest.raises(EngineError, match="did not answer in time"):
            await complete(engine, ASK)


# -- trying again -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure", [http(429, b""), http(500, b""), http(502, b""), http(503, b""), http(504, b""), None]
)
async def test_passing_failures_are_tried_again(failure: Answer) -> None:
    async with script(failure, failure, whole()) as server, started(server.url, retries=2) as engine:
        assert await engine.complete(ASK) == FINE
        assert len(server.requests) == 3
    async with script(failure, stream(piece("fine", "stop"))) as server, started(server.url) as engine:
        assert (await complete(engine, ASK)).text == "fine"


@pytest.mark.parametrize("failure", [http(400, b""), http(401, b""), http(404, b""), http(501, b"")])
async def test_lasting_failures_are_not(failure: bytes) -> None:
    async with script(failure) as server, started(server.url, retries=5) as engine:
        with pytest.raises(EngineError):
            await engine.complete(ASK)
        assert len(server.requests) == 1


async def test_retry_after_is_honoured() -> None:
    async with script(http(429, b"", retry_after="1"), whole()) as server, started(server.url) as engine:
        began = time.monotonic()
        assert await engine.complete(ASK) == FINE
        assert time.monotonic() - began >= 1
    async with script(http(429, b"", retry_after="3600")) as server, started(server.url) as engine:
        with pytest.raises(EngineError, match="status 429"):  # longer than max_backoff: told at once
            await engine.complete(ASK)
        assert len(server.requests) == 1


def test_retry_after_as_seconds_date_or_nonsense() -> None:
    assert retry_after("7") == 7
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert retry_after("Wed, 21 Oct 2099 07:28:00 GMT") > 1e9  # type: ignore[operator]
    assert [retry_after(text) for text in ("", "soon", "-1", "1e5")] == [None] * 4


# -- embeddings, tokens, config ---------------------------------------------------------------------------------------


def vectors(*rows: Any, shuffled: bool = False) -> bytes:
    items = [{"index": n, "embedding": row} for n, row in enumerate(rows)]
    return http(200, {"data": items[::-1] if shuffled else items})


async def test_embeddings_come_in_order_and_of_unit_length() -> None:
    async with script(vectors([3, 4], [0, 2], shuffled=True)) as server, started(server.url, embed_batch=2) as engine:
        found = await engine.embed(["a", "b"])
        assert found.tolist() == [pytest.approx([0.6, 0.8]), [0.0, 1.0]]
        server.answers = [vectors([1, 0], [0, 1]), vectors([1, 1])]
        assert (await engine.embed(["a", "b", "c"])).shape == (3, 2)
        assert [body["input"] for _, _, body in server.requests[1:]] == [["a", "b"], ["c"]]


async def test_questions_have_a_prefix_of_their_own() -> None:
    options = {"prefix": "passage: ", "question_prefix": "query: "}
    async with script(vectors([1, 0])) as server, started(server.url, **options) as engine:
        await engine.embed(["a"])
        await engine.embed_question("a")
        assert [body["input"] for _, _, body in server.requests] == [["passage: a"], ["query: a"]]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (vectors([1, 0]), "1 vector for 2 texts"),
        (vectors([1, 0], [1]), "different lengths"),
        (vectors([1, 0], [0, 0]), "zero"),
        (vectors([1, 0], [1e308, 1e308]), "not finite"),
        (vectors([1, 0], ["x", 1]), "no OpenAI answer"),
        (http(200, b"{}"), "no OpenAI answer"),
        (http(400, {"error": {"message": "not an embedding model"}}), "not an embedding model"),
    ],
)
async def test_bad_embeddings(answer: bytes, words: str) -> None:
    async with script(answer) as server, started(server.url) as engine:
        with pytest.raises(EngineError, match=words):
            await engine.embed(["a", "b"])


@pytest.mark.parametrize(
    ("kind", "answer", "asked"),
    [
        ("vllm", {"count": 3, "tokens": [1, 2, 3]}, {"model": "m", "prompt": "a b c", "add_special_tokens": False}),
        ("llama.cpp", {"tokens": [1, 2, 3]}, {"content": "a b c", "add_special": False}),
    ],
)
async def test_tokens_are_counted_where_the_server_can(kind: str, answer: Any, asked: Any) -> None:
    async with script(http(200, answer), http(200, {})) as server, started(server.url, tokenize=kind) as engine:
        assert "tokenize" in engine.capabilities
        assert await engine.count_tokens("a b c") == 3
        assert server.requests[0][0] == "POST /tokenize HTTP/1.1"
        assert server.requests[0][2] == asked
        with pytest.raises(EngineError, match="no tokens"):
            await engine.count_tokens("a b c")


@pytest.mark.parametrize(
    "values",
    [
        {"base_url": "ftp://x"}, {"base_url": "localhost:8000"}, {"base_url": "http://"}, {"base_url": "http://u:p@x/v1"},
        {"base_url": "http://x/v1?key=1"}, {"model": ""}, {"api_key": KEY}, {"headers": {"Authorization": "x"}},
        {"headers": {"x\n": "y"}}, {"headers": {"x": "y\r\nz: 1"}}, {"retries": -1}, {"timeout": 0},
        {"connect_timeout": float("nan")}, {"stream": "never"}, {"can": ["fly"]},
    ],
)  # fmt: skip
def test_bad_configs(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OpenAIConfig(**{"base_url": "http://127.0.0.1/v1", "model": "m", **values})


@pytest.mark.parametrize("how", [{"api_key_env": "K"}, {"api_key_file": "k"}, {"headers": {"x-api-key": "1"}}])
def test_a_key_goes_over_plain_http_to_this_machine_only(how: dict[str, Any]) -> None:
    for address in ("http://10.0.0.7:8000/v1", "http://llm.example.org/v1", "http://127.0.0.1.example.org/v1"):
        with pytest.raises(ValidationError, match="allow_plain_http"):
            OpenAIConfig(base_url=address, model="m", **how)
        assert OpenAIConfig(base_url=address, model="m", allow_plain_http=True, **how)
        assert OpenAIConfig(base_url=address, model="m", headers={"x-team": "a"})
    for address in ("http://127.0.0.1:8000/v1", "http://localhost/v1", "http://[::1]:8000/v1", "https://a.example/v1"):
        assert OpenAIConfig(base_url=address, model="m", **how)


async def test_where_the_key_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_KEY", raising=False)
    base = {"base_url": "http://127.0.0.1/v1", "model": "m"}
    with pytest.raises(MissingPrerequisite, match="TEST_KEY") as unset:
        await OpenAIEngine(OpenAIConfig(**base, api_key_env="TEST_KEY")).start()
    assert "export TEST_KEY" in unset.value.hint
    with pytest.raises(MissingPrerequisite, match="cannot be read"):
        await OpenAIEngine(OpenAIConfig(**base, api_key_file=str(tmp_path / "none"))).start()
    (tmp_path / "key").write_text("two\nlines")
    with pytest.raises(ConfigError, match="no header can carry"):
        await OpenAIEngine(OpenAIConfig(**base, api_key_file=str(tmp_path / "key"))).start()
    with pytest.raises(ConfigError, match="ca_file"):
        await OpenAIEngine(OpenAIConfig(**base, ca_file=str(tmp_path / "key"))).start()
    (tmp_path / "key").write_text(f"{KEY}\n")
    async with script(whole()) as server, started(server.url, api_key_file=str(tmp_path / "key")) as engine:
        await engine.complete(ASK)
        assert server.requests[0][1]["authorization"] == f"Bearer {KEY}"


async def test_a_closed_engine_says_so() -> None:
    engine = OpenAIEngine(OpenAIConfig(base_url="http://127.0.0.1/v1", model="m"), name="remote")
    with pytest.raises(EngineError, match="not started"):
        await engine.complete(ASK)


async def test_a_server_that_ranks_texts() -> None:
    def ranked(*pairs: tuple[int, float]) -> bytes:
        return http(200, {"results": [{"index": at, "relevance_score": score} for at, score in pairs]})

    async with script(ranked((1, 0.9), (0, 0.1))) as server, started(server.url, can=["rank"]) as engine:
        assert await engine.rank("which?", ["a", "b"]) == [0.1, 0.9]
        line, _, body = server.requests[0]
        assert line.startswith("POST /v1/rerank ")
        assert body == {"model": "m", "query": "which?", "documents": ["a", "b"], "top_n": 2}
        assert await engine.rank("which?", []) == []
        server.answers = [ranked((0, 1.0)), ranked((0, 1.0), (7, 2.0)), http(200, {"data": []})]
        for _ in range(3):
            with pytest.raises(EngineError):
                await engine.rank("which?", ["a", "b"])
    async with script(ranked()) as server, started(server.url) as engine:
        with pytest.raises(EngineError, match="rank"):
            await engine.rank("which?", ["a"])
