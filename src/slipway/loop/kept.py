"""What is kept of those who ask, for how long, how much of it there is, and what was deleted when and why."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import func, select

from slipway.core.erasure import ERASURE, Erasure
from slipway.loop.context import Context
from slipway.loop.retain import retention
from slipway.store import tables

MOST = 200  # deletions that are told, the newest


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """`seconds`: how long each kind is kept; None: without limit. `size`: bytes of traces that are kept; None: without
    limit. `bodies`: share of requests whose question, answer and passages are kept. `count` and `bytes`: of traces and
    feedback that are there now. `deleted`: newest first. `sent`: to which collector telemetry goes, empty for none,
    and `sent_bodies`: which texts go there.
    """

    seconds: dict[str, float | None]
    size: float | None
    bodies: float
    redact: str
    count: dict[str, int]
    bytes: dict[str, int]
    oldest: str
    deleted: list[Erasure]
    sent: str
    sent_bodies: list[str]
    sent_share: float


def kept(context: Context) -> Kept:
    """As the project file says it, and as it is."""
    rules, config, telemetry = retention(context.project), context.project.serve, context.project.serve.telemetry
    count, size = dict[str, int](), dict[str, int]()
    with context.store.catalog.database.reader.connect() as connection:
        for name, table in (("traces", tables.traces), ("feedback", tables.feedback)):
            total: Any = func.coalesce(func.sum(func.length(table.c.body)), 0)
            row = connection.execute(select(func.count(), total).select_from(table)).one()
            count[name], size[name] = int(row[0]), int(row[1])
        oldest = connection.execute(select(tables.traces.c.at).order_by(tables.traces.c.seq).limit(1)).scalar()
    for_feedback = rules.traces if rules.feedback is None else rules.feedback
    return Kept(
        seconds={
            "traces": rules.traces, "feedback": for_feedback, "answers": rules.answers, "steps": rules.steps
        },
        size=rules.size,
        bodies=config.bodies,
        redact=config.redact,
        count=count,
        bytes=size,
        oldest=oldest or "",
        deleted=sorted(
            (one for _, one in context.store.catalog.list(ERASURE, Erasure)), key=lambda one: one.at, reverse=True
        )[:MOST],
        sent=telemetry.endpoint or "",
        sent_bodies=list(telemetry.bodies) if telemetry.endpoint else [],
        sent_share=telemetry.sample,
    )  # fmt: skip
