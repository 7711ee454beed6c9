"""What `slipway bench` measured: a row for each model with each prompt."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.core.metrics import METRICS, rounded
from slipway.i18n import t
from slipway.loop.choosing.bench import Bench, Row
from slipway.render.cells import Amount, estimate, unbounded
from slipway.render.document import Column, Document, Part, Table


def bench(found: Bench) -> Document:
    """One table, its notes, and a line for each model that could not be asked."""
    told = [row for row in found.rows if row.answered]
    columns = [Column(t("model")), Column(t("prompt"))]
    if found.meaning is not None:
        columns.append(Column(found.metric, "measure"))
    columns += [
        Column(t("times the first"), "measure"), Column(t("seconds"), "measure"),
        Column(t("first token, s"), "measure"), Column(t("read, tokens/s"), "measure"),
        Column(t("written, tokens/s"), "measure"), Column(t("memory"), "bytes"), Column(t("cost per query"), "measure"),
        Column(t("failed"), "count"),
    ]  # fmt: skip
    table = Table(t("Models by prompts"), columns, [_cells(found, row) for row in told], _notes(found, told))
    failed = [row for row in found.rows if not row.answered]
    parts: list[Part] = [table] if told else []
    parts += [t("{model} with {prompt}: {why}", model=row.model, prompt=row.prompt, why=_why(row)) for row in failed]
    return Document(found, parts, table)


def _why(row: Row) -> str:
    return f"{row.error} ({row.hint})" if row.hint else row.error


def _cells(found: Bench, row: Row) -> list[object]:
    cells: list[object] = [row.model, row.prompt]
    if found.meaning is not None:
        cells.append(estimate(row.quality, found.meaning, ""))
    cost = None if row.cost is None else Amount(row.cost, METRICS["cost_per_query"], row.currency)
    return [
        *cells, _short(row.ratio), _short(row.seconds), _short(row.first_token), _short(row.reading),
        _short(row.writing), row.memory, cost, row.failed,
    ]  # fmt: skip


def _short(value: float | None) -> str | None:
    return None if value is None else rounded(value, 3)


def _notes(found: Bench, rows: Sequence[Row]) -> list[str]:
    notes = [
        t("{n} examples each, one after the other, on {machine}; medians, without the first answer, which warms up",
          n=found.examples, machine=found.machine),
        t("first answer after loading: {each}", each=", ".join(
            f"{model} {rounded(seconds)} s" for model, seconds in _first_answers(rows).items())),
        t("memory: the most that the model's child process held; '-' or empty: it has none, or it cannot be told"),
    ]  # fmt: skip
    if found.built_in:
        notes.append(
            t("built-in texts in English and Chinese: for speed only; in a project, quality is measured on dev")
        )
    if found.meaning is not None:
        notes.append(
            t("{metric}: on dev, with its 95% interval; the gate split was not looked at", metric=found.metric)
        )
        notes += unbounded([estimate(row.quality, found.meaning, "") for row in rows])
    if any(row.reading is None or row.writing is None for row in rows):
        notes.append(t("'-' for tokens a second: the engine tells no tokens, or there were too few to measure by"))
    if found.busy is not None and found.busy > 1.5 * _cores(found.machine):
        notes.append(t("the machine was busy (load {load:.1f}): trust ratios, not seconds", load=found.busy))
    return notes


def _first_answers(rows: Sequence[Row]) -> dict[str, float]:
    """Of each model with its first prompt: with the others it was warm already."""
    return {row.model: row.warm_up for row in reversed(rows) if row.warm_up is not None}


def _cores(machine: str) -> int:
    words = machine.split()
    return next((int(word) for word in words if word.isdigit()), 1)
