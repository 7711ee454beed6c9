"""Under --lang zh nobody is told an English sentence: no help, no report, no error."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from commands import slipway
from everyday import some

SENTENCE = re.compile(r"(?:\b[A-Za-z][a-z']*[ ,]+){2,}[A-Za-z][a-z']+")
CODE = re.compile(r"`[^`]*`|：[\w, ]+$|slipway( [a-z]+)+|--[a-z-]+")
OWN = re.compile(r"painted|weighs|weigh|shade|tonnes|Answer briefly")  # what the project itself says, in English


def english(text: str) -> list[str]:
    lines = (line for line in text.splitlines() if not OWN.search(line))
    return [line for line in lines if SENTENCE.search(CODE.sub("", re.sub(r"\s{2,}", "|", line)))]


ALL_HELP = """
import io, contextlib
from slipway.i18n import set_language
set_language("zh")
from slipway.cli import translation
translation.adopt()
from slipway.cli.main import run
import typer.main
from slipway.cli.app import app

def walk(command, path=()):
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, (*path, name))

for path in walk(typer.main.get_command(app)):
    print("#", " ".join(path), flush=True)
    run([*path, "--help"])
run(["nonsense"])
"""


@pytest.mark.slow
def test_every_help_is_chinese() -> None:
    """In one process of its own: help texts are made when the commands are imported."""
    done = subprocess.run(
        [sys.executable, "-c", ALL_HELP], capture_output=True, encoding="utf-8", timeout=120, check=True,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert done.stdout.count("#") > 40
    assert done.stdout.count("--help") > 40
    assert english(done.stdout + done.stderr) == []


REPORTS = [
    ("check",), ("run",), ("data", "list"), ("eval", "list"), ("eval", "--compare", "plain", "grounded"), ("gate", "plan"),
    ("gate", "looks"), ("release", "list"), ("release", "verdict"), ("release", "verdict", "--why"), ("store", "verify"),
    ("release", "verify", "production"), ("store", "stats"), ("traces", "list"), ("feedback", "list"), ("runs",),
]  # fmt: skip
WRONG = [
    ("run", "--bogus"), ("runs", "-n", "0"), ("runs", "-n", "x"), ("data", "show"), ("data", "show", "a", "b"),
    ("traces", "list", "--thumb", "upp"), ("traces", "list", "--slow"), ("traces", "list", "--slow", "x"),
    ("traces", "list", "--since", "soon"), ("traces", "export", "/nonexistent/x"), ("run", "dta"), ("keys", "create"),
    ("release", "show", "zzz"), ("check", "--set", "release.prefer=x"), ("check", "--set", "evaluate.metrics=[tokn]"),
    ("init", "/proc/x"), ("release", "verdict", "--export", "/proc/a/b"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("command", some(REPORTS, 2), ids=" ".join)
def test_every_report_is_chinese(ran: Path, command: tuple[str, ...]) -> None:
    done = slipway("--lang", "zh", *command, "-C", str(ran), COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert english(done.stdout + done.stderr) == []


@pytest.mark.slow
def test_every_error_is_chinese(ran: Path) -> None:
    for command in WRONG:
        here = () if command[0] == "init" else ("-C", str(ran))
        done = slipway("--lang", "zh", *command, *here)
        assert done.returncode == 2, (command, done.stderr)
        assert english(done.stderr) == [], command
