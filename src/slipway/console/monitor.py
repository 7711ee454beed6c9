"""The page of the monitor: what changed, what was measured, what is new among the questions, which alerts arrived."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from slipway import api
from slipway.console.page import ROOT
from slipway.console.visit import Pages
from slipway.i18n import t
from slipway.loop.monitor.status import asked, status
from slipway.render.cells import Link
from slipway.render.pages.monitor import monitor as document
from slipway.serve.admin.access import needs


def monitor(pages: Pages) -> APIRouter:
    """Reading it changes nothing; the monitor is a process of its own."""
    router, project = APIRouter(prefix=ROOT, dependencies=[needs("read")]), pages.project

    @router.get("/monitor")
    def show(request: Request) -> Response:
        watched = api.monitor(project)
        found = status(watched)

        def linked(text: str, trace: str) -> str:
            return Link(text, f"{ROOT}/traces/{trace}")

        return pages.page(request, t("Monitor"), document(found, asked(watched, found), linked, drawn=True))

    _ = show
    return router
