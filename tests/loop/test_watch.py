"""A watched folder, with real files and real child processes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from commands import ready
from slipway import api
from slipway.loop.watch import Options, Watch
from slipway.testing.projects import FILE, write_project

pytestmark = pytest.mark.slow  # servers, child processes and programs of others

DOCUMENT = "# The {0}\n\n## Price of the {0}\n\nThe {0} was bought for {1} crowns in the spring.\n"


def until(found: Callable[[], object], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@contextlib.contextmanager
def slipway(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], str]]]:
    """The command in a process of its own, with what it has said so far."""
    log = Path(os.environ["SLIPWAY_TEST_LOG"])
    log.unlink(missing_ok=True)
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "slipway", *arguments], stdout=out, stderr=out, stdin=subprocess.DEVNULL
        )
    try:
        yield child, lambda: log.read_text("utf-8")
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            child.wait(60)


@pytest.fixture(autouse=True)
def _log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_TEST_LOG", str(tmp_path / "log"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_project(tmp_path / "p")


class Runs(Watch):
    """Everything but the run itself."""

    def __init__(self, file: Path, codes: list[int] | None = None, quiet: float = 0.3) -> None:
        self.said: list[str] = []
        self.ran: list[float] = []
        self.codes = codes or []
        super().__init__(file, Options(every=0.05, quiet=quiet), self.said.append)

    def _child(self, stop: threading.Event) -> int:
        self.ran.append(time.monotonic())
        return self.codes.pop(0) if self.codes else 0


@contextlib.contextmanager
def watching(watch: Watch) -> Iterator[None]:
    stop, seen = threading.Event(), watch.look()
    thread = threading.Thread(target=watch.run, args=(stop, seen))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def test_it_waits_until_it_is_quiet_and_runs_once(file: Path) -> None:
    watch = Runs(file)
    with watching(watch):
        for n in range(8):
            (file.parent / "docs" / f"new{n}.md").write_text(DOCUMENT.format(f"new{n}", n), "utf-8")
            last = time.monotonic()
            time.sleep(0.1)
        until(lambda: watch.ran)
        time.sleep(0.6)
    assert len(watch.ran) == 1
    assert watch.ran[0] - last >= 0.3
    assert "8 new, 0 changed, 0 gone" in watch.said[0]
    assert watch.said[1].startswith("up to date")


def test_a_folder_that_is_never_quiet_is_taken_as_it_is(file: Path) -> None:
    watch = Runs(file, quiet=0.2)
    with watching(watch):
        for n in range(100):
            (file.parent / "docs" / "keel.md").write_text(DOCUMENT.format("keel", n), "utf-8")
            if watch.ran:
                break
            time.sleep(0.05)
    assert watch.ran


def test_changed_and_deleted_files_and_examples_count_and_others_do_not(file: Path) -> None:
    watch = Runs(file)
    before = watch.look()
    assert before is not None
    (file.parent / "docs" / "notes.tmp").write_text("no document", "utf-8")
    assert watch.look() == before
    page = file.parent / "docs" / "keel.md"
    state, text = page.stat(), page.read_text("utf-8")
    page.write_text(text.replace("dry", "wet"), "utf-8")
    os.utime(page, ns=(state.st_atime_ns, state.st_mtime_ns))  # the same size and time, as a copying program leaves it
    assert watch.look() != before
    before = watch.look()
    with (file.parent / "questions.jsonl").open("a") as out:
        out.write("\n")
    assert watch.look() != before
    before = watch.look()
    page.unlink()
    assert watch.look() != before


def test_a_share_that_is_not_mounted_runs_nothing(file: Path) -> None:
    watch = Runs(file)
    docs = file.parent / "docs"
    with watching(watch):
        docs.rename(file.parent / "away")
        until(lambda: watch.said)
        docs.mkdir()
        shutil.copy(file.parent / "away" / "keel.md", docs)
        until(lambda: len(watch.said) > 1)
        time.sleep(0.6)
        assert watch.ran == []
        shutil.rmtree(docs)
        (file.parent / "away").rename(docs)
        time.sleep(0.6)
    assert watch.ran == []
    assert "there is no folder" in watch.said[0] or "matches no file" in watch.said[0]
    assert "9 of 11 files are gone" in watch.said[1]
    assert len(watch.said) <= 3


def test_a_run_that_failed_is_tried_again_and_one_that_was_refused_is_not(file: Path, monkeypatch) -> None:
    monkeypatch.setattr("slipway.loop.watch._LEAST_PAUSE", 0.1)
    watch = Runs(file, [4, 4, 0], quiet=0.0)
    with watching(watch):
        (file.parent / "docs" / "keel.md").write_text(DOCUMENT.format("keel", 1), "utf-8")
        until(lambda: len(watch.ran) == 3)
        time.sleep(0.5)
    assert len(watch.ran) == 3
    assert watch.ran[2] - watch.ran[1] > watch.ran[1] - watch.ran[0] > 0.15
    for code, said in ((1, "the gate said no"), (2, "code 2"), (3, "code 3")):
        watch = Runs(file, [code], quiet=0.0)
        with watching(watch):
            (file.parent / "docs" / "keel.md").write_text(DOCUMENT.format("keel", code + 1), "utf-8")
            until(lambda w=watch: w.said[1:])
            time.sleep(0.3)
        assert len(watch.ran) == 1
        assert said in watch.said[1]


def test_a_project_file_that_is_broken_for_a_while_is_no_end(file: Path) -> None:
    watch = Runs(file)
    before, text = watch.look(), file.read_text("utf-8")
    file.write_text("slipway: [", "utf-8")
    assert watch.look() == before
    file.write_text(text.replace("docs/*.md", "docs/k*.md"), "utf-8")
    assert len(watch.look() or {}) == 2  # keel, and the questions


def test_looking_takes_a_small_share_of_a_core(file: Path) -> None:
    for n in range(2000):
        (file.parent / "docs" / f"{n}.md").write_text("x", "utf-8")
    watch = Runs(file)
    began = time.process_time()
    watch.look()
    assert watch._pause >= 40 * (time.process_time() - began)


@pytest.mark.slow
def test_documents_that_come_are_answered_from_and_a_broken_one_stops_nothing(file: Path) -> None:
    """`up --watch`: the service answers all the time, by the release that passed."""
    file.write_text(
        FILE.replace("plain: {model: writer, prompt: plain.md}\n", "").replace("top_k: 1", "top_k: 3"), "utf-8"
    )
    with slipway("up", str(file.parent), "--watch", "--quiet", "0.5", "--port", "0") as (child, said):
        until(lambda: "serving" in said() or child.poll() is not None)
        url = next(word for word in said().split() if word.startswith("http://")).rstrip(";,")
        ready(url)
        assert "77 crowns" not in answer(url)
        (file.parent / "docs" / "yard.md").write_text(DOCUMENT.format("yard", 77), "utf-8")
        (file.parent / "docs" / "broken.md").write_bytes(b"\x00\xff\xfe broken \x00" * 50)
        until(lambda: "77 crowns" in answer(url) or child.poll() is not None)
        assert "2 new, 0 changed, 0 gone" in said()
        (file.parent / "slipway.yaml").write_text("slipway: [", "utf-8")
        (file.parent / "docs" / "mast.md").write_text(DOCUMENT.format("mast", 78), "utf-8")
        until(lambda: "code 2" in said())
        assert "77 crowns" in answer(url)
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 0


def answer(url: str) -> str:
    body = json.dumps(
        {"model": "demo", "messages": [{"role": "user", "content": "For how much was the yard bought?"}]}
    ).encode()
    request = urllib.request.Request(f"{url}/v1/chat/completions", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.read().decode()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_an_ended_watch_leaves_no_process_and_nothing_half_done(file: Path, how: signal.Signals) -> None:
    """Ended in the midst of a run that takes long: each answer waits."""
    text = FILE.replace("{engine: echo}", "{engine: echo, delay: 0.5}")
    file.write_text(text if "delay" in text else FILE, "utf-8")
    with slipway("watch", "-C", str(file.parent), "--quiet", "0") as (child, said):
        until(lambda: "evaluate" in said() or "chunks" in said() or child.poll() is not None)
        (runner,) = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        child.send_signal(how)
        assert child.wait(60) == 0
        assert not Path(f"/proc/{runner}").exists()
        assert "what was finished is kept" in said()
    file.write_text(FILE, "utf-8")
    with api.open_project(file) as project:
        api.run(project)
        assert api.history(project).channels
        assert api.store_verify(project).sound
