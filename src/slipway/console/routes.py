"""The addresses of the console. Reading needs a key with the scope `read`, deciding one with `admin`; a server that
asks for no key lets everybody in, as it does elsewhere. A form is taken from a page of this very server only.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from slipway import api
from slipway.api.cards import about_release
from slipway.console import page, views
from slipway.console.page import ROOT
from slipway.core.report import Report
from slipway.core.trace import Wanted
from slipway.errors import NotFound, SlipwayError
from slipway.i18n import LANGUAGES, speaking, t
from slipway.loop.context import Context
from slipway.render.cells import Link
from slipway.render.document import Document, Picture
from slipway.render.pages import data as data_pages
from slipway.render.pages import reports as report_pages
from slipway.render.pages.releases import release_difference
from slipway.render.pages.scales import verdict_picture
from slipway.render.pages.why import why as explained
from slipway.serve.admin.access import needs, scopes
from slipway.serve.admin.routes import Inside, secure
from slipway.serve.auth.caller import ANYONE, Caller
from slipway.serve.auth.sign_in import check_same_origin, ended
from slipway.serve.refuse import Refused, refusal

PAGE = 50  # traces on one page
MOST = 64_000  # bytes of a form
LANGUAGE = "slipway_language"
"""Cookie: the language that a person chose."""
_TIMES = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}


class Console:
    """The application behind `/console`, in the language of whoever looks at it."""

    def __init__(self, project: Context, server: Inside) -> None:
        self.app = FastAPI(title="Slipway console", docs_url=None, redoc_url=None, openapi_url=None)
        pages = Pages(project, server)
        routers = (_open(pages), _served(pages), _measured(pages), _released(pages), _decide(pages))
        self.scopes = scopes(routers)
        for router in routers:
            self.app.include_router(router)
        self.app.add_exception_handler(SlipwayError, pages.refused)
        self.app.add_exception_handler(HTTPException, pages.refused)

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


class Pages:
    """What every page has: the project, the server, who looks."""

    def __init__(self, project: Context, server: Inside) -> None:
        self.project = project
        self.server = server

    def page(
        self,
        request: Request,
        title: str,
        document: Document | str,
        before: str = "",
        after: str = "",
        status: int = 200,
    ) -> Response:
        """A page at the address of the request."""
        caller: Caller = request.scope.get("caller", ANYONE)
        return page.page(
            title,
            document,
            project=self.project.project.name,
            at=request.url.path,
            before=before,
            after=after,
            signed_in=caller.by == "cookie",
            status=status,
        )

    async def refused(self, request: Request, error: Exception) -> Response:
        """Why there is no page, as one; whoever has not said who it is is asked to."""
        caller: Caller = request.scope.get("caller", ANYONE)
        refused = refusal(error) if isinstance(error, SlipwayError) else None
        if refused is not None and refused.status == 403 and not caller.scopes:
            where = quote(request.url.path, safe="/") if request.method == "GET" else ROOT
            return RedirectResponse(f"{ROOT}/sign-in?next={where}", 303, page.HEADERS)
        if refused is None:
            status = error.status_code if isinstance(error, HTTPException) else 500
            said, hint = t("there is no such page: {path}", path=request.url.path[:200]), ""
        else:
            status, said, hint = refused.status, refused.message, refused.hint
        body = page.notice(said, "bad") + (f"<p>{page.line(hint)}</p>" if hint else "")
        return self.page(request, t("This did not work"), body, status=status)

    async def form(self, request: Request) -> dict[str, str]:
        """The fields of a form from a page of this server. Raises Refused."""
        check_same_origin("POST", request.headers.get("origin", ""), request.headers.get("host", ""))
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MOST:
                raise Refused(413, t("the form is too large"), t("at most {n} bytes are taken", n=MOST))
        return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def _open(pages: Pages) -> APIRouter:
    """What everybody may see: the way in, and our own files."""
    router, server = APIRouter(prefix=ROOT, dependencies=[needs(None)]), pages.server

    @router.get("/assets/{name}")
    def asset(name: str) -> Response:
        if name not in page.ASSETS:
            raise HTTPException(404)
        kept = {**page.HEADERS, "cache-control": "public, max-age=31536000, immutable"}
        return Response(page.asset(name), headers=kept, media_type=page.ASSETS[name])

    @router.get("/language/{name}")
    def language(name: str, request: Request) -> Response:
        if name not in LANGUAGES:
            raise HTTPException(404)
        answer = RedirectResponse(_own_path(request.headers.get("referer", ""), request), 303, page.HEADERS)
        answer.set_cookie(LANGUAGE, name, max_age=365 * 86400, path=ROOT, httponly=True, samesite="strict")
        return answer

    @router.get("/sign-in")
    def sign_in_page(request: Request, next: str = ROOT) -> Response:
        asked = page.field("key", t("API key"), type="password", required="", autocomplete="current-password")
        hidden = f'<input type="hidden" name="next" value="{page.line(_path(next))}">'
        lines = [
            t("`slipway keys create NAME --scope read` makes a key for reading, `--scope admin` one for deciding.")
        ]
        form = page.form(f"{ROOT}/sign-in", t("Sign in"), hidden, asked, method="post")
        return pages.page(request, t("Sign in"), Document(None, lines), before=form)

    @router.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        given = await pages.form(request)
        try:
            caller = server.keys.check(f"Bearer {given.get('key', '')}")
        except Refused as refused:
            address = request.client.host if request.client else ""
            raise server.refused_key(address, request.url.path, given=True) or refused from None
        answer = RedirectResponse(_path(given.get("next", "")), 303, page.HEADERS)
        if caller.key:
            answer.headers.append("set-cookie", server.sign_in.cookie(caller.key, secure=secure(request)))
        return answer

    @router.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        await pages.form(request)
        server.sign_in.end(request.headers.get("cookie", ""))
        answer = RedirectResponse(f"{ROOT}/sign-in", 303, page.HEADERS)
        answer.headers.append("set-cookie", ended(secure=secure(request)))
        return answer

    _ = asset, language, sign_in_page, sign_in, sign_out
    return router


def _path(text: str) -> str:
    """A path of the console; anything else is its first page."""
    sound = text == ROOT or text.startswith((f"{ROOT}/", f"{ROOT}?"))
    return text if sound and "\\" not in text and text.isprintable() and ".." not in text else ROOT


def _own_path(referer: str, request: Request) -> str:
    return _path(referer.removeprefix(str(request.base_url).rstrip("/")))


def _served(pages: Pages) -> APIRouter:
    """What is served, was asked and was said of it."""
    router, project = APIRouter(prefix=ROOT, dependencies=[needs("read")]), pages.project

    @router.get("")
    def overview(request: Request) -> Response:
        catalog = project.store.catalog
        decisions = api.history(project)
        serving: list[Any] = []
        for channel, digest in sorted(decisions.channels.items()):
            release = catalog.release(digest)
            at = next((one.at for one in decisions.decisions if one.channel == channel), release.created)
            serving.append((channel, release, api.verdict(project, digest), at))
        traffic = {name: catalog.traffic(views.since(span)) for name, span in views.SPANS}
        return pages.page(
            request, t("Overview"), views.overview(serving, traffic, _attention(pages, traffic["1d"].down))
        )

    @router.get("/traces")
    def traces(
        request: Request,
        words: str = "",
        channel: str = "",
        status: str = "",
        thumb: str = "",
        time: str = "",
        slow: str = "",
        before: str = "",
    ) -> Response:
        given = {
            "words": words[:200],
            "channel": channel[:63],
            "status": status,
            "thumb": thumb,
            "time": time,
            "slow": slow,
        }
        found = api.traces(project, PAGE + 1, wanted=_wanted(given, before))
        older = views.query({**given, "before": found[PAGE - 1].id}) if len(found) > PAGE else ""
        document = views.traces(found[:PAGE], f"{ROOT}/traces?{older}" if older else "")
        return pages.page(request, t("Traces"), document, before=_filters(given))

    @router.get("/traces/{id}")
    def trace(request: Request, id: str) -> Response:
        found, said = api.trace(project, id)
        return pages.page(request, t("Trace"), views.trace(found, said), before=_around(pages, found.id))

    @router.get("/feedback")
    def feedback(request: Request) -> Response:
        return pages.page(request, t("Feedback"), views.feedback(api.feedback(project, 200)))

    _ = overview, traces, trace, feedback
    return router


def _measured(pages: Pages) -> APIRouter:
    """What candidates were measured to do, on which data, in which steps."""
    router, project = APIRouter(prefix=ROOT, dependencies=[needs("read")]), pages.project

    @router.get("/reports")
    def reports(request: Request) -> Response:
        return pages.page(request, t("Reports"), views.reports(api.reports(project)[:200]))

    @router.get("/reports/{digest}")
    def report(request: Request, digest: str) -> Response:
        found = project.store.catalog.get("report", digest, Report)
        title = t("{candidate} on the {split} split", candidate=found.candidate.name, split=found.split)
        if found.split == "gate":
            hidden = t(
                "The answers on the gate split are not shown here: looking at them is counted. "
                "`slipway eval show NAME --split gate` shows them."
            )
            return pages.page(request, title, Document(None, [report_pages.report_table(found), hidden]))
        return pages.page(request, title, report_pages.report(found, api.items(project, found), 500))

    @router.get("/data")
    def data(request: Request) -> Response:
        return pages.page(request, t("Data"), views.data(api.datasets(project)[:100]))

    @router.get("/data/{digest}")
    def dataset(request: Request, digest: str) -> Response:
        found = api.find(project, "dataset", digest)
        shown = [
            one for one in api.items(project, found, 200) if getattr(one, "split", None) not in ("gate", "reserve")
        ]
        document = data_pages.dataset(found, shown, api.changes(project, digest))
        return pages.page(request, found.ref.short, document)

    @router.get("/runs")
    def runs(request: Request) -> Response:
        return pages.page(request, t("Runs"), views.runs(api.runs(project, 200)))

    _ = reports, report, data, dataset, runs
    return router


def _released(pages: Pages) -> APIRouter:
    """What may serve, and why."""
    router, project = APIRouter(prefix=ROOT, dependencies=[needs("read")]), pages.project

    @router.get("/releases")
    def releases(request: Request) -> Response:
        back = page.form(
            f"{ROOT}/rollback",
            t("Roll back"),
            _channels(pages),
            page.field("why", t("Why"), required=""),
            method="post",
        )
        found = api.releases(project)
        named = [(one.digest, f"{one.digest[:12]} {one.candidate.name}") for _, one, _ in found]
        compare = page.form(
            f"{ROOT}/difference",
            t("Compare"),
            page.choice("before", t("Before"), named),
            page.choice("after", t("After"), named),
        )
        after = (compare if len(named) > 1 else "") + (back if named else "")
        return pages.page(request, t("Releases"), views.releases(found, api.history(project)), after=after)

    @router.get("/releases/{digest}")
    def release(request: Request, digest: str) -> Response:
        found, cards = about_release(project, digest)
        judged, report = api.verdict(project, digest), api.find(project, "report", found.report.digest)
        parts = [*explained(judged, report).parts, Picture(verdict_picture(judged, report)), *cards.parts]
        promote = page.form(
            f"{ROOT}/releases/{found.digest}/promote",
            t("Promote"),
            _channels(pages),
            page.field("why", t("Why"), required=""),
            method="post",
        )
        return pages.page(request, found.ref.short, Document(None, parts), before=promote)

    @router.get("/difference")
    def difference(request: Request, before: str, after: str) -> Response:
        found = release_difference(api.diff(project, "release", before, after))
        return pages.page(request, t("What differs between two releases"), found)

    _ = releases, release, difference
    return router


def _decide(pages: Pages) -> APIRouter:
    """What changes which release serves. It is verified first, and entered in the history with who and why."""
    router, project = APIRouter(prefix=ROOT), pages.project

    @router.post("/releases/{digest}/promote")
    async def promote(digest: str, request: Request, caller: Annotated[Caller, needs("admin")]) -> Response:
        given = await pages.form(request)
        await _in_thread(lambda: api.promote(project, digest, _channel(given), _why(given), by=caller.name))
        return RedirectResponse(f"{ROOT}/releases", 303, page.HEADERS)

    @router.post("/rollback")
    async def rollback(request: Request, caller: Annotated[Caller, needs("admin")]) -> Response:
        given = await pages.form(request)
        await _in_thread(lambda: api.rollback(project, _channel(given), _why(given), by=caller.name))
        return RedirectResponse(f"{ROOT}/releases", 303, page.HEADERS)

    _ = promote, rollback
    return router


async def _in_thread(work: Callable[[], object]) -> None:
    from starlette.concurrency import run_in_threadpool

    await run_in_threadpool(work)


def _channel(given: dict[str, str]) -> str | None:
    return given.get("channel", "").strip() or None


def _why(given: dict[str, str]) -> str:
    why = given.get("why", "").strip()
    if not why:
        raise Refused(400, t("say why"), t("the history of what was decided keeps the reason"))
    return why


def _channels(pages: Pages) -> str:
    own = pages.project.project.serve.channel
    names = dict.fromkeys([own, *sorted(pages.project.store.catalog.channels())])
    return page.choice("channel", t("Channel"), [(name, name) for name in names], own)


def _attention(pages: Pages, down: int) -> list[Link | str]:
    """What a person should look at, the most urgent first."""
    found: list[Link | str] = []
    if trouble := pages.server.trouble():
        found.append(t("The server is not ready: {why}", why=trouble))
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
    used, budget = len(api.gate_looks(pages.project)), pages.project.project.release.looks
    if used >= budget:
        found.append(
            t("The looks at the gate split are used up ({n} of {budget}): add examples", n=used, budget=budget)
        )
    return found


def _wanted(given: dict[str, str], before: str) -> Wanted:
    """What a filter means; what cannot be understood is told. Raises Refused (400)."""
    status, thumb, slow = given["status"], given["thumb"], given["slow"]
    try:
        least = float(slow) if slow else None
    except ValueError:
        raise Refused(400, t("'{value}' is no number of seconds", value=slow[:40])) from None
    if status not in ("", "2xx", "4xx", "5xx") or thumb not in ("", "up", "down") or given["time"] not in ("", *_TIMES):
        raise Refused(400, t("such a filter is not known"), t("choose one of the list"))
    return Wanted(
        channel=given["channel"] or None,
        since=views.since(_TIMES[given["time"]]) if given["time"] else "",
        status=status,
        thumb=thumb or None,
        slow=least,
        words=tuple(given["words"].split()[:8]),
        before=before[:64],
    )


def _filters(given: dict[str, str]) -> str:
    every = ("", t("all"))
    times = [every, ("1h", t("hour")), ("1d", t("day")), ("7d", t("week")), ("30d", t("30 days"))]
    return page.form(
        f"{ROOT}/traces",
        t("Filter"),
        page.field("words", t("Words"), given["words"], type="search"),
        page.choice("time", t("in the last"), times, given["time"]),
        page.choice("status", t("status"), [every, ("2xx", "2xx"), ("4xx", "4xx"), ("5xx", "5xx")], given["status"]),
        page.choice("thumb", t("thumb"), [every, ("up", t("up")), ("down", t("down"))], given["thumb"]),
        page.field("slow", t("at least, in seconds"), given["slow"], inputmode="decimal", size="6"),
        page.field("channel", t("channel"), given["channel"], size="12"),
    )


def _around(pages: Pages, id: str) -> str:
    """Links to the next older and the next newer trace."""
    older = api.traces(pages.project, 1, wanted=Wanted(before=id))
    newer = pages.project.store.catalog.newer(id)
    links = [
        f'<a rel="{rel}" href="{ROOT}/traces/{other}">{page.line(text)}</a>'
        for rel, other, text in (("prev", newer, t("newer")), ("next", older[0].id if older else "", t("older")))
        if other
    ]
    return f'<p class="around">{" ".join(links)}</p>' if links else ""
