"""Indexes in other programs, with the programs themselves: Qdrant and Chroma in folders, PostgreSQL with pgvector."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import opensearch
import postgres
from slipway.core.database import Address
from slipway.errors import ConfigError, EngineError, MissingPrerequisite
from slipway.plugins import Plugins
from slipway.testing.indexes import TEXTS, IndexContract, passage, vectors_of


def needs(module: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"{module} is not installed")


@pytest.fixture
def folder(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("server"))


@needs("qdrant_client")
class TestQdrant(IndexContract):
    @pytest.fixture(autouse=True)
    def _place(self, folder):
        self.place = folder

    def make_index(self):
        from slipway.builtin.indexes.external.qdrant import QdrantConfig, QdrantIndex

        return QdrantIndex(QdrantConfig(path=self.place))


@needs("chromadb")
@pytest.mark.slow
class TestChroma(IndexContract):
    @pytest.fixture(autouse=True)
    def _place(self, folder):
        self.place = folder

    def make_index(self):
        from slipway.builtin.indexes.external.chroma import ChromaConfig, ChromaIndex

        return ChromaIndex(ChromaConfig(path=self.place))


@pytest.fixture(scope="module")
def database() -> Iterator[Address]:
    with postgres.running(programs=postgres.with_vectors()) as server:
        yield server.database()


class TestPgvector(IndexContract):
    approximate = False

    @pytest.fixture(autouse=True)
    def _place(self, database):
        self.place = database

    def make_index(self):
        from slipway.builtin.indexes.external.pgvector import PgvectorConfig, PgvectorIndex

        config = PgvectorConfig(url=self.place.url, password_env=self.place.password_env, approximate=self.approximate)
        return PgvectorIndex(config)


@pytest.mark.slow
class TestPgvectorGraph(TestPgvector):
    approximate = True


@pytest.fixture(scope="module")
def server() -> Iterator[opensearch.Server]:
    with opensearch.running() as running:
        yield running


@pytest.mark.slow
class TestOpenSearchVectors(IndexContract):
    by = "vectors"

    @pytest.fixture(autouse=True)
    def _place(self, server):
        self.place = server

    def make_index(self):
        from slipway.builtin.indexes.external.opensearch import OpenSearchConfig, OpenSearchIndex

        return OpenSearchIndex(OpenSearchConfig(url=self.place.url, by=self.by))


class TestOpenSearchWords(TestOpenSearchVectors):
    by = "words"


def test_words_are_ranked_as_by_the_built_in_index(server):
    from slipway.builtin.indexes.external.opensearch import OpenSearchConfig, OpenSearchIndex
    from slipway.builtin.indexes.lexical import TantivyIndex

    texts = [f"{text} {more}" for text in TEXTS for more in ("the delivery of goods", "发票 和 密码", "猫")]
    chunks = [passage(text) for text in texts]
    ours, theirs = TantivyIndex(), OpenSearchIndex(OpenSearchConfig(url=server.url, by="words"))
    for index in (ours, theirs):
        index.add(chunks)
    for asked in ("deliveries", "如何重置密码", "ships and apples", "发票三十天", "發票三十天"):
        assert [n for n, _ in theirs.search(asked, None, 5)] == [n for n, _ in ours.search(asked, None, 5)], asked
    assert {n for n, _ in theirs.search("猫", None, 30)} == {n for n, _ in ours.search("猫", None, 30)}


def test_an_index_of_vectors_says_how_words_are_searched(server):
    from slipway.builtin.indexes.external.opensearch import OpenSearchConfig, OpenSearchIndex

    with pytest.raises(ConfigError) as caught:
        OpenSearchIndex(OpenSearchConfig(url=server.url)).search("word", None, 3)
    assert "by: words" in caught.value.hint


@pytest.mark.slow
@pytest.mark.service
def test_a_database_without_pgvector_is_told_how_to_get_it():
    from slipway.builtin.indexes.external.pgvector import PgvectorConfig, PgvectorIndex

    place = postgres.binaries()
    if Path(f"/usr/share/postgresql/{place.parent.name}/extension/vector.control").is_file():
        pytest.skip("the PostgreSQL of this machine has pgvector")
    with postgres.running() as server:
        address = server.database()
        index = PgvectorIndex(PgvectorConfig(url=address.url, password_env=address.password_env))
        index.add([passage(TEXTS[0])], vectors_of(TEXTS[:1]))
        with pytest.raises(MissingPrerequisite, match="has no pgvector") as caught:
            index.search("", vectors_of(TEXTS[:1]), 1)
        assert "pgvector" in caught.value.hint
        with pytest.raises(MissingPrerequisite, match="has no pgvector"):
            index.answers()


def test_a_database_that_refuses_or_is_down_is_told_without_the_password(database, monkeypatch):
    from slipway.builtin.indexes.external.pgvector import PgvectorConfig, PgvectorIndex

    monkeypatch.setenv("WRONG", "a-wrong-secret")
    with pytest.raises(MissingPrerequisite, match="does not let this user in") as caught:
        PgvectorIndex(PgvectorConfig(url=database.url, password_env="WRONG")).answers()
    assert "a-wrong-secret" not in str(caught.value)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(EngineError, match="cannot be reached"):
        PgvectorIndex(PgvectorConfig(url=f"postgresql://slipway@127.0.0.1:{port}/x")).answers()


@pytest.mark.slow
@needs("qdrant_client")
def test_a_folder_of_qdrant_that_another_process_holds_is_told(folder):
    from slipway.builtin.indexes.external.qdrant import QdrantConfig, QdrantIndex

    program = f"import sys; from qdrant_client import QdrantClient; c = QdrantClient(path={folder!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(EngineError, match="cannot be opened") as caught:
            QdrantIndex(QdrantConfig(path=folder)).answers()
        assert "end the other one" in caught.value.hint
        other.stdin.close()
    QdrantIndex(QdrantConfig(path=folder)).answers()


@pytest.mark.slow
@needs("qdrant_client")
def test_a_qdrant_server_that_is_down_or_is_none_is_told(server):
    from slipway.builtin.indexes.external.qdrant import QdrantConfig, QdrantIndex

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(EngineError, match="cannot be reached"):
        QdrantIndex(QdrantConfig(url=f"http://127.0.0.1:{port}")).answers()
    with pytest.raises(EngineError, match="failed: 404"):
        QdrantIndex(QdrantConfig(url=server.url)).answers()
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(EngineError, match="in time"):
        QdrantIndex(QdrantConfig(url=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=1)).answers()


@pytest.mark.slow
@needs("chromadb")
def test_a_chroma_server_that_is_down_or_is_none_is_told(server):
    from slipway.builtin.indexes.external.chroma import ChromaConfig, ChromaIndex

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(EngineError, match="cannot be reached"):
        ChromaIndex(ChromaConfig(url=f"http://127.0.0.1:{port}")).answers()
    with pytest.raises(EngineError, match="failed: 404"):
        ChromaIndex(ChromaConfig(url=server.url)).answers()
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(EngineError, match="in time"):
        ChromaIndex(ChromaConfig(url=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.5)).answers()


@pytest.mark.slow
@needs("chromadb")
def test_a_chroma_server_holds_an_index(tmp_path):
    """The server that the package brings, in a process of its own."""
    from slipway.builtin.indexes.external.chroma import ChromaConfig, ChromaIndex

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    program = Path(sys.executable).with_name("chroma")
    command = [str(program), "run", "--path", str(tmp_path / "held"), "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path) as running:
        try:
            index = ChromaIndex(ChromaConfig(url=f"http://127.0.0.1:{port}"))
            until(index.answers)
            chunks = [passage(text) for text in TEXTS]
            index.add(chunks, vectors_of(TEXTS))
            (tmp_path / "saved").mkdir()
            index.save(str(tmp_path / "saved"))
            again = ChromaIndex(ChromaConfig(url=f"http://127.0.0.1:{port}"))
            again.load(str(tmp_path / "saved"))
            assert again.search("", vectors_of(TEXTS[2:3]), 1)[0][0] == chunks[2].id
            assert again.server._client._server._session.timeout.read == 30.0
            again.forget(again.places(str(tmp_path / "saved"))[0])
            assert not again.sound() or again.server.count(again._name) is None
        finally:
            running.kill()


def until(answers) -> None:
    for _ in range(300):
        try:
            answers()
            return
        except EngineError:
            time.sleep(0.1)
    answers()


@pytest.mark.parametrize("kind", ["chroma", "pgvector"])
@pytest.mark.slow
def test_a_graph_finds_nearly_all_neighbours(kind, folder, database):
    """Recall@10 among 3,000 vectors in 100 groups, 64 dimensions."""
    if kind == "chroma" and importlib.util.find_spec("chromadb") is None:
        pytest.skip("chromadb is not installed")
    options = (
        {"path": folder}
        if kind == "chroma"
        else {"url": database.url, "password_env": database.password_env, "approximate": True}
    )
    rng = np.random.default_rng(3)
    rows = np.repeat(rng.normal(size=(100, 64)), 30, axis=0) + 0.5 * rng.normal(size=(3000, 64))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    chunks = [passage(f"passage {n}") for n in range(len(rows))]
    index = Plugins().make("indexes", kind, options, "index")
    index.add(chunks, rows)
    hits = 0
    for at in range(0, 3000, 60):
        best = {chunks[n].id for n in np.argsort(-(rows @ rows[at]))[:10]}
        hits += len(best & {name for name, _ in index.search("", rows[at], 10)})
    assert hits >= 0.98 * 500
