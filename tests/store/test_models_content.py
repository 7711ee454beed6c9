"""Nothing is loaded that was not read since it last could have changed."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import pytest

from slipway import api
from slipway.core.candidate import ModelPin
from slipway.errors import IntegrityError, SlipwayError
from slipway.runtime.session import Session
from slipway.store.models import content
from slipway.store.store import Store
from slipway.testing.projects import FILE, write_project


def flip(path: Path) -> None:
    """One bit, the same size, the same time of modification."""
    stat = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(stat.st_size // 2)
        byte = file.read(1)[0]
        file.seek(stat.st_size // 2)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(os.urandom(3_000_000))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    found: list[Path] = []
    real = content.hash_file

    def counted(path: Path, *more: Any) -> str:
        found.append(path)
        return real(path, *more)

    monkeypatch.setattr(content, "hash_file", counted)
    return found


def test_a_file_is_read_once_a_process_and_again_when_its_state_changes(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "SETTLED", 0.0)
    found, files, digests = reads(monkeypatch), {"w": weights}, {"w": digest(weights)}
    states = content.check_loaded(files, digests)
    assert content.check_loaded(files, digests) == states
    assert found == [weights]
    assert not content.changed(states)
    flip(weights)
    assert content.changed(states)
    with pytest.raises(IntegrityError, match="does not match"):
        content.check_loaded(files, digests)
    flip(weights)
    content.check_loaded(files, digests)
    weights.unlink()
    assert content.changed(states)
    with pytest.raises(IntegrityError, match="does not exist"):
        content.check_loaded(files, digests)


def test_a_file_that_was_just_written_is_not_believed_by_its_times(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = reads(monkeypatch)
    for _ in range(2):
        content.check_loaded({"w": weights}, {"w": digest(weights)})
    assert found == [weights, weights]


async def test_a_file_that_is_swapped_while_an_engine_loads_is_refused(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from slipway.builtin.engines.echo import EchoEngine

    pin = ModelPin(name="w", engine="echo", source="", files={"w": digest(weights)}, options={})
    session = Session(Store(tmp_path / ".slipway"), lambda pin: {"w": weights})
    real = EchoEngine.start

    async def start(self: EchoEngine) -> None:
        await real(self)
        flip(weights)

    monkeypatch.setattr(EchoEngine, "start", start)
    with pytest.raises(IntegrityError, match="while it was loaded"):
        await session.engine(pin)
    await session.close()


async def test_an_engine_whose_file_changes_under_it_is_ended(tmp_path: Path, weights: Path) -> None:
    pin = ModelPin(name="w", engine="echo", source="", files={"w": digest(weights)}, options={})
    session = Session(Store(tmp_path / ".slipway"), lambda pin: {"w": weights})
    await session.engine(pin)
    assert await session.recheck() is None
    os.utime(weights)
    assert await session.recheck() is None  # another time, the same bytes
    flip(weights)
    lost = await session.recheck()
    assert isinstance(lost, IntegrityError)
    with pytest.raises(IntegrityError):
        await session.engine(pin)
    flip(weights)
    await session.engine(pin)
    await session.close()


def test_a_flipped_byte_in_a_cached_index_changes_no_answer(tmp_path: Path) -> None:
    """Neither where the index's own digests were left alone nor where they were made to fit."""
    folder = write_project(tmp_path / "demo").parent
    with api.open_project(folder) as project:
        api.run(project)
        said = api.ask(project, "How much does the lighthouse weigh?")
    (index,) = (folder / ".slipway" / "cache").glob("index-*")
    store_file = max((p for p in index.iterdir() if p.suffix == ".term"), key=lambda p: p.stat().st_size)
    for forge in (False, True):
        before = digest(store_file)
        flip(store_file)
        flipped = digest(store_file)
        if forge:
            manifest = index / "index.json"
            manifest.write_text(manifest.read_text().replace(before, digest(store_file)))
        with api.open_project(folder) as project:
            again = api.ask(project, "How much does the lighthouse weigh?")
        assert (again.text, again.citations) == (said.text, said.citations)
        assert flipped not in [digest(path) for path in index.iterdir()]  # it was built again
        (index,) = (folder / ".slipway" / "cache").glob("index-*")
        store_file = max((p for p in index.iterdir() if p.suffix == ".term"), key=lambda p: p.stat().st_size)


@pytest.mark.slow
def test_a_flipped_byte_in_the_weights_stops_every_answer(
    tmp_path: Path, smollm2_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path / "cache"))
    text = FILE.replace("{engine: echo}", f'{{engine: openvino, source: "file:{smollm2_gguf}"}}')
    text = re.sub(r"candidates:.*?evaluate", "candidates:\n  plain: {model: writer, prompt: plain.md, sampling: {max_tokens: 8}}\nevaluate",
                  text, flags=re.DOTALL)  # fmt: skip
    folder = write_project(tmp_path / "demo", text).parent
    with api.open_project(folder) as project:
        api.run(project, "adapt")
        assert api.ask(project, "How much does the keel weigh?", "plain").text
    (path,) = (tmp_path / "cache" / "models").glob("*/*.gguf")
    flip(path)
    with api.open_project(folder) as project, pytest.raises(SlipwayError, match="slipway models"):
        api.ask(project, "How much does the keel weigh?", "plain")
