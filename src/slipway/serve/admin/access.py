"""Who may use a route: each says so itself, and one that does not stops the server from starting."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute

from slipway.serve.auth.caller import ANYONE, Caller, Scope


class Needs:
    """A dependency of a route: the caller, who must have the scope, or one of the others; None lets everybody in."""

    def __init__(self, scope: Scope | None, *others: Scope) -> None:
        self.scope: Scope | None = scope
        self._others = others

    async def __call__(self, request: Request) -> Caller:
        """The caller of the request. Raises Refused (403)."""
        caller = cast("Caller", request.scope.get("caller", ANYONE))
        if self.scope is not None and not any(other in caller.scopes for other in self._others):
            caller.require(self.scope)
        return caller


def needs(scope: Scope | None, *others: Scope) -> Any:
    """`dependencies=[needs("read")]` of a router or a route, or the default of a parameter that takes the caller."""
    return Depends(Needs(scope, *others))


def scopes(routers: Iterable[APIRouter]) -> dict[str, Scope | None]:
    """`METHOD path` -> the scope it needs. Raises AssertionError for a route that says nothing."""
    found: dict[str, Scope | None] = {}
    for router in routers:
        for route in router.routes:
            if not isinstance(route, APIRoute):
                raise AssertionError(f"{route} is no route that can be guarded")
            called = [one.dependency for one in (*router.dependencies, *route.dependencies)]
            called += [one.call for one in route.dependant.dependencies]
            needed = [one for one in called if isinstance(one, Needs)]
            if not needed:
                raise AssertionError(f"the route {route.path} does not say who may use it: see serve.admin.access")
            for method in sorted(route.methods or ()):
                found[f"{method} {route.path}"] = needed[0].scope
    return found
