"""Looks at the gate split: what counts, what does not, what they cost, and the ways out when none is left."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import slipway
from everyday import some
from slipway import api
from slipway.core.material import Example
from slipway.core.ref import digest_of
from slipway.errors import ConfigError, GateFailed
from slipway.loop.run import Outcome
from slipway.release.looks import alpha_at
from slipway.store import tables
from slipway.testing.projects import FILE, write_project

RESERVE = FILE.replace("{train: 0.2, dev: 0.4, gate: 0.4,", "{train: 0.1, dev: 0.3, gate: 0.3, reserve: 0.3,")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_project(tmp_path / "demo").parent


def run(folder: Path, *overrides: str) -> Outcome:
    with api.open_project(folder, overrides) as project:
        return api.run(project)


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text("utf-8")), "utf-8")


def another(folder: Path) -> None:
    """Another candidate than any before: `grounded` says something else."""
    edit(folder / "grounded.md", lambda text: "Please. " + text)


def number(outcome: Outcome) -> int:
    assert outcome.verdict is not None
    return outcome.verdict.gate_uses


def shuffle(folder: Path) -> None:
    lines = (folder / "questions.jsonl").read_text().splitlines()
    random.Random(3).shuffle(lines)
    (folder / "questions.jsonl").write_text("\n".join(lines))


def add_example(folder: Path) -> None:
    with (folder / "questions.jsonl").open("a") as file:
        file.write(
            "\n" + json.dumps({"question": "Is it dry?", "answer": "yes", "source": "docs/x.md", "language": "en"})
        )


def examples(folder: Path, split: str) -> list[str]:
    with api.open_project(folder) as project:
        found = api.items(project, api.find(project, "dataset", "examples"))
    return [one.id for one in found if isinstance(one, Example) and one.split == split]


def split_ids(folder: Path, split: str) -> set[str]:
    return set(examples(folder, split))


@pytest.mark.parametrize("change", some({"shuffled": shuffle, "one more": add_example}, 2))
def test_looks_go_with_the_examples_whatever_their_order_and_company(
    folder: Path, change: Callable[[Path], None]
) -> None:
    assert number(run(folder)) == 1
    before = split_ids(folder, "gate")
    change(folder)
    another(folder)
    assert number(run(folder)) == 2
    assert split_ids(folder, "gate") & before
    assert number(run(folder)) == 2


@pytest.mark.slow
def test_each_look_has_less_alpha_and_says_so_before(folder: Path) -> None:
    from slipway.loop.context import Silent

    class Hears(Silent):
        def __init__(self) -> None:
            self.heard: list[str] = []

        def say(self, text: str) -> None:
            self.heard.append(text)

        def step(self, name: str, state: str, seconds: float = 0.0) -> None:
            self.heard.append(f"{name} {state}")

    run(folder)
    another(folder)
    listener = Hears()
    with api.open_project(folder, listener=listener) as project:
        verdict = api.run(project).verdict
        looks = api.gate_looks(project)
    assert verdict is not None
    assert verdict.alpha == alpha_at(looks[:1]) == pytest.approx(0.05 / 6 / 2)
    assert (verdict.looks, len(verdict.sequence)) == (10, 1)
    said = next(
        n for n, text in enumerate(listener.heard) if "look 2 of 10 at these gate examples, at alpha 0.42%" in text
    )
    assert said < listener.heard.index("gate:grounded running")
    assert [look.kind for look in looks] == ["verdict", "verdict"]


def test_the_same_question_again_is_the_same_look(folder: Path) -> None:
    first = run(folder)
    with sqlite3.connect(folder / ".slipway" / "catalog.db") as connection:
        connection.execute("DELETE FROM runs")  # nothing is cached any more
    again = run(folder)
    assert "gate:grounded" in again.ran
    assert again.verdict is not None
    assert first.verdict is not None
    assert (again.verdict.gate_uses, again.verdict.alpha) == (1, first.verdict.alpha)
    assert again.verdict.decision == first.verdict.decision
    assert number(run(folder, "gate.token_f1.min=0.06")) == 2  # another rule is another question


@pytest.mark.slow
def test_answers_that_are_shown_are_a_look_and_once_only(folder: Path) -> None:
    run(folder)
    for _ in range(2):
        shown = slipway("eval", "show", "grounded", "--split", "gate", "-C", str(folder))
        assert shown.returncode == 0, shown.stderr
    assert slipway("eval", "show", "grounded", "-C", str(folder)).returncode == 0
    assert slipway("eval", "list", "-C", str(folder)).returncode == 0  # what the verdict has told already
    with api.open_project(folder) as project:
        assert [look.kind for look in api.gate_looks(project)] == ["verdict", "answers"]
    another(folder)
    assert number(run(folder)) == 3
    listed = slipway("gate", "looks", "-C", str(folder))
    assert "answers were shown" in listed.stdout
    assert "3 of 10 looks" in listed.stdout


@pytest.mark.slow
def test_a_budget_that_is_used_up_refuses_before_anything_is_measured(folder: Path) -> None:
    assert run(folder, "release.looks=1").release is not None
    assert run(folder, "release.looks=1").cached  # the same again is no look
    another(folder)
    with api.open_project(folder, ["release.looks=1"]) as project:
        found = api.run(project)
        assert "looked at 1 time, and release.looks allows 1" in found.refused
        assert "slipway gate rotate" in found.hint
        assert "fresh examples from traffic or labelling" in found.hint
        assert "evaluate:grounded:gate" not in found.ran
        assert found.verdict is None
        with pytest.raises(GateFailed, match="release.looks"):
            api.compare(project, "plain", "grounded", split="gate")
        with pytest.raises(GateFailed, match="release.looks"):
            api.items(project, api.find(project, "report", "grounded", "gate"))
        assert len(api.gate_looks(project)) == 1
    told = slipway("run", "-C", str(folder), "--set", "release.looks=1")
    assert told.returncode == 1
    assert "slipway gate rotate" in told.stdout + told.stderr


@pytest.mark.slow
def test_a_reserve_that_is_rotated_in_begins_anew(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "demo", RESERVE).parent
    assert number(run(folder)) == 1
    old, kept = split_ids(folder, "gate"), split_ids(folder, "reserve")
    assert kept
    another(folder)
    assert number(run(folder)) == 2
    done = slipway("gate", "rotate", "-C", str(folder))
    assert done.returncode == 0, done.stderr
    assert "commit it" in done.stdout
    assert split_ids(folder, "gate") == kept
    assert old <= split_ids(folder, "dev")
    assert split_ids(folder, "reserve") == set()
    another(folder)
    found = run(folder)
    assert found.verdict is not None
    assert (found.verdict.gate_uses, found.verdict.alpha) == (1, 0.025)
    lock = (folder / "slipway.lock").read_text()
    again = slipway("gate", "rotate", "-C", str(folder))
    assert again.returncode == 2
    assert "nothing is in reserve" in again.stderr
    assert (folder / "slipway.lock").read_text() == lock


def test_nothing_in_reserve_is_said(folder: Path) -> None:
    with api.open_project(folder) as project, pytest.raises(ConfigError, match="nothing is in reserve") as caught:
        api.rotate_gate(project)
    assert "data.split.reserve: 0.2" in caught.value.hint
    assert not (folder / "slipway.lock").exists()


@pytest.mark.slow
def test_the_lock_file_splits_alike_elsewhere_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    one, other = (write_project(tmp_path / name, RESERVE).parent for name in ("one", "other"))
    run(one)
    with api.open_project(one) as project:
        api.rotate_gate(project)
    (other / "slipway.lock").write_text((one / "slipway.lock").read_text())
    run(other)
    assert split_ids(one, "gate") == split_ids(other, "gate")
    (other / "slipway.lock").write_text('{"data.split": {"rotated": "x"}}')
    with pytest.raises(ConfigError, match="slipway.lock is damaged"):
        run(other)


@pytest.mark.slow
def test_uses_that_an_older_version_counted_are_looks_at_their_examples(folder: Path) -> None:
    run(folder)
    with api.open_project(folder) as project:
        listed = examples(folder, "gate")
        for split in (digest_of(listed), "0" * 64):  # as `use_gate` wrote it
            row = {"split": split, "candidate": "c", "at": "2025"}
            project.store.catalog._enter(tables.gate_uses, row)  # pyright: ignore[reportPrivateUsage]
    shuffle(folder)  # their list has another digest now; the dataset of then says what they were
    another(folder)
    assert number(run(folder)) == 3
    with api.open_project(folder) as project:
        assert [look.kind for look in api.gate_looks(project)] == ["verdict", "use", "verdict"]


@pytest.mark.slow
def test_two_projects_in_one_store_count_the_examples_they_share(tmp_path: Path) -> None:
    one = write_project(tmp_path / "one").parent
    other = write_project(tmp_path / "other", FILE.replace("name: demo", "name: other")).parent
    assert number(run(one)) == 1
    (other / ".slipway").symlink_to(one / ".slipway")
    another(other)
    assert number(run(other)) == 2
    with api.open_project(other) as project:
        assert [look.project for look in api.gate_looks(project)] == ["demo", "other"]
        project.store.catalog.verify_history()
