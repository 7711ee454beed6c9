"""The page of what is kept of those who ask, and the forms that delete what came from one of them.

Deleting needs a key with the scope `admin`, and two steps: the first tells what would go, the second does it.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from slipway import api
from slipway.console import page
from slipway.console.page import ROOT
from slipway.console.visit import Pages
from slipway.i18n import t
from slipway.loop.forget import Forgotten
from slipway.render.pages import kept as kept_page
from slipway.render.pages.feedback import forgotten
from slipway.serve.admin.access import needs
from slipway.serve.auth.caller import Caller
from slipway.serve.refuse import Refused

WAYS = ("user", "trace", "matching")


def kept(pages: Pages) -> APIRouter:
    """`/console/kept` and what it leads to."""
    router, project = APIRouter(prefix=ROOT), pages.project

    @router.get("/kept", dependencies=[needs("read")])
    def show(request: Request) -> Response:
        telemetry = pages.server.telemetry
        sending = {"sent": telemetry.sent, "dropped": telemetry.dropped} if telemetry else None
        document = kept_page.kept(api.kept(project), sending, telemetry.trouble if telemetry else "")
        return pages.page(request, t("Kept data"), document, after=_ask() if pages.may(request, "admin") else "")

    @router.post("/forget")
    async def look(request: Request, caller: Annotated[Caller, needs("admin")]) -> Response:
        given = await pages.form(request)
        way, what, why = _given(given)
        found = await run_in_threadpool(lambda: _forget(way, what))
        document = forgotten(found, t("None of it was deleted yet."))
        return pages.page(request, t("What would be deleted"), document, after=_confirm(way, what, why))

    @router.post("/forget/confirmed")
    async def delete(request: Request, caller: Annotated[Caller, needs("admin")]) -> Response:
        given = await pages.form(request)
        way, what, why = _given(given)
        if given.get("confirmed") != "yes":
            raise Refused(400, t("nothing was deleted: it was not confirmed"), t("tick the box, then press the button"))
        await run_in_threadpool(lambda: _forget(way, what, yes=True, by=caller.name, why=why))
        return RedirectResponse(f"{ROOT}/kept", 303, page.HEADERS)

    def _forget(way: str, what: str, *, yes: bool = False, by: str = "", why: str = "") -> Forgotten:
        return api.forget(project, **{way: what}, yes=yes, by=by, why=why)

    _ = show, look, delete
    return router


def _given(given: dict[str, str]) -> tuple[str, str, str]:
    way, what, why = given.get("way", ""), given.get("what", "").strip(), given.get("why", "").strip()
    if way not in WAYS or not what:
        raise Refused(400, t("say whose data to delete"), t("a key, the id of a trace, or a text that it holds"))
    if not why:
        raise Refused(400, t("say why"), t("the list of what was deleted keeps the reason"))
    return way, what, why


def _ask() -> str:
    names = {"user": t("a person's key: its name or id"), "trace": t("a trace: its id"),
             "matching": t("all that holds a text, such as the `user` that a request names")}  # fmt: skip
    fields = (
        page.choice("way", t("Delete what came from"), [(way, names[way]) for way in WAYS]),
        page.field("what", t("Which"), required="", autocomplete="off"),
        page.field("why", t("Why (it is kept: name nobody)"), required="", autocomplete="off"),
    )
    title = f"<h2>{page.line(t('Delete what came from a person'))}</h2>"
    return title + page.form(f"{ROOT}/forget", t("Look what would be deleted"), *fields, method="post")


def _confirm(way: str, what: str, why: str) -> str:
    kept = "".join(
        f'<input type="hidden" name="{name}" value="{page.line(value)}">'
        for name, value in (("way", way), ("what", what), ("why", why))
    )
    sure = page.line(t("Delete it for good"))
    box = f'<label><input type="checkbox" name="confirmed" value="yes" required> {sure}</label>'
    return page.form(f"{ROOT}/forget/confirmed", t("Delete"), kept, box, method="post")
