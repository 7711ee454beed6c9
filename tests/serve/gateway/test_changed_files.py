"""A model file that changes under a running server: what it would answer now was never measured."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path

import pytest

from served import echo, make_context, promote, release, serving
from slipway.core.candidate import ModelPin
from slipway.runtime.session import Session
from slipway.serve.gateway import router
from slipway.store.store import Store


@pytest.mark.slow
def test_the_server_stops_answering_and_comes_back_when_the_bytes_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router, "TRY_AGAIN", 0.2)
    weights, store = tmp_path / "weights", Store(tmp_path / ".slipway")
    weights.write_bytes(b"sound" * 1000)
    stat = weights.stat()
    files = {"weights": hashlib.sha256(weights.read_bytes()).hexdigest()}
    pin = ModelPin(name="writer", engine="echo", source="", files=files, options=echo().options)
    promote(store, release(store, pin))
    context = make_context(store, [pin])
    context = dataclasses.replace(context, session=Session(store, lambda pin: {"weights": weights}))
    with serving(context) as server:
        server.until()
        assert server.chat().status == 200
        assert server.chat(model="writer").status == 200
        weights.write_bytes(b"wrong" * 1000)
        os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert "does not match its digest" in server.until("/readyz", 503).json["why"]
        assert server.chat().status == 503
        raw = server.chat(model="writer")
        assert (raw.status, "does not match" in raw.error["message"]) == (503, True)
        weights.write_bytes(b"sound" * 1000)
        server.until()
        assert server.chat().status == 200
        assert server.chat(model="writer").status == 200
