"""What a run in another process does, in the console while it does it, and after it was killed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from hosting import context
from test_console import Acting

from commands import forks
from served import Running, serving
from slipway import api
from slipway.loop import at_work
from slipway.loop.context import Context, Silent
from slipway.testing.projects import FILE, write_project

HOSTILE = "<img src=x onerror=alert(1)> \x1b[31m"
TUNER = '''
import time
from pathlib import Path
from typing import ClassVar
from pydantic import BaseModel
from slipway.core.artifact import Made

class Slow:
    """Tells fifty losses, and goes on when a file is there."""
    class Config(BaseModel): pass
    reads: ClassVar = ("train",)
    def __init__(self, config): pass
    def tune(self, job):
        for n in range(1, 51):
            job.progress(n, 200, loss=2 / n)
            time.sleep(0.002)
        while not Path(__file__).with_name("go").exists():
            job.progress(50, 200)
            time.sleep(0.01)
        out = job.folder / "model.json"
        out.write_text("{}")
        return Made(kind="model", files={"model.json": out}, engine="echo", options={"reply": "x"})
'''


def run(folder: str) -> None:
    with api.open_project(folder) as project:
        api.run(project, "adapt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = FILE.replace("candidates:", "candidates:\n  slow: {model: writer, prompt: plain.md, tune: ./tune.py:Slow}")
    found = write_project(tmp_path_factory.mktemp("tuning") / "demo", text).parent
    (found / "tune.py").write_text(TUNER, "utf-8")
    return found


@pytest.fixture(scope="module")
def shown(project: Context) -> Iterator[Running]:
    with serving(context(project)) as found:
        yield found


def until(project: Context, step: str) -> at_work.Seen:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = at_work.seen(project.store.folder)
        if found is not None and found.alive and found.doing.step == step and found.doing.done == 50:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{step} was not seen")


def get(server: Running, path: str, language: str = "en") -> str:
    reply = server.get(f"/console{path}", **{"accept-language": language})
    assert reply.status == 200, (path, reply.body[-500:])
    text = reply.body.decode()
    assert Acting(text).found == []
    return text


@pytest.mark.slow
def test_a_run_of_another_process_is_followed_then_killed_then_done_again(
    folder: Path, project: Context, shown: Running
) -> None:
    child: Any = forks.Process(target=run, args=(str(folder),), daemon=True)
    child.start()
    found = until(project, "tune:slow")
    text = get(shown, "/runs")
    assert "At work" in text
    assert re.search(r"50 / 200, 25%, about \d+ (s|min) left", text), text
    assert re.search(r"steps before.*3 done, 0 unchanged", text, re.DOTALL)
    assert "进行中" in get(shown, "/runs", "zh")
    assert 'data-live="3"' in text
    one = get(shown, f"/runs/{found.doing.run}")
    assert "50 / 200, 25%" in one
    assert "Loss by step" in one
    assert '"loss":0.04' in unescape(one)
    assert "Overview" in get(shown, ""), "it waits for nobody"
    assert next(one for one in api.runs(project) if one.id == found.doing.run).status == "running"

    child.kill()
    child.join()
    text = get(shown, "/runs")
    assert "Stopped before its end" in text
    assert "left" not in text
    assert 'data-live="15"' in text
    one = get(shown, f"/runs/{found.doing.run}")
    assert "interrupted" in one
    assert "the process ended before the step did" in one
    assert "50 / 200, 25%" in one
    assert "Loss by step" in one
    assert "data-live" not in one

    (folder / "go").touch()
    run(str(folder))
    text = get(shown, "/runs")
    assert "At work" not in text
    assert "Stopped before" not in text
    assert "interrupted" in text
    newest = next(one for one in api.runs(project) if one.step == "tune:slow")
    assert newest.status == "done"
    assert "What was tuned" in get(shown, f"/runs/{newest.id}")


def test_what_was_said_is_text_and_goes_with_what_is_forgotten(project: Context, shown: Running) -> None:
    with at_work.at_work(project):
        for n in range(100):
            project.listener.say(f"line {n} {HOSTILE} {'long ' * 1000}")
        project.listener.step(HOSTILE, "running")
        project.listener.progress("model.gguf", 5_000_000, 20_000_000)
        text = get(shown, "/runs")
        assert "line 60 &lt;img" in text
        assert "line 59 " not in text
        assert text.count("long") < 40 * at_work.LONGEST
        assert "\x1b" not in text
        project.listener.step(HOSTILE, "done")
    assert "What it said last" not in get(shown, "/runs"), "nothing is at work, and nothing was stopped"
    at_work.clear(project.store.folder)
    assert at_work.seen(project.store.folder) is None


@pytest.mark.parametrize("damage", [b"", b"{", b'{"by": "x"}', b"\xff" * 40])
def test_files_that_cannot_be_read_are_as_if_there_were_none(project: Context, shown: Running, damage: bytes) -> None:
    folder = project.store.folder / at_work.FOLDER
    for name in (at_work.STATE, at_work.TOLD):
        (folder / name).write_bytes(damage)
    assert at_work.seen(project.store.folder) is None
    assert at_work.told(project.store.folder, "x") == ()
    assert "Runs" in get(shown, "/runs")


def test_a_place_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "demo").parent
    with api.open_project(folder) as project:
        (project.store.folder / at_work.FOLDER).write_text("a file")
        assert api.run(project, "data").ran


def test_telling_is_rare_and_cheap(tmp_path: Path) -> None:
    live = at_work.Live(Silent(), tmp_path, "me")
    live.step("train", "running")
    written = (tmp_path / at_work.STATE).stat().st_ino
    begun = time.process_time()
    for n in range(20_000):
        live.progress("train", n, 20_000)
        live.told({"done": n, "total": 20_000, "loss": 1.0})
    each = (time.process_time() - begun) / 20_000
    assert each < 100e-6, "a step of training takes a thousand times as long"
    assert written
    live.close()
    lines = (tmp_path / at_work.TOLD).read_bytes().splitlines()
    assert len(lines) == 20_001
