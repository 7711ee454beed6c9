"""Draw the pictures of the console in docs/images from a project that was run: a real server, Debian's Chromium.

python tools/screenshots.py [PROJECT]    default: the small project of the tests, made and run in a folder of its own

Needs Chromium and playwright (`pip install 'slipway-ai[dev]'`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from slipway import api
from slipway.testing.projects import write_project

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
QUESTION = "How much does the keel weigh?"


def main() -> None:
    """Write the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(sys.argv[1]) if len(sys.argv) > 1 else write_project(Path(folder) / "demo").parent
        with api.open_project(project) as opened:
            api.run(opened)
        command = [sys.executable, "-m", "slipway", "console", "-C", str(project), "--port", "0"]
        environment = {**os.environ, "SLIPWAY_LANG": "en"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
            try:
                assert server.stdout is not None
                found = re.search(r"http://\S+/console", server.stdout.readline())
                assert found, "the server did not say where it is"
                draw(found[0])
            finally:
                server.terminate()


def draw(console: str) -> None:
    """Each picture."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        wide = browser.new_page(viewport={"width": 1100, "height": 700}, locale="en-GB")
        wide.goto(f"{console}/releases")
        wide.click("main tbody a")
        keep(wide, "console")
        wide.goto(f"{console}/playground")
        wide.fill("textarea", QUESTION)
        wide.uncheck("input[name=blind]")
        wide.click("main form button")
        keep(wide, "console-playground")
        small = browser.new_page(viewport={"width": 390, "height": 700}, locale="zh-CN", color_scheme="dark")
        small.goto(console)
        keep(small, "console-phone")
        browser.close()


def keep(page: Any, name: str) -> None:
    """The window as a PNG of 64 colours."""
    path = IMAGES / f"{name}.png"
    path.write_bytes(page.screenshot())
    try:
        from PIL import Image
    except ModuleNotFoundError:
        pass
    else:
        Image.open(path).convert("RGB").quantize(64).save(path, optimize=True)
    print(path.relative_to(ROOT), path.stat().st_size)


if __name__ == "__main__":
    main()
