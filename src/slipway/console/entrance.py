"""The way into the console: signing in and out, the language, our own files. Everybody may see these."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from slipway.console import page, sent
from slipway.console.page import ROOT
from slipway.console.visit import Pages, own_path, sound_path
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
    router = APIRouter(prefix=ROOT, dependencies=[needs(None)])

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
        answer = RedirectResponse(own_path(request), 303, page.HEADERS)
        answer.set_cookie(LANGUAGE, name, max_age=365 * 86400, path=ROOT, httponly=True, samesite="strict")
        return answer

    _ = asset, language
    return router


def signing(pages: Pages) -> APIRouter:
    """Signing in, also in the middle of a form, and out."""
    router, server = APIRouter(prefix=ROOT, dependencies=[needs(None)]), pages.server

    @router.get("/sign-in")
    def sign_in_page(request: Request, next: str = ROOT) -> Response:
        lines = [
            t("`slipway keys create NAME --scope read` makes a key for reading, `--scope read --scope admin` one that "
              "also decides.")
        ]  # fmt: skip
        return pages.page(request, t("Sign in"), Document(None, lines), before=sent.sign_in(sound_path(next)))

    @router.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        given = await pages.fields(request, sent.MOST)
        request.state.sent = {}  # the key is shown on no page
        (key,), (to,) = (given.get(name, [""])[:1] for name in ("key", "next"))
        path, where, fields = sent.carried(given)
        path, where = sound_path(path), sound_path(where)
        try:
            caller = server.keys.check(f"Bearer {key}")
        except Refused as refused:
            address = request.client.host if request.client else ""
            why = server.refused_key(address, request.url.path, given=True) or refused
            if not fields:
                raise why from None
            body = sent.ended(path, where, fields, why.message)
            return pages.page(request, t("Sign in again"), body, status=why.status)
        answer: Response = RedirectResponse(sound_path(to), 303, page.HEADERS)
        if fields:
            answer = pages.page(request, t("Signed in again"), sent.resumed(path, where, fields))
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

    _ = sign_in_page, sign_in, sign_out
    return router
