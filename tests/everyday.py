"""Long lists of cases: some every day, all of them with the slow tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest


def some(cases: Mapping[str, Any] | Iterable[Any], every: int = 3) -> list[Any]:
    """The first of each `every` cases as it is, the others marked slow. Names of a mapping become ids."""
    named = cases.items() if isinstance(cases, Mapping) else ((None, case) for case in cases)
    return [
        pytest.param(case, id=name, marks=[pytest.mark.slow] if at % every else [])
        for at, (name, case) in enumerate(named)
    ]
