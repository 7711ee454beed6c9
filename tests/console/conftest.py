"""A project that was run, and a server with its console that was asked hostile things."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosting import HOSTILE, Answers, Canary, context

from served import Running, serving
from slipway import api
from slipway.loop.context import Context
from slipway.testing.projects import FILE, write_project


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = write_project(tmp_path_factory.mktemp("console") / "demo", FILE).parent
    with api.open_project(found) as project:
        api.run(project)
    return found


@pytest.fixture(scope="module")
def project(folder: Path) -> Iterator[Context]:
    with api.open_project(folder) as found:
        yield found


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    made = Canary(("127.0.0.1", 0), Answers)
    made.paths = []
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(scope="module")
def server(project: Context, canary: Canary) -> Iterator[Running]:
    with serving(context(project)) as found:
        found.until("/readyz")
        for text in ("How much does the keel weigh?", *HOSTILE):
            shown = text.replace("{url}", f"http://127.0.0.1:{canary.server_port}")
            reply = found.chat(shown, model="demo")
            said = {"trace": reply.headers["x-slipway-trace"], "thumb": "down", "comment": shown, "correction": shown}
            assert found.post("/v1/feedback", said).status < 300
        yield found
