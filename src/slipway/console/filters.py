"""Filters of traces: what of an address they are, the form, and what is looked for by them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal

from slipway.console import page, views
from slipway.console.page import ROOT
from slipway.core.trace import Wanted
from slipway.i18n import t
from slipway.serve.refuse import Refused

_TIMES = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
_LANGUAGES = ("en", "zh", "ja", "ko", "de", "fr", "es", "it", "pt", "nl", "und")
_THUMBS: dict[str, Literal["up", "down"]] = {"up": "up", "down": "down"}
_SAID: dict[str, Literal["any", "score", "correction", "comment"]] = {
    "any": "any", "score": "score", "correction": "correction", "comment": "comment"
}  # fmt: skip


def given(
    words: str = "",
    time: str = "",
    day: str = "",
    status: str = "",
    thumb: str = "",
    language: str = "",
    slow: str = "",
    channel: str = "",
    release: str = "",
) -> dict[str, str]:
    """What an address asks for, by the names of the form's fields."""
    return {
        "words": words[:200], "time": time[:3], "day": day[:10], "status": status[:3], "thumb": thumb[:10],
        "language": language[:3], "slow": slow[:20], "channel": channel[:63], "release": release[:64],
    }  # fmt: skip


def query(given: dict[str, str], before: str = "") -> str:
    """As it stands in an address, with its question mark; empty for no filter. `before`: the page of the list."""
    found = views.query({**given, "before": before[:64]})
    return f"?{found}" if found else ""


def wanted(given: dict[str, str], before: str) -> Wanted:
    """What a filter means; what cannot be understood is told. Raises Refused (400)."""
    status, thumb, slow, language = given["status"], given["thumb"], given["slow"], given["language"]
    try:
        least = float(slow) if slow else None
    except ValueError:
        raise Refused(400, t("'{value}' is no number of seconds", value=slow)) from None
    known = (
        re.fullmatch(r"|[2-5]xx|[1-5]\d\d", status)
        and thumb in ("", *_THUMBS, *_SAID)
        and given["time"] in ("", *_TIMES)
        and language in ("", *_LANGUAGES)
        and re.fullmatch(r"|[0-9a-f]{64}", given["release"])
    )
    if not known:
        raise Refused(400, t("such a filter is not known"), t("choose one of the list"))
    since, until = _stretch(given["time"], given["day"])
    return Wanted(
        channel=given["channel"] or None,
        since=since,
        until=until,
        status=status,
        thumb=_THUMBS.get(thumb),
        said=_SAID.get(thumb, ""),
        release=given["release"],
        slow=least,
        words=tuple(given["words"].split()[:8]),
        language=language,
        before=before[:64],
    )


def _stretch(time: str, day: str) -> tuple[str, str]:
    """From when on, and up to when; a day is one of UTC, as all times here are, and goes before a span."""
    if not day:
        return views.since(_TIMES[time]) if time else "", ""
    try:
        begin = date.fromisoformat(day)
        return begin.isoformat(), (begin + timedelta(days=1)).isoformat()
    except (ValueError, OverflowError):
        raise Refused(400, t("'{value}' is no day", value=day), t("write it like 2026-01-31")) from None


def since(span: str) -> str:
    """The beginning of a span of the list; empty for none."""
    return views.since(_TIMES[span]) if span in _TIMES else ""


def form(given: dict[str, str], channels: Sequence[str], releases: Sequence[tuple[str, str]]) -> str:
    """With what was asked for last filled in. `channels`, `releases` (digest, name): those that can be chosen."""
    every = ("", t("all"))
    times = [every, ("1h", t("hour")), ("1d", t("day")), ("7d", t("week")), ("30d", t("30 days"))]
    statuses = [every, *((one, one) for one in ("2xx", "4xx", "5xx"))]
    judged = [
        every, ("down", t("thumb down")), ("up", t("thumb up")), ("any", t("any")), ("correction", t("a correction")),
        ("comment", t("a comment")), ("score", t("a score")),
    ]  # fmt: skip
    return page.form(
        f"{ROOT}/traces",
        t("Filter"),
        page.field("words", t("Words"), given["words"], type="search"),
        page.choice("time", t("in the last"), times, given["time"]),
        page.field("day", t("on the day (UTC)"), given["day"], type="date"),
        page.choice("status", t("status"), _with(statuses, given["status"]), given["status"]),
        page.choice("thumb", t("feedback"), judged, given["thumb"]),
        page.choice("language", t("language"), [every, *((one, one) for one in _LANGUAGES)], given["language"]),
        page.field("slow", t("at least, in seconds"), given["slow"], inputmode="decimal", size="6"),
        page.choice("channel", t("channel"), _with([every, *((one, one) for one in channels)], given["channel"]),
                    given["channel"]),
        page.choice("release", t("release"), _with([every, *releases], given["release"]), given["release"]),
    )  # fmt: skip


def _with(options: Sequence[tuple[str, str]], chosen: str) -> list[tuple[str, str]]:
    """Also what was chosen and is not in the list, such as a release that is gone."""
    return [*options, *([(chosen, chosen[:12])] if chosen not in dict(options) else [])]
