"""Where examples come from: drafted from the documents and reviewed by a person, or imported from other tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from slipway.data.imports import importing as _importing
from slipway.loop import drafting as _drafting
from slipway.loop.context import Context


def draft(project: Context, count: int = 50, languages: Sequence[str] = (), seed: int = 7) -> _drafting.Drafted:
    """Propose at most `count` new questions with answer and source from the project's documents, by rules, in English
    and Chinese (`languages`: only these), into `drafts/questions.jsonl`; a person accepts them in `review`.

    Unlike each other, the examples and all earlier drafts, refused ones included; the same for the same `seed`.
    """
    return _drafting.draft(project, count, languages, seed)


def review(project: Context) -> _drafting.Review:
    """The drafts and what was decided: `waiting`, `decide`, `undo`, `take` a CSV, and `settle`, which brings the file
    of examples up to date with the decisions.
    """
    return _drafting.Review(project)


def import_examples(
    project: Context,
    file: Path,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    out: Path | None = None,
) -> _importing.Import:
    """Turn a file of promptfoo, Langfuse, Ragas, SQuAD, OpenAI evals or a table into a new file of examples.

    `columns`: field -> what the file calls it. `out`: default `evals/NAME.jsonl`. Rows that cannot be read are in the
    result with their reasons; no file is written when none can. Raises ConfigError for a file of no known format.
    """
    task = project.task
    out = out or project.root / "evals" / f"{file.stem}.jsonl"
    return _importing.import_file(file, format, columns or {}, (task.inputs[0], task.reference), out)
