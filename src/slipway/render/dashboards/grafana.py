"""The dashboard as Grafana imports it (its JSON model, schemaVersion 39: Grafana 10.4 and later)."""

from __future__ import annotations

from itertools import count
from typing import Any

from slipway.i18n import t
from slipway.render.dashboards.panels import Panel, rows

WIDTH, HEIGHT = 24, 8
SCHEMA = 39
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard() -> dict[str, Any]:
    """All panels; the source of data, the job and the models are chosen in Grafana."""
    panels: list[dict[str, Any]] = []
    ids, y = count(1), 0
    for row in rows():
        place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        panels.append(
            {"id": next(ids), "type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []}
        )  # noqa: E501
        x, y = 0, y + 1
        for panel in row.panels:
            if x + panel.width > WIDTH:
                x, y = 0, y + HEIGHT
            panels.append(_panel(panel, next(ids), x, y))
            x += panel.width
        y += HEIGHT
    return {
        "uid": "slipway-serving",
        "title": t("Slipway: serving"),
        "tags": ["slipway", "llm"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "panels": panels,
    }


def _variables() -> list[dict[str, Any]]:
    chosen = {"hide": 0, "multi": True, "includeAll": True, "allValue": ".*", "refresh": 2, "sort": 1}
    everything = {"current": {"selected": True, "text": ["All"], "value": ["$__all"]}}
    asked = ("slipway_num_requests_running", "slipway_requests_total")
    source = {"name": "datasource", "label": t("Data source"), "type": "datasource", "query": "prometheus", "hide": 0}
    return [
        {**source, "current": {}, "refresh": 1},
        *(
            {
                "name": name,
                "label": label,
                "type": "query",
                "datasource": _SOURCE,
                "query": {"query": f"label_values({metric}, {name})", "refId": name},
                "definition": f"label_values({metric}, {name})",
                **chosen,
                **everything,
            }
            for name, label, metric in (("job", t("Job"), asked[0]), ("model", t("Model"), asked[1]))
        ),
    ]


def _panel(panel: Panel, id: int, x: int, y: int) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + n),
            "datasource": _SOURCE,
            "expr": query.expr,
            "legendFormat": query.legend or "__auto",
            "instant": panel.kind != "timeseries",
            "range": panel.kind == "timeseries",
            "format": "table" if panel.kind == "table" else "time_series",
        }
        for n, query in enumerate(panel.queries)
    ]
    return {
        "id": id,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": HEIGHT},
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {},
    }
