"""Long lists of cases: some every day, all of them with the slow tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest


def some(cases: Mapping[str, Any] | Iterable[Any], every: int = 3, spread: bool = False) -> list[Any]:
    """The first of each `every` cases as it is, the others marked slow. Names of a mapping become ids.

    `spread`: a case is a tuple with a value for each of several arguments.
    """
    named = cases.items() if isinstance(cases, Mapping) else ((None, case) for case in cases)
    return [
        pytest.param(*(case if spread else [case]), id=name, marks=[pytest.mark.slow] if at % every else [])
        for at, (name, case) in enumerate(named)
    ]
