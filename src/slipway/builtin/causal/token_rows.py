"""What is trained on: for each example the tokens that serving reads, and those of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from slipway.core.material import Example
from slipway.core.protocols import Job, Served
from slipway.errors import ConfigError
from slipway.i18n import t


class Row(NamedTuple):
    """`ids`: prompt and answer; `start`: of the answer, which alone is learned."""

    ids: tuple[int, ...]
    start: int


class Rows(NamedTuple):
    """`train` and `dev`; `left_out`: how many of both are too long, `unanswered`: have no reference."""

    train: list[Row]
    dev: list[Row]
    left_out: int
    unanswered: int


def rows_of(job: Job, served: Served, end: int, most: int) -> Rows:
    """Rows of at most `most` tokens. `end`: the token after an answer. Raises ConfigError where nothing is to learn."""
    made: list[list[Row]] = []
    left_out = unanswered = 0
    for split in ("train", "dev"):
        examples = [example for example in job.examples(split) if job.reference(example)]
        unanswered += len(job.examples(split)) - len(examples)
        rows = _rows(job, served, examples, end)
        fitting = [row for row in rows if len(row.ids) <= most]
        left_out += len(rows) - len(fitting)
        made.append(fitting)
    if not made[0]:
        raise ConfigError(
            t("all {n} examples are longer than max_tokens ({most})", n=left_out, most=most)
            if left_out
            else t("no example of train has a reference: there is nothing to learn"),
            t("raise max_tokens, or shorten the prompt")
            if left_out
            else t("add examples with references, or give data.split.train a larger share"),
        )
    return Rows(made[0], made[1], left_out, unanswered)


def _rows(job: Job, served: Served, examples: Sequence[Example], end: int) -> list[Row]:
    prompts = served.prompts([job.messages(example) for example in examples])
    answers = served.tokens([job.reference(example) for example in examples])
    return [
        Row((*prompt, *answer, end), len(prompt)) for prompt, answer in zip(prompts, answers, strict=True) if prompt
    ]
