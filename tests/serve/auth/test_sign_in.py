"""Signing in from a browser, and what a key may do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import APIRouter

from commands import slipway
from served import Reply, Running, echo, make_context, promote, release, serving
from slipway.errors import ConfigError, IntegrityError
from slipway.serve.admin.access import needs, scopes
from slipway.serve.auth.caller import SCOPES
from slipway.serve.auth.keys import create_key, revoke_key
from slipway.serve.auth.sign_in import COOKIE, SignIn
from slipway.store.store import Store
from slipway.testing.projects import write_project

PATHS = {
    "POST /v1/chat/completions": "ask",
    "POST /v1/completions": "ask",
    "POST /v1/embeddings": "ask",
    "POST /generate": "ask",
    "POST /v1/feedback": "ask",
    "GET /healthz": None,
    "GET /readyz": None,
    "GET /openapi.json": None,
    "GET /v1/models": "ask",
    "GET /v1/models/{name:path}": "ask",
    "GET /metrics": "read",
    "GET /v1/feedback": "read",
    "POST /v1/sign-in": None,
    "POST /v1/sign-out": None,
    "GET /v1/me": None,
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state")


@pytest.fixture
def server(store: Store) -> Iterator[Running]:
    promote(store, release(store, echo()))
    create_key(store, "first")
    with serving(make_context(store, [echo("raw")])) as running:
        running.until()
        yield running


def known(server: Running, store: Store, name: str, **more: object) -> tuple[str, str]:
    """A key that the server knows already."""
    id_, key = create_key(store, name, **more)
    server.application.keys.refresh()
    return id_, key


def sign_in(server: Running, key: str, **headers: str) -> Reply:
    return server.post("/v1/sign-in", {"key": key}, headers)


def cookie(reply: Reply) -> dict[str, str]:
    return {"cookie": reply.headers["set-cookie"].split(";")[0]}


def own(server: Running) -> dict[str, str]:
    return {"origin": f"http://{server.host}:{server.port}"}


def test_every_route_needs_what_it_says(server: Running, store: Store) -> None:
    described = server.application._admin.state.scopes
    assert described | {f"POST {path}": "ask" for path in server.application._posts} == PATHS
    keys = {scope: known(server, store, scope, scopes=[scope])[1] for scope in SCOPES}
    for route, needed in PATHS.items():
        method, path = route.split(" ")
        path = path.replace("{name:path}", "raw")
        for scope, key in keys.items():
            reply = server.send(method, path, {} if method == "POST" else None, {"authorization": f"Bearer {key}"})
            if needed in (None, scope):
                assert reply.status != 403, (route, scope)
            else:
                assert (reply.status, reply.error["code"]) == (403, "scope_missing"), (route, scope)
                assert needed in reply.error["message"]
        if needed is not None:
            assert server.send(method, path, {} if method == "POST" else None).status == 401, route


def test_a_route_that_says_nothing_stops_the_server() -> None:
    router = APIRouter(dependencies=[needs("admin")])
    router.add_api_route("/guarded", lambda: 1)
    assert scopes([router]) == {"GET /guarded": "admin"}
    open_router = APIRouter()
    open_router.add_api_route("/forgotten", lambda: 1)
    with pytest.raises(AssertionError, match="/forgotten"):
        scopes([router, open_router])


def test_a_key_becomes_a_cookie_that_does_what_the_key_does(server: Running, store: Store) -> None:
    id_, key = known(server, store, "ada", scopes=["ask"], tenant="acme")
    reply = sign_in(server, key)
    assert reply.status == 200
    assert reply.json == {"key": id_, "name": "ada", "tenant": "acme", "by": "key", "scopes": ["ask"]}
    assert re.fullmatch(rf"{COOKIE}=\S+; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict", reply.headers["set-cookie"])
    assert key not in str(reply.headers)
    assert "; Secure" in sign_in(server, key, origin=f"https://{server.host}:{server.port}").headers["set-cookie"]
    mine = cookie(reply)
    assert server.get("/v1/me", **mine).json["by"] == "cookie"
    assert server.get("/metrics", **mine).status == 403
    asked = server.chat("hello", headers=mine | own(server))
    assert asked.status == 200
    trace = store.catalog.trace(asked.headers["x-slipway-trace"])
    assert (trace.key, trace.tenant) == (id_, "acme")


def test_a_cookie_acts_only_from_a_page_of_this_server(server: Running, store: Store) -> None:
    _, key = known(server, store, "ada")
    mine = cookie(sign_in(server, key))
    assert server.get("/v1/models", **mine).status == 200
    for headers in ({}, {"origin": "null"}, {"origin": "https://evil.example"}):
        reply = server.chat("hello", headers=mine | headers)
        assert reply.status == 403, headers
    assert server.chat("hello", headers=mine | own(server)).status == 200


def test_an_allowed_origin_still_needs_a_key(store: Store) -> None:
    promote(store, release(store, echo()))
    _, key = create_key(store, "ada")
    with serving(make_context(store, [], allowed_origins=["https://app.example"])) as server:
        server.until()
        mine, other = cookie(sign_in(server, key)), {"origin": "https://app.example"}
        assert server.chat("hello", headers=mine | other).status == 403
        assert server.chat("hello", headers={"authorization": f"Bearer {key}"} | other).status == 200


def test_a_session_ends(server: Running, store: Store) -> None:
    id_, key = known(server, store, "ada")
    first, second = (cookie(sign_in(server, key)) for _ in range(2))
    gone = server.post("/v1/sign-out", None, first | own(server))
    assert gone.status == 200
    assert "Max-Age=0" in gone.headers["set-cookie"]
    assert server.get("/v1/me", **first).status == 401
    assert server.get("/v1/me", **second).status == 200
    revoke_key(store, id_)
    server.application.keys.refresh()
    assert server.get("/v1/me", **second).status == 401


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [
    lambda c: c[:-1] + ("0" if c[-1] != "0" else "1"), lambda c: c + "x", lambda c: "", lambda c: c + "; " + c,
    lambda c: c.replace(".", "..", 1), lambda c: f"{COOKIE}=a.b.c.d", lambda c: f"{COOKIE}=" + "f" * 5000,
    lambda c: f"{COOKIE}=\u00e9", lambda c: "other=1", lambda c: re.sub(r"\.(\d{9,11})\.", ".99999999999.", c),
])  # fmt: skip
def test_a_cookie_that_is_not_ours_is_none(server: Running, store: Store, spoil) -> None:
    _, key = known(server, store, "ada")
    mine = cookie(sign_in(server, key))["cookie"]
    assert server.get("/v1/me", cookie=mine).status == 200
    reply = server.get("/v1/me", cookie=spoil(mine))
    assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")


def test_a_cookie_expires_and_belongs_to_one_project() -> None:
    now = [1000.0]
    one = SignIn(lambda: b"salt", lambda id_: {"ab": "hash"}.get(id_, ""), lambda: now[0])
    header = one.cookie("ab", secure=False).split(";")[0]
    assert one.key_of(header) == "ab"
    assert SignIn(lambda: b"other", lambda id_: {"ab": "hash"}.get(id_, ""), lambda: now[0]).key_of(header) == ""
    assert SignIn(lambda: b"salt", lambda id_: {"ab": "other"}.get(id_, ""), lambda: now[0]).key_of(header) == ""
    now[0] += 12 * 3600 + 1
    assert one.key_of(header) == ""


def test_wrong_keys_are_counted_and_slowed(server: Running) -> None:
    statuses = [sign_in(server, f"sk-slipway-abc-{n}").status for n in range(12)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    for body in ({}, {"key": ""}, {"key": 7}, {"key": "x" * 1000}, {"key": "x", "more": 1}, []):
        assert server.post("/v1/sign-in", body).status == 400


def test_a_server_without_keys_needs_no_session(tmp_path: Path) -> None:
    store = Store(tmp_path)
    promote(store, release(store, echo()))
    with serving(make_context(store, [])) as server:
        server.until()
        assert server.get("/v1/me").json == {
            "key": "", "name": "", "tenant": "", "by": "open", "scopes": ["admin", "ask", "label", "read"],
        }  # fmt: skip
        assert "set-cookie" not in sign_in(server, "whatever").headers


def test_two_cookie_headers_are_refused(server: Running) -> None:
    import http.client

    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    connection.putrequest("GET", "/v1/me")
    connection.putheader("cookie", "a=1")
    connection.putheader("cookie", "b=2")
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 400
    assert b"Cookie" in answer.read()


def test_a_scope_or_tenant_changed_in_the_file_shows(tmp_path: Path) -> None:
    from sqlalchemy import update

    from slipway.store import tables

    store = Store(tmp_path)
    create_key(store, "all")
    id_, _ = create_key(store, "some", ["ask"], "acme")
    store.catalog.verify_history()
    for name in ("scopes", "tenant"):
        kept = next(row for row in store.catalog.api_keys() if row["id"] == id_)[name]
        for value in ("admin", kept):
            with store.catalog.engine.begin() as connection:
                connection.execute(update(tables.keys).where(tables.keys.c.id == id_).values({name: value}))
            if value == kept:
                store.catalog.verify_history()
            else:
                with pytest.raises(IntegrityError):
                    store.catalog.verify_history()


@pytest.mark.slow
def test_keys_with_scopes_on_the_command_line(tmp_path: Path) -> None:
    folder = str(write_project(tmp_path / "demo").parent)
    assert (
        slipway(
            "keys", "create", "ada", "--scope", "read", "--scope", "ask", "--tenant", "acme", "-C", folder
        ).returncode
        == 0
    )
    wrong = slipway("keys", "create", "ada", "--scope", "write", "-C", folder)
    assert wrong.returncode == 2
    assert "known: ask, read, label, admin" in wrong.stderr
    shown = slipway("keys", "list", "-C", folder, COLUMNS="200").stdout
    assert "ask read" in shown
    assert "acme" in shown


def test_names_of_scopes_are_checked(store: Store) -> None:
    with pytest.raises(ConfigError, match="write"):
        create_key(store, "ada", ["write"])
    with pytest.raises(ConfigError):
        create_key(store, "ada", [], "a\nb")
