"""Filters of traces: what of an address they are, the form, and what is looked for by them."""

from __future__ import annotations

import re
from datetime import timedelta

from slipway.console import page, views
from slipway.console.page import ROOT
from slipway.core.trace import Wanted
from slipway.i18n import t
from slipway.serve.refuse import Refused

_TIMES = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
_LANGUAGES = ("en", "zh", "ja", "ko", "de", "fr", "es", "it", "pt", "nl", "und")


def given(
    words: str = "",
    time: str = "",
    status: str = "",
    thumb: str = "",
    language: str = "",
    slow: str = "",
    channel: str = "",
    release: str = "",
) -> dict[str, str]:
    """What an address asks for, by the names of the form's fields."""
    return {
        "words": words[:200], "time": time[:3], "status": status[:3], "thumb": thumb[:4], "language": language[:3],
        "slow": slow[:20], "channel": channel[:63], "release": release[:64],
    }  # fmt: skip


def wanted(given: dict[str, str], before: str) -> Wanted:
    """What a filter means; what cannot be understood is told. Raises Refused (400)."""
    status, thumb, slow, language = given["status"], given["thumb"], given["slow"], given["language"]
    try:
        least = float(slow) if slow else None
    except ValueError:
        raise Refused(400, t("'{value}' is no number of seconds", value=slow)) from None
    known = (
        re.fullmatch(r"|[2-5]xx|[1-5]\d\d", status)
        and thumb in ("", "up", "down")
        and given["time"] in ("", *_TIMES)
        and language in ("", *_LANGUAGES)
        and re.fullmatch(r"|[0-9a-f]{64}", given["release"])
    )
    if not known:
        raise Refused(400, t("such a filter is not known"), t("choose one of the list"))
    return Wanted(
        channel=given["channel"] or None,
        since=views.since(_TIMES[given["time"]]) if given["time"] else "",
        status=status,
        thumb="up" if thumb == "up" else "down" if thumb else None,
        release=given["release"],
        slow=least,
        words=tuple(given["words"].split()[:8]),
        language=language,
        before=before[:64],
    )


def form(given: dict[str, str]) -> str:
    """With what was asked for last filled in."""
    every = ("", t("all"))
    times = [every, ("1h", t("hour")), ("1d", t("day")), ("7d", t("week")), ("30d", t("30 days"))]
    statuses = [every, *((one, one) for one in ("2xx", "4xx", "5xx"))]
    if given["status"] and given["status"] not in dict(statuses):
        statuses.append((given["status"], given["status"]))
    return page.form(
        f"{ROOT}/traces",
        t("Filter"),
        page.field("words", t("Words"), given["words"], type="search"),
        page.choice("time", t("in the last"), times, given["time"]),
        page.choice("status", t("status"), statuses, given["status"]),
        page.choice("thumb", t("thumb"), [every, ("up", t("up")), ("down", t("down"))], given["thumb"]),
        page.choice("language", t("language"), [every, *((one, one) for one in _LANGUAGES)], given["language"]),
        page.field("slow", t("at least, in seconds"), given["slow"], inputmode="decimal", size="6"),
        page.field("channel", t("channel"), given["channel"], size="12"),
        page.field("release", t("release, whole digest"), given["release"], size="14"),
    )
