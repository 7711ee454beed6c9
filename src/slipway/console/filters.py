"""Filters of traces: the form, and what is looked for by it."""

from __future__ import annotations

from datetime import timedelta

from slipway.console import page, views
from slipway.console.page import ROOT
from slipway.core.trace import Wanted
from slipway.i18n import t
from slipway.serve.refuse import Refused

_TIMES = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}


def wanted(given: dict[str, str], before: str) -> Wanted:
    """What a filter means; what cannot be understood is told. Raises Refused (400)."""
    status, thumb, slow = given["status"], given["thumb"], given["slow"]
    try:
        least = float(slow) if slow else None
    except ValueError:
        raise Refused(400, t("'{value}' is no number of seconds", value=slow[:40])) from None
    if status not in ("", "2xx", "4xx", "5xx") or thumb not in ("", "up", "down") or given["time"] not in ("", *_TIMES):
        raise Refused(400, t("such a filter is not known"), t("choose one of the list"))
    return Wanted(
        channel=given["channel"] or None,
        since=views.since(_TIMES[given["time"]]) if given["time"] else "",
        status=status,
        thumb=thumb or None,
        slow=least,
        words=tuple(given["words"].split()[:8]),
        before=before[:64],
    )


def since(span: str) -> str:
    """The beginning of a span of the list; empty for none."""
    return views.since(_TIMES[span]) if span in _TIMES else ""


def form(given: dict[str, str]) -> str:
    """With what was asked for last filled in."""
    every = ("", t("all"))
    times = [every, ("1h", t("hour")), ("1d", t("day")), ("7d", t("week")), ("30d", t("30 days"))]
    return page.form(
        f"{ROOT}/traces",
        t("Filter"),
        page.field("words", t("Words"), given["words"], type="search"),
        page.choice("time", t("in the last"), times, given["time"]),
        page.choice("status", t("status"), [every, ("2xx", "2xx"), ("4xx", "4xx"), ("5xx", "5xx")], given["status"]),
        page.choice("thumb", t("thumb"), [every, ("up", t("up")), ("down", t("down"))], given["thumb"]),
        page.field("slow", t("at least, in seconds"), given["slow"], inputmode="decimal", size="6"),
        page.field("channel", t("channel"), given["channel"], size="12"),
    )
