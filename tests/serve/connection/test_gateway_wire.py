"""What comes off the wire: slow, too much, too many, ambiguous; and what failed sign-ins leave behind."""

from __future__ import annotations

import ast
import http.client
import json
import logging
import re
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

import slipway
from served import Client, echo, held, make_context, promote, release, serving
from slipway.errors import ConfigError
from slipway.serve import server as server_module
from slipway.serve.auth.failed_sign_ins import FAILURES, MAX_ADDRESSES, WINDOW, Throttle, network
from slipway.serve.auth.keys import create_key
from slipway.serve.connection import http_protocol
from slipway.serve.refuse import STATUSES
from slipway.store.store import Store

HEAD = b"POST /generate HTTP/1.1\r\nhost: localhost\r\n"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def connect(server: Client) -> socket.socket:
    return socket.create_connection((server.host, server.port), timeout=20)


SENTINEL = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"


def say(server: Client, sent: bytes) -> bytes:
    """The one answer of the server to these bytes. Where it leaves the connection open, a further request is answered
    next and by itself: nothing that was sent passed for a second request, or is left over to become part of one.
    """
    with connect(server) as connection:
        connection.sendall(sent)
        said = b""
        while not whole(said) and (piece := connection.recv(65536)):
            said += piece
        if closes(said):
            assert read(connection) == b""
            return said
        connection.sendall(SENTINEL)
        further = read(connection)
        assert status(further) == 200, further
        assert further.endswith(b'{"status":"ok"}')
        assert further.count(b"HTTP/1.1 ") == 1, further
        return said


def read(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    said = b""
    with suppress(ConnectionError):
        while piece := connection.recv(65536):
            said += piece
    return said


def whole(said: bytes) -> bool:
    head, _, body = said.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return length is not None and len(body) >= int(length[1])


def closes(said: bytes) -> bool:
    return b"connection: close" in said.partition(b"\r\n\r\n")[0]


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def status(said: bytes) -> int:
    return int(said.split(b" ", 2)[1]) if said else 0


# -- time and room ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_half_a_head_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_WITHIN", 0.25)
    with serving(make_context(Store(tmp_path), [echo()])) as server:
        with connect(server) as nothing, connect(server) as half, connect(server) as drip:
            half.sendall(HEAD)
            began = time.monotonic()
            for byte in HEAD[:30]:  # one byte at a time does not gain time
                try:
                    drip.sendall(bytes([byte]))
                except OSError:
                    break
                time.sleep(0.05)
            for connection in (nothing, half, drip):
                answer = connection.recv(65536)
                assert status(answer) == 408, answer
                assert b'"code":"too_slow"' in answer
            assert time.monotonic() - began < 5
        with connect(server) as kept:  # a second request on the same connection has its own time
            body = b'{"prompt":"x"}'
            for _ in range(2):
                kept.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
                said = kept.recv(65536)
                while not said.endswith(b"}"):
                    said += kept.recv(65536)
                assert status(said) == 200
                time.sleep(0.4)
            kept.sendall(HEAD + b"content-length: %d\r\n" % len(body))
            assert status(kept.recv(65536)) == 408


def test_a_request_that_is_being_answered_is_not_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_WITHIN", 0.1)
    with serving(make_context(Store(tmp_path), [echo(delay=0.5)])) as server:
        assert server.chat("slow", "writer").status == 200


def test_a_body_that_drips_is_given_up_by_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "LATER", 0.2)
    paths = {b"/generate", b"/v1/feedback", b"/healthz", b"/nothing"}
    with serving(make_context(Store(tmp_path), [echo()], deadline=0.3)) as server, ExitStack() as stack:
        dripping = {path: stack.enter_context(connect(server)) for path in paths}
        for path, connection in dripping.items():
            connection.sendall(b"POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n" % path)
        end = time.monotonic() + 10
        while dripping:
            assert time.monotonic() < end, dripping.keys()
            time.sleep(0.05)
            for path, connection in list(dripping.items()):
                try:
                    connection.sendall(b"x")
                except OSError:
                    del dripping[path]


def test_half_a_body_does_not_pass_for_a_whole_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with serving(make_context(store, [echo()])) as server:
        body = b'{"model":"writer","messages":[{"role":"user","content":"x"}]}'
        with connect(server) as connection:
            connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%s"
                               % (len(body) + 10, body))  # fmt: skip
            time.sleep(0.1)
        time.sleep(0.3)
        assert store.catalog.traces() == []
        assert server.chat("x", "writer").status == 200


