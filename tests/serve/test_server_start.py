"""What the caller is told once requests are accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from served import Client, echo, make_context
from slipway.serve.server import serve
from slipway.store.store import Store


async def test_what_the_caller_raises_ends_the_server_and_reaches_the_caller(tmp_path: Path) -> None:
    """A server that goes on after that would wait for nobody: `up --once` would never end."""
    said: list[str] = []

    def ready(address: str) -> None:
        said.append(address)
        raise ValueError(address)

    with pytest.raises(ValueError, match="http://127"):
        await serve(make_context(Store(tmp_path), [echo()]), ready)
    with pytest.raises(ConnectionRefusedError):
        Client(said[0]).get("/healthz")
