"""The tutorial's commands, in their order, against the wheel as it is built: installed in an environment of its own."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import pytest

from commands import ready

ROOT = Path(__file__).parents[2]
ELSEWHERE = ("make ", "pip install")  # `make run` is a step of CI; the package is installed from the wheel


def commands(language: str) -> list[str]:
    text = (ROOT / "docs" / language / "tutorial.md").read_text("utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.S)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def test_both_languages_give_the_same_commands() -> None:
    assert commands("zh") == commands("en")


@pytest.fixture(scope="module")
def slipway(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment variables under which `slipway` is the wheel's; what it depends on is lent from this one."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = str(folder / "venv" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", str(wheel)], check=True)
    path = f"{folder / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    made = os.environ | {"PATH": path, "PYTHONPATH": sysconfig.get_paths()["purelib"]}
    where = [python, "-c", "import slipway; print(slipway.__file__)"]
    found = subprocess.run(where, env=made, cwd="/", capture_output=True, text=True, check=True).stdout
    assert found.startswith(str(folder)), "the wheel's, not the checkout's"
    return made


@pytest.mark.slow
@pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling, which builds the wheel, is not installed")
@pytest.mark.skipif(find_spec("openvino_genai") is None, reason="the extra 'local' is not installed")
def test_the_tutorial_works_as_it_is_written(slipway: dict[str, str], tmp_path: Path) -> None:
    here, tried, port = tmp_path, list[str](), free_port()
    server: subprocess.Popen[str] | None = None
    try:
        for command in commands("en"):
            if command.startswith(ELSEWHERE):
                continue
            tried.append(command)
            if command.startswith("cd "):
                here /= command.removeprefix("cd ")
            elif command == "slipway serve":
                server = subprocess.Popen([*command.split(), "--port", port], cwd=here, env=slipway, text=True)
                ready(f"http://127.0.0.1:{port}")
            else:
                command = command.replace("8080", port)
                done = subprocess.run(command, shell=True, cwd=here, env=slipway, capture_output=True, text=True)
                assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
                if command.startswith("curl"):
                    assert '"my-assistant"' in done.stdout
    finally:
        if server is not None:
            server.terminate()
            server.wait(60)
    assert [one.split()[1] for one in tried if one.startswith("slipway")] == [
        "--help", "init", "check", "run", "eval", "serve",
    ]  # fmt: skip


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])
