"""One contract, two databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.core.catalog import Catalog as Protocol
from slipway.store.catalog import Catalog
from slipway.store.postgres import Postgres
from slipway.store.sqlite import SQLite
from slipway.testing.catalogs import CatalogContract


class TestSQLite(CatalogContract):
    def opener(self, request: pytest.FixtureRequest) -> Callable[[], Protocol]:
        path = request.getfixturevalue("tmp_path") / ".slipway" / "catalog.db"
        return lambda: Catalog(SQLite(path))


@pytest.mark.service
class TestPostgreSQL(CatalogContract):
    def opener(self, request: pytest.FixtureRequest) -> Callable[[], Protocol]:
        address = request.getfixturevalue("database")
        return lambda: Catalog(Postgres(address))
