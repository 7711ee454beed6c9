"""Indexes in other programs, with the programs themselves: Qdrant and Chroma in folders, PostgreSQL with pgvector."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

import postgres
from slipway.core.database import Address
from slipway.testing.indexes import IndexContract


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


class TestPgvectorGraph(TestPgvector):
    approximate = True
