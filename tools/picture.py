"""Draw docs/images/run.svg from a real run: the command's own output on a terminal of 112 columns.

python tools/picture.py [PROJECT]    default examples/docs-assistant, which must have been run (`make run`)
"""

from __future__ import annotations

import os
import pty
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
WIDTH = 112


def on_a_terminal(command: list[str]) -> str:
    """What a command prints on a terminal, colours included."""
    pieces: list[bytes] = []

    def read(handle: int) -> bytes:
        pieces.append(os.read(handle, 65536))
        return pieces[-1]

    quiet, saved = os.open(os.devnull, os.O_WRONLY), os.dup(1)
    os.dup2(quiet, 1)
    try:
        pty.spawn(command, read)
    finally:
        os.dup2(saved, 1)
    return b"".join(pieces).decode("utf-8", "replace").replace("\r\n", "\n")


def main() -> None:
    """Write the picture."""
    project = sys.argv[1] if len(sys.argv) > 1 else "examples/docs-assistant"
    os.environ.update(COLUMNS=str(WIDTH), TERM="xterm-256color", SLIPWAY_LANG="en")
    os.chdir(ROOT)
    said = on_a_terminal([sys.executable, "-m", "slipway", "run", "-C", project])
    said = re.sub(r"\x1b\[\?25[lh]|\x1b\[\d*[AKJ]|\r", "", said)
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
    console.print(Text.from_ansi(f"$ slipway run -C {project}\n{said.rstrip()}"))
    target = ROOT / "docs" / "images" / "run.svg"
    target.parent.mkdir(parents=True, exist_ok=True)
    drawn = console.export_svg(title="slipway run")
    target.write_text(re.sub(r",\s*url\([^)]*\) format\([^)]*\)", "", drawn), "utf-8")  # no font from elsewhere
    print(target.relative_to(ROOT))


if __name__ == "__main__":
    main()
