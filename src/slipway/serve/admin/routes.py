"""What is asked about the server rather than of a model: health, models, feedback given, metrics, its own description.

FastAPI: none of this is hot. Every route says which scope it needs. Knows nothing of generation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import time
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from slipway import __version__
from slipway.errors import SlipwayError
from slipway.i18n import t
from slipway.privacy.redact import Redactor
from slipway.serve.admin.access import needs, scopes
from slipway.serve.admin.openapi import describe
from slipway.serve.auth.caller import Caller
from slipway.serve.auth.keys import Keys
from slipway.serve.auth.sign_in import SignIn, ended
from slipway.serve.gateway.aside import Aside
from slipway.serve.gateway.concurrency import Slots
from slipway.serve.gateway.router import Router
from slipway.serve.prometheus import CONTENT_TYPE, Metrics
from slipway.serve.recording.recorder import Recorder
from slipway.serve.refuse import Refused, refusal
from slipway.serve.telemetry.telemetry import Telemetry
from slipway.store.store import Store

MAX_LISTED = 1000
POSTED = frozenset(("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/generate"))


@dataclass(frozen=True)
class Inside:
    """What may be asked about: the parts of a server. `trouble` says why it is not ready, or nothing; `engines` why a
    model that is loaded cannot answer now.
    """

    store: Store
    router: Router
    slots: Slots
    metrics: Metrics
    trouble: Callable[[], str]
    engines: Callable[[], Awaitable[str]]
    shown: Redactor  # what was kept by an older version may hold secrets
    keys: Keys
    sign_in: SignIn
    refused_key: Callable[..., Refused | None]  # counts a wrong key; says when its address has to wait
    aside: Aside
    recorder: Recorder
    telemetry: Telemetry | None = None


def make_admin(server: Inside) -> FastAPI:
    """The application behind the gateway. Raises AssertionError for a route that does not say who may use it."""
    admin = FastAPI(title="Slipway", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    admin.add_exception_handler(SlipwayError, _ours)
    admin.add_exception_handler(HTTPException, _http)
    admin.add_exception_handler(RequestValidationError, _invalid)
    routers = (_health(server, admin), _models(server), _kept(server), _sign_in(server))
    admin.state.scopes = scopes(routers)
    for router in routers:
        admin.include_router(router)
    return admin


def _health(server: Inside, admin: FastAPI) -> APIRouter:
    router = APIRouter(dependencies=[needs(None)])

    @router.get("/healthz", summary="Whether the process is alive")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz", summary="Whether the channel's release is verified and loaded, and its models answer")
    async def readyz(response: Response) -> dict[str, str]:
        trouble, current = server.trouble() or await server.engines(), server.router.current
        if trouble:
            response.status_code = 503
        return {
            "status": "not ready" if trouble else "ready",
            "why": trouble or server.router.trouble,
            "release": current.digest if current else "",
        }

    @router.get("/openapi.json", include_in_schema=False)
    async def openapi() -> dict[str, Any]:
        return describe(admin.openapi())

    _ = healthz, readyz, openapi
    return router


def _models(server: Inside) -> APIRouter:
    router = APIRouter(dependencies=[needs("ask")])

    @router.get("/v1/models", summary="Every name that can be asked")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_model(name) for name in server.router.names()]}

    @router.get("/v1/models/{name:path}", summary="One name")
    async def one_model(name: str) -> dict[str, Any]:
        await server.router.resolve(name)
        return _model(name)

    _ = models, one_model
    return router


def _kept(server: Inside) -> APIRouter:
    router = APIRouter(dependencies=[needs("read")])

    @router.get("/metrics", summary="Metrics for Prometheus")
    async def metrics() -> Response:
        server.metrics.running.set(server.slots.running)
        server.metrics.waiting.set(server.slots.waiting)
        return Response(server.metrics.page(), media_type=CONTENT_TYPE)

    @router.get("/v1/feedback", summary="Feedback given, newest first")
    def feedback(trace: str | None = None, limit: int = 100) -> dict[str, Any]:
        kept = server.store.catalog.feedback(trace, max(1, min(limit, MAX_LISTED)))
        found = [server.shown.feedback(said) for said in kept]
        shown = ("id", "trace", "at", "thumb", "score", "correction", "comment", "by")
        return {"object": "list", "data": [{key: getattr(f, key) for key in shown} for f in found]}

    _ = metrics, feedback
    return router


def _sign_in(server: Inside) -> APIRouter:
    """Signing in and out, and who one is."""
    router = APIRouter()

    @router.post("/v1/sign-in", summary="Give an API key, get a cookie", dependencies=[needs(None)])
    async def sign_in(given: Given, request: Request, response: Response) -> dict[str, Any]:
        address = request.client.host if request.client else ""
        try:
            caller = server.keys.check(f"Bearer {given.key}")
        except Refused as refused:
            raise server.refused_key(address, request.url.path, given=True) or refused from None
        if caller.key:
            response.headers["set-cookie"] = server.sign_in.cookie(caller.key, secure=secure(request))
        return _who(caller)

    @router.post("/v1/sign-out", summary="End the session of the cookie", dependencies=[needs(None)])
    async def sign_out(request: Request, response: Response) -> dict[str, str]:
        server.sign_in.end(request.headers.get("cookie", ""))
        response.headers["set-cookie"] = ended(secure=secure(request))
        return {"status": "signed out"}

    @router.get("/v1/me", summary="Who asks, and what it may do")
    async def me(caller: Annotated[Caller, needs(None)]) -> dict[str, Any]:
        return _who(caller)

    _ = sign_in, sign_out, me
    return router


class Given(BaseModel):
    """What a browser signs in with."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=1, max_length=200)


