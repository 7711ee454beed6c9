"""The addresses of what was asked and answered: the list with its filters, one trace, and the list as a file."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from slipway import api
from slipway.console import asked_views, export, filters, page, trace_views
from slipway.console.answers import replay_form
from slipway.console.page import ROOT
from slipway.console.visit import Pages
from slipway.core.trace import PLAYGROUND
from slipway.i18n import t
from slipway.loop.prompts import candidate_of, sent
from slipway.render.cells import Link
from slipway.serve.admin.access import needs

PAGE = 50  # traces on one page
Given = Annotated[dict[str, str], Depends(filters.given)]


def traces(pages: Pages) -> APIRouter:
    """Needs the scope `read`."""
    router, project = APIRouter(prefix=ROOT, dependencies=[needs("read")]), pages.project

    @router.get("/traces")
    def every(request: Request, given: Given, before: str = "") -> Response:
        found = api.traces(project, PAGE + 1, wanted=filters.wanted(given, before))
        links = [Link(t("newest ones"), f"{ROOT}/traces{filters.query(given)}")] if before else []
        if len(found) > PAGE:
            links.append(Link(t("older ones"), f"{ROOT}/traces{filters.query(given, found[PAGE - 1].id)}"))
        document = trace_views.traces(found[:PAGE], filters.query(given, before), *links)
        return pages.page(request, t("Traces"), document, before=_filters(pages, given), after=_downloads(given))

    @router.get("/traces/export.{form}")
    def download(form: str, given: Given) -> Response:
        if form not in export.TYPES:
            raise HTTPException(404)
        rows = export.written(project, filters.wanted(given, ""), form)
        headers = {**page.HEADERS, "content-disposition": f'attachment; filename="traces.{form}"'}
        return StreamingResponse(rows, headers=headers, media_type=export.TYPES[form])

    @router.get("/traces/{id}")
    def trace(request: Request, id: str, given: Given, before: str = "") -> Response:
        found, said = api.trace(project, id)
        asked = filters.query(given, before)
        asked_again = replay_form(pages, found, asked) if pages.may(request, "ask") else ""
        by = candidate_of(project, found)
        read = asked_views.read(found, by, sent(project, found, by)) if found.kept else []
        document = trace_views.trace(found, said, read)
        return pages.page(request, t("Trace"), document, _around(pages, found.id, given, asked), asked_again)

    _ = every, download, trace
    return router


def _filters(pages: Pages, given: dict[str, str]) -> str:
    """The form, with the channels that there are and the newest releases."""
    channels = [*dict.fromkeys([pages.project.project.serve.channel, *sorted(pages.project.store.catalog.channels())])]
    releases = [(one.digest, f"{one.digest[:12]} {one.candidate.name}") for _, one, _ in api.releases(pages.project)]
    return filters.form(given, [*channels, PLAYGROUND], releases[:100])


def _downloads(given: dict[str, str]) -> str:
    links = "".join(
        f'<li><a href="{ROOT}/traces/export.{form}{page.line(filters.query(given))}" download>'
        f"{page.line(t('All of these as {form}', form=form.upper()))}</a></li>"
        for form in export.TYPES
    )
    return f'<ul class="around">{links}</ul>'


def _around(pages: Pages, id: str, given: dict[str, str], asked: str) -> str:
    """Links to the next older and the next newer trace that the filter lets through, and back to the list."""
    older = api.traces(pages.project, 1, wanted=filters.wanted(given, id))
    newer = pages.project.store.catalog.newer(id, filters.wanted(given, ""))
    at = f"{ROOT}/traces/"
    return page.around(
        ("prev", newer and f"{at}{newer}{asked}", t("newer")),
        ("next", f"{at}{older[0].id}{asked}" if older else "", t("older")),
        ("up", f"{ROOT}/traces{asked}", t("back to the list")),
    )
