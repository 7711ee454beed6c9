"""Damage is found by a run and made good, or told; what is damaged is named, with the way to make it again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from commands import slipway
from slipway import api
from slipway.core.ref import digest_bytes
from slipway.errors import IntegrityError
from slipway.loop.context import Context


def damage(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def pinned(project: Context, what: str) -> Path:
    return project.store.blobs.path(api.find(project, "release", "production").pins[what])


@pytest.mark.parametrize(
    ("what", "step"), [("blob:chunks", "chunks"), ("blob:examples", "examples"), ("blob:scores", "evaluate:")]
)
@pytest.mark.parametrize("how", ["missing", "changed"])
def test_a_run_makes_damaged_blobs_again(ran: Path, what: str, step: str, how: str) -> None:
    with api.open_project(ran) as project:
        path = pinned(project, what)
        damage(path) if how == "changed" else path.unlink()
        outcome = api.run(project)
        assert [name for name in outcome.ran if name.startswith(step)], outcome.ran
        assert not outcome.damage
        assert digest_bytes(path.read_bytes()) == path.name
        api.verify(project, "production")
        assert api.run(project).ran == []


@pytest.mark.parametrize("how", ["missing", "changed"])
def test_a_run_makes_damaged_indexes_again(ran: Path, how: str) -> None:
    (folder,) = (ran / ".slipway" / "cache").glob("index-*")
    file = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    damage(file) if how == "changed" else shutil.rmtree(folder)
    with api.open_project(ran) as project:
        assert api.run(project).ran == ["index:words"]
        assert api.run(project).ran == []


@pytest.mark.slow
def test_a_run_tells_of_damage_that_it_cannot_repair(ran: Path) -> None:
    """What serves was made of documents that are not there any more."""
    with api.open_project(ran) as project:
        lost = pinned(project, "blob:chunks")
    (ran / "docs" / "keel.md").write_text("# The keel\n\n## Weight\n\nNobody weighed it.\n", "utf-8")
    assert slipway("run", "-C", str(ran), "--set", "release.promote=false").returncode == 0
    damage(lost)
    done = slipway("run", "-C", str(ran), "--set", "release.promote=false")
    assert done.returncode == 4, done.stdout
    assert "production is damaged" in done.stdout
    assert "passages" in done.stdout
    assert "up to date" not in done.stdout
    told = json.loads(slipway("run", "-C", str(ran), "--set", "release.promote=false", "--json").stdout)["damage"]
    assert told[0]["channel"] == "production"
    assert "slipway run data" in told[0]["how"]


def test_promoting_what_is_there_verifies_it(ran: Path) -> None:
    done = slipway("release", "promote", "production", "-C", str(ran))
    assert done.returncode == 0
    assert "already points there" in done.stdout
    assert "every byte" in done.stdout
    with api.open_project(ran) as project:
        damage(pinned(project, "blob:scores"))
        with pytest.raises(IntegrityError, match="scores"):
            api.promote(project, "production")
    assert slipway("release", "promote", "production", "-C", str(ran)).returncode == 4


@pytest.mark.parametrize(("what", "words", "command"), [
    ("blob:chunks", "passages", "slipway run data"), ("blob:examples", "examples", "slipway run data"),
    ("blob:scores", "scores", "slipway run release"),
])  # fmt: skip
@pytest.mark.parametrize("how", ["missing", "changed"])
def test_verify_names_what_is_damaged_and_how_it_is_made_again(
    ran: Path, what: str, words: str, command: str, how: str
) -> None:
    with api.open_project(ran) as project:
        path = pinned(project, what)
        damage(path) if how == "changed" else path.unlink()
        with pytest.raises(IntegrityError, match=words) as caught:
            api.verify(project, "production")
        assert caught.value.exit_code == 4
        assert command in caught.value.hint
        (problem,) = api.store_verify(project).problems
        assert ("dataset:" if "run data" in command else "report:") in problem.what
        assert command in problem.how


def test_verify_says_when_nothing_points_at_a_damaged_blob(ran: Path) -> None:
    with api.open_project(ran) as project:
        damage(project.store.blobs.path(project.store.blobs.put(b"left over")))
        (problem,) = api.store_verify(project).problems
        assert "slipway store gc" in problem.how


def test_a_noun_that_was_altered_is_made_good(ran: Path) -> None:
    from sqlalchemy import update

    from slipway.store import tables

    with api.open_project(ran) as project:
        nouns = tables.nouns
        change = update(nouns).where(nouns.c.kind == "dataset", nouns.c.name == "chunks").values(body=b"{}")
        with project.store.catalog.engine.begin() as connection:
            connection.execute(change)
        assert "chunks" in api.run(project).ran
        assert api.store_verify(project).sound
