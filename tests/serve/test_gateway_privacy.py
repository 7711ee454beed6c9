"""Secrets are neither answered nor kept nor shown nor logged; personal data as serve.redact says; files are the owner's."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import logging
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from served import PROJECT, Running, child, echo, make_context, program, promote, release, serving
from slipway import api
from slipway.core.answer import Answer
from slipway.core.candidate import ModelPin
from slipway.core.trace import Trace
from slipway.privacy.secrets import SECRET, Own
from slipway.serve.logs import JsonFormatter
from slipway.store.store import Store
from slipway.testing.projects import write_project

KEY = "upstream-key-Zq7Xw2Lm9Pv4Tr8Yb3Nc6"
TOKEN = "ghp_A1b2C3d4E5f6G7h8J9k0L1m2N3p4Q5r6S7t8"


class Echoing(http.server.BaseHTTPRequestHandler):
    """An OpenAI-compatible server that says its client's key: whole, in pieces of `step` characters, or in an error."""

    step = 3

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        key = self.headers["authorization"].removeprefix("Bearer ")
        question = asked["messages"][-1]["content"]
        encoded = base64.b64encode(b"key:" + key.encode()).decode()
        said = f"you sent {key}, or {encoded}, to ask: {question}"
        if "fail" in question:
            self.reply(400, "application/json", json.dumps({"error": {"message": f"bad key {key} {encoded}"}}).encode())
        elif asked.get("stream"):
            step = self.step
            pieces = [said[n : n + step] for n in range(0, len(said), step)]
            events = [self.chunk({"content": piece}, None, asked.get("logprobs")) for piece in pieces] + [
                self.chunk({}, "stop", None)
            ]
            events.append({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}})
            body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"
            self.reply(200, "text/event-stream", body)
        else:
            choice: dict[str, Any] = {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": said},
            }
            if asked.get("logprobs"):
                choice["logprobs"] = {"content": [{"token": c, "logprob": -0.1, "top_logprobs": []} for c in said]}
            usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
            self.reply(200, "application/json", json.dumps({"choices": [choice], "usage": usage}).encode())

    def chunk(self, delta: dict[str, str], finish: str | None, logprobs: Any) -> dict[str, Any]:
        found: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": finish}
        if logprobs and delta:
            found["logprobs"] = {"content": [{"token": delta["content"], "logprob": -0.1, "top_logprobs": []}]}
        return {"choices": [found]}

    def reply(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelPin]:
    monkeypatch.setenv("ECHO_KEY", KEY)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echoing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = {
        "base_url": f"http://127.0.0.1:{server.server_port}/v1",
        "model": "m",
        "api_key_env": "ECHO_KEY",
        "retries": 0,
    }
    yield ModelPin(name="remote", engine="openai", source="", options=options)
    server.shutdown()
    server.server_close()


@contextlib.contextmanager
def remote(folder: Path, upstream: ModelPin, **config: Any) -> Iterator[tuple[Store, Running]]:
    store = Store(folder)
    promote(store, release(store, upstream))
    with serving(make_context(store, [upstream], **config)) as server:
        server.until()
        yield store, server
    store.close()


