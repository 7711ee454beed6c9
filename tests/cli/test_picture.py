"""A picture that cannot be written is refused before the work that it would show, and says when it begins and ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.cli.picture import check_picture
from slipway.errors import ConfigError
from slipway.loop.simulate import Asked
from slipway.render.pages.simulated import picture
from slipway.store.new_file import new_file


@pytest.mark.parametrize("name", ["there.svg", "no-such-folder/new.svg"])
def test_it_is_refused_first(tmp_path: Path, name: str) -> None:
    (tmp_path / "there.svg").write_text("mine")
    with pytest.raises(ConfigError, match=r"cannot be written"):
        check_picture(tmp_path / name)
    with pytest.raises(ConfigError, match=r"cannot be written"), new_file(tmp_path / name):
        raise AssertionError("the work was done")
    assert [file.name for file in tmp_path.iterdir()] == ["there.svg"]


def test_traffic_of_days_says_of_which() -> None:
    asked = [Asked(1767571200.0 + hour * 3600, "en", right=True) for hour in range(49)]
    drawn = picture(asked, 0.5)
    assert "2026-01-05 00:00 UTC" in drawn
    assert "2026-01-07 00:00 UTC" in drawn
    assert "1970" not in picture([Asked(float(n), "en", right=True) for n in range(9)], None)
