from __future__ import annotations

import csv
import io
import json
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from commands import slipway
from everyday import some
from slipway import api
from slipway.api import open_project
from slipway.core.material import Example
from slipway.testing.projects import write_project

HEAVY = (
    "pydantic", "sqlalchemy", "numpy", "scipy", "fastapi", "uvicorn", "aiohttp", "daft", "pyarrow", "faiss", "tantivy",
    "onnx", "onnxruntime", "xllamacpp", "openvino", "openvino_genai", "gguf", "torch", "jinja2", "yaml", "prometheus_client",
)  # fmt: skip


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_project(tmp_path_factory.mktemp("demo")).parent
    done = slipway("run", "-C", str(folder))
    assert done.returncode == 0, done.stderr
    return folder


def test_help_loads_nothing_heavy_and_is_quick() -> None:
    script = (
        "import sys; from slipway.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "Usage" in done.stdout
    assert done.stderr.strip() == "[]"
    # CPU seconds, not wall time; the aim is 0.4 and this leaves room for a busy machine.
    assert (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime) < 0.8


ROWS = (
    ("data", "list"), ("data", "show", "documents"), ("data", "show", "documents", "--changes"), ("eval", "list"),
    ("eval", "show", "grounded"), ("eval", "--compare", "plain", "grounded"), ("release", "list"),
    ("eval", "--compare", "plain", "grounded", "--weights", "en=1"),
    ("release", "show", "production"), ("release", "verdict"), ("release", "verdict", "--why"), ("gate", "plan"), ("traces", "list"), ("feedback", "list"),
    ("keys", "list"), ("runs",), ("check",), ("models", "pull"), ("store", "stats"), ("store", "gc"), ("store", "verify"),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("command", some(ROWS), ids=" ".join)
def test_what_has_a_table_is_csv_and_markdown_too(ran: Path, command: tuple[str, ...]) -> None:
    done = slipway(*command, "-C", str(ran), "--csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.reader(io.StringIO(done.stdout, newline="")))
    assert rows[0]
    assert {len(row) for row in rows} == {len(rows[0])}
    done = slipway(*command, "-C", str(ran), "--markdown")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


REPORTING = [
    ("data", "list"), ("data", "show", "documents"), ("data", "show", "chunks"), ("data", "show", "examples"),
    ("data", "show", "documents", "--changes"), ("eval", "list"), ("eval", "show", "grounded"),
    ("eval", "--compare", "plain", "grounded"), ("release", "list"), ("release", "show", "production"),
    ("release", "verdict"), ("release", "verify", "production"), ("traces", "list"), ("feedback", "list"),
    ("keys", "list"), ("runs",), ("check",), ("run",), ("ask", "How much does the keel weigh?"), ("models", "pull"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("command", some(REPORTING, 2), ids=" ".join)
def test_every_report_is_a_table_for_people_and_json_for_programs(ran: Path, command: tuple[str, ...]) -> None:
    shown = slipway(*command, "-C", str(ran))
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.strip()
    plain = slipway(*command, "-C", str(ran), "--json")
    assert plain.returncode == 0, plain.stderr
    json.loads(plain.stdout)


BAD: dict[str, tuple[tuple[str, ...], int, str]] = {
    "no command": (("nonsense",), 2, "No such command 'nonsense'"),
    "no option": (("run", "--bogus"), 2, "No such option: --bogus"),
    "no stage": (("run", "dta"), 2, "did you mean 'data'"),
    "bad set": (("run", "--set", "nonsense"), 2, "not key=value"),
    "bad set key": (("run", "--set", "gate.token_f1.mim=1"), 2, "did you mean 'min'"),
    "bad limit": (("runs", "-n", "0"), 2, "greater than or equal to 1"),
    "no project": (("run", "-C", "/"), 2, "slipway init"),
    "project is no folder": (("run", "-C", "/nonexistent/place"), 2, "slipway init"),
    "no template": (("init", "/nonexistent/x", "--template", "nope"), 2, "known: small"),
    "init cannot write": (("init", "/proc/nope"), 2, "cannot be written"),
    "no dataset": (("data", "show", "documnets"), 2, "known: chunks, documents, examples"),
    "no such version": (("data", "show", "documents~7"), 2, "has only 1 version"),
    "datasets of two kinds": (("data", "diff", "documents", "chunks"), 2, "same kind"),
    "no model": (("models", "show", "nope"), 2, "nope"),
    "no model to remove": (("models", "rm", "nope"), 2, "nope"),
    "no report": (("eval", "show", "nope"), 2, "no report of 'nope'"),
    "no candidate": (("eval", "--compare", "plian", "grounded"), 2, "did you mean 'plain'"),
    "no split": (("eval", "--compare", "plain", "grounded", "--split", "train"), 2, "not dev or gate"),
    "no metric": (("eval", "--compare", "plain", "grounded", "--metric", "tokenf1"), 2, "did you mean 'token_f1'"),
    "no shares": (("eval", "--compare", "plain", "grounded", "--weights", "zh"), 2, "no list of shares"),
    "no number": (("eval", "--compare", "plain", "grounded", "--weights", "en=nan"), 2, "no list of shares"),
    "no such part": (("eval", "--compare", "plain", "grounded", "--weights", "zh=1"), 2, "'en', which has no weight"),
    "nothing to adjust by": (
        ("eval", "--compare", "plain", "grounded", "--adjust", "length"),
        2,
        "without a reference",
    ),
    "no judge": (("eval", "--compare", "plain", "grounded", "--judge", "tokenf1"), 2, "did you mean 'token_f1'"),
    "no release": (("release", "show", "prodction"), 2, "did you mean 'production'"),
    "no digest": (("release", "verify", "0123456789abcdef"), 2, "no single release"),
    "nothing to roll back": (("release", "rollback"), 2, "no release before"),
    "no channel to roll back": (("release", "rollback", "--channel", "staging"), 2, "no channel is called 'staging'"),
    "no trace": (("traces", "show", "nope"), 2, "x-slipway-trace"),
    "export over a file": (("traces", "export", "/dev/null"), 2, "cannot be written"),
    "no key": (("keys", "revoke", "nope"), 2, "no key in force"),
    "empty question": (("ask", " "), 2, "no 'question'"),
    "no candidate to ask": (("ask", "hi", "--candidate", "nope"), 2, "has not been made"),
    "gate says no": (("run", "--set", "gate.token_f1.min=0.99"), 1, ""),
    "two outputs": (("data", "list", "--json", "--csv"), 2, "--json, --csv were asked for"),
    "no table": (("release", "verify", "--csv"), 2, "No such option: --csv"),
    "bad language": (("--lang", "xx", "--help"), 2, "en, zh"),
}


@pytest.mark.parametrize(("command", "code", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_gets_words_and_an_exit_code(ran: Path, command: tuple[str, ...], code: int, message: str) -> None:
    here = () if {"-C", "init", "--help"} & set(command) or command[0] in ("models", "nonsense") else ("-C", str(ran))
    done = slipway(*command, *here)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "a defect in Slipway" not in done.stderr


def test_an_api_key_is_shown_once_and_can_be_revoked(ran: Path) -> None:
    made = slipway("keys", "create", "ada", "-C", str(ran))
    secret = made.stdout.strip()
    assert secret.startswith("sk-slipway-")
    listed = slipway("keys", "list", "--json", "-C", str(ran))
    assert secret not in listed.stdout
    assert secret.encode() not in (ran / ".slipway" / "catalog.db").read_bytes()
    key = next(k for k in json.loads(listed.stdout) if k["name"] == "ada")
    assert slipway("keys", "revoke", key["id"], "-C", str(ran)).returncode == 0
    assert slipway("keys", "revoke", key["id"], "-C", str(ran)).returncode == 2


def dev_inputs(folder: Path) -> set[str]:
    with open_project(folder) as opened:
        rows = api.items(opened, api.find(opened, "dataset", "examples"))
        return {row.text for row in rows if isinstance(row, Example) and row.split == "dev"}


def test_from_init_to_an_answer_over_http(tmp_path: Path) -> None:
    """`slipway up --once` on the echo project: run, serve, ask, stop."""
    folder = write_project(tmp_path / "demo").parent
    done = slipway("up", str(folder), "--once")
    assert done.returncode == 0, done.stderr
    assert "trace:" in done.stdout
    assert "docs/" in done.stdout
    asked = next(line.removeprefix("input: ") for line in done.stdout.splitlines() if line.startswith("input: "))
    assert asked in dev_inputs(folder)  # an example of the gate would come back as a trace
    assert "expected: " in done.stdout
    traces = json.loads(slipway("traces", "list", "--json", "-C", str(folder)).stdout)
    assert [trace["status"] for trace in traces] == [200]
    exported = tmp_path / "traces.jsonl"
    assert slipway("traces", "export", str(exported), "-C", str(folder)).returncode == 0
    assert json.loads(exported.read_text())["trace"]["id"] == traces[0]["id"]
    shown = slipway("traces", "show", traces[0]["id"], "-C", str(folder))
    assert traces[0]["id"] in shown.stdout


@pytest.mark.slow
def test_ctrl_c_is_safe(tmp_path: Path) -> None:
    import signal
    import time

    folder = write_project(tmp_path / "demo").parent
    command = [sys.executable, "-m", "slipway", "run", "-C", str(folder), "--set", "models.writer.token_delay=0.05"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    hears = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore Ctrl-C
    with subprocess.Popen(command, preexec_fn=hears, **pipes) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if "index" in line:
                break
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
        assert child.returncode == 130, err
        assert "run the same command again" in err
    assert slipway("run", "-C", str(folder)).returncode == 0
