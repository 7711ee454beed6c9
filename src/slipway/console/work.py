"""Executed steps: what runs now, what each was made from and gave, how a training went."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from slipway import api
from slipway.adapt.tuning import observed_of
from slipway.console import views
from slipway.console.page import ROOT
from slipway.console.visit import Pages
from slipway.core.artifact import Artifact
from slipway.core.ref import Ref
from slipway.core.run import Run
from slipway.errors import NotFound, SlipwayError
from slipway.i18n import t, told
from slipway.loop.at_work import seen
from slipway.loop.at_work import told as lines_of
from slipway.render.cells import Link
from slipway.render.document import Column, Document, Part, Passage, Picture, Section, Table
from slipway.render.pages import work as work_pages
from slipway.render.pages.training import Trained, curves, training
from slipway.serve.admin.access import needs

LINES = 400  # of a log, the last ones
PAGES = {"dataset": "data", "report": "reports", "release": "releases"}
"""Kind of a noun -> the pages about it."""
NOW, LATER = 3, 15
"""Seconds after which our script loads a page anew: about what goes on, and about what may begin."""


def work(pages: Pages) -> APIRouter:
    """Needs the scope `read`."""
    router, project = APIRouter(prefix=ROOT, dependencies=[needs("read")]), pages.project

    @router.get("/runs")
    def runs(request: Request, start: views.Start = 0) -> Response:
        every, now = api.runs(project, start + views.LISTED + 1), seen(project.store.folder)
        found, links = views.part(every, start, views.LISTED, f"{ROOT}/runs")
        parts: list[Part] = [_table(found), *links]
        if now is not None and (now.alive or now.doing.step):
            to = f"{ROOT}/runs/{now.doing.run}" if any(one.id == now.doing.run for one in found) else ""
            parts = [*work_pages.at_work(now, to), *parts]
        live = _live(NOW if now is not None and now.alive else LATER)
        return pages.page(request, t("Runs"), Document(None, parts), after=live)

    @router.get("/runs/{id}")
    def run(request: Request, id: str) -> Response:
        found = next((one for one in api.runs(project, 10_000) if one.id == id), None)
        if found is None:
            raise NotFound(t("there is no run '{id}'", id=id[:40]), t("the list of runs shows those that are kept"))
        live = _live(NOW) if found.status == "running" else ""
        return pages.page(request, t("Step {name}", name=found.step), _whole(pages, found), after=live)

    _ = runs, run
    return router


def _live(seconds: int) -> str:
    return f'<div data-live="{seconds}" hidden></div>'


def _table(found: Sequence[Run]) -> Table:
    columns = [
        Column(t("step")),
        Column(t("when"), "time"),
        Column(t("seconds"), "seconds"),
        Column(t("state")),
        Column(t("error"), "excerpt", 120),
    ]
    rows: list[list[Any]] = [
        [Link(one.step, f"{ROOT}/runs/{one.id}"), one.started, _seconds(one), _state(one), told(one.error)]
        for one in found
    ]
    return Table(t("Runs"), columns, rows)


def _state(one: Run) -> str:
    return {
        "running": t("running"), "done": t("done"), "failed": t("failed"), "interrupted": t("interrupted")
    }[one.status]  # fmt: skip


def _seconds(one: Run) -> float:
    """It took, or takes up to now."""
    if one.status != "running":
        return one.seconds
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(one.started)).total_seconds())


def _whole(pages: Pages, found: Run) -> Document:
    rows: list[list[Any]] = [
        [t("state"), _state(found)],
        [t("when"), found.started],
        [t("seconds"), f"{_seconds(found):.2f}"],
        [t("run"), found.id],
        *([t("made from"), _link(one)] for one in found.inputs),
    ]
    if found.output is not None:
        rows.append([t("gave"), _link(found.output)])
    now = seen(pages.project.store.folder)
    mine = now if now is not None and now.doing.run == found.id else None
    if mine is not None and (how := work_pages.progress(mine)):
        rows.insert(1, [t("progress"), how])
    parts: list[Part] = [Table(t("Facts"), [Column(t("field")), Column(t("value"))], rows)]
    if found.error:
        parts.append(Section(t("error"), [Passage(told(found.error), whole=True)]))
    if found.output is None:
        parts += _training(pages, found)
    if mine is not None:
        parts += work_pages.said_last(mine)
    if found.output is not None and found.output.kind == "artifact":
        parts += _trained(pages, found.output)
    return Document(None, parts)


def _link(ref: Ref) -> Link | str:
    below = PAGES.get(ref.kind)
    return Link(ref.short, f"{ROOT}/{below}/{ref.digest}") if below else ref.short


def _trained(pages: Pages, ref: Ref) -> list[Part]:
    """What a tuner measured, its loss as a picture, the last lines of its log."""
    store = pages.project.store
    try:
        artifact = store.catalog.get("artifact", ref.digest, Artifact)
        lines = store.blobs.get(artifact.log).decode("utf-8", "replace").splitlines() if artifact.log else []
    except SlipwayError as error:
        return [error.message]
    parts = training([Trained(artifact.name, artifact, _read(lines), observed_of(artifact, store))])
    return [*parts, *_log(lines)]


def _training(pages: Pages, found: Run) -> list[Part]:
    """The loss of a training that goes on, or that came to no end, and the last lines of its log."""
    lines = lines_of(pages.project.store.folder, found.id)
    drawn = curves({found.step: _read(lines)})
    return [*([Picture(drawn)] if drawn else []), *_log(lines)]


def _log(lines: Sequence[str]) -> list[Part]:
    return [Section(t("log"), [Passage("\n".join(lines[-LINES:]))])] if lines else []


def _read(lines: Sequence[str]) -> list[dict[str, Any]]:
    found: list[Any] = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [one for one in found if isinstance(one, dict) and "done" in one]
