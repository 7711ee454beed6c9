"""What one run carries from stage to stage: the open project, its steps, and what was found so far. Runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import msgspec

from slipway.core.candidate import ModelPin
from slipway.core.material import Dataset
from slipway.core.release import Release, Verdict
from slipway.core.report import Report
from slipway.data.losses import Loss
from slipway.evaluate.aggregate import meanings
from slipway.i18n import Said
from slipway.loop.at_work import Live
from slipway.loop.context import Context
from slipway.loop.execute import Steps

Stage = Literal["data", "adapt", "evaluate", "release"]
WORK = "work"  # folder in that of the state: of each tuning that is not at its end, what it goes on from
STAGES: tuple[Stage, ...] = ("data", "adapt", "evaluate", "release")


class Damage(msgspec.Struct, frozen=True):
    """A release that a channel points at, and what of it is damaged or missing."""

    channel: str
    what: str
    how: str


class Making(msgspec.Struct, frozen=True):
    """What a candidate of the project is made with, beside examples: models pinned, and the passages."""

    pins: Mapping[str, ModelPin]
    chunks: Dataset | None


class Outcome(msgspec.Struct, kw_only=True):
    """What one `run` did and found. Absent parts belong to stages that were not asked for."""

    ran: list[str] = []
    cached: list[str] = []
    datasets: dict[str, Dataset] = {}
    losses: list[Loss] = []  # what a person should look at before trusting the data, the most important first
    metrics: list[str] = []  # the ones the project asks for and gates on
    reports: dict[str, dict[str, Report]] = {}  # split -> candidate -> report
    chosen: str = ""
    certified: list[str] = []  # those that passed the gate, in the order in which they were tested
    why: str = ""  # why the chosen one of them, in a sentence
    verdict: Verdict | None = None  # on the chosen one; when none passed, on the first that was tested
    verdicts: dict[str, Verdict] = {}  # on every candidate that was tested
    release: Release | None = None
    promoted: bool = False
    refused: str = ""  # why nothing was released, in a sentence
    hint: str = ""
    missed: dict[str, list[Said]] = {}  # by candidate: the rules it missed and by how much, where nothing was released
    damage: list[Damage] = []  # what serves and is not whole any more, which this run could not make again


class Loop:
    """One run over an open project, the lock held."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.project = context.project
        self.store = context.store
        self.steps = Steps(context)
        self.indexed: set[str] = set()  # what candidates share is built once
        self.made: dict[str, Making] = {}  # by digest of the candidate: what it can be made with again
        context.check_options()
        self.meanings = meanings(self.project, context.plugins)
        asked = dict.fromkeys([*self.project.evaluate.names, *self.project.gate])
        self.outcome = Outcome(ran=self.steps.ran, cached=self.steps.cached, metrics=list(asked))

    def progress(self, name: str) -> Callable[[int, int | None], None]:
        """Who is told how far a step is."""
        return partial(self.context.listener.progress, name)

    def hear(self, line: Mapping[str, Any]) -> None:
        """What a step of training measured, while it trains: for whoever looks at it from elsewhere."""
        if isinstance(self.context.listener, Live):
            self.context.listener.told(line)
