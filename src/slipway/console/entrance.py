"""The way into the console: signing in and out, the language, our own files. Everybody may see these."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from slipway.console import page
from slipway.console.page import ROOT
from slipway.console.visit import Pages
from slipway.i18n import LANGUAGES, t
from slipway.render.document import Document
from slipway.serve.admin.access import needs
from slipway.serve.admin.routes import secure
from slipway.serve.auth.sign_in import ended
from slipway.serve.refuse import Refused

LANGUAGE = "slipway_language"
"""Cookie: the language that a person chose."""


def entrance(pages: Pages) -> APIRouter:
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
        hidden += '<input type="text" name="user" autocomplete="username" hidden>'
        lines = [
            t("`slipway keys create NAME --scope read` makes a key for reading, `--scope read --scope admin` one that "
              "also decides.")
        ]  # fmt: skip
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
