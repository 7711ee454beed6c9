"""The gate split: looks at it, and a fresh one."""

from __future__ import annotations

from slipway.core.look import Look
from slipway.core.material import Dataset
from slipway.loop import run as _run
from slipway.loop.context import Context


def gate_looks(project: Context) -> list[Look]:
    """Every look at the examples that are in the gate split now, the first first."""
    return _run.looks(project)


def rotate_gate(project: Context) -> Dataset:
    """Make the reserve the gate split, and what was the gate dev; returns the new examples. See `data.split.reserve`.

    Raises ConfigError when nothing is in reserve.
    """
    return _run.rotate(project)
