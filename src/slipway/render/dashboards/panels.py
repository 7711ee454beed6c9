"""What is worth a look, once: the list from which the dashboard is made. PromQL over the names of `serve.prometheus`.

`$job` and `$model` are variables of the dashboard; `$__rate_interval` is Grafana's (at least four scrapes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from slipway.i18n import t

ASKED = '{job=~"$job", model=~"$model"}'
SERVER = '{job=~"$job"}'


@dataclass(frozen=True)
class Query:
    """PromQL, and what its lines are called (Grafana's `{{label}}`)."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """`unit`: Grafana's name of it. `width`: of 24 columns."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Literal["timeseries", "stat", "table"] = "timeseries"
    width: int = 8
    about: str = ""


@dataclass(frozen=True)
class Row:
    """A title and the panels below it, from left to right."""

    title: str
    panels: tuple[Panel, ...]


def rows() -> tuple[Row, ...]:
    """All of them, in the language in force."""
    return (_traffic(), _speed(), _quality(), _server())


def _quantile(metric: str, share: float, by: str = "model") -> str:
    labels = ASKED if by == "model" else SERVER
    grouped = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({grouped}) (rate({metric}_bucket{labels}[$__rate_interval])))"


def _rate(metric: str, labels: str = ASKED, by: str = "model") -> str:
    return f"sum by ({by}) (rate({metric}{labels}[$__rate_interval]))"


def _traffic() -> Row:
    failed = 'rate(slipway_requests_total{job=~"$job", model=~"$model", status=~"5.."}[$__rate_interval])'
    every = "rate(slipway_requests_total" + ASKED + "[$__rate_interval])"
    by_status = Query(_rate("slipway_requests_total", by="status"), "{{status}}")
    share = f"(sum({failed}) or vector(0)) / (sum({every}) > 0)"
    return Row(
        t("Traffic"),
        (
            Panel(t("Requests a second"), (Query(_rate("slipway_requests_total"), "{{model}}"),), "reqps"),
            Panel(t("Answers by status"), (by_status,), "reqps"),
            Panel(t("Share of failures (5xx)"), (Query(share, t("failures")),), "percentunit"),
            Panel(
                t("Being answered and waiting"),
                (
                    Query(f"sum(slipway_num_requests_running{SERVER})", t("answered")),
                    Query(f"sum(slipway_num_requests_waiting{SERVER})", t("waiting")),
                ),
            ),
            Panel(
                t("Tokens a second"),
                (
                    Query(_rate("slipway_prompt_tokens_total"), "{{model}} " + t("read")),
                    Query(_rate("slipway_generation_tokens_total"), "{{model}} " + t("written")),
                ),
            ),
            Panel(
                t("Cost an hour"),
                (
                    Query(
                        "3600 * " + _rate("slipway_cost_total", by="model, currency"), "{{model}} ({{currency}})"
                    ),
                ),
            ),
        ),
    )  # fmt: skip


def _speed() -> Row:
    whole, first = "slipway_e2e_request_latency_seconds", "slipway_time_to_first_token_seconds"
    return Row(
        t("Speed"),
        (
            Panel(
                t("Latency"),
                (Query(_quantile(whole, 0.5), "{{model}} p50"), Query(_quantile(whole, 0.95), "{{model}} p95")),
                "s",
            ),
            Panel(
                t("Time to first token"),
                (Query(_quantile(first, 0.5), "{{model}} p50"), Query(_quantile(first, 0.95), "{{model}} p95")),
                "s",
            ),
            Panel(
                t("Slipway's own part of a request"),
                (Query(_quantile("slipway_overhead_seconds", 0.95, ""), "p95"),),
                "s",
                about=t("Everything but the model and the queue before it."),
            ),
        ),
    )


def _quality() -> Row:
    thumbs = 'sum by (thumb) (increase(slipway_feedback_total{job=~"$job", thumb!=""}[1h]))'
    down = 'sum(increase(slipway_feedback_total{job=~"$job", thumb="down"}[1d]))'
    both = 'sum(increase(slipway_feedback_total{job=~"$job", thumb=~"up|down"}[1d]))'
    return Row(
        t("Users and releases"),
        (
            Panel(t("Thumbs in the last hour"), (Query(thumbs, "{{thumb}}"),)),
            Panel(t("Share of thumbs down in a day"), (Query(f"{down} / ({both} > 0)"),), "percentunit", "stat"),
            Panel(
                t("Release in service"),
                (Query(f"slipway_release_info{SERVER} == 1", "{{channel}} {{release}}"),),
                kind="table",
            ),
        ),
    )


def _server() -> Row:
    commit = _quantile("slipway_trace_commit_seconds", 0.95, "")
    lost = 'sum by (result) (rate(slipway_records_total{job=~"$job"}[$__rate_interval]))'
    return Row(
        t("Server"),
        (
            Panel(t("Records written"), (Query(lost, "{{result}}"),), "wps", width=6),
            Panel(t("Time to write a trace"), (Query(commit, "p95"),), "s", width=6),
            Panel(t("Disk left for traces"), (Query(f"min(slipway_store_free_bytes{SERVER})"),), "bytes", width=6),
            Panel(
                t("Requests without a valid key"),
                (Query(_rate("slipway_auth_failures_total", SERVER, "reason"), "{{reason}}"),),
                "reqps",
                width=6,
            ),
            Panel(
                t("Spans for the collector"),
                (Query(_rate("slipway_telemetry_spans_total", SERVER, "result"), "{{result}}"),),
                width=12,
            ),
            Panel(
                t("Releases refused in a day"),
                (Query(f"sum by (channel) (increase(slipway_release_refused_total{SERVER}[1d]))", "{{channel}}"),),
                width=12,
            ),
        ),
    )
