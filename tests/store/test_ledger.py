"""History cannot be rewritten unseen, and what is newest does not depend on a clock."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from slipway import api
from slipway.core.material import Dataset
from slipway.errors import IntegrityError
from slipway.store import catalog as catalog_module
from slipway.store.catalog import Catalog
from slipway.store.store import Store
from slipway.testing.projects import write_project

FORGERIES = {
    "deleted": "DELETE FROM promotions WHERE seq = 2",
    "the last one deleted": "DELETE FROM promotions WHERE seq = (SELECT max(seq) FROM promotions)",
    "changed": "UPDATE promotions SET by = 'mallory' WHERE seq = 1",
    "put in": "INSERT INTO promotions (channel, release, at, by, why, action) VALUES ('p', 'evil', '2020', 'a', '', 'promote')",
    "a fresh gate": "DELETE FROM gate_uses",
    "an example that was never looked at": "DELETE FROM gate_examples WHERE example = 'e0'",
    "a look at other examples": "UPDATE gate_examples SET example = 'e9' WHERE example = 'e1'",
    "a look that was none": "INSERT INTO gate_examples VALUES (99, 'e0')",
    "a question that was not asked": "UPDATE gate_uses SET asked = 'q9' WHERE seq = 1",
    "a key put in": "INSERT INTO keys (id, name, hash, at) VALUES ('x', 'mallory', 'h', '2020')",
    "a key given back": "UPDATE keys SET revoked = NULL",
    "an entry deleted": "DELETE FROM ledger WHERE seq = 2",
    "an entry changed": "UPDATE ledger SET body = CAST(replace(body, 'ada', 'bob') AS BLOB) WHERE seq = 1",
    "an entry of another type": "UPDATE ledger SET body = CAST(body AS TEXT) WHERE seq = 1",
    "an entry that is no text": "UPDATE ledger SET body = x'ff' WHERE seq = 1",
}
UNVERSIONED = (  # as it was before there was a ledger
    "DROP TABLE ledger", "DROP INDEX ix_nouns_seq", "ALTER TABLE nouns DROP COLUMN seq", "DROP TABLE alembic_version",
    "ALTER TABLE memo DROP COLUMN digest", "ALTER TABLE memo DROP COLUMN at", "ALTER TABLE keys DROP COLUMN seq",
    "ALTER TABLE keys DROP COLUMN scopes", "ALTER TABLE keys DROP COLUMN tenant", "DROP TABLE gate_examples",
    *(f"ALTER TABLE gate_uses DROP COLUMN {name}" for name in ("kind", "asked", "project", "who")),
    *(f"DROP TABLE {name}" for name in ("watch_states", "watch_units", "watch_hours", "alerts", "deliveries")),
    *(f"DROP TABLE {name}" for name in ("label_queues", "label_items", "judgements", "label_claims")),
    "PRAGMA user_version = 1",
)  # fmt: skip


def history(folder: Path) -> Store:
    store = Store(folder)
    for n in range(3):
        store.catalog.promote("p", f"r{n}", by="ada", why="好")
        store.catalog.look(["e0", f"e{n}"], "verdict", [f"c{n}"], f"q{n}", "demo", "ada")
    store.catalog.add_key("k1", "ada", "hash")
    store.catalog.add_key("k2", "bob", "hash2")
    store.catalog.revoke_key("k1")
    return store


def alter(store: Store, *statements: str) -> None:
    """As somebody would who can write the file."""
    connection = sqlite3.connect(store.folder / "catalog.db")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_history_that_was_entered_is_sound(tmp_path: Path) -> None:
    store = history(tmp_path)
    head = store.catalog.verify_history()
    assert head.startswith("9:")
    assert store.catalog.head() == head
    store.catalog.promote("p", "r9", by="ada", why="")
    store.catalog.verify_history([head])


@pytest.mark.parametrize("how", list(FORGERIES))
def test_a_forged_history_is_noticed(tmp_path: Path, how: str) -> None:
    store = history(tmp_path)
    alter(store, FORGERIES[how])
    with pytest.raises(IntegrityError, match="changed outside"):
        store.catalog.verify_history()


def test_a_whole_new_ledger_shows_where_an_older_head_was_kept(tmp_path: Path) -> None:
    """A chain without a secret can be made again by anyone who can write the file; only a head kept elsewhere tells."""
    store = history(tmp_path)
    kept = store.catalog.head()
    alter(store, "DELETE FROM promotions", *UNVERSIONED)
    store.close()
    forged = Store(tmp_path)  # adopts what it finds, as it does for a catalog from before there was a ledger
    forged.catalog.verify_history()
    with pytest.raises(IntegrityError, match="not in it"):
        forged.catalog.verify_history([kept])


def test_a_release_keeps_the_head_it_was_made_under(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "demo").parent
    with api.open_project(folder) as project:
        made = api.run(project).release
        assert made is not None
        assert made.history.startswith("1:")  # the look at the gate
        assert api.verdict(project, made.digest).history == made.history
        checked = api.verify(project, "production")
        assert checked[-1].startswith("history 2:")  # and the promotion
        head = checked[-1].removeprefix("history ")
        assert api.verify(project, head=head) == [checked[-1]]
        with pytest.raises(IntegrityError, match="not in it"):
            api.verify(project, "production", head="1:" + "f" * 64)
        alter(project.store, "DELETE FROM gate_uses", *UNVERSIONED)
    with api.open_project(folder) as project:
        for name in ("production", None):
            with pytest.raises(IntegrityError, match="not in it"):
                api.verify(project, name)
        with pytest.raises(IntegrityError):
            api.promote(project, made.digest, "staging")


def dataset(size: int) -> Dataset:
    return Dataset(name="d", kind="documents", items="0" * 64, size=size)


def test_a_clock_that_was_set_back_changes_no_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(f"{year}-01-01T00:00:00.000000Z" for year in range(2030, 1990, -1))
    monkeypatch.setattr(catalog_module, "now", lambda: next(clock))
    catalog: Catalog = Store(tmp_path).catalog
    for n in range(3):
        catalog.put("dataset", "d", dataset(n))
        catalog.add_key(f"k{n}", "ada", "hash")
        catalog.promote("p", f"r{n}", by="ada", why="")
    assert [found.size for _, found in catalog.list("dataset", Dataset, "d")] == [2, 1, 0]
    assert [key["id"] for key in catalog.api_keys()] == ["k0", "k1", "k2"]
    assert catalog.channels() == {"p": "r2"}
    assert [row["release"] for row in catalog.history()] == ["r2", "r1", "r0"]
    catalog.put("dataset", "d", dataset(0))  # stored again: the newest now
    assert [found.size for _, found in catalog.list("dataset", Dataset, "d")] == [0, 2, 1]
    catalog.verify_history()
