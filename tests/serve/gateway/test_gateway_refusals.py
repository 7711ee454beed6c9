"""The table of bad input: for each endpoint, what is sent, the status, and words that the message must hold."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from served import PROJECT, Running, echo, make_context, promote, release, serving
from slipway.core.candidate import ModelPin
from slipway.store.store import Store

HELLO = [{"role": "user", "content": "hello"}]
CHAT, TEXT, EMBED, SHORT, SAY = "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/generate", "/v1/feedback"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    store = Store(tmp_path_factory.mktemp("state"))
    promote(store, release(store, echo()))
    broken = ModelPin(name="broken", engine="echo", source="", options={"fail": "the model fell over", "fail_after": 0})
    with serving(make_context(store, [echo(), broken], max_body=20_000)) as running:
        running.until()
        yield running


TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
CALL = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
CALLED = [{"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "tool", "content": "rain"}, *HELLO]
PICTURE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]


def chat(**more: Any) -> dict[str, Any]:
    return {"model": PROJECT, "messages": HELLO, **more}


def raw(**more: Any) -> dict[str, Any]:
    return {"model": "writer", "messages": HELLO, **more}


def nested(depth: int) -> bytes:
    return b'{"model": "writer", "messages": ' + b"[" * depth + b"]" * depth + b"}"


def deep_schema(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


TABLE: list[tuple[str, Any, int, str]] = [
    # no JSON at all
    (CHAT, b"", 400, "not JSON"),
    (CHAT, b"{", 400, "not JSON"),
    (CHAT, b"hello", 400, "not JSON"),
    (CHAT, b"[]", 400, "not a JSON object"),
    (CHAT, b"null", 400, "not a JSON object"),
    (CHAT, b'"text"', 400, "not a JSON object"),
    (CHAT, b"\xff\xfe{}", 400, "not UTF-8 at byte 0"),
    (CHAT, b'{"model": "\xc3\x28"}', 400, "not UTF-8"),
    (CHAT, b'\xef\xbb\xbf{"model": "writer"}', 400, "not JSON"),
    (CHAT, json.dumps(chat()).encode() + b"x", 400, "not JSON"),
    # shapes that break parsers
    (CHAT, nested(100), 400, "nested more than 64 deep"),
    (CHAT, nested(9_000), 400, "nested more than 64 deep"),
    (CHAT, b'{"a":' * 3_000 + b"1" + b"}" * 3_000, 400, "nested more than 64 deep"),
    (CHAT, b'{"model": "writer", "model": "other", "messages": []}', 400, "'model' occurs twice"),
    (CHAT, b'{"model": "writer", "messages": [{"role": "user", "role": "user", "content": "x"}]}', 400, "'role' occurs"),
    (CHAT, b'{"model": "writer", "mod\\u0065l": "x"}', 400, "'model' occurs twice"),
    (CHAT, b'{"model": "writer", "temperature": NaN}', 400, "NaN is not JSON"),
    (CHAT, b'{"model": "writer", "temperature": -Infinity}', 400, "-Infinity is not JSON"),
    (CHAT, b'{"model": "writer", "x": ' + b"1" * 5000 + b"}", 400, "number that is too long"),
    (CHAT, b'{"model": "writer", "messages": [{"role": "user", "content": "\\ud800"}]}', 400, "surrogate"),
    # fields
    (CHAT, {}, 400, "model"),
    (CHAT, {"model": PROJECT}, 400, "messages"),
    (CHAT, {"messages": HELLO}, 400, "model"),
    (CHAT, {"model": 7, "messages": HELLO}, 400, "'model' is not valid"),
    (CHAT, {"model": "", "messages": HELLO}, 400, "'model' is not valid"),
    (CHAT, {"model": PROJECT, "messages": []}, 400, "messages"),
    (CHAT, {"model": PROJECT, "messages": "hi"}, 400, "messages"),
    (CHAT, {"model": PROJECT, "messages": [{"role": "robot", "content": "x"}]}, 400, "messages[0].role"),
    (CHAT, {"model": PROJECT, "messages": [{"role": "user", "content": None}]}, 400, "no content"),
    (CHAT, {"model": PROJECT, "messages": [{"role": "user", "content": ""}]}, 400, "no 'question'"),
    (CHAT, {"model": PROJECT, "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "image_url"),
    (CHAT, {"model": PROJECT, "messages": [{"role": "tool", "content": "x"}]}, 400, "role 'tool'"),
    (CHAT, {"model": PROJECT, "messages": [{"role": "assistant", "content": "x"}]}, 400, "must be the user's"),
    (CHAT, {"model": PROJECT, "messages": [{"role": "system", "content": "x"}]}, 400, "must be the user's"),
    (CHAT, chat(stream="yes"), 400, "stream"),
    (CHAT, chat(tools=[{"type": "function"}]), 400, "tools[0]"),
    (CHAT, chat(tools=TOOLS), 400, "'tools' cannot be used with a release"),
    (CHAT, {"model": PROJECT, "messages": CALLED}, 400, "'tool_calls' cannot be used with a release"),
    (CHAT, {"model": PROJECT, "messages": [*CALLED[1:], *HELLO]}, 400, "role 'tool'"),
    (CHAT, {"model": PROJECT, "messages": PICTURE}, 400, "'image_url' cannot be used with a release"),
    (CHAT, {"model": "writer", "messages": PICTURE}, 400, "no 'images'"),
    (CHAT, {"model": "writer", "messages": CALLED[1:]}, 400, "tool_call_id"),
    (CHAT, raw(tools=[*TOOLS, *TOOLS]), 400, "same name"),
    (CHAT, raw(tools=[{"type": "function", "function": {"name": "two words"}}]), 400, "name of a tool"),
    (CHAT, raw(tools=TOOLS, tool_choice="always"), 400, "tool_choice"),
    (CHAT, raw(tools=TOOLS, tool_choice={"type": "function", "function": {"name": "other"}}), 400, "not among"),
    (CHAT, raw(tool_choice="required"), 400, "not among"),
    (CHAT, raw(functions=[{}]), 400, "'functions' is not supported"),
    (CHAT, {"model": "writer", "messages": [{"role": "function", "content": "x"}]}, 400, "role 'function'"),
    (CHAT, chat(n=2), 400, "'n' must be 1"),
    (CHAT, chat(n=0), 400, "'n'"),
    (CHAT, chat(logit_bias={"1": 5}), 400, "logit_bias"),
    (CHAT, chat(response_format={"type": "json_object"}), 400, "answers as it was measured"),
    (CHAT, chat(logprobs=True), 400, "answers as it was measured"),
    (CHAT, raw(response_format={"type": "xml"}), 400, "response_format"),
    (CHAT, raw(response_format={"type": "json_schema"}), 400, "no schema"),
    (CHAT, raw(top_logprobs=3), 400, "needs logprobs"),
    (CHAT, raw(logprobs=True, top_logprobs=1000), 400, "top_logprobs"),
    (
        CHAT,
        raw(response_format={"type": "json_schema", "json_schema": {"schema": deep_schema(40)}}),
        400,
        "nested more than",
    ),
    (CHAT, raw(guided_choice=["a"], response_format={"type": "json_object"}), 400, "together"),
    (CHAT, raw(guided_choice=["a", "a"]), 400, "twice"),
    # sampling: validated for a release too, although it is not applied there
    *[
        (CHAT, body(**{field: value}), 400, field)
        for body in (chat, raw)
        for field, value in (
            ("temperature", -0.1), ("temperature", 2.5), ("temperature", 1e300), ("temperature", "hot"),
            ("temperature", True), ("temperature", [1]), ("top_p", 0), ("top_p", 1.01), ("top_p", -1),
            ("max_tokens", 0), ("max_tokens", -5), ("max_tokens", 1.5), ("max_tokens", 10**12),
            ("max_tokens", 10**30), ("max_completion_tokens", 0), ("seed", -1), ("seed", 2**64), ("seed", "x"),
            ("frequency_penalty", 3), ("presence_penalty", -3), ("stop", ""), ("stop", ["x"] * 17),
            ("stop", ["x" * 300]), ("stop", 5), ("stop", [""]),
        )
    ],
    (CHAT, b'{"model": "writer", "messages": [{"role": "user", "content": "x"}], "temperature": 1e999}', 400, "temperature"),
    # names
    (CHAT, {"model": "docs-asistant", "messages": HELLO}, 404, "did you mean 'docs-assistant'"),
    (CHAT, {"model": "writter", "messages": HELLO}, 404, "did you mean 'writer'"),
    (CHAT, {"model": "\n<script>", "messages": HELLO}, 404, "no model is called"),
    (CHAT, {"model": "x" * 300, "messages": HELLO}, 400, "model"),
    # size
    (CHAT, chat(x="y" * 30_000), 413, "20000 bytes"),
    (CHAT, b"[" * 100_000, 413, "20000 bytes"),
    # a model that fails
    (CHAT, {"model": "broken", "messages": HELLO}, 502, "fell over"),
    # the other endpoints
    (TEXT, {"model": "writer"}, 400, "prompt"),
    (TEXT, {"model": "writer", "prompt": ""}, 400, "prompt"),
    (TEXT, {"model": "writer", "prompt": ["a", "b"]}, 400, "one text"),
    (TEXT, {"model": "writer", "prompt": [1, 2]}, 400, "one text"),
    (TEXT, {"model": "writer", "prompt": "x", "best_of": 3}, 400, "best_of"),
    (TEXT, {"model": "writer", "prompt": "x", "echo": True}, 400, "echo"),
    (TEXT, {"model": "writer", "prompt": "x", "suffix": "y"}, 400, "suffix"),
    (TEXT, {"model": "writer", "prompt": "x", "logprobs": 100}, 400, "logprobs"),
    (TEXT, {"model": PROJECT, "prompt": "x", "logprobs": 1}, 400, "answers as it was measured"),
    (TEXT, {"model": PROJECT, "prompt": "  "}, 400, "no 'question'"),
    (EMBED, {"model": "writer"}, 400, "input"),
    (EMBED, {"model": "writer", "input": []}, 400, "input"),
    (EMBED, {"model": "writer", "input": ["x", None]}, 400, "input"),
    (EMBED, {"model": "writer", "input": ["x" * 100, "\x00", 5]}, 400, "input"),
    (EMBED, {"model": "writer", "input": [[1, "2"]]}, 400, "must be a text"),
    (EMBED, {"model": "writer", "input": ["x"] * 2049}, 400, "input"),
    (EMBED, {"model": "writer", "input": "x", "dimensions": 3}, 400, "dimensions"),
    (EMBED, {"model": "writer", "input": "x", "encoding_format": "hex"}, 400, "encoding_format"),
    (EMBED, {"model": PROJECT, "input": "x"}, 400, "makes no embeddings"),
    (SHORT, {}, 400, "prompt"),
    (SHORT, {"prompt": ""}, 400, "prompt"),
    (SHORT, {"prompt": 5}, 400, "prompt"),
    (SHORT, {"prompt": "x", "max_length": 0}, 400, "max_length"),
    (SHORT, {"prompt": "x", "temperature": 99}, 400, "temperature"),
    (SHORT, {"prompt": "x", "top_p": 0}, 400, "top_p"),
    (SAY, {}, 400, "trace"),
    (SAY, {"trace": "xyz", "thumb": "up"}, 400, "trace"),
    (SAY, {"trace": "0" * 32, "thumb": "up"}, 404, "no trace"),
    (SAY, {"trace": "0" * 32}, 400, "says nothing"),
    (SAY, {"trace": "0" * 32, "thumb": "sideways"}, 400, "thumb"),
    (SAY, {"trace": "0" * 32, "score": 1.1}, 400, "score"),
    (SAY, b'{"trace": "' + b"0" * 32 + b'", "score": NaN}', 400, "NaN"),
    (SAY, {"trace": "0" * 32, "comment": ""}, 400, "comment"),
    (SAY, {"trace": "0" * 32, "correction": "x" * 100_001}, 413, "20000 bytes"),
]  # fmt: skip


def name(case: Any) -> str:
    return str(case)[:50]


@pytest.mark.parametrize(("path", "body", "status", "words"), TABLE, ids=name)
def test_bad_input(server: Running, path: str, body: Any, status: int, words: str) -> None:
    reply = server.post(path, body)
    assert reply.status == status, reply.body
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-slipway-trace"]
    error = reply.error
    assert words in error["message"] or words in (error["param"] or "")
    assert error["type"]
    assert {"message", "type", "param", "code", "hint"} == error.keys()
    assert "Traceback" not in reply.body.decode()


def test_the_server_lives_on(server: Running) -> None:
    assert server.chat("still here").text == "still here"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("PUT", "/generate", 405),
        ("DELETE", "/v1/models", 405),
        ("POST", "/metrics", 405),
        ("GET", "/", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/chat", 404),
        ("GET", "/v1/models/nothing", 404),
        ("GET", "/v1/feedback?limit=many", 400),
    ],
)
def test_wrong_method_or_path(server: Running, method: str, path: str, status: int) -> None:
    reply = server.send(method, path, {} if method != "GET" else None)
    assert reply.status == status
    assert reply.error["message"]
    assert reply.headers["x-slipway-trace"]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"POST /generate HTTP/1.1\r\nhost: localhost\r\ncontent-length: -5\r\n\r\n", 400),
        (b"POST /generate HTTP/1.1\r\nhost: localhost\r\ncontent-length: abc\r\n\r\n", 400),
        (b"POST /generate HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n", 400),
        (b"POST /generate HTTP/1.1\r\nhost: localhost\r\nx: " + b"y" * 200_000 + b"\r\n\r\n", 431),
    ],
)
def test_broken_http(server: Running, request_bytes: bytes, status: int) -> None:
    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        connection.sendall(request_bytes)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert server.chat("still here").status == 200


def test_a_chunked_body_over_the_limit_is_refused_while_it_comes(server: Running) -> None:
    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        connection.sendall(b"POST /generate HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(4):
            connection.sendall(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")
