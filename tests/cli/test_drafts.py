"""`slipway data draft`, `data review` at a terminal and without one, and `data import`, as a person uses them."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
import unicodedata
from pathlib import Path

import msgspec
import pytest

from commands import slipway
from slipway import api
from slipway.cli import reviewing
from slipway.data.drafts import file
from slipway.data.drafts.draft import Draft
from slipway.testing.projects import write_project

EVIL = "\x1b[2J\x1b]52;c;ZXZpbA==\x07\u202eforged [red]x[/red]\x9b31m"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_project(tmp_path)
    for n in range(4):
        text = f"# Part {n}\n\nA gadget{n} is a small part of the large machine.\n"
        (tmp_path / "docs" / f"{n}.md").write_text(text, "utf-8")
    return tmp_path


def statuses(folder: Path) -> list[str]:
    return [draft.status for draft in file.load(folder / "drafts" / "questions.jsonl")]


@pytest.mark.slow
def test_from_documents_to_examples_by_a_sheet(folder: Path) -> None:
    done = slipway("data", "draft", "-n", "3", "-C", str(folder), "--json")
    assert done.returncode == 0, done.stderr
    assert [one["rule"] for one in json.loads(done.stdout)["new"]] == ["definition"] * 3
    done = slipway("data", "review", "-C", str(folder))
    assert done.returncode == 2
    assert "--csv" in done.stderr
    path = folder / "s.csv"
    done = slipway("data", "review", "--csv", str(path), "-C", str(folder))
    assert done.returncode == 0, done.stderr
    assert slipway("data", "review", "--csv", str(path), "-C", str(folder)).returncode == 2  # never overwritten
    text = path.read_text("utf-8-sig").replace('","","What', '","accept","What', 2)
    path.write_text(text.replace('","","What', '","perhaps","What'), "utf-8")
    done = slipway("data", "review", "--from", str(path), "-C", str(folder))
    assert done.returncode == 2
    assert "perhaps" in done.stdout
    assert sorted(statuses(folder)) == ["accepted", "accepted", "proposed"]
    rows = [json.loads(line) for line in (folder / "questions.jsonl").read_text("utf-8").splitlines()]
    assert [row["drafted"]["rule"] for row in rows if "drafted" in row] == ["definition"] * 2
    assert slipway("run", "data", "-C", str(folder)).returncode == 0


def keys_for(folder: Path, pressed: str, lines: list[str]) -> None:
    with api.open_project(folder) as project:
        review = api.review(project)
        keys = iter(pressed)
        reviewing.ask(review, lambda: next(keys), lambda label, text: lines.pop(0))
        review.settle()


@pytest.mark.slow
def test_each_key_does_what_it_says_and_a_review_goes_on_where_it_stopped(folder: Path) -> None:
    assert slipway("data", "draft", "-C", str(folder)).returncode == 0
    keys_for(folder, "axrsq", [])
    assert statuses(folder) == ["accepted", "refused", "proposed", "proposed"]
    keys_for(folder, "rueq", ["What is it?", "a part"])
    assert statuses(folder) == ["accepted", "refused", "fixed", "proposed"]
    keys_for(folder, "e\x04", ["What is it?", " "])
    assert statuses(folder) == ["accepted", "refused", "fixed", "proposed"]
    rows = (folder / "questions.jsonl").read_text("utf-8")
    assert rows.count('"drafted"') == 2
    assert '"What is it?"' in rows


def at_terminal(folder: Path, talk: list[tuple[str, str]]) -> str:
    """What is shown while each text is answered with keys once it has come."""
    main, end = pty.openpty()
    fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    command = [sys.executable, "-m", "slipway", "data", "review", "-C", str(folder)]
    environment = {**os.environ, "SLIPWAY_LANG": "en", "TERM": "dumb"}
    process = subprocess.Popen(command, stdin=end, stdout=end, stderr=end, env=environment)
    os.close(end)
    shown = b""
    seen = 0
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([main], [], [], 0.2)[0]:
            try:
                shown += os.read(main, 65536)
            except OSError:  # the other side has closed
                break
        at = shown.find(talk[0][0].encode(), seen) if talk else -1
        if at >= 0:
            seen = at + len(talk[0][0])
            os.write(main, talk.pop(0)[1].encode())
    assert process.wait(20) == 0
    os.close(main)
    return shown.decode()


@pytest.mark.slow
def test_a_draft_is_edited_in_sight_and_keys_work_again_after_it(folder: Path) -> None:
    assert slipway("data", "draft", "-n", "2", "-C", str(folder)).returncode == 0
    before = file.load(folder / "drafts" / "questions.jsonl")[0]
    text = at_terminal(
        folder, [("quit", "e"), (f"question: {before.question}", " Really?\n"), (f"answer: {before.answer}", "\n"),
                 ("quit", "q")]
    )  # fmt: skip
    after = file.load(folder / "drafts" / "questions.jsonl")[0]
    assert (after.status, after.question, after.answer) == ("fixed", f"{before.question} Really?", before.answer)
    assert "Really?" in text


@pytest.mark.slow
def test_at_a_terminal_one_key_is_enough_and_hostile_text_does_not_act(folder: Path) -> None:
    hostile = Draft(
        id="1", question=f"What is {EVIL}?", answer=EVIL, source=f"a#{EVIL}", language="en", rule=EVIL, document="d",
        passage=f"{EVIL}\nslipway: forged line",
    )  # fmt: skip
    file.save(folder / "drafts" / "questions.jsonl", [hostile, msgspec.structs.replace(hostile, id="2")])
    text = at_terminal(folder, [("quit", "a"), ("[2/2]", ""), ("quit", "r")])
    assert statuses(folder) == ["accepted", "refused"]
    assert "\\x1b[2J" in text
    acting = {c for c in text if c not in "\r\n" and unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")}
    assert acting == set()
    assert not any(line.startswith("slipway: forged") for line in text.splitlines())


def test_an_import_tells_what_it_took_and_fails_when_it_took_nothing(folder: Path) -> None:
    path = folder / "evals.jsonl"
    path.write_text('{"input": "What is a keel?", "ideal": "a beam"}\n{"input": "x"}\n' + "{half\n", "utf-8")
    done = slipway("data", "import", "auto", str(path), "-C", str(folder), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["format"], found["imported"], [one["row"] for one in found["skipped"]]) == (
        "openai-evals", 1, ["line 2", "line 3"]
    )  # fmt: skip
    assert json.loads((folder / "evals" / "evals.jsonl").read_text("utf-8")) == {
        "question": "What is a keel?",
        "answer": "a beam",
    }
    out = folder / "none.jsonl"
    done = slipway("data", "import", "squad", str(path), "--out", str(out), "-C", str(folder))
    assert done.returncode == 4
    assert not out.exists()
    done = slipway("data", "import", "promptfo", str(path), "-C", str(folder))
    assert (done.returncode, "promptfoo" in done.stderr) == (2, True)
    done = slipway("data", "import", "auto", str(path), "--map", "question", "-C", str(folder))
    assert done.returncode == 2
    done = slipway("data", "import", "auto", str(folder / "nothing.json"), "-C", str(folder))
    assert done.returncode == 2


def test_review_without_drafts_says_what_to_do(folder: Path) -> None:
    done = slipway("data", "review", "-C", str(folder))
    assert done.returncode == 0
    assert "slipway data draft" in done.stdout
