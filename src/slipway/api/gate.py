"""The gate split: what it can decide, looks at it, and a fresh one."""

from __future__ import annotations

from slipway.core.look import Look
from slipway.core.material import Dataset
from slipway.loop import run as _run
from slipway.loop.context import Context
from slipway.release.planning import GatePlan


def gate_looks(project: Context) -> list[Look]:
    """Every look at the examples that are in the gate split now, the first first."""
    return _run.looks(project)


def plan_gate(project: Context, candidate: str | None = None) -> GatePlan:
    """What the gate split can decide, before anything of it is looked at: for each rule the power, the examples that
    80% power needs, the smallest effect that the present size shows, and what the looks to come cost.

    Values scatter as dev says, by the answers of `candidate` (default: the one that would be tested first); without a
    report on dev they are assumed, and the plan says so. Raises ConfigError for a project without a gate, NotFound for
    a candidate that was not measured on dev.
    """
    return _run.plan_gate(project, candidate)


def rotate_gate(project: Context) -> Dataset:
    """Make the reserve the gate split, and what was the gate dev; returns the new examples. See `data.split.reserve`.

    Raises ConfigError when nothing is in reserve.
    """
    return _run.rotate(project)
