"""The server's log: one JSON object a line with documented fields, whatever is logged."""

from __future__ import annotations

import json
import logging
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from served import child
from slipway.core.spans import Followed, answering, following, span
from slipway.serve.logs import LONGEST, JsonFormatter

HOSTILE = [
    'x\n{"at": "2026-01-01", "level": "info", "message": "all is well"}', "\r\nX: y", "\x1b[2J\x1b]0;owned\x07", "\u202egnp.exe",
    "\u2028\u2029\u0085", "\x00\x7f\x9b31m", "\ud800", '"},{"a":"', "%s %d", "\u2066\u2069\u200f",
]  # fmt: skip


def line(message: str = "hello", *args: Any, error: BaseException | None = None, **extra: Any) -> str:
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("slipway.serve", logging.WARNING, __file__, 1, message, args, info)
    record.__dict__.update(extra)
    return JsonFormatter().format(record)


def test_the_fields() -> None:
    found = json.loads(line(channel="production", seconds=1.5))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("at"))
    assert found == {
        "level": "warning", "logger": "slipway.serve", "message": "hello", "channel": "production", "seconds": 1.5
    }  # fmt: skip


def test_a_line_of_a_request_has_its_trace_and_the_part_at_work() -> None:
    followed = Followed("ab" * 16)
    with following(followed):
        assert json.loads(line())["span"] == followed.id
        with span("part") as part, part.inside():
            inner = json.loads(line())
    assert inner["trace"] == "ab" * 16
    assert inner["span"] == followed.spans[0].id != followed.id
    assert "trace" not in json.loads(line())


async def test_the_trace_is_there_without_telemetry_too() -> None:
    answering("cd" * 16)
    found = json.loads(line())
    assert found["trace"] == "cd" * 16
    assert "span" not in found
    assert json.loads(line(trace="ef" * 16))["trace"] == "ef" * 16


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("where", ["message", "extra", "key", "error", "argument"])
def test_nothing_ends_a_line_or_acts_on_a_terminal(text: str, where: str) -> None:
    made = {
        "message": lambda: line(text.replace("%", "%%") if where == "argument" else text),
        "extra": lambda: line(path=text, nested={"a": [text]}),
        "key": lambda: line(**{text: 1}),
        "error": lambda: line(error=ValueError(text)),
        "argument": lambda: line("said %s", text),
    }[where]()
    json.loads(made)
    assert len(made.splitlines()) == 1
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", made)


def test_what_we_say_is_not_overwritten_by_what_is_logged_besides() -> None:
    found = json.loads(line(level="info", at="never", logger="mine"))
    assert (found["level"], found["logger"]) == ("warning", "slipway.serve")
    assert found["at"] != "never"


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("args", [("%d", "x"), ("%s %s", "one"), ("%s", Broken())])
def test_a_record_that_cannot_be_written_becomes_a_line_that_says_so(args: tuple[Any, ...]) -> None:
    found = json.loads(line(*args))
    assert found["message"] == "a log record could not be written"
    assert found["level"] == "warning"


def test_numbers_are_json_and_long_texts_are_cut() -> None:
    found = json.loads(
        line(a=float("nan"), b=float("-inf"), c=b"bytes", d={1, 2}, e="x" * 1_000_000), parse_constant=pytest.fail
    )
    assert found["a"] == "NaN"
    assert len(found["e"]) == LONGEST + 1


def test_personal_data_in_what_others_said_is_masked() -> None:
    try:
        raise ValueError("cannot read the mail of zacharias@example.org")
    except ValueError:
        error = sys.exception()
    made = line(error=error, why="zacharias@example.org is no number")
    assert "zacharias@example.org" not in made
    assert "ValueError" in made


def test_a_server_that_runs_writes_nothing_but_such_lines(tmp_path: Path) -> None:
    with child(tmp_path, environment={"PATH": "/usr/bin:/bin"}, config={"host": "127.0.0.1"}) as (process, client):
        client.until()
        client.chat("\x1b[31m\nhello\u202e", "no\nsuch\x1bmodel")
        client.send("POST", "/v1/feedback%1b%0a", b"{")
        process.send_signal(15)
        assert process.stderr is not None  # type: ignore[union-attr]
        said = process.stderr.read().decode()  # type: ignore[union-attr]
    lines = said.splitlines()
    assert len(lines) >= 3
    for text in lines:
        assert {"at", "level", "logger", "message"} <= json.loads(text).keys()
    assert "hello" not in said
