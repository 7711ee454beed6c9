"""The rows of a query as JSONL: read only, within a time, a number of rows and of bytes. SQLite and PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from slipway.data.parsing.tabular import plain
from slipway.errors import ConfigError, MissingPrerequisite, SlipwayError
from slipway.i18n import t
from slipway.project.data import TableSource

_STEPS = 10_000  # of SQLite's machine, between two looks at the clock


def read_table(source: TableSource, address: str, root: Path, key: str, most: int) -> bytes:
    """A JSON object a row, in the order of the query; at most `most` bytes. `key`: where it stands in the project file.

    Raises ConfigError (address, query, too many rows), MissingPrerequisite (driver), SlipwayError (the database).
    """
    engine = _engine(source, address, root, key)
    try:
        with engine.connect() as connection:
            result = connection.execution_options(yield_per=500).execute(text(source.query))
            if not result.returns_rows:
                raise ConfigError(t("{key}: the query gives no rows", key=key), t("write a SELECT"))
            return _written(list(result.keys()), result, source.max_rows, most, key)
    except SQLAlchemyError as error:
        said = " ".join(str(getattr(error, "orig", None) or error).split())[:300]
        password = make_url(address).password
        said = said.replace(str(password), "***") if password else said
        raise SlipwayError(
            t("{key}: the database said: {said}", key=key, said=said),
            t("correct the query, or the address in {variable}", variable=source.url_env),
        ) from None
    finally:
        engine.dispose()


def _engine(source: TableSource, address: str, root: Path, key: str) -> Engine:
    known = t("SQLite and PostgreSQL are read: sqlite:///FILE, postgresql+psycopg://USER:PASSWORD@HOST/DATABASE")
    try:
        url = make_url(address)
    except ArgumentError:
        raise ConfigError(
            t("{key}: {variable} holds no address of a database", key=key, variable=source.url_env), known
        ) from None
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        return _sqlite(url, source, root)
    if url.drivername not in ("postgresql", "postgresql+psycopg"):
        raise ConfigError(t("{key}: databases of the kind '{kind}' are not read", key=key, kind=url.drivername), known)
    options = f"-c default_transaction_read_only=on -c statement_timeout={int(source.timeout * 1000)}"
    try:
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            poolclass=NullPool,
            connect_args={"options": options, "connect_timeout": 20},
        )
    except ImportError as error:
        raise MissingPrerequisite(
            t("the extra '{extra}' is not installed", extra="postgres"), "pip install 'slipway-ai[postgres]'"
        ) from error


def _sqlite(url: URL, source: TableSource, root: Path) -> Engine:
    """A file, opened for reading only; a relative name is relative to the project."""
    path = os.path.join(root, url.database or "")
    engine = create_engine(
        "sqlite://",
        poolclass=NullPool,
        creator=lambda: sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=5),
    )

    def limit(connection: Any, _: object) -> None:
        end = time.monotonic() + source.timeout
        connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)

    event.listen(engine, "connect", limit)
    return engine


def _written(columns: list[str], rows: Iterable[Any], max_rows: int, most: int, key: str) -> bytes:
    twice = next((name for name, n in Counter(columns).items() if n > 1), None)
    if twice is not None:
        raise ConfigError(
            t("{key}: the query gives the column '{name}' twice", key=key, name=twice), t("name it with AS")
        )
    lines: list[bytes] = []
    size = 0
    for row in rows:
        values = {
            name: None if isinstance(value, bytes) else plain(value) for name, value in zip(columns, row, strict=True)
        }
        lines.append(msgspec.json.encode(values) + b"\n")
        size += len(lines[-1])
        if len(lines) > max_rows or size > most:
            raise ConfigError(
                t("{key}: the query gives more than {rows} rows or {bytes} bytes", key=key, rows=max_rows, bytes=most),
                t("choose fewer with WHERE, or raise max_rows and data.limits.max_file"),
            )
    if not lines:
        raise ConfigError(t("{key}: the query gives no rows", key=key), t("write a SELECT"))
    return b"".join(lines)
