from __future__ import annotations

from datetime import UTC, datetime

import pytest

from slipway.cli.asking import since
from slipway.errors import ConfigError

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""), ("30m", "2026-11-28T11:30:00.000000Z"), ("2h", "2026-11-28T10:00:00.000000Z"),
        ("1d", "2026-11-27T12:00:00.000000Z"), ("1.5h", "2026-11-28T10:30:00.000000Z"),
        ("2026-11-01", "2026-11-01T00:00:00.000000Z"), ("2026-11-01T09:30", "2026-11-01T09:30:00.000000Z"),
        ("2026-11-01T09:30+02:00", "2026-11-01T07:30:00.000000Z"), ("2026-11-01T09:30Z", "2026-11-01T09:30:00.000000Z"),
    ],
)  # fmt: skip
def test_since(text: str, expected: str) -> None:
    assert since(text, NOW) == expected


@pytest.mark.parametrize("text", ["soon", "2y", "-1h", "999999w", "2026-13-01", "x" * 50, "９h"])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="no time that is known"):
        since(text, NOW)
