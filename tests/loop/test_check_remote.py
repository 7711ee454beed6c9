"""`check --remote`: one call to servers on loopback that answer well and badly, and what a run will cost."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from everyday import some
from slipway import api
from slipway.loop import check_remote
from slipway.loop.finding import Finding
from slipway.plugins import Plugins
from slipway.project.load import load
from slipway.testing.projects import FILE, write_project

SAID = {
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500},
}


@contextmanager
def server(status: int = 200, body: object = SAID) -> Generator[tuple[str, list[str]]]:
    """(its base_url, the keys that it was shown)."""
    keys: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            keys.append(self.headers.get("authorization", ""))
            self.rfile.read(int(self.headers["content-length"]))
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{found.server_port}/v1", keys
    finally:
        found.shutdown()
        found.server_close()


def checked(folder: Path, url: str, more: str = "") -> list[Finding]:
    writer = f"writer: {{engine: openai, base_url: '{url}', model: m, retries: 0, connect_timeout: 2{more}}}"
    write_project(folder, FILE.replace("writer: {engine: echo}", writer))
    before = {finding.what for finding in api.check(folder)}
    found = api.check(folder, remote=True)
    return [one for one in found if one.what not in before and "GB of memory free" not in one.what]


def test_a_sound_server_is_asked_once_and_the_price_of_it_and_of_a_run_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "secret-of-mine")
    price = ", api_key_env: A_KEY, price: {input_per_million: 2 CNY, output_per_million: 4 CNY}"
    with server() as (url, keys):
        found = checked(tmp_path, url, price)
    assert len(found) == 2, found
    call, run = found
    assert keys == ["Bearer secret-of-mine"]
    assert call.level == run.level == "ok"
    assert "1000 tokens read, 500 generated" in call.what
    assert "0.004 CNY" in call.what
    assert "CNY" in run.how
    assert "secret-of-mine" not in f"{call}{run}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "body", "told"),
    some(
        [
            (401, {"error": {"message": "no"}}, "refused the API key"),
            (404, {"error": {"message": "model m does not exist"}}, "no such model or path"),
            (500, {"error": {"message": "boom"}}, "status 500"),
            (200, {"hello": "there"}, ""),
        ],
        2,
        spread=True,
    ),
)
def test_what_a_server_refuses_is_told_plainly(tmp_path: Path, status: int, body: object, told: str) -> None:
    with server(status, body) as (url, _):
        call = checked(tmp_path, url)[0]
    assert call.level == "error"
    assert told in call.what
    assert call.how


@pytest.mark.slow
def test_a_host_that_has_no_name_a_port_that_nobody_has_and_a_server_without_tls(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert "cannot be reached" in checked(tmp_path / "a", f"http://127.0.0.1:{port}/v1")[0].what
    assert "cannot be resolved" in checked(tmp_path / "b", "https://nobody.invalid/v1")[0].what
    with server() as (url, _):
        found = checked(tmp_path / "c", url.replace("http:", "https:"))[0]
    assert found.level == "error"
    assert "TLS" in found.what or "cannot be reached" in found.what


@pytest.mark.slow
def test_a_server_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_remote, "SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = checked(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}/v1")[0]
    assert found.level == "error"
    assert "did not answer within 0.3 s" in found.what


@pytest.mark.slow
def test_a_key_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_KEY", raising=False)
    with server() as (url, keys):
        assert "A_KEY" in checked(tmp_path, url, ", api_key_env: A_KEY")[0].what
    assert keys == []


def test_nothing_is_asked_without_a_remote_model(tmp_path: Path) -> None:
    write_project(tmp_path)
    assert any("no model is remote" in finding.what for finding in api.check(tmp_path, remote=True))


def test_the_estimate_holds_what_a_run_really_asks(tmp_path: Path) -> None:
    file = write_project(tmp_path, FILE)
    project = load(file)
    found = check_remote.estimate(project, tmp_path, Plugins(tmp_path))["writer"]
    with api.open_project(tmp_path) as opened:
        reports = api.run(opened).reports
        scores = [s for by in reports.values() for r in by.values() for _, s in api.items(opened, r)]
    read = sum(score.answer.usage.prompt_tokens for score in scores)
    assert found.calls[0] <= len(scores) <= found.calls[1]
    assert found.least.prompt_tokens <= read <= found.most.prompt_tokens
    assert found.most.completion_tokens <= found.calls[1] * 128
