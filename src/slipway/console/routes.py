"""The addresses of the console. Reading needs a key with the scope `read`, deciding one with `admin`; a server that
asks for no key lets everybody in, as it does elsewhere. A form is taken from a page of this very server only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from slipway import api
from slipway.api.cards import about_release
from slipway.console import page, views
from slipway.console.answers import answers
from slipway.console.entrance import LANGUAGE, entrance, signing
from slipway.console.kept import kept
from slipway.console.labelling import labelling
from slipway.console.material import material
from slipway.console.measured import compared, examples, measured
from slipway.console.monitor import monitor
from slipway.console.page import ROOT
from slipway.console.traces import traces
from slipway.console.visit import Pages
from slipway.console.work import work
from slipway.core.alert import open_alerts
from slipway.errors import NotFound, SlipwayError
from slipway.i18n import LANGUAGES, speaking, t
from slipway.loop.context import Context
from slipway.loop.monitor.message import subject
from slipway.loop.monitor.rules import OWN
from slipway.loop.stages.looks import frozen_looks
from slipway.render.cells import Link, info_of
from slipway.render.document import Document, Picture, Table
from slipway.render.pages.releases import release_difference
from slipway.render.pages.scales import verdict_picture
from slipway.render.pages.why import why as explained
from slipway.serve.admin.access import needs, scopes
from slipway.serve.admin.routes import Inside
from slipway.serve.auth.caller import Caller
from slipway.serve.refuse import Refused
from slipway.store.watching import Watching


class Console:
    """The application behind `/console`, in the language of whoever looks at it."""

    def __init__(self, project: Context, server: Inside) -> None:
        self.app = FastAPI(title="Slipway console", docs_url=None, redoc_url=None, openapi_url=None)
        pages = Pages(project, server)
        made = (
            entrance,
            signing,
            _served,
            traces,
            answers,
            measured,
            examples,
            compared,
            material,
            work,
            _released,
            _decide,
            monitor,
            kept,
        )
        routers = [*(one(pages) for one in made), *labelling(pages)]
        self.scopes = scopes(routers)
        for router in routers:
            self.app.include_router(router)
        for kind in (SlipwayError, HTTPException, RequestValidationError, Exception):
            self.app.add_exception_handler(kind, pages.refused)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        with speaking(_language(Request(scope))):
            await self.app(scope, receive, send)


def make_console(project: Context) -> Callable[[Inside], Console]:
    """What a server makes its console with."""
    return lambda server: Console(project, server)


def _language(request: Request) -> str:
    chosen = request.cookies.get(LANGUAGE, "")
    wanted = request.headers.get("accept-language", "").strip().lower()
    return chosen if chosen in LANGUAGES else "zh" if wanted.startswith("zh") else "en"


def _served(pages: Pages) -> APIRouter:
    """What is served, was asked and was said of it."""
    router, project = APIRouter(prefix=ROOT, dependencies=[needs("read")]), pages.project

    @router.get("")
    def overview(request: Request) -> Response:
        catalog = project.store.catalog
        serving, gone = _serving(project)
        traffic = {name: catalog.traffic(views.since(span)) for name, span in views.SPANS}
        attention = [*gone, *_attention(pages, traffic["1d"].down)]
        return pages.page(request, t("Overview"), views.overview(serving, traffic, attention, _quality(project)))

    @router.get("/feedback")
    def feedback(request: Request, start: views.Start = 0) -> Response:
        found, links = views.part(
            api.feedback(project, start + views.LISTED + 1), start, views.LISTED, f"{ROOT}/feedback"
        )
        return pages.page(request, t("Feedback"), views.feedback(found, *links))

    _ = overview, feedback
    return router


def _serving(project: Context) -> tuple[list[views.Serving], list[str]]:
    """What serves on each channel; and of which channels that is not known, because its records are gone or damaged."""
    decisions, found, gone = api.history(project), list[views.Serving](), list[str]()
    for channel, digest in sorted(decisions.channels.items()):
        at = next((one.at for one in decisions.decisions if one.channel == channel), "")
        try:
            release = project.store.catalog.release(digest)
            found.append((channel, release, api.verdict(project, digest), at or release.created))
        except SlipwayError as error:
            gone.append(
                t("'{channel}' points at a release that cannot be read: {why}", channel=channel, why=error.message)
            )
    return found, gone


def _quality(project: Context) -> list[Table]:
    """What the monitor measured of the answers on the project's channel; nothing where it did not run."""
    channel, since = project.project.serve.channel, views.since(views.SPANS[-1][1])[:13]
    shown = [one.name for one in OWN if one.kind == "share" and one.about == "answers"]
    shown += [name for name in project.project.evaluate.names if info_of(name).kind == "quality"]
    hours = Watching(project.store.catalog.database).hours(channel, since)
    return views.quality(channel, hours, shown)


