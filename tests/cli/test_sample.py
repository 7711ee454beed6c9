"""The command that a server that begins tells people to try."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from commands import slipway
from slipway import api
from slipway.cli.sample import Once, curl


def test_no_answer_is_a_failure(ran: Path) -> None:
    """Whoever runs it in a script must be told."""
    with api.open_project(ran) as project:
        api.create_key(project, "ann")
    done = slipway("up", str(ran), "--once", "--port", "0")
    assert done.returncode == 4
    assert "the server asks for a key" in done.stderr
    assert "slipway keys create" in done.stderr


def test_it_has_a_place_for_the_key_that_the_server_asks_for(ran: Path) -> None:
    with api.open_project(ran) as project:
        assert "Authorization" not in curl(project, "http://127.0.0.1:8080")
        api.create_key(project, "ann")
        words = shlex.split(curl(project, "http://127.0.0.1:8080"))
        assert "Authorization: Bearer KEY" in words


def test_an_answer_that_is_none_is_told(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A classifier under its threshold: nothing stood behind "answer:"."""
    with api.open_project(ran) as project:
        once = Once(project)
    once._show({"choices": [{"message": {"content": ""}}], "slipway": {"abstained": True}}, "t")  # pyright: ignore[reportPrivateUsage]
    assert "answer: it abstained" in capsys.readouterr().out
