"""From one release to the next: no request is dropped, a release that fails verification never serves."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from served import PROJECT, Running, echo, make_context, promote, release, serving
from slipway.core.release import Release
from slipway.errors import IntegrityError
from slipway.store.store import Store


def load(server: Running, stop: threading.Event, seen: Counter[tuple[int, str, str]]) -> None:
    while not stop.is_set():
        reply = server.chat("x")
        text = reply.text if reply.status == 200 else reply.body.decode()
        seen[(reply.status, text, reply.headers["x-slipway-release"])] += 1


@pytest.mark.slow
def test_switching_under_load_drops_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    model = echo(delay=0.02)
    first, second = release(store, model, "one {{ question }}"), release(store, model, "two {{ question }}")
    promote(store, first)
    seen: Counter[tuple[int, str, str]] = Counter()
    stop = threading.Event()
    with serving(make_context(store, [model], parallel=16)) as server:
        server.until()
        threads = [threading.Thread(target=load, args=(server, stop, seen)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for made in (second, first, second):
            promote(store, made)
            while server.get("/readyz").json["release"] != made.digest:
                pass
            assert server.chat("x").headers["x-slipway-release"] == made.digest
        stop.set()
        for thread in threads:
            thread.join(20)
        pinned = server.chat("x", model=f"{PROJECT}@{first.digest}")
        assert pinned.text == "one x"
    assert seen.keys() == {(200, "one x", first.digest), (200, "two x", second.digest)}, seen


def test_a_release_that_fails_verification_is_refused_and_the_old_one_serves_on(tmp_path: Path) -> None:
    store = Store(tmp_path)
    good, bad = release(store, echo(), "good {{ question }}"), release(store, echo(), "bad {{ question }}")
    promote(store, good)

    def verify(made: Release) -> None:
        if made.digest == bad.digest:
            raise IntegrityError("a bit is flipped", "pull the model again")

    with serving(make_context(store, [], verify)) as server:
        server.until()
        promote(store, bad)
        while not server.get("/readyz").json["why"]:
            pass
        ready = server.get("/readyz")
        assert ready.status == 200
        assert ready.json == {
            "status": "ready",
            "why": "a bit is flipped. pull the model again",
            "release": good.digest,
        }
        assert server.chat("x").text == "good x"
        refused = server.chat("x", model=f"{PROJECT}@{bad.digest}")
        assert refused.status == 503
        assert "a bit is flipped" in refused.error["message"]
        assert 'slipway_release_refused_total{channel="production"} 1.0' in server.get("/metrics").body.decode()


def test_a_first_release_that_fails_verification_never_gets_ready(tmp_path: Path) -> None:
    store = Store(tmp_path)
    promote(store, release(store, echo()))

    def verify(made: Release) -> None:
        raise IntegrityError("a bit is flipped")

    with serving(make_context(store, [echo()], verify)) as server:
        while "flipped" not in server.get("/readyz").json["why"]:
            pass
        assert server.get("/readyz").status == 503
        reply = server.chat("x")
        assert reply.status == 503
        assert "a bit is flipped" in reply.error["message"]
        assert server.chat("raw", model="writer").text == "raw"


def test_without_a_release_the_channel_says_so(tmp_path: Path) -> None:
    with serving(make_context(Store(tmp_path), [echo()])) as server:
        while "points at no release" not in server.get("/readyz").json["why"]:
            pass
        reply = server.chat("x")
        assert reply.status == 503
        assert "slipway run" in reply.error["hint"]


# channels ------------------------------------------------------------------------------------------------------------
def test_every_channel_is_served_by_its_name(tmp_path: Path) -> None:
    store = Store(tmp_path)
    live, next_ = release(store, echo(), "live {{ question }}"), release(store, echo(), "next {{ question }}")
    promote(store, live)
    promote(store, next_, "staging")
    staging = f"{PROJECT}@staging"
    with serving(make_context(store, [echo()])) as server:
        server.until(f"/v1/models/{staging}")
        names = [model["id"] for model in server.get("/v1/models").json["data"]]
        assert names == [PROJECT, f"{PROJECT}@{live.digest}", f"{PROJECT}@production", staging, "writer"]
        assert (server.chat("x").text, server.chat("x", f"{PROJECT}@production").text) == ("live x", "live x")
        reply = server.chat("x", staging)
        assert (reply.text, reply.json["model"]) == ("next x", staging)
        assert reply.headers["x-slipway-release"] == next_.digest
        trace = store.catalog.trace(reply.headers["x-slipway-trace"])
        assert (trace.channel, trace.release) == ("staging", next_.digest)
        page = server.get("/metrics").body.decode()
        assert f'slipway_release_info{{channel="staging",release="{next_.digest}"}} 1.0' in page
        assert f'model="{staging}",status="200"' in page
        third = release(store, echo(), "third {{ question }}")
        promote(store, third, "staging")
        until(lambda: server.chat("x", staging).text == "third x")
        assert server.chat("x").text == "live x"
        assert server.get("/readyz").json["release"] == live.digest


def test_a_channel_that_cannot_load_holds_up_no_other(tmp_path: Path) -> None:
    store = Store(tmp_path)
    live, slow, bad = (release(store, echo(), f"{name} {{{{ question }}}}") for name in ("live", "slow", "bad"))
    later = release(store, echo(), "later {{ question }}")
    go = threading.Event()

    def verify(made: Release) -> None:
        if made.digest == slow.digest:
            go.wait(20)
        if made.digest == bad.digest:
            raise IntegrityError("a bit is flipped")

    for made, channel in ((live, "production"), (slow, "canary"), (bad, "staging")):
        promote(store, made, channel)
    with serving(make_context(store, [], verify)) as server:
        server.until()
        promote(store, later)
        until(lambda: server.get("/readyz").json["release"] == later.digest)
        assert server.get("/readyz").json["why"] == ""
        assert server.chat("x", f"{PROJECT}@canary").status == 503
        until(lambda: "a bit is flipped" in server.chat("x", f"{PROJECT}@staging").error["message"])
        assert 'slipway_release_refused_total{channel="staging"} 1.0' in server.get("/metrics").body.decode()
        go.set()
        until(lambda: server.chat("x", f"{PROJECT}@canary").status == 200)


def test_a_channel_that_never_was_is_not_found_with_the_near_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    promote(store, release(store, echo()))
    with serving(make_context(store, [echo()])) as server:
        server.until()
        reply = server.chat("x", f"{PROJECT}@prodution")
        assert reply.status == 404
        assert f"did you mean '{PROJECT}@production'?" in reply.error["message"]


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