def _released(pages: Pages) -> APIRouter:
    """What may serve, and why."""
    router, project = APIRouter(prefix=ROOT, dependencies=[needs("read")]), pages.project

    @router.get("/releases")
    def releases(request: Request, start: views.Start = 0) -> Response:
        back = _moving(pages, request, "rollback", t("Roll back"))
        found = api.releases(project)
        named = [(one.digest, f"{one.digest[:12]} {one.candidate.name}") for _, one, _ in found[: 2 * views.LISTED]]
        compare = page.form(
            f"{ROOT}/difference",
            t("Compare"),
            page.choice("before", t("Before"), named, named[1][0] if len(named) > 1 else ""),
            page.choice("after", t("After"), named),
        )
        after = (compare if len(named) > 1 else "") + (back if named else "")
        return pages.page(request, t("Releases"), views.releases(found, api.history(project), start), after=after)

    @router.get("/releases/{digest}")
    def release(request: Request, digest: str) -> Response:
        found, cards = about_release(project, digest)
        judged, report = api.verdict(project, digest), api.find(project, "report", found.report.digest)
        parts = [*explained(judged, report).parts, Picture(verdict_picture(judged, report)), *cards.parts]
        promote = _moving(pages, request, f"releases/{found.digest}/promote", t("Promote"))
        return pages.page(request, found.ref.short, Document(None, parts), before=promote)

    @router.get("/difference")
    def difference(request: Request, before: str, after: str) -> Response:
        found = release_difference(api.diff(project, "release", before, after), whole=True)
        return pages.page(request, t("What differs between two releases"), found)

    _ = releases, release, difference
    return router


def _decide(pages: Pages) -> APIRouter:
    """What changes which release serves. It is verified first, and entered in the history with who and why."""
    router, project = APIRouter(prefix=ROOT), pages.project

    @router.post("/releases/{digest}/promote")
    async def promote(digest: str, request: Request, caller: Annotated[Caller, needs("admin")]) -> Response:
        given = await pages.form(request)
        if not await run_in_threadpool(api.promote, project, digest, _channel(given), _why(given), caller.name):
            raise Refused(409, t("nothing was changed: this release serves there already"))
        return RedirectResponse(f"{ROOT}/releases", 303, page.HEADERS)

    @router.post("/rollback")
    async def rollback(request: Request, caller: Annotated[Caller, needs("admin")]) -> Response:
        given = await pages.form(request)
        await run_in_threadpool(api.rollback, project, _channel(given), _why(given), caller.name)
        return RedirectResponse(f"{ROOT}/releases", 303, page.HEADERS)

    _ = promote, rollback
    return router


def _channel(given: dict[str, str]) -> str | None:
    return given.get("channel", "").strip() or None


def _why(given: dict[str, str]) -> str:
    why = given.get("why", "").strip()
    if not why:
        raise Refused(400, t("say why"), t("the history of what was decided keeps the reason"))
    return why


def _moving(pages: Pages, request: Request, to: str, label: str) -> str:
    """The form that moves a channel, with a reason, for those who may."""
    if not pages.may(request, "admin"):
        return ""
    why = page.field("why", t("Why"), required="")
    return page.form(f"{ROOT}/{to}", label, _channels(pages), why, method="post")


def _channels(pages: Pages) -> str:
    own = pages.project.project.serve.channel
    names = dict.fromkeys([own, *sorted(pages.project.store.catalog.channels())])
    return page.choice("channel", t("Channel"), [(name, name) for name in names], own)


def _attention(pages: Pages, down: int) -> list[Link | str]:
    """What a person should look at, the most urgent first."""
    found: list[Link | str] = []
    if trouble := pages.server.trouble():
        found.append(t("The server is not ready: {why}", why=trouble))
    alerts = open_alerts(Watching(pages.project.store.catalog.database).alerts(200))
    found += [Link(subject(alert), f"{ROOT}/monitor") for alert in alerts]
    if down:
        told = t("{n} answers got a thumb down in the last day", n=down)
        found.append(Link(told, f"{ROOT}/traces?{views.query({'thumb': 'down', 'time': '1d'})}"))
    try:
        newest = api.verdict(pages.project)
    except NotFound:
        return found
    if newest.outcome != "pass":
        told = t(
            "The newest verdict of the gate, on '{name}', is not a pass", name=newest.report.name.partition("/")[0]
        )
        found.append(Link(told, f"{ROOT}/reports/{newest.report.digest}"))
    used, budget = len(frozen_looks(pages.project)), pages.project.project.release.looks
    if used >= budget:
        found.append(
            t("The looks at the gate split are used up ({n} of {budget}): add examples", n=used, budget=budget)
        )
    return found
