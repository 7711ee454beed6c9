"""What the options of `traces` and `feedback` mean: times, statuses, words, files."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from slipway.errors import ConfigError
from slipway.i18n import t

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_AGO = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)\s*([smhdw])")
_MOST_WORDS, _LONGEST = 8, 100


def since(text: str, now: datetime | None = None) -> str:
    """RFC 3339 in UTC of `2h` ago, or of a date or time in ISO 8601 (UTC where it names no zone); empty stays empty."""
    if not text.strip():
        return ""
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            at = (now or datetime.now(UTC)) - timedelta(seconds=float(ago[1]) * _UNITS[ago[2]])
        else:
            at = datetime.fromisoformat(text.strip())
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            t("--since {text}: no time that is known", text=text[:40]),
            t("write 30m, 2h, 1d or 2w for so long ago, or 2026-11-28 or 2026-11-28T09:30 (UTC)"),
        ) from error
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def status(text: str) -> str:
    """`503`, or `5xx` for all of a class; empty stays empty."""
    found = text.strip().lower()
    if found and not re.fullmatch(r"[1-5]([0-9]{2}|xx)", found):
        raise ConfigError(
            t("--status {text}: no HTTP status", text=text[:40]),
            t("write a number such as 503, or a class such as 5xx"),
        )
    return found


def words(text: str) -> tuple[str, ...]:
    """The words to be found, in any order."""
    found = tuple(dict.fromkeys(text.split()))
    if len(found) > _MOST_WORDS or any(len(word) > _LONGEST for word in found):
        raise ConfigError(
            t("--text: at most {n} words of at most {most} characters", n=_MOST_WORDS, most=_LONGEST),
            t("give the rarest words only"),
        )
    return found


def examples_file(path: Path) -> Path:
    """A name that `data.examples` knows the format of."""
    if path.suffix.lower() != ".jsonl":
        raise ConfigError(
            t("{path}: examples are written as JSON lines", path=path), t("name a file that ends in .jsonl")
        )
    return path
