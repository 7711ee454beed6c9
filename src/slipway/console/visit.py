"""What every page of the console has: the project, the server, who looks; and what is shown where there is no page."""

from __future__ import annotations

from urllib.parse import parse_qs, quote

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from slipway.console import page
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
        """Why there is no page, as one; whoever has not said who it is is asked to."""
        caller: Caller = request.scope.get("caller", ANYONE)
        refused = refusal(error) if isinstance(error, SlipwayError) else None
        if refused is not None and refused.status == 403 and not caller.scopes:
            here = f"{request.url.path}?{request.url.query}".removesuffix("?")
            where = quote(here, safe="/") if request.method == "GET" else ROOT
            return RedirectResponse(f"{ROOT}/sign-in?next={where}", 303, page.HEADERS)
        if refused is not None and refused.status == 403 and request.url.path == ROOT:
            first = next((path for path, scope in page.NEEDS.items() if scope in caller.scopes), "")
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
        return self.page(request, t("This did not work"), body, status=status)

    async def form(self, request: Request, most: int = MOST) -> dict[str, str]:
        """The fields of a form of at most so many bytes from a page of this server, each once. Raises Refused."""
        return {name: values[0] for name, values in (await self.fields(request, most)).items()}

    async def fields(self, request: Request, most: int = MOST) -> dict[str, list[str]]:
        """The same, with all values of each field."""
        check_same_origin("POST", request.headers.get("origin", ""), request.headers.get("host", ""))
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > most:
                raise Refused(413, t("the form is too large"), t("at most {n} bytes are taken", n=most))
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=FIELDS)
