"""Alerts for Prometheus, as a file of rules. What is compared and with what stand apart, so that both can be tested.

The thresholds are where most services are clearly ill; a project changes them in its copy of the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from slipway.i18n import t

JOB = 'job=~"slipway.*"'


@dataclass(frozen=True)
class Alert:
    """Fires when `value` is beyond `threshold` for so `long`."""

    name: str
    value: str
    compared: Literal[">", "<", "=="]
    threshold: float
    long: str
    severity: Literal["critical", "warning"]
    summary: str
    todo: str

    @property
    def expr(self) -> str:
        """PromQL."""
        return f"({self.value}) {self.compared} {self.threshold:g}"


def _share(status: str) -> str:
    """The share of answers with a status, where there are any; 0 where none has it."""
    every = f"sum by (job) (rate(slipway_requests_total{{{JOB}}}[5m]))"
    some = f'sum by (job) (rate(slipway_requests_total{{{JOB}, status=~"{status}"}}[5m]))'
    return f"({some} or 0 * {every}) / ({every} > 0)"


def recorded() -> dict[str, str]:
    """Recording rules: name -> PromQL."""
    latency, first = "slipway_e2e_request_latency_seconds", "slipway_time_to_first_token_seconds"
    quantile = "histogram_quantile(0.95, sum by (job, model, le) (rate({metric}_bucket{{" + JOB + "}}[5m])))"
    return {
        "slipway:requests:rate5m": f"sum by (job, model) (rate(slipway_requests_total{{{JOB}}}[5m]))",
        "slipway:failures:share5m": _share("5.."),
        "slipway:latency:p95_5m": quantile.format(metric=latency),
        "slipway:first_token:p95_5m": quantile.format(metric=first),
    }


def alerts() -> tuple[Alert, ...]:
    """All of them, in the language in force."""
    down = f'sum by (job) (increase(slipway_feedback_total{{{JOB}, thumb="down"}}[1h]))'
    both = f'sum by (job) (increase(slipway_feedback_total{{{JOB}, thumb=~"up|down"}}[1h]))'
    dropped = f'sum by (job) (rate(slipway_telemetry_spans_total{{{JOB}, result="dropped"}}[5m]))'
    return (
        Alert("SlipwayDown", f"up{{{JOB}}}", "==", 0, "2m", "critical",
              t("the server cannot be reached"), t("look at its log; `slipway serve` starts it again")),
        Alert("SlipwayFailures", _share("5.."), ">", 0.05, "10m", "critical",
              t("more than 5% of requests fail"), t("look at /readyz and the log: is the model there, the disk full?")),
        Alert("SlipwayRefusing", _share("429"), ">", 0.05, "10m", "warning",
              t("more than 5% of requests are refused because the queue is full"),
              t("raise serve.parallel where the machine has room, or add a machine")),
        Alert("SlipwaySlow", recorded()["slipway:latency:p95_5m"], ">", 20, "10m", "warning",
              t("one answer in twenty takes longer than 20 s"),
              t("see whether requests wait, and whether the model's server is slower than it was")),
        Alert("SlipwayQueueNeverEmpty", f"min_over_time(slipway_num_requests_waiting{{{JOB}}}[10m])", ">", 0, "5m",
              "warning", t("requests have been waiting for 10 minutes"), t("more is asked than can be answered")),
        Alert("SlipwayRecordsLost", f'increase(slipway_records_total{{{JOB}, result="failed"}}[10m])', ">", 0, "0m",
              "critical", t("traces or feedback could not be written"), t("the log says why: mostly a full disk")),
        Alert("SlipwayDiskLow", f"slipway_store_free_bytes{{{JOB}}}", "<", 1e9, "10m", "warning",
              t("less than 1 GB is left for traces"), t("make room, or set store.retention")),
        Alert("SlipwayReleaseRefused", f"increase(slipway_release_refused_total{{{JOB}}}[15m])", ">", 0, "0m",
              "critical", t("a release was promoted and could not be put into service"),
              t("the one before it goes on serving; /readyz says what is wrong with the new one")),
        Alert("SlipwayThumbsDown", f"{down} / ({both} >= 20)", ">", 0.3, "15m", "warning",
              t("more than 30% of thumbs in the last hour are down"),
              t("`slipway feedback list` shows them; roll back if a release has just changed")),
        Alert("SlipwayWrongKeys", f"sum by (job) (rate(slipway_auth_failures_total{{{JOB}}}[5m]))", ">", 1, "10m",
              "warning", t("more than one request a second has no valid key"),
              t("a client with an old key, or somebody who tries keys: the log has addresses")),
        Alert("SlipwayTelemetryDropped", dropped, ">", 0, "15m", "warning",
              t("spans for the collector are dropped"), t("is the collector there, and quick enough?")),
    )  # fmt: skip


def rules() -> dict[str, Any]:
    """The file, as a value."""
    records = [{"record": name, "expr": expr} for name, expr in recorded().items()]
    made = [
        {
            "alert": one.name,
            "expr": one.expr,
            "for": one.long,
            "labels": {"severity": one.severity},
            "annotations": {"summary": f"{{{{ $labels.job }}}}: {one.summary}", "description": one.todo},
        }
        for one in alerts()
    ]
    return {"groups": [{"name": "slipway-recorded", "rules": records}, {"name": "slipway-alerts", "rules": made}]}


def scraping(address: str) -> dict[str, Any]:
    """What Prometheus needs to be told besides: a file to begin with."""
    return {
        "global": {"scrape_interval": "15s", "evaluation_interval": "30s"},
        "rule_files": ["slipway-rules.yml"],
        "scrape_configs": [
            {
                "job_name": "slipway",
                "authorization": {"credentials_file": "slipway.key"},
                "static_configs": [{"targets": [address]}],
            }
        ],
    }
