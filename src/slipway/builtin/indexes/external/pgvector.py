"""The index of vectors in PostgreSQL with the extension pgvector (https://github.com/pgvector/pgvector), by psycopg.

Search is exact unless `approximate: true`, which makes a graph (HNSW, Malkov and Yashunin 2016) of each collection;
searches with filters are exact then, too.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from pydantic import Field, field_validator
from sqlalchemy import Connection, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError

from slipway.builtin.indexes.external.access import Held, WholePath, not_reached, refused, secret, too_slow
from slipway.builtin.indexes.external.collection import ServerIndex
from slipway.builtin.indexes.external.payload import Row, packed
from slipway.core.database import Address
from slipway.errors import ConfigError, EngineError, MissingPrerequisite
from slipway.i18n import t

_PAGE = 512
_MOST_IN_GRAPH = 2000  # dimensions that pgvector's HNSW takes


class PgvectorConfig(Held):
    """A database, as `store.url` names one. `ef`: how far the graph is searched, where search is `approximate`."""

    url: str
    password_env: str = ""
    password_file: WholePath = ""
    approximate: bool = False
    ef: int = Field(default=200, ge=1, le=1000)

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        if not value:
            raise ValueError(t("give the address of a PostgreSQL database"))
        try:
            Address(value).check()
        except ConfigError as error:
            raise ValueError(error.message.replace("store.url", "url")) from None
        return value


class _Postgres:
    limit = 1_000_000

    def __init__(self, config: PgvectorConfig) -> None:
        self._config = config
        self._password = secret(config.password_env, config.password_file)
        url = make_url(config.url).set(drivername="postgresql+psycopg")
        self.where = url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)
        link = {"connect_timeout": "5", "tcp_user_timeout": "10000", "keepalives_idle": "10"}
        options = f"-c statement_timeout={round(config.timeout * 1000)} {url.query.get('options', '')}".strip()
        asked = url.update_query_dict({**link, **url.query, "options": options})
        self._engine = create_engine(asked, pool_pre_ping=True, hide_parameters=True, pool_size=8)
        event.listen(self._engine, "do_connect", self._sign_in)

    def _sign_in(self, dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> None:
        if self._password:
            parameters["password"] = self._password

    @contextmanager
    def _asking(self) -> Generator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise self._explained(error) from None

    def _explained(self, error: DBAPIError) -> EngineError | MissingPrerequisite:
        state = getattr(error.orig, "sqlstate", None) or ""
        why = (str(error.orig).strip().splitlines() or [""])[0]
        if state == "57014":
            return too_slow(self.where)
        if state in ("0A000", "58P01") and "vector" in why:
            return MissingPrerequisite(
                t("the database {where} has no pgvector: {why}", where=self.where, why=why),
                t("install it on the server (Debian: apt install postgresql-17-pgvector)"),
            )
        said = why.lower()
        if not state and any(word in said for word in ("password", "authentication", "pg_hba.conf", "role")):
            return MissingPrerequisite(
                t("{where} does not let this user in: {why}", where=self.where, why=why),
                t("put the right password where `password_env` or `password_file` of the index says"),
            )
        return refused(self.where, 0, why, self._password) if state else not_reached(self.where, why, self._password)

    def rows(self, name: str) -> Iterator[Row]:
        if self.count(name) is None:
            return
        last = ""
        query = text(
            f"SELECT id, facets, vector::text FROM {name} WHERE id > :last ORDER BY id LIMIT {_PAGE}"  # noqa: S608
        )
        while True:
            with self._asking() as connection:
                found = connection.execute(query, {"last": last}).fetchall()
            for one, facets, vector in found:
                yield Row(one, tuple(facets), packed([float(part) for part in vector[1:-1].split(",")]))
            if len(found) < _PAGE:
                return
            last = found[-1][0]

    def create(self, name: str, dimension: int) -> None:
        with self._asking() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": "slipway vectors"})
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
            if connection.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar() is not None:
                return
            connection.execute(
                text(
                    f'CREATE TABLE {name} (id text COLLATE "C" PRIMARY KEY, facets text[] NOT NULL, '
                    f"vector vector({dimension}) NOT NULL)"
                )
            )
            if self._config.approximate and dimension <= _MOST_IN_GRAPH:
                connection.execute(text(f"CREATE INDEX ON {name} USING hnsw (vector vector_ip_ops)"))

    def put(self, name: str, rows: Sequence[Row]) -> None:
        statement = text(
            f"INSERT INTO {name} (id, facets, vector) VALUES (:id, :facets, CAST(:vector AS vector)) "  # noqa: S608
            "ON CONFLICT (id) DO UPDATE SET facets = excluded.facets, vector = excluded.vector"
        )
        values = [{"id": r.id, "facets": list(r.facets), "vector": _literal(r.numbers)} for r in rows]
        with self._asking() as connection:
            connection.execute(statement, values)

    def remove(self, name: str, ids: Sequence[str]) -> None:
        with self._asking() as connection:
            connection.execute(text(f"DELETE FROM {name} WHERE id = ANY(:ids)"), {"ids": list(ids)})  # noqa: S608

    def count(self, name: str) -> int | None:
        with self._asking() as connection:
            if connection.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar() is None:
                return None
            return int(connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one())  # noqa: S608

    def nearest(self, name: str, asked: Any, limit: int, facets: Sequence[str]) -> list[tuple[str, float]]:
        match = "WHERE facets @> :facets " if facets else ""
        query = text(
            f"SELECT id, -(vector <#> CAST(:asked AS vector)) FROM {name} {match}"  # noqa: S608
            f"ORDER BY vector <#> CAST(:asked AS vector){'' if self._graph(facets) else ', id'} LIMIT :limit"
        )
        with self._asking() as connection:
            if self._graph(facets):
                connection.execute(text(f"SET LOCAL hnsw.ef_search = {min(1000, max(self._config.ef, limit))}"))
            values = {"asked": _literal(asked), "limit": limit, **({"facets": list(facets)} if facets else {})}
            return [(one, float(score)) for one, score in connection.execute(query, values)]

    def _graph(self, facets: Sequence[str]) -> bool:
        return self._config.approximate and not facets

    def drop(self, name: str) -> None:
        with self._asking() as connection:
            connection.execute(text(f"DROP TABLE IF EXISTS {name}"))

    def answers(self) -> None:
        with self._asking() as connection:
            found = connection.execute(text("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'"))
            if not found.scalar():
                raise MissingPrerequisite(
                    t("the database {where} has no pgvector: {why}", where=self.where, why="vector"),
                    t("install it on the server (Debian: apt install postgresql-17-pgvector)"),
                )


def _literal(vector: Any) -> str:
    """A vector as pgvector reads it; nine digits are enough to give every float32 back."""
    return "[" + ",".join(f"{number:.9g}" for number in vector.tolist()) + "]"


class PgvectorIndex(ServerIndex):
    """Passages by their vectors, in PostgreSQL."""

    Config: ClassVar[type[Any]] = PgvectorConfig
    KIND: ClassVar[str] = "pgvector"
    connects: ClassVar[type[Any]] = _Postgres
    settings: ClassVar[tuple[str, ...]] = ("approximate",)
