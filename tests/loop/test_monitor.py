"""The monitor of a project: it learns, notices, tells once, and forgets nothing; what it tells holds nobody's words."""

from __future__ import annotations

import http.server
import json
import os
import random
import re
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from commands import slipway
from slipway import api
from slipway.core.alert import Alert
from slipway.core.answer import Answer, Citation
from slipway.core.message import Usage
from slipway.core.trace import Trace
from slipway.errors import ConfigError, MissingPrerequisite, SlipwayError
from slipway.loop.context import Context
from slipway.loop.drift import Drift, Drifting, visits
from slipway.loop.monitor import questions
from slipway.loop.monitor.reading import Reader, free_scorers
from slipway.loop.monitor.references import learn
from slipway.loop.monitor.rules import OWN, metrics_of, watches
from slipway.loop.monitor.seen import Unit
from slipway.loop.monitor.sinks import payload, send
from slipway.loop.monitor.status import asked as asked_of
from slipway.loop.monitor.status import status
from slipway.loop.monitor.watcher import Watcher, moment
from slipway.loop.simulate import Traffic
from slipway.project.monitoring import MonitorConfig, Sink
from slipway.serve.recording.bodies import without
from slipway.stats.changes import levels
from slipway.store.tables import watch_states
from slipway.testing.catalogs import feedback_of, trace_of
from slipway.testing.projects import FILE, write_project

WATCHED = "monitor: {baseline: 2 h, least: 40, session: 60 s, false_alarms: 50%, clear: 1 min, sinks: {log: log}}\n"
T0 = 1767571200.0  # Monday
SECRET = "tok_live_9f8e7d6c5b4a39281706"
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e my card is 4111 1111 1111 1111, mail ada@example.com"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_project(tmp_path_factory.mktemp("monitor") / "demo", FILE + WATCHED).parent
    with api.open_project(folder) as project:
        api.run(project)
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Iterator[Context]:
    subprocess.run(["cp", "-r", str(made), str(tmp_path / "demo")], check=True)
    with api.open_project(tmp_path / "demo") as found:
        yield found


def answered(project: Context, at: float, user: str, text: str = "How much does the keel weigh?", **more: Any) -> Trace:
    said: dict[str, Any] = {"support": True, "seconds": 0.2, "error": "", **more}
    passage = Citation(
        chunk="c", source="docs/keel.md", path=(), start=0, end=9, text="It weighs 13 tonnes", score=1.0, cited=True
    )
    answer = Answer(
        text="It weighs 13 tonnes" if said["support"] else "Bananas grow quickly near Paris",
        raw="", citations=(passage,), usage=Usage(prompt_tokens=9, completion_tokens=5), seconds=said["seconds"],
        first_token_seconds=said["seconds"] / 2, error=said["error"],
    )  # fmt: skip
    channel = project.project.serve.channel
    return trace_of(
        at=moment(at), channel=channel, release=project.store.catalog.channels()[channel], answer=answer,
        request={"messages": [{"role": "user", "content": text}], "user": user},
    )  # fmt: skip


def traffic(project: Context, start: float, n: int, every: float = 120.0, **more: Any) -> None:
    texts = ("How much does the keel weigh?", "Which shade is the mast painted in?", "Where does the buoy lie now?")
    project.store.catalog.add_traces(
        [answered(project, start + k * every, f"u{start}-{k}", texts[k % 3], **more) for k in range(n)]
    )


def looks(project: Context, now: float) -> list[Alert]:
    """By a monitor of its own each time, as after a restart."""
    found: list[Alert] = []
    for _ in range(20):
        read, alerts = api.monitor(project).look(now)
        found += alerts
        if not read:
            return found
    raise AssertionError("it never comes to the end")


def learnt(project: Context) -> float:
    """Quiet traffic that is learnt from; returns the time after it."""
    traffic(project, T0, 90)
    assert looks(project, T0 + 3 * 3600 + 100) == []
    assert status(api.monitor(project)).learning == {}
    return T0 + 3 * 3600 + 100