def on_disk(folder: Path) -> bytes:
    with sqlite3.connect(folder / "catalog.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def holds_key(data: str | bytes) -> bool:
    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    forms = [KEY, *(base64.b64encode(b"x" * n + KEY.encode())[4:-4].decode() for n in range(3))]
    return any(form[at : at + 12] in text for form in forms for at in range(0, len(form) - 12))


@pytest.mark.slow
@pytest.mark.parametrize("model", [PROJECT, "remote"])
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_an_upstream_that_says_its_key_is_not_repeated(
    tmp_path: Path, upstream: ModelPin, model: str, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Echoing, "step", step)
    with remote(tmp_path, upstream) as (store, server):
        for stream in (False, True):
            reply = server.chat("what did I send?", model, stream=stream)
            assert reply.status == 200, reply.body
            assert reply.text.startswith(f"you sent {SECRET}, or ")
            assert reply.text.endswith("to ask: what did I send?")
            assert not holds_key(reply.body)
            if model == "remote":
                probs = server.chat("x", model, stream=stream, logprobs=True)
                assert probs.status == 200
                assert not holds_key(probs.body)
                shown = [event for event in probs.events if event != "[DONE]"] if stream else [probs.json]
                tokens = [c.get("logprobs") for event in shown for c in event["choices"]]
                assert not holds_key("".join(p["token"] for found in tokens if found for p in found["content"]))
            failed = server.chat("fail", model, stream=stream)
            assert failed.status == 400
            assert not holds_key(failed.body)
        assert len(store.catalog.traces()) >= 4
    assert not holds_key(on_disk(tmp_path))


def test_a_key_cut_off_by_the_end_is_not_half_said() -> None:
    from slipway.core.message import Delta, Usage
    from slipway.runtime.guard import _Held

    held = _Held(Own([KEY]))
    said = [held.feed(Delta(text=f"it is {KEY[:20]}")), held.feed(Delta(finish="length", usage=Usage()))]
    assert "".join(d.text for d in said if d) == f"it is {SECRET}"
    held = _Held(Own([KEY]))
    said = [held.feed(Delta(text=c)) for c in "an up"] + [held.feed(Delta(text="", finish="stop", usage=Usage()))]
    assert "".join(d.text for d in said if d) == "an up"


def test_keys_in_prompts_and_feedback_are_not_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    promote(store, release(store, echo()))
    with serving(make_context(store, [])) as server:
        server.until()
        reply = server.chat(f"my token is {TOKEN}")
        assert TOKEN in reply.text  # the user's own words go back to the user
        body = {"trace": reply.headers["x-slipway-trace"], "comment": f"I leaked {TOKEN}", "correction": f"say {TOKEN}"}
        assert server.post("/v1/feedback", body).status == 200
        assert server.get("/v1/feedback").json["data"][0]["comment"] == f"I leaked {SECRET}"
    trace = store.catalog.traces()[0][1]
    assert trace.request["messages"] == [{"role": "user", "content": f"my token is {SECRET}"}]
    assert trace.answer is not None
    assert SECRET in trace.answer.text
    store.close()
    assert TOKEN.encode() not in on_disk(tmp_path)


ASKED = "I am ann@example.org, 电话13812345678，身份证11010519491231002X。"


@pytest.mark.parametrize("mode", ["off", "mask", "hash"])
def test_personal_data_is_kept_as_the_project_says(tmp_path: Path, mode: str) -> None:
    store = Store(tmp_path)
    promote(store, release(store, echo()))
    with serving(make_context(store, [], redact=mode)) as server:
        server.until()
        assert server.chat(ASKED).text.startswith("I am ann@example.org")
    kept = json.dumps([trace for _, trace in store.catalog.traces()], default=repr, ensure_ascii=False)
    store.close()
    for value, kind in (("ann@example.org", "email"), ("13812345678", "phone"), ("11010519491231002X", "id")):
        assert (value in kept) == (mode == "off")
        assert (f"[{kind}]" in kept) == (mode == "mask")
        assert (f"[{kind}:" in kept) == (mode == "hash")


def test_exports_mask_unless_told_otherwise(tmp_path: Path) -> None:
    write_project(tmp_path)
    with api.open_project(tmp_path) as project:
        request: dict[str, object] = {"messages": [{"role": "user", "content": f"{ASKED} {TOKEN}"}]}
        old = Trace(id="0" * 32, at="2026-01-01", endpoint="/x", channel="", release="", status=200, request=request,
                    answer=Answer(text=ASKED, raw=ASKED))  # fmt: skip
        project.store.catalog.add_traces([old])  # as an older version kept it
        texts = {}
        for mode in (None, "off", "hash"):
            file = tmp_path / f"{mode}.jsonl"
            assert api.export_traces(project, file, redact=mode) == 1
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            texts[mode] = file.read_text("utf-8")
            assert TOKEN not in texts[mode]
        assert "ann@example.org" in texts["off"]
        assert "[email]" in texts[None]
        assert "[email:" in texts["hash"]
        assert "ann@" not in texts[None] + texts["hash"]
        assert "13812345678" not in texts[None] + texts["hash"]
        shown = json.dumps([*map(repr, api.traces(project)), repr(api.trace(project, "0" * 32))])
        assert TOKEN not in shown


def loose(folder: Path) -> list[str]:
    paths = [folder, *folder.rglob("*")]
    return [
        f"{path} {stat.S_IMODE(path.stat().st_mode):o}" for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077
    ]


def test_only_the_owner_can_read_the_state(tmp_path: Path) -> None:
    write_project(tmp_path)
    with api.open_project(tmp_path) as project:
        api.run(project)
        api.ask(project, "How much does the keel weigh?")
        assert project.store.salt
        with project.store.lock():
            assert loose(tmp_path / ".slipway") == []
    with child(tmp_path / ".slipway", release=False) as (_, client):
        client.until("/healthz")
        assert client.chat("x", "writer").status == 200
        assert (tmp_path / ".slipway" / "catalog.db-wal").exists()
        assert loose(tmp_path / ".slipway") == []


def test_the_state_of_an_older_version_is_closed_at_open(tmp_path: Path) -> None:
    folder = tmp_path / ".slipway"
    store = Store(folder)
    blob = store.blobs.put(b"old")
    store.close()
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert loose(folder)
    Store(folder).close()
    assert loose(folder) == []
    assert Store(folder).blobs.get(blob) == b"old"


def test_the_salt_is_made_once(tmp_path: Path) -> None:
    made = Store(tmp_path).salt
    assert len(made) == 32
    assert Store(tmp_path).salt == made
    assert [path.name for path in tmp_path.glob("*salt*")] == ["salt"]
    assert loose(tmp_path) == []


def test_log_lines_cannot_be_forged() -> None:
    evil = 'x\n{"level": "info"}\x1b[31m\u2028\u0085\u202e\ud800' + KEY
    record = logging.LogRecord("slipway.serve", logging.ERROR, "f", 1, evil, (), None)
    record.__dict__["why"] = {"deep": [evil, b"\xff"]}
    line = JsonFormatter(Own([KEY])).format(record)
    assert line.isprintable()
    assert KEY not in line
    found = json.loads(line)
    assert found["message"] == evil.replace(KEY, SECRET)
    assert found["level"] == "error"


def test_what_other_libraries_log_is_json_too(tmp_path: Path) -> None:
    with program(tmp_path, release=False) as (process, client):
        client.until("/healthz")
        process.terminate()
        _, said = process.communicate(timeout=60)
    lines = said.decode().splitlines()
    assert lines
    for line in lines:
        json.loads(line)


def test_what_another_server_said_of_a_key_is_not_kept_in_a_message() -> None:
    from slipway.i18n import say
    from slipway.privacy.redact import Redactor

    error = say("{where} answered", where=say("server {name} with {said}", name="x", said=f"bad {TOKEN}"))
    trace = Trace(id="0" * 32, at="", endpoint="", channel="", release="", status=502, request={}, error=error)
    kept = Redactor().trace(trace)
    assert TOKEN not in repr(kept)
    assert str(kept.error) == f"server x with bad {SECRET} answered"
