"""What every page of the console has: the project, the server, who looks; and what is shown where there is no page."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import parse_qs, quote

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from slipway.console import page, sent
from slipway.console.page import ROOT
from slipway.errors import SlipwayError
from slipway.i18n import t
from slipway.loop.context import Context
from slipway.render.document import Document
from slipway.serve.admin.routes import Inside
from slipway.serve.auth.caller import ANYONE, SCOPES, Caller, Scope
from slipway.serve.auth.sign_in import check_same_origin
from slipway.serve.refuse import Refused, refusal

MOST, FIELDS = 64_000, 200  # bytes of a form, and fields


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
            scopes=caller.scopes or SCOPES,
            status=status,
        )

    def may(self, request: Request, scope: Scope) -> bool:
        """Whether who looks may do what needs this scope: a form that would be refused is not shown."""
        caller: Caller = request.scope.get("caller", ANYONE)
        return scope in caller.scopes

    async def refused(self, request: Request, error: Exception) -> Response:
        """Why there is no page, as one; whoever has not said who it is is asked to. What a form brought is kept."""
        caller: Caller = request.scope.get("caller", ANYONE)
        refused = refusal(error) if isinstance(error, SlipwayError) else None
        unknown = refused is not None and refused.status == 403 and not caller.scopes
        given, where = await self._sent(request), own_path(request)
        if unknown and not given:
            here = f"{request.url.path}?{request.url.query}".removesuffix("?")
            to = quote(here if request.method == "GET" else where, safe="/")
            return RedirectResponse(f"{ROOT}/sign-in?next={to}", 303, page.HEADERS)
        if unknown:
            why = t("You are not signed in any more, so this was not taken. Sign in to go on: nothing of it is lost.")
            body = sent.ended(_target(request), where, given, why)
            return self.page(request, t("Sign in again"), body, status=403)
        if refused is not None and refused.status == 403 and request.url.path == ROOT:
            mine = (path for path, scopes in page.NEEDS.items() if any(one in caller.scopes for one in scopes))
            first = next(mine, "")
            if first:  # the only page that this key is for
                return RedirectResponse(f"{ROOT}{first}", 303, page.HEADERS)
        if refused is None and not isinstance(error, HTTPException | RequestValidationError):
            status, said = 500, t("something went wrong in the server")
            hint = t("its log says what; try again, and tell whoever looks after it")
        elif refused is None:
            status = error.status_code if isinstance(error, HTTPException) else 404
            said, hint = t("there is no such page: {path}", path=request.url.path[:200]), ""
        else:
            status, said, hint = refused.status, refused.message, refused.hint
        body = page.notice(said, "bad") + (f"<p>{page.line(hint)}</p>" if hint else "")
        after = sent.refused(_target(request), where, given, status) if given else ""
        return self.page(request, t("This did not work"), body, after=after, status=status)

    async def _sent(self, request: Request) -> dict[str, list[str]]:
        """The fields that a form of ours brought, whether they were read before or not."""
        if not hasattr(request.state, "sent") and request.method == "POST":
            with suppress(Refused):
                await self.fields(request, sent.MOST)
        return getattr(request.state, "sent", {})

    async def form(self, request: Request, most: int = MOST) -> dict[str, str]:
        """The fields of a form of at most so many bytes from a page of this server, each once. Raises Refused."""
        return {name: values[0] for name, values in (await self.fields(request, most)).items()}

    async def fields(self, request: Request, most: int = MOST) -> dict[str, list[str]]:
        """The same, with all values of each field."""
        request.state.sent = {}
        check_same_origin("POST", request.headers.get("origin", ""), request.headers.get("host", ""))
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > most:
                raise Refused(413, t("the form is too large"), t("at most {n} bytes are taken", n=most))
        try:
            given = parse_qs(body.decode("utf-8", "replace"), max_num_fields=FIELDS)
        except ValueError:
            raise Refused(400, t("the form has too many fields"), t("at most {n} are taken", n=FIELDS)) from None
        request.state.sent = given
        return given


def own_path(request: Request) -> str:
    """The page of the console that a request came from, as the browser says; else its first page."""
    return sound_path(request.headers.get("referer", "").removeprefix(str(request.base_url).rstrip("/")))


def sound_path(text: str) -> str:
    """A path of the console; anything else is its first page."""
    sound = text == ROOT or text.startswith((f"{ROOT}/", f"{ROOT}?"))
    return text if sound and "\\" not in text and text.isprintable() and ".." not in text else ROOT


def _target(request: Request) -> str:
    return f"{request.url.path}?{request.url.query}".removesuffix("?")