@pytest.mark.slow
@pytest.mark.parametrize("sent", [b"", HEAD, HEAD + b"content-length: 100\r\n\r\n{"])
def test_half_open_connections_do_not_keep_others_out(tmp_path: Path, sent: bytes) -> None:
    with held() as released, serving(make_context(Store(tmp_path), [echo()], connections=50)) as server:
        streaming = http.client.HTTPConnection(server.host, server.port, timeout=60)
        body = {"model": "writer", "messages": [{"role": "user", "content": "a b c d e f g"}], "stream": True}
        streaming.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
        until(lambda: server.application.slots.running == 1)
        half = []
        for _ in range(300):
            connection = connect(server)
            connection.sendall(sent)
            half.append(connection)
        assert server.get("/healthz").status == 200
        released.set()
        assert b"[DONE]" in streaming.getresponse().read()  # what is being answered is not thrown out for them
        left = [c for c in half if not closed(c)]
        assert len(left) <= 50
        for connection in half:
            connection.close()


def closed(connection: socket.socket) -> bool:
    connection.settimeout(0.01)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_when_all_connections_are_being_answered_the_next_is_told(tmp_path: Path) -> None:
    with held() as released, serving(make_context(Store(tmp_path), [echo()], connections=2, parallel=4)) as server:
        request = json.dumps({"model": "writer", "messages": [{"role": "user", "content": "x"}]}).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(request)
        with connect(server) as one, connect(server) as two:
            for connection in (one, two):
                connection.sendall(head + request)
            until(lambda: server.application.slots.running == 2)
            refused = say(server, b"")
            assert status(refused) == 503
            assert b"too_many_connections" in refused
            released.set()
            assert status(one.recv(65536)) == status(two.recv(65536)) == 200


def test_a_client_that_does_not_read_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "READ_WITHIN", 0.5)
    with serving(make_context(Store(tmp_path), [echo(context=1_000_000)])) as server:
        asked = {"model": "writer", "prompt": "a " * 100_000, "max_tokens": 1_000_000, "stream": True}
        body = json.dumps(asked).encode()
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((server.host, server.port))
            connection.sendall(
                b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            )
            end = time.monotonic() + 30
            while server.application.in_flight < 1:
                assert time.monotonic() < end
                time.sleep(0.01)
            while server.application.in_flight:
                assert time.monotonic() < end, "the request of a client that does not read runs without limit"
                time.sleep(0.05)
        assert server.chat("x", "writer").status == 200


# -- what is ambiguous ------------------------------------------------------------------------------------------------

GET = b"GET /healthz HTTP/1.1\r\n"


