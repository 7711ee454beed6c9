"""The page of the monitor: what changed, what was measured, what is new among the questions, which alerts arrived."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from slipway import api
from slipway.console.page import ROOT
from slipway.console.visit import Pages
from slipway.core.trace import Wanted
from slipway.i18n import t
from slipway.loop.monitor.status import status
from slipway.render.cells import Link
from slipway.render.pages.monitor import monitor as document
from slipway.serve.admin.access import needs


def monitor(pages: Pages) -> APIRouter:
    """Reading it changes nothing; the monitor is a process of its own."""
    router, project = APIRouter(prefix=ROOT, dependencies=[needs("read")]), pages.project

    @router.get("/monitor")
    def show(request: Request) -> Response:
        found = status(api.monitor(project))
        asked = dict[str, str]()
        for trace, _ in found.unlike:
            with_text = api.traces(project, 1, wanted=Wanted(ids=(trace,)))
            asked |= {one.id: one.asked for one in with_text}

        def linked(text: str, trace: str) -> str:
            return Link((asked.get(trace) or text)[:120], f"{ROOT}/traces/{trace}")

        return pages.page(request, t("Monitor"), document(found, linked, drawn=True))

    _ = show
    return router
