"""Traces that are wanted, as a file: read page by page while they are sent, so a million of them need no more room."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from slipway import api
from slipway.core.ref import canonical
from slipway.core.trace import Feedback, Trace, Wanted
from slipway.loop.context import Context
from slipway.render.csv import harmless

TYPES = {"jsonl": "application/x-ndjson; charset=utf-8", "csv": "text/csv; charset=utf-8"}
_PAGE = 200
_TITLES = ("trace", "at", "channel", "release", "status", "seconds", "input", "answer", "thumb", "score",
           "correction", "comment", "cost", "currency", "error")  # fmt: skip


def written(project: Context, wanted: Wanted, form: str) -> Iterator[bytes]:
    """Newest first; personal data masked as `slipway traces export` does. `form`: a key of `TYPES`."""
    if form == "csv":
        yield _line(_TITLES)
    last = wanted
    while True:
        found = api.traces_to_export(project, _PAGE, last)
        for trace, said in found:
            yield _row(trace, said) if form == "csv" else canonical({"trace": trace, "feedback": said}) + b"\n"
        if len(found) < _PAGE:
            return
        last = msgspec.structs.replace(wanted, before=found[-1][0].id)


def _row(trace: Trace, said: Sequence[Feedback]) -> bytes:
    newest: dict[str, Any] = {}
    for name in ("thumb", "score", "correction", "comment"):
        newest[name] = next((value for one in said if (value := getattr(one, name)) is not None), "")
    answer = trace.answer
    return _line(
        (trace.id, trace.at, trace.channel, trace.release, trace.status, trace.seconds, trace.asked, trace.said,
         *newest.values(), answer.cost if answer else "", answer.currency if answer else "", str(trace.error))
    )  # fmt: skip


def _line(values: Sequence[Any]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([harmless(value) for value in values])
    return out.getvalue().encode("utf-8", "replace")
