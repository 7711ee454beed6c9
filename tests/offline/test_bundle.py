"""A project as one archive: what goes in, what stays out, and that it installs and answers elsewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import urllib.request
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import disks
from commands import ready
from slipway import api
from slipway.errors import ConfigError, MissingPrerequisite
from slipway.offline import wheels
from slipway.offline.archive import Bundle
from slipway.testing.projects import FILE, write_project

ROOT = Path(__file__).parents[2]


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    return packages_in(tmp_path)


def packages_in(tmp_path: Path) -> Path:
    """A folder with what stands for the packages: only its name is looked at."""
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "slipway_ai-0-py3-none-any.whl").write_bytes(b"")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_project(tmp_path / "work" / "demo").parent


def bundled(
    folder: Path, packages: Path, *, state: bool = False, pull: bool = False
) -> tuple[Bundle, dict[str, bytes]]:
    """The bundle, and what it holds by name."""
    out = folder.parent / "demo.tar"
    with api.open_project(folder) as project:
        if pull:
            api.pull_models(project)
        made = api.bundle(project, out, wheels=packages, state=state)
    with tarfile.open(out) as tar:
        held = {one.name: tar.extractfile(one).read() for one in tar}  # type: ignore[union-attr]
    return made, held


def unpacked(folder: Path) -> Path:
    with tarfile.open(folder.parent / "demo.tar") as tar:
        tar.extractall(folder.parent / "there", filter="data")
    return folder.parent / "there" / "demo"


def install(unpacked: Path, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(unpacked / "install.py"), *options]
    return subprocess.run(command, env=os.environ | more, capture_output=True, text=True, check=False)


def test_files_prompts_and_documents_are_in_it_and_secrets_are_not(folder: Path, packages: Path) -> None:
    (folder / ".env").write_text("KEY=1")
    (folder / "tls.key").write_text("private")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("x")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "a.pyc").write_bytes(b"x")
    (folder.parent / "outside.txt").write_text("secret")
    (folder / "link.txt").symlink_to(folder.parent / "outside.txt")
    (folder / ".gitignore").write_text(".slipway")
    with tarfile.open(folder / "old.tar", "w") as tar:  # what is written into the project's folder is not packed again
        tar.add(folder / "grounded.md", "demo/install.py")
    with tarfile.open(folder / "kept.tar", "w") as tar:
        tar.add(folder / "grounded.md", "grounded.md")
    made, held = bundled(folder, packages)
    names = {name.removeprefix("demo/project/") for name in held if name.startswith("demo/project/")}
    assert {"slipway.yaml", "grounded.md", "questions.jsonl", "docs/anchor.md", ".gitignore", "kept.tar"} <= names
    assert not [name for name in names if "key" in name or name.startswith((".env", ".git/", ".venv", "__pyc", "link"))]
    assert dict(made.left_out).keys() == {".env", "tls.key", ".git", ".venv", "link.txt", "old.tar"}
    assert not any(b"secret" in content for content in held.values())


def test_documents_beside_the_project_lie_beside_it_there(tmp_path: Path, packages: Path) -> None:
    text = FILE.replace('documents: [{path: "docs/*.md"}]', 'roots: [../docs]\n  documents: [{path: "../docs/*.md"}]')
    folder = write_project(tmp_path / "work" / "demo", text).parent
    shutil.move(folder / "docs", folder.parent / "docs")
    _, held = bundled(folder, packages)
    assert "demo/project/docs/anchor.md" in held
    assert "demo/project/demo/slipway.yaml" in held
    assert json.loads(held["demo/bundle.json"])["project"] == "project/demo"


def test_documents_with_an_absolute_path_are_left_out_and_told(tmp_path: Path, packages: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    (away / "a.md").write_text("# A")
    text = FILE.replace('[{path: "docs/*.md"}]', json.dumps([{"path": "docs/*.md"}, {"path": str(away)}]))
    folder = write_project(tmp_path / "work" / "demo", text).parent
    made, held = bundled(folder, packages)
    assert [name for name, _ in made.left_out] == [str(away)]
    assert "absolute" in made.left_out[0][1]
    assert not [name for name in held if name.endswith("/a.md")]


def model(folder: Path) -> Path:
    from safetensors.numpy import save_file

    path = folder.parent / "weights.safetensors"
    save_file({"a": np.ones(3, np.float32)}, path)
    source = f"file:{path}"
    file = folder / "slipway.yaml"
    file.write_text(file.read_text().replace("{engine: echo}", f"{{engine: echo, source: '{source}'}}"))
    return path


def test_a_model_is_found_where_it_was_installed(
    folder: Path, packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("safetensors")
    path = model(folder)
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path / "here"))
    with pytest.raises(MissingPrerequisite, match="is not on this machine"):
        bundled(folder, packages)
    made, held = bundled(folder, packages, pull=True)
    assert made.models == [f"file:{path}"]
    (name,) = [name for name in held if name.endswith("weights.safetensors")]
    assert held[name] == path.read_bytes()
    key = name.split("/")[2]
    shutil.move(tmp_path / "here" / "models" / key, tmp_path / "there" / "models" / key)
    path.unlink()
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path / "there"))
    with api.open_project(folder) as project:
        assert api.run(project, "data").datasets


def test_nothing_is_written_over_what_is_there(folder: Path, packages: Path) -> None:
    bundled(folder, packages)
    before = (folder.parent / "demo.tar").read_bytes()
    with pytest.raises(ConfigError, match="cannot be written"):
        bundled(folder, packages)
    assert (folder.parent / "demo.tar").read_bytes() == before


def test_a_folder_without_slipway_is_no_folder_of_wheels(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingPrerequisite, match="has no wheel of slipway-ai"):
        bundled(folder, tmp_path)
    assert not (folder.parent / "demo.tar").exists()


@pytest.mark.slow
def test_without_an_index_pip_says_what_it_cannot_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(MissingPrerequisite, match="pip cannot get the packages") as caught:
        wheels.gather(tmp_path / "wheels")
    assert "--wheels" in caught.value.hint


def test_what_pip_is_asked_for_is_what_is_installed() -> None:
    ours = wheels.requirements()[0]
    assert ours.startswith("slipway-ai[")
    assert "dev" not in ours
    extras = ours[len("slipway-ai[") :].partition("]")[0].split(",")
    if find_spec("onnxruntime"):
        assert "onnx" in extras


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit": (lambda there: flip(there / "project" / "grounded.md"), "grounded.md is missing or was changed"),
    "a file is gone": (lambda there: (there / "project" / "plain.md").unlink(), "plain.md is missing or was changed"),
    "one too many": (lambda there: (there / "wheels" / "evil.whl").write_bytes(b""), "evil.whl is no part"),
    "a link": (
        lambda there: (
            (there / "project" / "plain.md").unlink(),
            (there / "project" / "plain.md").symlink_to("/etc/hosts"),
        ),
        "plain.md is missing or was changed",
    ),
    "no manifest": (lambda there: (there / "bundle.json").unlink(), "bundle.json cannot be read"),
    "half a manifest": (lambda there: (there / "bundle.json").write_text('{"files"'), "bundle.json cannot be read"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_was_changed_on_the_way_is_not_installed(folder: Path, packages: Path, damage: str) -> None:
    bundled(folder, packages)
    there = unpacked(folder)
    change, said = DAMAGE[damage]
    change(there)
    done = install(there, str(folder.parent / "target"))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder.parent / "target").exists()


def test_the_digest_names_the_bundle(folder: Path, packages: Path) -> None:
    made, _ = bundled(folder, packages)
    there = unpacked(folder)
    target = str(folder.parent / "target")
    assert install(there, target, "--check", "--expect", made.digest).returncode == 0
    wrong = install(there, target, "--check", "--expect", "0" * 64)
    assert wrong.returncode == 2
    assert made.digest in wrong.stderr
    assert "这不是预期的包" in install(there, target, "--check", "--expect", "0" * 64, LC_ALL="zh_CN.UTF-8").stderr


def test_another_python_and_a_folder_in_use_are_told(folder: Path, packages: Path) -> None:
    bundled(folder, packages)
    there = unpacked(folder)
    used = install(there, str(folder))
    assert used.returncode == 2
    assert "is not empty" in used.stderr
    assert (folder / "slipway.yaml").exists()
    about = json.loads((there / "bundle.json").read_text())
    (there / "bundle.json").write_text(json.dumps(about | {"python": [3, 9]}))
    done = install(there, str(folder.parent / "target"))
    assert done.returncode == 2
    assert "run this with python3.9" in done.stderr


@pytest.mark.slow
def test_half_an_installation_is_taken_back(folder: Path, packages: Path) -> None:
    bundled(folder, packages)  # an empty file is no wheel
    done = install(unpacked(folder), str(folder.parent / "target"))
    assert done.returncode == 2
    assert "failed" in done.stderr
    assert not (folder.parent / "target").exists()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_no_fault_with_the_unit(tmp_path: Path) -> None:
    bundled(write_project(tmp_path / "work" / "a folder").parent, packages_in(tmp_path))
    unit = tmp_path / "demo.service"
    there = unpacked(tmp_path / "work" / "a folder")
    (tmp_path / "slipway").write_text("#!/bin/sh\n")
    (tmp_path / "slipway").chmod(0o755)
    unit.write_text((there / "slipway.service").read_text().replace("@FOLDER@", str(tmp_path)))
    assert "@" not in unit.read_text()
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert "demo.service" not in done.stderr, done.stderr


def test_the_image_has_two_stages_and_no_root(folder: Path, packages: Path) -> None:
    _, held = bundled(folder, packages)
    lines = held["demo/Dockerfile"].decode().splitlines()
    assert [line for line in lines if line.startswith("FROM ")] == [
        f"FROM python:{sys.version_info[0]}.{sys.version_info[1]}-slim AS build",
        f"FROM python:{sys.version_info[0]}.{sys.version_info[1]}-slim",
    ]
    assert "USER 10001:10001" in lines
    assert "@" not in "".join(lines)


def docker() -> bool:
    """Whether a daemon answers that has the base image."""
    if shutil.which("docker") is None:
        return False
    image = f"python:{sys.version_info[0]}.{sys.version_info[1]}-slim"
    asked = (["docker", "info"], ["docker", "image", "inspect", image])
    return all(subprocess.run(one, capture_output=True, check=False).returncode == 0 for one in asked)


@pytest.mark.slow
def test_docker_builds_the_image(folder: Path) -> None:
    if not docker():
        pytest.skip("no docker daemon with the base image here")
    with api.open_project(folder) as project:
        api.run(project)
        api.bundle(project, folder.parent / "demo.tar")
    done = subprocess.run(["docker", "build", "-q", str(unpacked(folder))], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    command = ["docker", "run", "--rm", "--read-only", "--tmpfs", "/tmp", done.stdout.strip(), "release", "list"]
    assert "production" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
@pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling, which builds the wheel, is not installed")
def test_it_installs_serves_and_answers_as_it_did_here(folder: Path, tmp_path: Path) -> None:
    """The wheel built and installed; what it depends on is lent from this environment."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "wheels")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with api.open_project(folder) as project:
        released = api.run(project).release
        answer = api.ask(project, "How much does the lighthouse weigh?").text
    assert released is not None
    made, _ = bundled(folder, tmp_path / "wheels", state=True)
    shutil.rmtree(folder)
    lent = {"PYTHONPATH": sysconfig.get_paths()["purelib"]}
    there = folder.parent / "elsewhere"
    done = install(unpacked(folder), str(there), "--expect", made.digest, **lent)
    assert done.returncode == 0, done.stderr

    def slipway(*words: str) -> str:
        found = subprocess.run(
            [str(there / "slipway"), *words, "-C", str(there / "project")],
            env=os.environ | lent, cwd="/", capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert found.returncode == 0, found.stderr
        return found.stdout

    assert str(there) in subprocess.run(
        [str(there / ".venv" / "bin" / "python"), "-c", "import slipway; print(slipway.__file__)"],
        env=os.environ | lent, cwd="/", capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert released.digest[:12] in slipway("release", "list")
    assert "everything is as it was written" in slipway("store", "verify")
    said = json.loads(slipway("ask", "How much does the lighthouse weigh?", "--json"))
    assert said["text"] == answer
    serves_where_it_can_write_its_state_only(there, os.environ | lent, answer)


def serves_where_it_can_write_its_state_only(there: Path, environment: dict[str, str], answer: str) -> None:
    """As under the unit of systemd and in the image: everything but the state is read-only."""
    if os.geteuid() != 0:
        return  # mounting takes root
    with disks.read_only(there, there):
        state = there / "project" / ".slipway"
        subprocess.run(["mount", "-o", "bind,rw", str(state), str(state)], check=True)
        subprocess.run(["mount", "-o", "remount,bind,rw", str(state)], check=True)
        try:
            command = [str(there / "slipway"), "serve", "-C", str(there / "project")]
            with subprocess.Popen(command, env=environment, cwd="/", stdout=subprocess.PIPE, text=True) as server:
                try:
                    assert server.stdout is not None
                    url = re.search(r"http://[\d.]+:\d+", server.stdout.readline())
                    assert url is not None
                    ready(url[0])
                    body = json.dumps({"prompt": "How much does the lighthouse weigh?"}).encode()
                    request = urllib.request.Request(f"{url[0]}/generate", body, {"Content-Type": "application/json"})
                    with urllib.request.urlopen(request, timeout=60) as got:
                        assert answer in got.read().decode().replace("\\n", "\n")
                finally:
                    server.terminate()
                    server.wait(60)
        finally:
            subprocess.run(["umount", str(state)], check=True)