def test_it_learns_notices_tells_once_and_says_when_it_is_over(project: Context) -> None:
    at = learnt(project)
    traffic(project, at, 60)
    assert looks(project, at + 7300) == []
    at += 7300
    traffic(project, at, 60, support=False)
    (alert,) = [one for one in looks(project, at + 7300) if one.metric == "citation_support"]
    assert (alert.state, alert.direction, alert.against) == ("firing", "down", "before")
    assert alert.seen < 0.2 < alert.expected
    assert at - 300 <= _seconds(alert.since) <= at + 300
    assert set(alert.traces) <= {trace.id for trace in api.traces(project, 60)}
    lines = status(api.monitor(project)).lines
    assert all(0 <= line.expected <= 1 for line in lines if line.expected is not None)
    line = next(one for one in lines if one.rule == alert.rule)
    assert line.firing
    assert line.evidence >= 1
    at += 7300
    traffic(project, at, 40, support=False)  # it goes on: nobody is told again
    assert looks(project, at + 4900) == []
    at += 4900
    traffic(project, at, 300, every=30)
    over = [one for one in looks(project, at + 9100) if one.rule == alert.rule]
    assert [one.state for one in over] == ["cleared"]


def test_a_monitor_that_waited_begins_with_the_first_request(project: Context) -> None:
    """Traffic of days before now, as `slipway simulate --days` enters it, is learnt from in a project that serves."""
    assert looks(project, T0 + 86400) == []
    traffic(project, T0, 90)
    traffic(project, T0 + 3 * 3600, 60, support=False)
    found = looks(project, T0 + 86400)
    assert "citation_support" in {one.metric for one in found if one.state == "firing"}


@pytest.mark.parametrize("own", [True, False])
def test_a_clock_that_was_ahead_for_a_moment_does_not_blind_it(project: Context, own: bool) -> None:
    """Evidence grows with time, and none went by until the clock came to where it had been: a year here."""
    at, year = learnt(project), 365 * 86400.0
    traffic(project, at, 5)
    traffic(project, at + year, 3)  # by this machine's clock, or by that of another one that serves
    assert looks(project, at + (year if own else 0.0) + 700) == []
    traffic(project, at + 1000, 600, every=30)
    assert looks(project, at + 19000) == []
    assert api.monitor(project).kept()[0].clock <= at + 19000
    at += 19000
    traffic(project, at + 1000, 60, support=False)
    (alert,) = [one for one in looks(project, at + 8300) if one.metric == "citation_support"]
    assert (alert.state, _seconds(alert.at) < at + 8300) == ("firing", True)
    traffic(project, at + 8300, 300, every=30)
    assert [one.state for one in looks(project, at + 17400) if one.rule == alert.rule] == ["cleared"]


@pytest.mark.parametrize("name", ["production", "production:answers", "production:questions"])
def test_what_another_version_kept_is_learnt_anew(project: Context, name: str) -> None:
    at = learnt(project)
    watching = api.monitor(project).watching
    with project.store.catalog.database.engine.begin() as connection:
        changed = connection.execute(
            watch_states.update().where(watch_states.c.name == name).values(body=b'{"learnt":3}')
        ).rowcount
    assert changed == 1, [watching.state(name)]
    traffic(project, at, 60)
    assert looks(project, at + 7300) == []
    assert status(api.monitor(project)).read >= 60


def _seconds(at: str) -> float:
    from slipway.loop.monitor.watcher import seconds

    return seconds(at)


def test_what_is_slower_and_what_fails_is_noticed_and_what_a_client_did_wrong_is_not(project: Context) -> None:
    at = learnt(project)
    traffic(project, at, 60, seconds=3.0)
    assert {one.metric for one in looks(project, at + 7300)} >= {"latency", "ttft"}
    project.store.catalog.add_traces(
        [trace_of(at=moment(at + 7300 + k), channel="production", status=400) for k in range(200)]
    )
    before = api.monitor(project).kept()[0].evidence["error_rate.before"].last
    assert looks(project, at + 7700) == []
    assert api.monitor(project).kept()[0].evidence["error_rate.before"].last == before
    traffic(project, at + 7800, 40, error="the engine is gone")
    assert "error_rate" in {one.metric for one in looks(project, at + 12_800)}


def test_one_user_who_asks_hundreds_of_times_is_one_voice(project: Context) -> None:
    at = learnt(project)
    project.store.catalog.add_traces([answered(project, at + k * 0.15, "loud", support=False) for k in range(300)])
    assert [one for one in looks(project, at + 200) if one.metric == "citation_support"] == []
    assert api.monitor(project).kept()[0].evidence["citation_support.before"].courses[0].n <= 2


