"""Which change of the code runs which steps again: a copy of the package is changed, and the whole command is run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import slipway
from slipway.testing.projects import FILE, write_project

MINE = """
from pydantic import BaseModel
from . import share

class Mine:
    class Config(BaseModel):
        pass
    higher_is_better = True
    def __init__(self, config): pass
    def score(self, example, answer): return share.SHARE
"""


class Copy:
    """A copy of the package, and a project that is run with it."""

    def __init__(self, folder: Path) -> None:
        self.site = folder / "site"
        shutil.copytree(
            Path(slipway.__file__).parent, self.site / "slipway", ignore=shutil.ignore_patterns("__pycache__")
        )
        text = FILE.replace("retrieval_recall]", "./my.py:Mine, theirs]").replace(
            "writer: {engine: echo}", "writer: {engine: echo}\n  other: {engine: replay, path: none.jsonl}"
        )
        self.project = write_project(folder / "demo", text).parent
        (self.project / "my.py").write_text(MINE)
        (self.project / "share.py").write_text("SHARE = 0.5\n")
        (self.site / "theirs.py").write_text(MINE.replace("from . import share", "").replace("share.SHARE", "0.5"))
        self.install("1.0")

    def install(self, version: str) -> None:
        for old in self.site.glob("theirs-*.dist-info"):
            shutil.rmtree(old)
        info = self.site / f"theirs-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: theirs\nVersion: {version}\n")
        (info / "entry_points.txt").write_text("[slipway.scorers]\ntheirs = theirs:Mine\n")

    def add(self, file: str, text: str) -> None:
        with (self.site / "slipway" / file).open("a") as out:
            out.write(f"\n{text}\n")

    def run(self) -> set[str]:
        environment = {**os.environ, "PYTHONPATH": str(self.site)}
        command = [sys.executable, "-m", "slipway", "run", "-C", str(self.project), "--json"]
        done = subprocess.run(command, env=environment, cwd=self.project, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return set(json.loads(done.stdout)["ran"])


DATA = {"documents", "chunks", "examples"}
EVALUATE = {"evaluate:plain:dev", "evaluate:grounded:dev", "evaluate:grounded:gate"}
JUDGED = {"gate:grounded", "release", "promote:production"}


@pytest.mark.slow
def test_a_change_runs_the_steps_that_import_it_and_no_others(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    assert DATA | EVALUATE | {"index:words", "gate:grounded", "release"} <= copy.run()
    copy.add("text/words.py", "# a comment")
    copy.add("builtin/engines/echo.py", '"""A text that nobody reads."""')
    copy.add("builtin/engines/llama/engine.py", "ANOTHER_ENGINE = 1")
    copy.add("builtin/scorers/retrieval.py", "ANOTHER_SCORER = 1")
    copy.add("builtin/indexes/dense.py", "ANOTHER_INDEX = 1")
    copy.add("cli/show.py", "SHOWN = 1")
    assert copy.run() == set()
    copy.add("builtin/engines/echo.py", "THIS_ENGINE = 1")
    ran = copy.run()  # answered again, so with other latencies: the gate judges again
    assert EVALUATE <= ran <= EVALUATE | JUDGED
    copy.add("builtin/scorers/overlap.py", "THIS_SCORER = 1")
    assert copy.run() == EVALUATE
    copy.add("text/words.py", "EVERYWHERE = 1")
    assert {*DATA, "index:words", "gate:grounded", *EVALUATE} <= copy.run()
    copy.add("data/parsing/pdf.py", "ONLY_DOCUMENTS = 1")
    ran = copy.run()
    assert "documents" in ran
    assert not ran & {"chunks", "index:words", "gate:grounded", *EVALUATE}
    copy.add("data/chunks.py", "THESE_CHUNKS = 1")
    assert copy.run() == {"chunks"}  # and the same chunks came out
    copy.install("1.1")
    assert copy.run() == EVALUATE
    (copy.project / "share.py").write_text("SHARE = 0.25\n")
    assert copy.run() >= EVALUATE
    assert copy.run() == set()