def _who(caller: Caller) -> dict[str, Any]:
    shown = ("key", "name", "tenant", "by")
    return {**{name: getattr(caller, name) for name in shown}, "scopes": sorted(caller.scopes)}


def secure(request: Request) -> bool:
    """Whether the browser came by https; it says so itself, since a proxy in between may have ended the encryption."""
    return request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")


_created = int(time())


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _created, "owned_by": "slipway"}


# -- refusals in OpenAI's shape ---------------------------------------------------------------------------------------


def _allowed(path: str, error: Exception) -> str:
    """The methods of a path, the gateway's too, as RFC 9110 wants them said with a 405."""
    headers = (error.headers if isinstance(error, HTTPException) else None) or {}
    known = next((value for name, value in headers.items() if name.lower() == "allow"), "")
    return ", ".join(filter(None, (known, "POST" if path in POSTED or path == "/v1/feedback" else "")))


def _refuse(refused: Refused, more: dict[str, str] | None = None) -> Response:
    headers = {key.decode(): value.decode() for key, value in refused.headers} | (more or {})
    return Response(refused.json(), refused.status, headers, "application/json")


async def _ours(request: Request, error: Exception) -> Response:
    return _refuse(refusal(error) if isinstance(error, SlipwayError) else Refused(500, str(error)))


async def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    path, hint = request.url.path[:200], t("/openapi.json lists every path")
    if status == 405 or (status == 404 and path in POSTED):
        refused = Refused(405, t("{path} does not answer to {method}", path=path, method=request.method), hint)
        return _refuse(refused, {"allow": _allowed(path, error)})
    if status == 404:
        return _refuse(Refused(404, t("nothing is served at {path}", path=path), hint))
    return _refuse(Refused(status, t("the request failed with status {status}", status=status), hint))


async def _invalid(request: Request, error: Exception) -> Response:
    errors = error.errors() if isinstance(error, RequestValidationError) else ()
    found = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in errors)
    return _refuse(Refused(400, t("the request is not valid: {what}", what=found), t("/openapi.json lists every path")))
