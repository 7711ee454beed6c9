from __future__ import annotations

import socket
from pathlib import Path

import pytest

from slipway import api
from slipway.testing.projects import write_project


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_project(tmp_path).parent


def errors(folder: Path, *overrides: str) -> str:
    return "\n".join(f"{f.what} {f.how}" for f in api.check(folder, overrides) if f.level == "error")


def test_a_sound_project_has_no_errors(folder: Path) -> None:
    assert errors(folder) == ""


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("gate.tokn_f1.min=0.1",), "did you mean 'token_f1'"),
        (("models.writer.dealy=1",), "dealy"),
        (("models.writer.engine=ecko",), "did you mean 'echo'"),
        (("candidates.plain.prompt=nope.md",), "nope.md"),
        (('data.documents=[{"path": "dosc/*.md"}]',), "dosc"),
        (("data.examples=[]",), "no examples"),
        (("gate={}",), "no gate"),
        (("models.writer.source=pypy:x==1",), "pypy"),
    ],
)
def test_each_problem_is_found_before_a_run(folder: Path, overrides: tuple[str, ...], message: str) -> None:
    assert message in errors(folder, *overrides)


def test_a_broken_template_is_found(folder: Path) -> None:
    (folder / "plain.md").write_text("{{ qestion }}")
    assert "did you mean 'question'" in errors(folder)


def test_a_taken_port_is_a_warning(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = api.check(folder, [f"serve.port={port}"])
    assert any(f.level == "warning" and str(port) in f.what for f in found)
