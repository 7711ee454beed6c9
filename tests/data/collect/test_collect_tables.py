"""Rows of real databases: SQLite always, PostgreSQL where the distribution has it."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from postgres import PASSWORD, running
from slipway.core.material import Document
from slipway.data.collect.fetch import Fetched, fetch
from slipway.data.documents import make_documents
from slipway.errors import MissingPrerequisite, SlipwayError
from slipway.project.data import DataConfig
from slipway.store.store import Store

QUERY = "SELECT number AS id, subject AS title, body AS text, opened FROM tickets ORDER BY number"
TEXT = "The winch does not turn although the motor runs; the clutch was worn and had to be replaced."


def config(query: str = QUERY, **more: Any) -> DataConfig:
    table = {"url_env": "TICKETS_URL", "query": query, **more}
    return DataConfig.model_validate({"tables": {"tickets": table}, "clean": {"near_duplicates": None}})


def get(made: DataConfig, root: Path) -> Fetched:
    [found] = asyncio.run(fetch(made, root))
    return found


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with sqlite3.connect(tmp_path / "tickets.db") as base:
        base.execute("CREATE TABLE tickets (number INTEGER, subject TEXT, body TEXT, opened TEXT, scan BLOB)")
        base.executemany("INSERT INTO tickets VALUES (?, ?, ?, ?, ?)", [
            (7, "Winch", TEXT, "2026-01-02", b"\x89PNG"), (9, "Crane", TEXT.replace("winch", "crane"), None, None)])  # fmt: skip
    base.close()
    monkeypatch.setenv("TICKETS_URL", "sqlite:///tickets.db")
    return tmp_path


def test_rows_become_documents_and_later_runs_ask_nobody(root: Path) -> None:
    first = get(config(), root)
    (root / "tickets.db").unlink()
    store = Store(root / ".slipway")
    dataset = make_documents(config(), root, store)
    rows = list(store.blobs.get_lines(dataset.items, Document))
    assert [(row.source, row.title, row.meta) for row in rows] == [
        ("tickets/7", "Winch", {"opened": "2026-01-02"}), ("tickets/9", "Crane", {})]  # fmt: skip
    assert (first.documents, first.new) == (1, 1)


def test_nothing_is_written_to_the_database(root: Path) -> None:
    before = (root / "tickets.db").read_bytes()
    for query in ("DELETE FROM tickets", "DROP TABLE tickets", "INSERT INTO tickets VALUES (1, 2, 3, 4, 5) RETURNING number",
                  "SELECT 1; DROP TABLE tickets"):  # fmt: skip
        with pytest.raises(SlipwayError):
            get(config(query), root)
    assert (root / "tickets.db").read_bytes() == before


@pytest.mark.parametrize(
    ("query", "more", "said"),
    [
        ("SELECT no_column FROM tickets", {}, "no such column"),
        ("SELECT body FROM tickets WHERE 0", {}, "gives no rows"),
        ("SELECT body AS x, subject AS x FROM tickets", {}, "'x' twice"),
        (QUERY, {"max_rows": 1}, "more than 1 row"),
        ("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT count(*) AS text FROM c", {"timeout": 0.2}, "interrupted"),
    ],
)  # fmt: skip
def test_queries_that_cannot_be_used(root: Path, query: str, more: dict[str, Any], said: str) -> None:
    with pytest.raises(SlipwayError, match=said):
        get(config(query, **more), root)


def test_addresses_that_cannot_be_used(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TICKETS_URL")
    with pytest.raises(MissingPrerequisite, match="TICKETS_URL is not set"):
        get(config(), root)
    for address in ("nonsense", "mysql://root:geheim@h/d", "sqlite:///none.db"):
        monkeypatch.setenv("TICKETS_URL", address)
        with pytest.raises(SlipwayError) as refused:
            get(config(), root)
        assert "geheim" not in str(refused.value)
    assert not (root / "none.db").exists()
    with pytest.raises(ValueError, match="names a site and a table"):
        DataConfig.model_validate(
            {"tables": {"a": {"url_env": "X", "query": "x"}}, "sites": {"a": {"url": "http://h/"}}}
        )


@pytest.mark.slow
@pytest.mark.service
def test_a_postgresql_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg")
    with running() as server:
        plain = f"postgresql://slipway:{PASSWORD}@127.0.0.1:{server.port}/postgres"
        server.sql("CREATE TABLE tickets (number int, subject text, body text, opened date)")
        server.sql(f"INSERT INTO tickets VALUES (7, 'Winch', '{TEXT}', '2026-01-02')")
        monkeypatch.setenv("TICKETS_URL", plain)
        assert get(config(), tmp_path).documents == 1
        for query in ("DELETE FROM tickets RETURNING number", "SELECT 1 AS text; DROP TABLE tickets"):
            with pytest.raises(SlipwayError):
                get(config(query), tmp_path)
        with pytest.raises(SlipwayError, match="statement timeout"):
            get(config("SELECT pg_sleep(9)::text AS text", timeout=0.2), tmp_path)
        assert server.sql("SELECT count(*) FROM tickets") == [(1,)]
        monkeypatch.setenv("TICKETS_URL", plain.replace(PASSWORD, "wrong-secret"))
        with pytest.raises(SlipwayError) as refused:
            get(config(), tmp_path)
        assert "wrong-secret" not in str(refused.value)
