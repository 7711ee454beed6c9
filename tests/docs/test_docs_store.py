"""What the pages show under `store:` is what the project file takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from slipway.project.load import load
from slipway.testing.projects import write_project

PAGES = [Path(__file__).parents[2] / "docs" / language / "operations.md" for language in ("en", "zh")]


@pytest.mark.parametrize("page", PAGES, ids=["en", "zh"])
def test_the_fragments_of_a_project_file_load(page: Path, tmp_path: Path) -> None:
    found = re.findall(r"```yaml\n(store:.*?)```", page.read_text(), re.DOTALL)
    assert len(found) == 2
    for n, fragment in enumerate(found):
        file = write_project(tmp_path / f"{n}")
        with file.open("a") as out:
            out.write(f"\n{fragment}")
        assert load(file).store != load(write_project(tmp_path / f"plain{n}")).store
