"""Install a Slipway bundle on this machine. Needs Python alone, and no network.

    python3 install.py FOLDER [--expect SHA256] [--check]

Every file is compared with the digest in bundle.json before anything is written. Then FOLDER, a new one, gets

    .venv/           the packages
    cache/           the models
    project/         the project's files and its state
    slipway          the command, with these packages and models
    slipway.service  the server as a service of systemd

`--expect`: the digest of bundle.json that `slipway bundle` printed. `--check`: write nothing.
"""

from __future__ import annotations  # an older Python is to say which one is needed

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent
CHINESE = (os.environ.get("LC_ALL") or os.environ.get("LANG") or "").startswith("zh")


def tell(english: str, chinese: str) -> None:
    print(chinese if CHINESE else english, flush=True)


def stop(english: str, chinese: str) -> NoReturn:
    print("✗ " + (chinese if CHINESE else english), file=sys.stderr)
    raise SystemExit(2)


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while True:
            piece = file.read(1 << 20)
            if not piece:
                return digest.hexdigest()
            digest.update(piece)


def checked(expect: str) -> dict[str, Any]:
    """The manifest, when every file is there, as it says, and there is no other."""
    try:
        raw = (HERE / "bundle.json").read_bytes()
        about = json.loads(raw)
        files = about["files"]
    except (OSError, ValueError, KeyError) as error:
        stop(
            f"bundle.json cannot be read: {error}; unpack the bundle again",
            f"无法读取 bundle.json：{error}；请重新解包",
        )
    digest = hashlib.sha256(raw).hexdigest()
    if expect and digest != expect.lower():
        stop(f"this is another bundle: bundle.json has {digest}", f"这不是预期的包：bundle.json 的摘要是 {digest}")
    found = {path.relative_to(HERE).as_posix() for path in HERE.rglob("*") if path.is_file() or path.is_symlink()}
    strange = sorted(found - set(files) - {"bundle.json"})
    if strange:
        stop(f"{strange[0]} is no part of the bundle; unpack it again", f"{strange[0]} 不属于这个包；请重新解包")
    for name, wanted in sorted(files.items()):
        path = HERE / name
        if path.is_symlink() or not path.is_file() or sha256(path) != wanted:
            stop(f"{name} is missing or was changed; copy the bundle again", f"{name} 缺失或被改动；请重新复制这个包")
    tell(f"{len(files)} files checked; manifest {digest}", f"已校验 {len(files)} 个文件；清单摘要 {digest}")
    return about


def fits(about: dict[str, Any]) -> None:
    """Whether the packages are for this machine."""
    wanted = ".".join(map(str, about["python"]))
    if list(sys.version_info[:2]) != about["python"]:
        stop(
            f"the packages are for Python {wanted}; run this with python{wanted}",
            f"这些软件包适用于 Python {wanted}；请用 python{wanted} 运行",
        )
    here = (platform.system(), platform.machine())
    if here != (about["system"], about["machine"]):
        stop(
            f"the packages are for {about['system']} {about['machine']}, and this is {here[0]} {here[1]}",
            f"这些软件包适用于 {about['system']} {about['machine']}，而本机是 {here[0]} {here[1]}",
        )


def install(about: dict[str, Any], folder: Path) -> None:
    """Environment, models, files, state, in this order; all of it or nothing."""
    if any(mark in str(folder) for mark in '"$`\\\n%'):
        stop(f"{folder} cannot stand in a command; name another folder", f"{folder} 不能用在命令里；请换一个目录")
    if folder.exists() and any(folder.iterdir()):
        stop(f"{folder} is not empty; name a new folder", f"{folder} 不是空目录；请指定一个新目录")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        fill(about, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # it was empty; half of an installation helps nobody
        raise


def fill(about: dict[str, Any], folder: Path) -> None:
    tell("installing the packages", "正在安装软件包")
    run(sys.executable, "-m", "venv", str(folder / ".venv"))
    wheels = [str(path) for path in sorted((HERE / "wheels").glob("*.whl"))]
    python = str(folder / ".venv" / "bin" / "python")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", *wheels)
    tell("copying models and files", "正在复制模型和文件")
    for key in about["models"]:
        shutil.copytree(HERE / "models" / key, folder / "cache" / "models" / key)
    shutil.copytree(HERE / "project", folder / "project")
    project, slipway = folder / about["project"], folder / "slipway"
    command = f'export SLIPWAY_CACHE="{folder}/cache"\nexec "{folder}/.venv/bin/slipway" "$@"\n'
    slipway.write_text(f"#!/bin/sh\n{command}", "utf-8")
    slipway.chmod(0o755)
    unit = (HERE / "slipway.service").read_text("utf-8")
    (folder / "slipway.service").write_text(unit.replace("@FOLDER@", str(folder)), "utf-8")
    if (HERE / "state.zip").exists():
        run(str(slipway), "store", "restore", str(HERE / "state.zip"), "-C", str(project))
    tell(f"ready. Next: {slipway} check -C {project}", f"已就绪。下一步：{slipway} check -C {project}")
    tell(f"then:        {slipway} serve -C {project}", f"然后：      {slipway} serve -C {project}")


def run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        stop(f"`{command[0]} {command[1]}` failed: {last}", f"`{command[0]} {command[1]}` 失败：{last}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--expect", default="", metavar="SHA256")
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    about = checked(asked.expect)
    fits(about)
    if not asked.check:
        install(about, asked.folder.absolute())


if __name__ == "__main__":
    main()
