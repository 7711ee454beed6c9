"""The dashboard and the rules: what Grafana and Prometheus need of them, and what they say of a real server."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

import prometheus
from commands import slipway
from prometheus import promtool
from served import echo, make_context, promote, release, serving
from slipway.i18n import speaking
from slipway.render.dashboards.alerts import alerts, recorded, rules
from slipway.render.dashboards.grafana import WIDTH, dashboard
from slipway.render.dashboards.panels import rows
from slipway.render.dashboards.written_files import GRAFANA, PROMETHEUS, RULES, write_dashboards
from slipway.runtime.session import Session
from slipway.serve.prometheus import Metrics
from slipway.store.store import Store

METRIC = re.compile(r"\bslipway_[a-z0-9_]+")


def expressions() -> list[str]:
    return [query.expr for row in rows() for panel in row.panels for query in panel.queries]


def plain(expr: str) -> str:
    """As Grafana sends it, with its variables in place."""
    return expr.replace("$job", ".*").replace("$model", ".*").replace("$__rate_interval", "30s")


def test_the_dashboard_has_what_grafana_imports() -> None:
    made = json.loads(json.dumps(dashboard()))
    assert made["schemaVersion"] >= 36
    assert made["uid"]
    assert made["title"]
    names = [variable["name"] for variable in made["templating"]["list"]]
    assert names == ["datasource", "job", "model"]
    ids = [panel["id"] for panel in made["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in made["panels"]:
        if panel["type"] == "row":
            continue
        assert panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        references = [target["refId"] for target in panel["targets"]]
        assert references == sorted(set(references))
        for target in panel["targets"]:
            assert target["expr"].count("(") == target["expr"].count(")")
            assert set(re.findall(r"\$(\w+)", target["expr"])) <= {"job", "model", "__rate_interval"}


def test_no_two_panels_overlap_and_all_lie_within_the_width() -> None:
    taken: dict[tuple[int, int], int] = {}
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= WIDTH
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["id"]) == panel["id"]


def test_dashboard_and_rules_ask_for_metrics_that_there_are_and_every_metric_is_asked_for() -> None:
    sold = {
        sample
        for family in text_string_to_metric_families(Metrics().page().decode())
        for sample in (family.name, f"{family.name}_total", f"{family.name}_bucket")
    }
    texts = [*expressions(), *recorded().values(), *(one.value for one in alerts())]
    asked = {name for text in texts for name in METRIC.findall(text)}
    assert asked <= sold
    families = {family.name for family in text_string_to_metric_families(Metrics().page().decode())}
    assert not {name for name in families if not name.endswith("_created")} - {
        re.sub("_(total|bucket)$", "", name) for name in asked
    }


def test_both_languages_have_the_same_panels_and_rules() -> None:
    with speaking("zh"):
        chinese, told = dashboard(), rules()
    english = dashboard()
    assert [p["gridPos"] for p in chinese["panels"]] == [p["gridPos"] for p in english["panels"]]
    assert [p["title"] for p in chinese["panels"]] != [p["title"] for p in english["panels"]]
    exprs = [[rule["expr"] for rule in group["rules"]] for group in told["groups"]]
    assert exprs == [[rule["expr"] for rule in group["rules"]] for group in rules()["groups"]]


def test_the_command_writes_files_and_leaves_those_that_are_there(tmp_path: Path) -> None:
    done = slipway("dashboards", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {GRAFANA, RULES, PROMETHEUS}
    (tmp_path / "out" / RULES).write_text("mine")
    (tmp_path / "out" / GRAFANA).unlink()
    again = slipway("dashboards", str(tmp_path / "out"))
    assert again.returncode == 2
    assert RULES in again.stderr or PROMETHEUS in again.stderr
    assert (tmp_path / "out" / RULES).read_text() == "mine"
    (tmp_path / "file").write_text("x")
    assert slipway("dashboards", str(tmp_path / "file" / "out")).returncode == 2


@pytest.mark.service
def test_prometheus_takes_the_rules_and_the_configuration(tmp_path: Path) -> None:
    write_dashboards(tmp_path, "127.0.0.1:1")
    (tmp_path / "slipway.key").write_text("x")
    assert "SUCCESS" in promtool("check", "rules", str(tmp_path / RULES))
    assert "SUCCESS" in promtool("check", "config", str(tmp_path / PROMETHEUS))


def counter(name: str, labels: str, step: float) -> dict[str, str]:
    return {"series": f'{name}{{job="slipway"{labels}}}', "values": f"0+{step}x120"}


def gauge(name: str, value: float) -> dict[str, str]:
    return {"series": f'{name}{{job="slipway"}}', "values": f"{value}x120"}


def latency(seconds: float) -> list[dict[str, str]]:
    name = "slipway_e2e_request_latency_seconds_bucket"
    return [counter(name, f', model="m", le="{le}"', 60 if seconds <= float(le) else 0) for le in ("5", "40", "+Inf")]


def requests(good: float, failed: float = 0, refused: float = 0) -> list[dict[str, str]]:
    steps = (("200", good), ("503", failed), ("429", refused))
    return [counter("slipway_requests_total", f', model="m", status="{status}"', step) for status, step in steps]


def thumbs(up: float, down: float) -> list[dict[str, str]]:
    return [counter("slipway_feedback_total", f', thumb="{name}"', step) for name, step in (("up", up), ("down", down))]


def one(name: str, label: str, step: float) -> list[dict[str, str]]:
    return [counter(name, label, step)]


# of each alert: series of a minute's step that make it fire, and others, as near as can be, that do not
SERIES: dict[str, tuple[list[dict[str, str]], list[dict[str, str]]]] = {
    "SlipwayDown": ([gauge("up", 0)], [gauge("up", 1)]),
    "SlipwayFailures": (requests(90, failed=10), requests(96, failed=4)),
    "SlipwayRefusing": (requests(90, refused=10), requests(96, refused=4)),
    "SlipwaySlow": (latency(30), latency(3)),
    "SlipwayQueueNeverEmpty": ([gauge("slipway_num_requests_waiting", 1)], [gauge("slipway_num_requests_waiting", 0)]),
    "SlipwayRecordsLost": (
        one("slipway_records_total", ', result="failed"', 1), one("slipway_records_total", ', result="failed"', 0)
    ),
    "SlipwayDiskLow": ([gauge("slipway_store_free_bytes", 9e8)], [gauge("slipway_store_free_bytes", 2e9)]),
    "SlipwayReleaseRefused": (
        one("slipway_release_refused_total", ', channel="production"', 1),
        one("slipway_release_refused_total", ', channel="production"', 0),
    ),
    "SlipwayThumbsDown": (thumbs(1, 1), thumbs(3, 1)),
    "SlipwayWrongKeys": (
        one("slipway_auth_failures_total", ', reason="invalid"', 90),
        one("slipway_auth_failures_total", ', reason="invalid"', 30),
    ),
    "SlipwayTelemetryDropped": (
        one("slipway_telemetry_spans_total", ', result="dropped"', 1),
        one("slipway_telemetry_spans_total", ', result="dropped"', 0),
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.service
def test_each_alert_fires_on_what_it_is_for_and_on_nothing_near_it(tmp_path: Path) -> None:
    made = {alert.name: alert for alert in alerts()}
    assert made.keys() == SERIES.keys()
    write_dashboards(tmp_path, "127.0.0.1:1")
    tests: list[dict[str, Any]] = []
    for name, (bad, good) in SERIES.items():
        alert = made[name]
        told = {
            "exp_labels": {"severity": alert.severity, "job": "slipway"},
            "exp_annotations": {"summary": f"slipway: {alert.summary}", "description": str(alert.todo)},
        }
        extra = {"SlipwayRecordsLost": {"result": "failed"}, "SlipwayReleaseRefused": {"channel": "production"},
                 "SlipwaySlow": {"model": "m"}}.get(name, {})  # fmt: skip
        told["exp_labels"] |= extra
        for series, expected in ((bad, [told]), (good, [])):
            check = {"eval_time": "90m", "alertname": name, "exp_alerts": expected}
            tests.append({"interval": "1m", "input_series": series, "alert_rule_test": [check]})
    file = tmp_path / "tests.yml"
    text = json.loads(json.dumps({"rule_files": [RULES], "evaluation_interval": "1m", "tests": tests}))
    file.write_text(yaml.safe_dump(text))
    assert "SUCCESS" in promtool("test", "rules", str(file))


@pytest.mark.slow
@pytest.mark.service
def test_a_real_prometheus_finds_data_for_every_expression(tmp_path: Path) -> None:
    """It scrapes a server that answers, fails, refuses keys, gets feedback and sends spans to nowhere."""
    prometheus.program("prometheus")
    store = Store(tmp_path / "state")
    promote(store, release(store, echo()))
    context = make_context(store, [echo()], telemetry={"endpoint": "http://127.0.0.1:9", "every": 0.2})
    session = Session(store, lambda pin: {}, lambda pin, usage, seconds: (0.01, "CNY"))
    object.__setattr__(context, "session", session)
    write_dashboards(tmp_path / "out", "127.0.0.1:1")
    with serving(context) as server:
        server.until()
        config = yaml.safe_load((tmp_path / "out" / PROMETHEUS).read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(tmp_path / "out" / RULES)]
        config["scrape_configs"][0] = {
            "job_name": "slipway", "static_configs": [{"targets": [server.address.removeprefix("http://")]}]
        }  # fmt: skip
        folder = tmp_path / "prometheus"
        folder.mkdir()
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        with prometheus.running(folder) as found:
            wanted = {expr: [] for expr in map(plain, expressions())}
            wanted |= {expr: [] for expr in recorded()}
            thumbs_down = next(alert for alert in alerts() if alert.name == "SlipwayThumbsDown")
            wanted |= {alert.value: [] for alert in alerts()}
            end = time.monotonic() + 60
            while missing := [expr for expr, data in wanted.items() if not data]:
                assert time.monotonic() < end, missing
                for _ in range(5):
                    trace = server.chat("hello").headers["x-slipway-trace"]
                    server.post("/v1/feedback", {"trace": trace, "thumb": "down"})
                time.sleep(0.5)
                wanted |= {expr: found.query(expr) for expr in missing}
            assert thumbs_down.value in wanted
            (target,) = found.get("targets")["activeTargets"]
            assert target["health"] == "up"
            states = {
                rule["name"]: rule.get("health") for group in found.get("rules")["groups"] for rule in group["rules"]
            }
            assert set(states.values()) == {"ok"}
            series = found.get("series", **{"match[]": '{job="slipway"}'})
            assert len(series) < 400
            values = {label[key] for label in series for key in label if key not in ("__name__", "le", "instance")}
            assert not [value for value in values if "hello" in value]


def test_labels_are_few_and_no_client_makes_new_ones(tmp_path: Path) -> None:
    store = Store(tmp_path)
    promote(store, release(store, echo()))
    with serving(make_context(store, [echo()])) as server:
        server.until()
        server.chat("hello")
        server.chat("hello", "no-such-model")
        server.post("/v1/feedback", {"trace": "x", "thumb": "down"})

        def series() -> set[str]:
            return {
                line.rpartition(" ")[0] for line in server.get("/metrics").body.decode().splitlines() if line[0] != "#"
            }

        before = series()
        for n in range(30):
            server.chat(f"text {n}", f"model-{n}", user=f"user-{n}", headers={"x-request-id": f"id-{n}"})
            server.post(f"/v1/chat/completions/{n}", {})
            server.get(f"/nowhere-{n}")
        assert series() == before
