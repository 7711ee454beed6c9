"""A run's state on disk: whole or not at all, whenever the process is killed.

One file, written beside and renamed. It is read without running anything that it may hold (`weights_only`).
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from slipway.files import aside

FILE = "checkpoint.pt"


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write it. Raises OSError, for a full disk too; the one before stays then."""
    import torch

    for left in folder.glob(f".{FILE}.*"):
        left.unlink(missing_ok=True)  # by a process that was killed while it wrote: one process at a time saves here
    with aside(folder / FILE, durable=True) as new, new.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError:
            file.write(b"\0" * 4096)  # torch hides why a write failed; another one tells
            file.flush()
            raise


def load(folder: Path) -> dict[str, Any] | None:
    """The last one; None where there is none, or none that can be read: the run begins again."""
    import torch

    try:
        return torch.load(folder / FILE, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError):
        return None


def remove(folder: Path) -> None:
    """When what it was for is made."""
    (folder / FILE).unlink(missing_ok=True)