@pytest.mark.parametrize(("sent", "expected"), [
    (GET + b"host: localhost\r\n\r\n", 200),
    (GET + b"host: localhost\r\nhost: localhost\r\n\r\n", 400), (GET + b"host: localhost\r\nHost: evil.example\r\n\r\n", 400),
    (GET + b"host: localhost\r\nauthorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n", 400),
    (GET + b"host: localhost\r\norigin: http://a\r\norigin: http://localhost\r\n\r\n", 400),
    (HEAD + b"content-length: 2\r\ncontent-length: 2\r\n\r\n{}", 400), (HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}x", 400),
    (HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (HEAD + b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n", 400),
    (HEAD + b"transfer-encoding: xchunked\r\n\r\nabc", 400),
    (b"GET http://evil.example/healthz HTTP/1.1\r\nhost: localhost\r\n\r\n", 400), (b"OPTIONS * HTTP/1.1\r\nhost: localhost\r\n\r\n", 400),
    (b"GET http://localhost/healthz HTTP/1.1\r\nhost: localhost\r\n\r\n", 400), (b"CONNECT evil:80 HTTP/1.1\r\nhost: localhost\r\n\r\n", 400),
    (b"GET //evil.example/healthz HTTP/1.1\r\nhost: localhost\r\n\r\n", 404), (GET + b"host : localhost\r\n\r\n", 400),
    (GET + b" host: localhost\r\n\r\n", 400), (b"NONSENSE\r\n\r\n", 400), (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    (GET + b"host: localhost\r\nx: " + b"y" * 70_000 + b"\r\n\r\n", 431), (GET + b"host: localhost\r\n" + b"x: y\r\n" * 15_000 + b"\r\n", 431),
    (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n", 431),
    *((GET + b"host: " + host + b"\r\n\r\n", 403) for host in (
        b"evil.com@127.0.0.1", b"user:pass@localhost", b"localhost:80:80", b"localhost:x", b"localhost:99999", b"localhost:", b"localhost/x",
        b"localhost?x", b"localhost#x", b"localhost evil", b"127.0.0.1, evil.example", b"[::1", b"::1", b"[::1]x", b"loc%61lhost", b"localhost\\x",
        b"", b"\xe2\x84\xa6localhost")),
], ids=lambda value: ascii(value)[:60])  # fmt: skip
def test_what_is_ambiguous_is_refused(wire: Client, sent: bytes, expected: int) -> None:
    said = say(wire, sent)
    assert status(said) == expected, said[:300]
    if expected >= 400:
        assert json.loads(said.partition(b"\r\n\r\n")[2])["error"]["message"]
    assert said.count(b"HTTP/1.1 ") == 1


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory):
    with serving(make_context(Store(tmp_path_factory.mktemp("state")), [echo()])) as server:
        yield server


# -- failed sign-ins --------------------------------------------------------------------------------------------------


def test_wrong_keys_are_slowed_counted_and_logged_and_lock_nobody_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    promote(store, release(store, echo()))
    _, key = create_key(store, "alice")
    logging.getLogger("slipway").propagate = True
    with serving(make_context(store, [], host="0.0.0.0")) as server, caplog.at_level(logging.WARNING, "slipway.serve"):
        server.until()
        wrong = [server.chat("x", headers=bearer(f"{key[:-1]}{n % 10}x")) for n in range(60)]
        assert [reply.status for reply in wrong[:FAILURES]] == [401] * FAILURES
        assert {reply.status for reply in wrong[FAILURES:]} == {429}
        assert 1 <= int(wrong[-1].headers["retry-after"]) <= WINDOW
        assert server.chat("x", headers=bearer(key)).status == 200  # from the same address
        assert server.chat("x").status == 401  # who sends none is told that one is needed
        page = server.get("/metrics", **bearer(key)).body.decode()
        assert f'slipway_auth_failures_total{{reason="invalid"}} {FAILURES}.0' in page
        assert f'slipway_auth_failures_total{{reason="throttled"}} {60 - FAILURES}.0' in page
        assert 'slipway_auth_failures_total{reason="missing"} 1.0' in page
    lines = [record for record in caplog.records if record.getMessage() == "wrong API key"]
    assert 1 <= len(lines) <= 3
    assert lines[0].__dict__["address"] == "127.0.0.1"
    assert not any(key[:-1] in repr(record.__dict__) for record in caplog.records)


def test_the_throttle_forgets_in_time_and_in_bounded_memory() -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    for _ in range(FAILURES):
        assert throttle.failed("192.0.2.1", "/x") is None
    refused = throttle.failed("192.0.2.1", "/x")
    assert refused is not None
    assert (refused.status, refused.retry_after) == (429, int(WINDOW))
    assert throttle.failed("192.0.2.2", "/x") is None
    now[0] = WINDOW - 0.5
    again = throttle.failed("192.0.2.1", "/x")
    assert again is not None
    assert again.retry_after == 1
    now[0] = WINDOW
    assert throttle.failed("192.0.2.1", "/x") is None
    for n in range(3 * MAX_ADDRESSES):
        throttle.failed(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", "/x")
    assert len(throttle._seen) == MAX_ADDRESSES


def test_one_ipv6_host_is_one_address() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff:1") != network("2001:db8:0:1::1")
    assert network("192.0.2.1") == "192.0.2.1"
    assert network("") == ""


@pytest.mark.parametrize("name", ["", "  ", "a\x1b[31m", "a\nb", "\u202eevil", "x" * 101, "\x00"])
def test_a_key_needs_a_name_that_can_be_shown(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path)
    with pytest.raises(ConfigError, match="needs a name"):
        create_key(store, name)
    assert store.catalog.api_keys() == []
    create_key(store, " 王小明 ")
    assert store.catalog.api_keys()[0]["name"] == "王小明"


# -- every status is written down -------------------------------------------------------------------------------------


def test_every_status_that_the_code_can_send_is_in_the_openapi_document(wire: Client) -> None:
    document = wire.get("/openapi.json").json
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            said = {int(code) for code in operation["responses"]}
            assert said == {200, *STATUSES}, (path, method, said ^ {200, *STATUSES})
    root = Path(slipway.__file__).parent
    sent: dict[int, str] = {}
    for path in [*(root / "serve").rglob("*.py"), *(root / "builtin").rglob("*.py"), *(root / "runtime").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            numbers = [k.value for k in node.keywords if k.arg == "status"]
            numbers += node.args[:1] if name.endswith(("Refused", ".answer", "Response")) else []
            for number in numbers:
                if isinstance(number, ast.Constant) and isinstance(number.value, int) and number.value != 499:
                    sent[number.value] = f"{path.name}:{node.lineno}"
        for code in re.findall(r"status_code = (\d{3})", path.read_text("utf-8")):
            sent[int(code)] = path.name
    assert len(sent) > 10
    missing = {code: where for code, where in sent.items() if code not in {200, 204, *STATUSES}}
    assert not missing


def test_a_wrong_method_is_told_the_right_ones(wire: Client) -> None:
    for method, path, allowed in (
        ("TRACE", "/healthz", "GET"), ("GET", "/v1/chat/completions", "POST"), ("PUT", "/generate", "POST"),
        ("DELETE", "/v1/models/writer", "GET"), ("PUT", "/v1/feedback", "GET, POST"),
    ):  # fmt: skip
        reply = wire.send(method, path)
        assert (reply.status, reply.headers["allow"]) == (405, allowed), (method, path)
