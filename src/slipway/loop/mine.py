"""Examples made of what users said: rows to be reviewed by a person, not yet a part of any dataset.

A row has the fields of the task's input and reference, so that `data.examples` reads it, and three more, which become
the example's meta: `lineage` (`trace:<id>`), `review` (`open` until somebody has looked) and `from` (`correction`, or
`thumb-up` for an answer that a user liked and nobody has checked). Stores and writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from slipway.core.protocols import Task
from slipway.core.trace import Feedback, Trace
from slipway.errors import ConfigError

META = ("lineage", "review", "from")


class Mined(msgspec.Struct):
    """`made`: rows by `from`. `left`: traces left out, by reason: `no-reference`, `input`, `reference`, `repeat`."""

    rows: list[dict[str, Any]]
    made: Counter[str]
    left: Counter[str]


def mine(task: Task, said: Iterable[tuple[Feedback, Trace]]) -> Mined:
    """One row for each trace whose feedback, given newest first, gives or confirms an answer.

    The newest correction counts; without one, a thumb up that no later thumb took back.
    """
    found = Mined([], Counter(), Counter())
    by_trace: dict[str, tuple[Trace, list[Feedback]]] = {}
    for one, trace in said:
        by_trace.setdefault(trace.id, (trace, []))[1].append(one)
    seen: set[bytes] = set()
    for trace, all_ in by_trace.values():
        origin, reference = _reference(trace, all_)
        if not reference.strip():
            found.left["no-reference"] += 1
            continue
        try:
            given = task.conversation([{"role": role or "user", "content": text} for role, text in _told(trace)])
        except ConfigError:
            found.left["input"] += 1
            continue
        try:
            task.expected(reference)
        except ConfigError:
            found.left["reference"] += 1
            continue
        row = {name: given[name] for name in task.inputs if name in given} | {task.reference: reference}
        same = msgspec.json.encode(row, order="sorted")
        if same in seen:
            found.left["repeat"] += 1
            continue
        seen.add(same)
        found.rows.append(row | {"lineage": f"trace:{trace.id}", "review": "open", "from": origin})
        found.made[origin] += 1
    return found


def _told(trace: Trace) -> list[tuple[str, str]]:
    return [(role, text) for role, text in trace.turns if role in ("user", "assistant", "")]


def _reference(trace: Trace, said: list[Feedback]) -> tuple[str, str]:
    """Where the reference comes from, and the reference; empty when nobody gave or confirmed one."""
    correction = next((one.correction for one in said if one.correction and one.correction.strip()), "")
    if correction:
        return "correction", correction
    thumb = next((one.thumb for one in said if one.thumb), None)
    return "thumb-up", trace.said if thumb == "up" and trace.status == 200 else ""