def test_new_questions_are_noticed_and_the_newest_are_shown(project: Context) -> None:
    at = learnt(project)
    rng = random.Random(1)
    words = ["insurance", "pension", "policy", "refund", "tax", "premium", "clause", "broker"]
    asked = [f"Why does the {' '.join(rng.sample(words, 4))} apply? {HOSTILE}" for _ in range(60)]
    new = [answered(project, at + k * 120, f"n{k}", text) for k, text in enumerate(asked)]
    project.store.catalog.add_traces(new)
    alerts = looks(project, at + 7300)
    assert {"unknown_words", "novelty"} <= {one.metric for one in alerts}
    found = status(api.monitor(project))
    assert {trace for trace, _ in found.unlike} <= {trace.id for trace in new}
    (topics,) = [shift for shift in found.shifts if shift.metric == "topics"]
    assert topics.examples
    texts = asked_of(api.monitor(project), found)
    before = {trace.id for _, trace in project.store.catalog.traces(10_000)} - {trace.id for trace in new}
    assert set(topics.examples.values()) <= before
    assert len(set(topics.examples.values())) == len(topics.examples)
    assert set(topics.examples.values()) | {trace for trace, _ in found.unlike} <= set(texts)
    for text in (*map(repr, alerts), *(payload(one).decode() for one in alerts)):
        assert not any(word in text for word in ("pension", "4111 1111", "ada@", "script"))
    with project.store.catalog.engine.connect() as connection:  # what is kept holds no word either
        kept = b"".join(bytes(row[0]) for row in connection.exec_driver_sql("SELECT body FROM watch_states"))
    assert b"pension" not in kept


def test_a_few_questions_far_from_all_before_are_noticed() -> None:
    """One in six: their mean rank would move by a twelfth only."""
    (watch,) = [one for one in watches(MonitorConfig(), OWN_LIST) if one.metric.name == "outliers"]
    rng = random.Random(2)
    learnt_ = learn(watch, [(T0 + k * 1700.0, rng.gauss(0.3, 0.1)) for k in range(350)])
    assert learnt_ is not None
    assert learnt_.mean == pytest.approx([0.1, 0.03], abs=0.002)

    def first(share: float) -> int | None:
        watcher = Watcher([watch], 3600.0, lambda: ("demo", "production"), {}, {watch.rule: learnt_})
        for k in range(400):
            value = 0.9 if rng.random() < share else rng.gauss(0.3, 0.1)
            unit = Unit(T0 + 700_000.0 + k * 860.0, f"{k:032x}", "r", {"novelty": [value, 1.0]})
            for alert in watcher.weigh(unit, "r"):
                assert (alert.metric, alert.scale, alert.direction) == ("outliers", "category", "up")
                assert alert.seen > alert.expected
                return k
        return None

    assert first(0.0) is None
    assert (first(0.17) or 400) < 150


