"""What users, documents, models and other servers said is shown by every command, and acts on no terminal."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

import commands
from everyday import some
from slipway import cli
from slipway.cli import terminal
from slipway.cli.progress import Bars
from slipway.core.answer import Answer, Citation
from slipway.core.run import Run
from slipway.core.trace import Feedback, Trace
from slipway.errors import ConfigError
from slipway.store.store import Store
from slipway.testing.projects import FILE, write_project

EVIL = (
    "\x1b[2J\x1b]52;c;ZXZpbA==\x07\x1b]8;;http://evil.example\x1b\\link\x9b31m\x85\u202eforged\u2066\u200f\u2028"
    " [red]markup[/red] [link=http://evil.example]x[/link] :skull: \nslipway: forged line\r\tend"
)
NAME = "evil\x1b[31m\u202e[red]\nforged.md"


def acting(shown: str) -> list[str]:
    return [c for c in shown if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


def slipway(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return commands.slipway(*arguments, **{"COLUMNS": "400"} | environment)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has been run, with hostile text in every field that others can write."""
    folder = tmp_path_factory.mktemp("hostile")
    reply = json.dumps(EVIL)
    write_project(folder, FILE.replace("{engine: echo}", f"{{engine: echo, reply: {reply}}}").replace("0.05", "0"))
    (folder / "docs" / NAME).write_text(f"# {EVIL}\n\nSome text of a document {EVIL} that is long enough.\n", "utf-8")
    asked = {"question": EVIL, "answer": EVIL, "language": "en", "id": "q-evil"}
    with (folder / "questions.jsonl").open("a") as file:
        file.write(json.dumps(asked) + "\n")
    done = slipway("run", "-C", str(folder))
    assert done.returncode in (0, 1), done.stderr
    store = Store(folder / ".slipway")
    passage = Citation(chunk="0" * 64, source=NAME, path=(EVIL,), start=0, end=1, text=EVIL, score=0.5)
    answer = Answer(text=EVIL, raw=EVIL, citations=(passage,), error="")
    store.catalog.add_traces(
        [
            Trace(id=f"{n:032x}", at=EVIL, endpoint=EVIL, channel=EVIL, release=EVIL, status=status, key=EVIL,
                  request={EVIL: EVIL}, answer=answer if status == 200 else None, error=EVIL)
            for n, status in enumerate((200, 502))
        ],
        [Feedback(id="f", trace="0" * 32, at=EVIL, thumb="down", correction=EVIL, comment=EVIL, by=EVIL)],
    )  # fmt: skip
    store.catalog.add_key(EVIL, EVIL, "0" * 64)
    store.catalog.record(Run(id="r", step=EVIL, key=EVIL, inputs=(), status="failed", started=EVIL, error=EVIL))
    for digest in store.catalog.channels().values():
        store.catalog.promote("production", digest, by=EVIL, why=EVIL)
    store.close()
    return folder


COMMANDS = [
    ("data", "list"), ("data", "show", "documents"), ("data", "show", "chunks"), ("data", "show", "examples"),
    ("data", "show", "documents", "--changes"), ("data", "show", "examples", "--changes"), ("eval", "list"),
    ("eval", "show", "grounded"), ("eval", "show", "plain"), ("eval", "--compare", "plain", "grounded"), ("release", "list"),
    ("release", "show", "production"), ("release", "verdict"), ("traces", "list"), ("traces", "show", "0" * 32),
    ("traces", "show", f"{1:032x}"), ("feedback", "list"), ("keys", "list"), ("runs",), ("check",), ("run",),
    ("ask", EVIL.replace("\x1b", "")), ("traces", "show", EVIL), ("data", "show", EVIL), ("release", "promote", EVIL), ("keys", "revoke", EVIL),
    ("run", EVIL), ("run", "--set", EVIL), (EVIL,), ("--lang", EVIL),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("command", some(COMMANDS, 2), ids=lambda c: ascii(" ".join(c))[:40])
def test_no_command_prints_what_acts(hostile: Path, command: tuple[str, ...]) -> None:
    place = ["-C", str(hostile)] if len(command) > 1 or command[0] in ("runs", "check", "run") else []
    for more in ([], ["--json"]):
        done = slipway(*command, *place, *more)
        said = done.stdout + done.stderr
        assert "Traceback" not in said
        assert not acting(said), ascii(said)
        # No line of foreign text stands at the margin, where ours stand; an answer to `ask` keeps its lines, first of all.
        assert command[0] == "ask" or not [
            line for line in said.splitlines() if line.startswith(("slipway: forged", "forged"))
        ]
        if more and done.returncode == 0 and command[0] not in ("release",):
            json.loads(done.stdout)


def test_markup_is_shown_and_not_obeyed(hostile: Path) -> None:
    shown = slipway("feedback", "list", "-C", str(hostile), COLUMNS="400").stdout
    assert "[red]markup[/red]" in shown
    assert "[link=http://evil.example]" in shown
    assert ":skull:" in shown
    assert "\\x1b[2J" in shown
    assert "\\u202eforged" in shown


def test_json_keeps_what_was_said(hostile: Path) -> None:
    found = json.loads(slipway("feedback", "list", "--json", "-C", str(hostile)).stdout)
    assert found[0]["comment"] == EVIL


def test_errors_keep_to_their_margin(capfd: pytest.CaptureFixture[str]) -> None:
    error = ConfigError(f"upstream said {EVIL}", EVIL)
    terminal.failed(error.message, error.hint)
    shown = capfd.readouterr().err
    assert not acting(shown)
    assert [line[:8] for line in shown.splitlines()].count("slipway:") == 1


def test_what_libraries_log_is_text_too() -> None:
    script = (
        "import logging, sys, warnings; from slipway.cli import terminal; terminal.catch_logs()\n"
        "logging.getLogger('any').warning(sys.argv[1]); warnings.warn(sys.argv[1])"
    )
    done = subprocess.run([sys.executable, "-c", script, EVIL], capture_output=True, check=True)
    assert done.stderr.decode().count("markup") == 2
    assert not acting(done.stderr.decode())


def test_bars_show_names_and_lines_as_text() -> None:
    from rich.console import Console

    bars = Bars()
    bars._bars.live.console = console = Console(file=io.StringIO(), force_terminal=False, width=300)
    with bars:
        bars.step(EVIL, "running")
        bars.progress(EVIL, 1, 2)
        bars.say(EVIL)
        bars.step(EVIL, "done", 1.0)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "[red]markup[/red]" in shown
    assert not acting(shown)


def test_the_command_line_prints_in_one_place_only() -> None:
    """Whatever else in cli/ prints, echoes, or takes hold of a stream or a console would go around `terminal`."""
    found: list[str] = []
    for path in sorted(Path(cli.__file__).parent.rglob("*.py")):
        if path.name == "terminal.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            text = ast.unparse(node) if isinstance(node, ast.Call | ast.Attribute | ast.ImportFrom) else ""
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called in ("print", "typer.echo", "typer.secho", "Console", "os.write") or text.endswith(".write"):
                found.append(f"{path.name}: {text}")
    assert found == ["progress.py: Console(stderr=True)"]
