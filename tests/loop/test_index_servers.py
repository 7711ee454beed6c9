"""A whole project whose passages lie in another program: a run, an answer, changes from outside, deleting."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import opensearch
from slipway import api
from slipway.core.candidate import Candidate
from slipway.core.protocols import Elsewhere
from slipway.errors import EngineError, MissingPrerequisite
from slipway.loop.sweep import sweep
from slipway.testing.projects import FILE, write_project

needs_qdrant = pytest.mark.skipif(
    importlib.util.find_spec("qdrant_client") is None, reason="qdrant-client is not installed"
)


pytestmark = pytest.mark.slow  # servers, child processes and programs of others


@pytest.fixture
def server() -> Iterator[opensearch.Server]:
    with opensearch.running() as running:
        yield running


def project_with(folder: Path, index: str, lexical: str = "tantivy") -> Path:
    text = FILE.replace(
        "retrieve: {mode: lexical, top_k: 1}",
        f"retrieve: {{embedder: writer, top_k: 1, index: {index}, lexical: {lexical}}}",
    )
    return write_project(folder, text)


def on(server: opensearch.Server, more: str = "") -> tuple[str, str]:
    return f"{{opensearch: {{url: '{server.url}'{more}}}}}", f"{{opensearch: {{url: '{server.url}', by: words{more}}}}}"


async def found(project, question: str) -> list[str]:
    candidate = next(c for _, c in project.store.catalog.list("candidate", Candidate) if c.name == "grounded")
    retriever = await project.session.retriever(candidate.retrieve)
    return [one.source for one in await retriever.search(question, candidate.retrieve)]


def ask(project, question: str = "How much does the keel weigh?") -> list[str]:
    return project.wait(found(project, question))


def test_a_run_puts_passages_there_and_answers_from_there(tmp_path: Path, server) -> None:
    file = project_with(tmp_path, *on(server))
    with api.open_project(file) as project:
        outcome = api.run(project)
        assert "index:writer" in outcome.ran
        assert ask(project) == ["docs/keel.md"]
        assert api.run(project).ran == []
    assert len(server.indexes) == 2
    kept = str([one["docs"] for one in server.indexes.values()])
    assert "docs/keel.md" not in kept  # neither names nor values of metadata go there
    assert all(name.startswith("slipway_") for name in server.indexes)


@needs_qdrant
def test_qdrant_in_a_folder(tmp_path: Path) -> None:
    file = project_with(tmp_path / "p", f"{{qdrant: {{path: {tmp_path / 'q'}}}}}")
    with api.open_project(file) as project:
        api.run(project)
        assert ask(project) == ["docs/keel.md"]


def test_changed_passages_are_another_collection_and_what_serves_keeps_its_own(tmp_path: Path, server) -> None:
    file = project_with(tmp_path, *on(server))
    with api.open_project(file) as project:
        api.run(project)
    first = set(server.indexes)
    (tmp_path / "docs" / "keel.md").write_text(
        "# The keel\n\n## Weight of the keel\n\nNobody weighed the keel.\n", "utf-8"
    )
    with api.open_project(file) as project:
        api.run(project)
        assert first < set(server.indexes)
        assert len(server.indexes) == 4
        assert sweep(project, grace=0).removed.get("indexes") is None  # each is of a release or of the newest candidate


def test_what_nothing_needs_is_deleted_there_too(tmp_path: Path, server) -> None:
    file = project_with(tmp_path, *on(server))
    with api.open_project(file, ["gate.token_f1.min=0.99"]) as project:  # nothing is released
        api.run(project)
        first = set(server.indexes)
    (tmp_path / "docs" / "keel.md").write_text(
        "# The keel\n\n## Weight of the keel\n\nNobody weighed the keel.\n", "utf-8"
    )
    settings = ["gate.token_f1.min=0.99", "store.retention.steps=1ms"]
    with api.open_project(file, settings) as project:
        api.run(project)
        second = set(server.indexes) - first
        assert sweep(project, grace=0, dry_run=True).removed.get("indexes", 0) == 0  # its step is still recorded
        assert sweep(project, grace=0).removed["indexes"] == 2
        assert set(server.indexes) == second
        assert ask(project, "What did nobody weigh?") == ["docs/keel.md"]
        assert not [one for one in server.asked if one[0] == "DELETE" and one[1].lstrip("/") in second]


def test_a_server_that_is_down_keeps_its_passages_until_it_is_asked_again(tmp_path: Path, server) -> None:
    file = project_with(tmp_path, *on(server))
    with api.open_project(file, ["gate.token_f1.min=0.99"]) as project:
        api.run(project)
    (tmp_path / "docs" / "keel.md").unlink()
    settings = ["gate.token_f1.min=0.99", "store.retention.steps=1ms"]
    with api.open_project(file, settings) as project:
        api.run(project)
        server.status = 503
        assert len(sweep(project, grace=0).left) == 2
        server.status = 0
        assert sweep(project, grace=0).removed["indexes"] == 2
        assert len(server.indexes) == 2


def test_an_index_whose_plug_in_is_gone_keeps_its_passages(tmp_path: Path, server, monkeypatch) -> None:
    """Nobody could say any more where they are."""
    file = project_with(tmp_path, on(server)[0])
    with api.open_project(file, ["gate.token_f1.min=0.99"]) as project:
        api.run(project)
    (tmp_path / "docs" / "keel.md").unlink()
    with api.open_project(file, ["gate.token_f1.min=0.99", "store.retention.steps=1ms"]) as project:
        api.run(project)
        made = project.plugins.make
        monkeypatch.setattr(
            project.plugins, "make", lambda *a, **k: made(*a, **k) if a[1] != "opensearch" else absent()
        )
        assert "httpx" in sweep(project, grace=0).left[0]
        monkeypatch.undo()
        assert sweep(project, grace=0).removed["indexes"] == 1
        assert len(server.indexes) == 1


def absent() -> None:
    raise MissingPrerequisite("'opensearch' needs the package 'httpx', which is not installed")


@pytest.mark.parametrize("how", ["vector", "row", "collection"])
def test_what_was_changed_there_is_found_told_and_made_right(tmp_path: Path, server, how: str, caplog) -> None:
    file = project_with(tmp_path, on(server)[0])
    with api.open_project(file) as project:
        api.run(project)
    ((name, index),) = server.indexes.items()
    whole = {one: dict(doc) for one, doc in index["docs"].items()}
    one = min(whole)
    if how == "vector":
        index["docs"][one] = {**whole[one], "vector": whole[min(set(whole) - {one})]["vector"]}
    elif how == "row":
        del index["docs"][one]
        index["docs"]["intruder"] = {**whole[one], "id": "intruder"}
    else:
        del server.indexes[name]
    server.asked.clear()
    with caplog.at_level(logging.WARNING), api.open_project(file) as project:
        assert ask(project) == ["docs/keel.md"]
    assert "does not hold what was put there" in str([record.__dict__ for record in caplog.records])
    assert server.indexes[name]["docs"] == whole
    if how == "vector":
        assert len([path for _, path in server.asked if "_bulk" in path]) == 1


def test_a_collection_that_is_lost_while_it_serves_is_noticed(tmp_path: Path, server, monkeypatch) -> None:
    from slipway.builtin.indexes.external import collection

    monkeypatch.setattr(collection, "EVERY", 0.0)
    file = project_with(tmp_path, on(server)[0])
    with api.open_project(file) as project:
        api.run(project)
        assert ask(project) == ["docs/keel.md"]
        server.indexes.clear()
        project.wait(project.session.recheck())
        assert ask(project) == ["docs/keel.md"]
        assert len(server.indexes) == 1


def test_a_build_that_broke_off_goes_on(tmp_path: Path, server) -> None:
    file = project_with(tmp_path, on(server)[0])
    server.break_after = 7
    with api.open_project(file) as project, pytest.raises(EngineError, match=r"failed: 429"):
        api.run(project)
    ((_, index),) = server.indexes.items()
    assert len(index["docs"]) == 7
    server.break_after = 13
    with api.open_project(file) as project:
        api.run(project)  # had it begun anew, it would have put 20
    assert len(index["docs"]) == 20


def test_messages_and_the_store_hold_no_key(tmp_path: Path, server, monkeypatch) -> None:
    monkeypatch.setenv("INDEX_KEY", "not-to-be-shown-4711")
    server.password = "not-to-be-shown-4711"
    index, _ = on(server, ", user: slipway, api_key_env: INDEX_KEY")
    file = project_with(tmp_path, index)
    with api.open_project(file) as project:
        api.run(project)
        assert ask(project) == ["docs/keel.md"]
    for path in (tmp_path / ".slipway").rglob("*"):
        assert not path.is_file() or b"not-to-be-shown-4711" not in path.read_bytes(), path
    server.status = 500
    with api.open_project(file) as project, pytest.raises(EngineError) as caught:
        ask(project)
    assert "500" in str(caught.value)
    assert "not-to-be-shown" not in str(caught.value)
    monkeypatch.setenv("INDEX_KEY", "wrong")
    with api.open_project(file) as project, pytest.raises(EngineError, match="refused the key"):
        ask(project)
    monkeypatch.delenv("INDEX_KEY")
    with api.open_project(file) as project, pytest.raises(MissingPrerequisite, match="INDEX_KEY"):
        ask(project)


def test_a_server_that_is_down_is_told_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    file = project_with(tmp_path, f"{{opensearch: {{url: 'http://127.0.0.1:{port}'}}}}")
    with api.open_project(file) as project:
        with pytest.raises(EngineError, match="cannot be reached") as caught:
            api.run(project)
        assert "start it" in caught.value.hint
    assert any("cannot be reached" in one.what for one in api.check(file))


def test_a_slow_server_holds_up_nobody_and_is_not_waited_for_for_ever(tmp_path: Path, server) -> None:
    file = project_with(tmp_path, on(server, ", timeout: 1")[0])
    with api.open_project(file) as project:
        api.run(project)
        assert ask(project) == ["docs/keel.md"]
        answer = server.answer
        server.answer = lambda *request: time.sleep(2) or answer(*request)

        async def both() -> int:
            asked = asyncio.ensure_future(found(project, "How much does the keel weigh?"))
            ticks = 0
            while not asked.done():
                await asyncio.sleep(0.01)
                ticks += 1
            with pytest.raises(EngineError, match="in time"):
                await asked
            return ticks

        assert project.wait(both()) > 20
        project.wait(project.session.recheck())
        server.answer = answer  # it is back, and nothing has to be restarted
        assert ask(project) == ["docs/keel.md"]


def test_addresses_with_secrets_and_keys_in_the_clear_are_refused(tmp_path: Path) -> None:
    for index, said in (
        ("{opensearch: {url: 'http://me:secret-word@127.0.0.1:9200'}}", "must not hold"),
        ("{opensearch: {url: 'http://10.1.2.3:9200', api_key_env: K}}", "plain http"),
        ("{pgvector: {url: 'postgresql://me:secret-word@127.0.0.1/x'}}", "password"),
        ("{pgvector: {url: ''}}", "PostgreSQL"),
        ("{opensearch: {url: 'http://127.0.0.1:9200', prefix: 'No-Such'}}", "prefix"),
        ("{qdrant: {}}", "either url or path"),
        ("{qdrant: {path: here}}", "whole path"),
    ):
        file = project_with(tmp_path, index)
        errors = [one.what for one in api.check(file) if one.level == "error"]
        assert any(said in text for text in errors), (index, errors)
        assert "secret-word" not in str(errors)


@needs_qdrant
@pytest.mark.skipif(importlib.util.find_spec("chromadb") is None, reason="chromadb is not installed")
def test_nothing_is_loaded_that_is_not_used_and_chroma_reaches_for_nothing(tmp_path: Path) -> None:
    """In a process that may open no internet socket."""
    program = f"""
import socket, sys
from slipway.plugins import Plugins
assert not [name for name in ("qdrant_client", "chromadb", "httpx", "sqlalchemy.dialects.postgresql") if name in sys.modules]
class Never(socket.socket):
    def connect(self, *args): raise SystemExit(f"it wants to connect to {{args}}")
socket.socket = Never
from slipway.testing.indexes import TEXTS, passage, vectors_of
index = Plugins().make("indexes", "chroma", {{"path": {str(tmp_path)!r}}}, "x")
index.add([passage(text) for text in TEXTS], vectors_of(TEXTS))
print(len(index.search("", vectors_of(TEXTS[:1]), 3)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert done.stdout == "3\n", done.stderr
    assert not list(tmp_path.glob(".cache/chroma*"))


def test_every_external_index_says_that_it_is_elsewhere() -> None:
    from slipway.builtin.indexes.external.collection import ServerIndex
    from slipway.builtin.indexes.lexical import TantivyIndex

    assert issubclass(ServerIndex, Elsewhere)
    assert not issubclass(TantivyIndex, Elsewhere)