def test_hours_that_were_worse_and_hours_that_swing_are_allowed_as_much_more() -> None:
    found = {one.rule: one for one in watches(MonitorConfig(), OWN_LIST)}
    rng = random.Random(3)
    moments = [T0 + k * 600.0 for k in range(700)]  # hours of six sessions, from a Monday to a Friday
    nights = [(at, float(rng.random() < (0.6 if at % 86400 < 21600 else 0.2))) for at in moments]
    reference = learn(found["abstained.before"], nights)
    assert reference is not None
    assert reference.more["weekday-0"] == pytest.approx([0.3], abs=0.1)
    assert max(reference.more[f"weekday-{part}"][0] for part in (1, 2, 3)) < 0.05
    assert reference.bounds(T0)[0, 0] > reference.bounds(T0 + 43_200)[0, 0] + 0.2
    luck = [rng.gauss(0, 0.2) for _ in range(120)]
    swinging = learn(
        found["retrieval_score.before"], [(at, rng.gauss(luck[int(at - T0) // 3600], 0.2)) for at in moments]
    )
    assert swinging is not None
    assert min(more for (more,) in swinging.more.values()) > 0.3


def test_a_release_is_compared_with_its_own_gate_report_at_once(project: Context) -> None:
    reader = Reader(project, project.champion(), free_scorers(project))
    config = MonitorConfig()
    from slipway.loop.monitor.references import learn_released

    found = learn_released(
        [one for one in watches(config, metrics_of({})) if one.against == "release"],
        [{"error_rate": 0.0, "citation_support": 0.9, "abstained": 0.0} for _ in range(60)],
    )
    assert set(found) == {"error_rate.release", "citation_support.release", "abstained.release"}
    *high, _, beyond = found["error_rate.release"].high[0]
    tails = levels(0.05 / len(watches(config, OWN_LIST))).tails
    assert high == pytest.approx([1 - tail ** (1 / 60) for tail in tails[:-1]], abs=1e-6)
    assert beyond == pytest.approx(high[0] + 0.01)
    assert reader.seen(trace_of(status=499)) is None


OWN_LIST = list(OWN)


def test_a_new_release_begins_anew_and_ends_what_was_said_of_the_old_one(project: Context) -> None:
    at = learnt(project)
    traffic(project, at, 60, seconds=3.0)
    firing = [one for one in looks(project, at + 7300) if one.state == "firing"]
    assert firing
    (_, release, _) = api.releases(project)[0]
    import msgspec

    other = msgspec.structs.replace(release, note="again")
    project.store.catalog.put("release", other.name, other)
    project.store.catalog.promote("production", other.digest, by="test", why="test")
    over = looks(project, at + 7400)
    assert {one.rule for one in over} == {one.rule for one in firing}
    assert {one.state for one in over} == {"cleared"}
    assert all(
        one.expected == pytest.approx(before.expected, abs=0.1) for one, before in zip(over, firing, strict=True)
    )
    found = status(api.monitor(project))
    assert set(found.learning) == {"answers"}  # questions are the same, whatever answers them
    assert found.release == other.digest


@pytest.mark.slow
def test_relearning_accepts_what_changed(project: Context) -> None:
    at = learnt(project)
    traffic(project, at, 60, seconds=3.0)
    assert looks(project, at + 7300)
    api.monitor(project).relearn(at + 7300)
    found = status(api.monitor(project))
    assert not any(line.firing for line in found.lines)
    assert set(found.learning) == {"answers", "questions"}
    traffic(project, at + 7300, 90, seconds=3.0)
    looks(project, at + 7300 + 3 * 3600 + 100)
    traffic(project, at + 20_000, 60, seconds=3.0)
    assert looks(project, at + 28_000) == []
    assert status(api.monitor(project)).learning == {}


def test_two_monitors_at_once_tell_once(project: Context) -> None:
    at = learnt(project)
    traffic(project, at, 60, seconds=3.0)
    one, two = api.monitor(project), api.monitor(project)
    told: list[Alert] = []
    threads = [
        threading.Thread(target=lambda m=m: [told.extend(m.look(at + 7300)[1]) for _ in range(3)]) for m in (one, two)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = [alert.rule for alert in one.watching.alerts() if alert.state == "firing"]
    assert len(kept) == len(set(kept))
    assert sorted(kept) == sorted(alert.rule for alert in told)


def test_thumbs_are_watched_and_their_rate_is_shown(project: Context) -> None:
    at = learnt(project)
    traces = [answered(project, at + k, f"t{k}") for k in range(60)]
    said = [feedback_of(one, at=moment(at + 60 * k), thumb="down" if k >= 30 else "up") for k, one in enumerate(traces)]
    project.store.catalog.add_traces(traces, said)
    looks(project, at + 7300)
    assert sum(n for _, n, _ in status(api.monitor(project)).hours["thumbs_down"]) == 60


# rules ---------------------------------------------------------------------------------------------------------------


def test_rules_share_the_false_alarms_and_a_wrong_name_is_told() -> None:
    found = watches(MonitorConfig(), metrics_of({}))
    assert sum(1 / one.levels.limit + one.levels.tails[-1] for one in found) == pytest.approx(0.05)
    assert len({one.rule for one in found}) == len(found)
    fewer = watches(MonitorConfig.model_validate({"rules": {"latency": "off"}}), metrics_of({"short": False}))
    assert "latency.before" not in {one.rule for one in fewer}
    assert {"short.before", "short.release"} <= {one.rule for one in fewer}
    more = watches(MonitorConfig.model_validate({"rules": {"abstained": {"max": "10%"}}}), metrics_of({}))
    assert next(one for one in more if one.against == "bound").bound == 0.1
    with pytest.raises(ConfigError, match="latenzy"):
        watches(MonitorConfig.model_validate({"rules": {"latenzy": {}}}), metrics_of({}))


def test_a_bound_of_the_project_file_needs_nothing_learnt(project: Context, tmp_path: Path) -> None:
    with api.open_project(
        project.root, ["monitor.rules.abstained.max=0.1", "monitor.rules.error_rate.max=0.05"]
    ) as one:
        traffic(one, T0, 40, error="gone")
        found = [alert for alert in looks(one, T0 + 5000) if alert.against == "bound"]
    assert [alert.rule for alert in found] == ["error_rate.max"]


def test_who_asks_makes_a_unit(project: Context) -> None:
    reader = Reader(project, project.champion(), {})

    def unit(**more: Any) -> str:
        seen = reader.seen(trace_of(**{"request": {"messages": [{"role": "user", "content": "a b c"}]}, **more}))
        assert seen is not None
        return seen.unit

    assert unit(key="k1") == unit(key="k1") != unit(key="k2")
    turns = [
        {"role": "user", "content": "a b c"},
        {"role": "assistant", "content": "d"},
        {"role": "user", "content": "e"},
    ]
    assert unit() != unit()  # nobody known: each question by itself
    assert unit(request={"messages": turns}) == unit(request={"messages": [*turns, turns[1], turns[2]]})


def test_who_judges_makes_a_unit_as_who_asks_does(project: Context) -> None:
    """All thumbs behind a shared key were one unit, and each thumb of one user without a key was one of its own."""
    with api.open_project(project.root, ["monitor.shared=[page]"]) as opened:
        reader = Reader(opened, project.champion(), {})

    def unit(by: str, **more: Any) -> str:
        trace = trace_of(**{"request": {"messages": [{"role": "user", "content": "a b c"}]}, **more})
        seen = reader.said(feedback_of(trace, thumb="down", by=by), trace)
        assert seen is not None
        return seen.unit

    named = {"messages": [{"role": "user", "content": "a"}], "user": "ann"}
    assert unit("k1", key="k1") == unit("k1", key="k1") != unit("k2", key="k2")
    assert unit("page", key="page") != unit("page", key="page"), "many people"
    assert unit("page", key="page", request=named) == unit("page", key="page", request=named)
    assert unit("", request=named) == unit("", request=named)
    assert unit("judge", key="k1") == unit("judge", key="k2"), "one who judges what others asked"
    assert unit("") != unit("")


def test_of_a_trace_without_texts_only_what_was_measured_is_watched(project: Context) -> None:
    """An answer that was not kept is no empty answer, and its question no new one (`serve.bodies`)."""
    reader = Reader(project, project.champion(), free_scorers(project))
    whole = answered(project, 1e9, "ann")
    with_text, bare = reader.seen(whole), reader.seen(without(whole))
    assert with_text is not None
    assert bare is not None
    assert bare.asked is None
    assert set(with_text.values) - set(bare.values) >= {"answer_length", *free_scorers(project)}
    assert set(bare.values) >= {"error_rate", "abstained", "latency", "ttft"}
    assert bare.values.items() <= with_text.values.items()


@pytest.mark.slow
def test_vectors_and_words_of_questions_are_alike_in_every_process() -> None:
    one = questions.read("Wie schwer ist der Kiel?")
    code = "from slipway.loop.monitor.questions import read; print(read('Wie schwer ist der Kiel?').words)"
    env = {**os.environ, "PYTHONHASHSEED": "99"}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True).stdout
    assert out.strip() == str(one.words)
    assert questions.read("").vector is None


# sinks ---------------------------------------------------------------------------------------------------------------


def alert_of(**more: Any) -> Alert:
    fields: dict[str, Any] = {
        "id": "a" * 32, "at": "2026-01-02T00:00:00Z", "state": "firing", "project": "demo", "channel": "production",
        "release": "r" * 64, "rule": "latency.before", "metric": "latency", "direction": "up", "against": "before",
        "seen": 0.8, "expected": 0.6, "n": 40, "since": "2026-01-01T23:00:00Z", "scale": "rank",
    }  # fmt: skip
    return Alert(**{**fields, **more})


class Hook(http.server.ThreadingHTTPServer):
    answers: list[int]
    got: list[tuple[str, dict[str, str], bytes]]


class Hooked(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Hook)
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        code = self.server.answers.pop(0) if self.server.answers else 200
        if code == 0:
            time.sleep(3)
            return
        self.send_response(code)
        if code == 302:
            self.send_header("location", "/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    found = Hook(("127.0.0.1", 0), Hooked)
    found.answers, found.got = [], []
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def test_a_webhook_gets_json_and_its_secret_address_is_never_shown(
    hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook.got.clear()
    monkeypatch.setenv("HOOK", f"http://127.0.0.1:{hook.server_port}/{SECRET}")
    monkeypatch.setenv("HOOK_TOKEN", SECRET)
    sink = Sink.model_validate({"webhook": {"url_env": "HOOK", "token_env": "HOOK_TOKEN", "timeout": 0.5}})
    send(sink, alert_of(), tmp_path)
    path, headers, body = hook.got[0]
    assert path == f"/{SECRET}"
    assert headers["authorization"] == f"Bearer {SECRET}"
    said = json.loads(body)
    assert said["rule"] == "latency.before"
    assert "demo/production" in said["text"]
    assert SECRET not in body.decode()
    for code, words in ((500, "status 500"), (302, "status 302"), (0, "did not answer")):
        hook.answers = [code]
        with pytest.raises(SlipwayError, match=words) as failed:
            send(sink, alert_of(), tmp_path)
        assert SECRET not in f"{failed.value} {failed.value.hint} {failed.value.__cause__!r}"
    assert [path for path, _, _ in hook.got] == [f"/{SECRET}"] * 4  # no redirect was followed
    monkeypatch.delenv("HOOK")
    with pytest.raises(MissingPrerequisite, match="HOOK"):
        send(sink, alert_of(), tmp_path)


class Mailbox(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        def say(line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        say("220 mail")
        data = False
        while line := self.rfile.readline().decode().rstrip("\r\n") or (" " if data else ""):
            if data:
                self.server.lines.append(line)  # type: ignore[attr-defined]
                if line == ".":
                    data = False
                    say("250 taken")
                continue
            self.server.lines.append(line)  # type: ignore[attr-defined]
            word = line.upper().split(" ")[0]
            if word == "DATA":
                data = True
                say("354 go on")
            elif word == "QUIT":
                say("999 whatever")  # it was taken all the same
            elif word == "RCPT" and "refused@" in line:
                say("550 no such person")
            else:
                say("250 mail")
            if word == "QUIT":
                return


def test_a_mail_arrives_and_a_refused_one_is_tried_again(tmp_path: Path) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailbox) as server:
        server.lines = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        given = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "a@example.com", "timeout": 5}
        send(Sink.model_validate({"email": {**given, "to": ["ops@example.com"]}}), alert_of(), tmp_path)
        lines = server.lines  # type: ignore[attr-defined]
        assert "Subject: demo/production: latency is higher than it was" in lines
        assert "rcpt TO:<ops@example.com>" in lines
        assert [line for line in lines if line.startswith("Date: ")] == ["Date: Fri, 02 Jan 2026 00:00:00 +0000"]
        with pytest.raises(SlipwayError, match="not taken"):
            send(Sink.model_validate({"email": {**given, "to": ["refused@example.com"]}}), alert_of(), tmp_path)
        server.shutdown()
    with pytest.raises(ValueError, match="to"):
        Sink.model_validate({"email": {**given, "to": ["a@b.c\nBcc: all@example.com"]}})


@pytest.mark.slow
def test_a_command_reads_json_has_no_shell_and_is_ended_with_all_it_began(tmp_path: Path) -> None:
    script = tmp_path / "page.py"
    script.write_text("import sys; open('got', 'w').write(sys.stdin.read() + '|' + sys.argv[1])")
    send(Sink.model_validate({"command": {"run": [sys.executable, "page.py", "; touch pwned"]}}), alert_of(), tmp_path)
    body, _, argument = (tmp_path / "got").read_text().partition("|")
    assert json.loads(body)["id"] == "a" * 32
    assert argument == "; touch pwned"
    assert not (tmp_path / "pwned").exists()
    script.write_text(
        "import subprocess,time; p=subprocess.Popen(['sleep','60']); open('pid','w').write(str(p.pid)); time.sleep(60)"
    )
    slow = Sink.model_validate({"command": {"run": [sys.executable, "page.py"], "timeout": 1.5}})
    with pytest.raises(SlipwayError, match="longer than 1.5 s"):
        send(slow, alert_of(), tmp_path)
    _gone(int((tmp_path / "pid").read_text()))
    for run, words in ((["./none"], "did not start"), ([sys.executable, "-c", "raise SystemExit(3)"], "code 3")):
        with pytest.raises(SlipwayError, match=words):
            send(Sink.model_validate({"command": {"run": run}}), alert_of(), tmp_path)


def _gone(pid: int) -> None:
    for _ in range(50):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.1)
    raise AssertionError("it lives on")


def test_one_sinks_trouble_is_no_others_and_it_is_tried_again(made: Path, tmp_path: Path, hook: Hook) -> None:
    hook.got.clear()
    subprocess.run(["cp", "-r", str(made), str(tmp_path / "demo")], check=True)
    file = tmp_path / "demo" / "slipway.yaml"
    sinks = f"sinks: {{bad: {{command: {{run: ['false']}}}}, ops: {{webhook: {{url: 'http://127.0.0.1:{hook.server_port}/x'}}}}, log: log}}"
    file.write_text(file.read_text().replace("sinks: {log: log}", sinks))
    with api.open_project(file.parent) as project:
        monitor = api.monitor(project)
        now = time.time() + 10
        monitor.test()
        hook.answers = [503]
        assert monitor.deliver(now) == 1
        state = {one.sink: one for one in monitor.watching.deliveries()}
        assert (state["log"].done != "", state["bad"].done, state["ops"].done) == (True, "", "")
        assert "status 503" in state["ops"].error
        assert "code 1" in state["bad"].error
        assert monitor.deliver(now + 1) == 0  # not yet
        assert monitor.deliver(now + 60) == 1
        state = {one.sink: one for one in monitor.watching.deliveries()}
        assert state["ops"].done
        assert (state["ops"].tries, state["bad"].tries, state["bad"].due > "") == (2, 2, True)
    assert len(hook.got) == 2
    assert hook.got[0][2] == hook.got[1][2]  # the same alert, with the same id
    assert "the command ended with code 1" in state["bad"].error


KILLER = """
import os, pathlib, signal, sys
data = sys.stdin.read()
if not pathlib.Path("once").exists():
    pathlib.Path("once").write_text("")
    os.kill(os.getppid(), signal.SIGKILL)
else:
    pathlib.Path("got").write_text(data)
"""


@pytest.mark.slow
def test_killed_between_the_alarm_and_its_delivery(made: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", str(made), str(tmp_path / "demo")], check=True)
    folder = tmp_path / "demo"
    (folder / "page.py").write_text(KILLER)
    run = f"{{command: {{run: [{sys.executable}, page.py], timeout: 5}}}}"
    with api.open_project(folder, [f"monitor.sinks={{page: {run}}}"]) as project:
        at = learnt(project)
        traffic(project, at, 60, seconds=3.0)
        child = subprocess.run(
            [sys.executable, "-m", "slipway", "monitor", "--once", "-C", str(folder), f"--set=monitor.sinks={{page: {run}}}"],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert child.returncode == -signal.SIGKILL, child.stderr
        firing = [one for one in api.monitor(project).watching.alerts() if one.state == "firing"]
        assert firing
        assert not any(one.done for one in api.monitor(project).watching.deliveries())
        assert looks(project, time.time()) == []  # nothing is told twice
        assert api.monitor(project).deliver(time.time() + 600) == len(firing)
        assert json.loads((folder / "got").read_text())["id"] in {one.id for one in firing}
        assert all(one.done for one in api.monitor(project).watching.deliveries())


# the command, and beside a server ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_shows_tests_and_draws(project: Context, tmp_path: Path) -> None:
    at = learnt(project)
    traffic(project, at, 60, seconds=3.0)
    svg = tmp_path / "m.svg"
    found = slipway("monitor", "--once", "--picture", str(svg), "-C", str(project.root))
    assert found.returncode == 1, found.stderr
    assert "latency" in found.stdout
    assert svg.read_text().startswith("<svg")
    assert slipway("monitor", "--test", "-C", str(project.root)).returncode == 0
    told = slipway("monitor", "--show", "--json", "-C", str(project.root), SLIPWAY_LANG="zh")
    assert any(line["firing"] for line in json.loads(told.stdout)["lines"])


@pytest.mark.slow
def test_a_monitor_runs_beside_a_server_and_ends_with_it(made: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", str(made), str(tmp_path / "demo")], check=True)
    folder = tmp_path / "demo"
    server = subprocess.Popen(
        [sys.executable, "-m", "slipway", "serve", "-C", str(folder), "--set=monitor.every=1"], stdout=subprocess.PIPE
    )
    try:
        child = _until(lambda: _child(server.pid))
        assert os.getpriority(os.PRIO_PROCESS, child) >= 10 or _until(
            lambda: os.getpriority(os.PRIO_PROCESS, child) >= 10
        )
        session = Path(f"/proc/{child}/autogroup")  # the kernel shares time by session first, where it has this
        if session.exists():
            assert _until(lambda: session.read_text().split()[-1] == "19")  # written after the process became nice
            mine = Path(f"/proc/{server.pid}/autogroup").read_text()  # empty in the root group, where no session began
            assert mine.split()[-1:] != ["19"]
        with api.open_project(folder) as project:
            _until(lambda: api.monitor(project).kept()[0].release)
        server.kill()
        _gone(child)
    finally:
        server.kill()
        server.wait()


def _child(parent: int) -> int:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words, stat = path.read_bytes().split(b"\0"), (path.parent / "stat").read_text()
        except OSError:
            continue
        if b"monitor" in words and int(stat.rpartition(")")[2].split()[1]) == parent:
            return int(path.parent.name)
    return 0


def _until(look: Callable[[], Any]) -> Any:
    for _ in range(300):
        if found := look():
            return found
        time.sleep(0.2)
    raise AssertionError("it never came")


# simulated drift -----------------------------------------------------------------------------------------------------


def test_visits_follow_the_day_and_users_ask_again() -> None:
    from datetime import UTC, datetime

    found = visits(3000, 14.0, 7, datetime(2026, 1, 19, tzinfo=UTC))
    assert [one.at for one in found] == sorted(one.at for one in found)
    assert 900 < len({one.user for one in found}) < 1600
    hours = [int(one.at[11:13]) for one in found]
    assert sum(12 <= hour < 18 for hour in hours) > 4 * sum(hour < 6 for hour in hours)
    assert found == visits(3000, 14.0, 7, datetime(2026, 1, 19, tzinfo=UTC))
    assert {one.at for one in visits(10, 0, 7)} == {""}


@pytest.mark.slow
def test_simulated_changes_are_recorded_and_impossible_ones_refused(project: Context, tmp_path: Path) -> None:
    pool = tmp_path / "pool.jsonl"
    rows = [{"question": f"Tell me number {n} of the {w}", "answer": str(n)} for n, w in enumerate(["sea", "sky"] * 15)]
    pool.write_text("".join(json.dumps(row) + "\n" for row in rows))
    api.simulate(project, pool, Traffic(40), drift=Drift("slower", 0.5, 1.0, 2.0))
    traces = list(reversed(api.traces(project, 40)))
    assert [one.at for one in traces] == sorted(one.at for one in traces)
    assert traces[0].at < traces[-1].at[:10]
    spam = api.simulate(project, pool, Traffic(20), drift=Drift("spam", 0.0, 1.0))
    assert spam.requests == 20
    assert {one.asked for one in api.traces(project, 20)} == {api.traces(project, 1)[0].asked}
    for drift, words in ((Drift("new-topic"), "needs questions"), (Drift("language-shift"), "one language")):
        with pytest.raises(ConfigError, match=words):
            api.simulate(project, pool, Traffic(5), drift=drift)
    with pytest.raises(ConfigError, match="changes answers"):
        Drifting(Drift("worse"), [], [], 1).check(over_http=True)
    drawn = tmp_path / "traffic.svg"
    asked = ("--requests", "40", "--days", "3", "--drift", "slower", "--drift-since", "0.5", "--picture", str(drawn))
    found = slipway("simulate", "--from", str(pool), *asked, "-C", str(project.root))
    assert found.returncode == 0, found.stderr
    assert str(drawn) in found.stdout.replace("\n", "")
    assert re.search("simulated traffic, 40 requests.*something changes", drawn.read_text("utf-8"), re.DOTALL)
    found = slipway("simulate", "--from", str(pool), "--turns", "1", "--days", "3", "-C", str(project.root))
    assert found.returncode == 2
