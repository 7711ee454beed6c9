"""One training run of an encoder-decoder. Imported only where torch is installed."""

from __future__ import annotations

from typing import Any

from slipway.builtin.causal.aside import AnswersAside
from slipway.builtin.causal.batches import batches
from slipway.builtin.causal.token_rows import Rows
from slipway.builtin.seq2seq.options import Seq2SeqOptions
from slipway.builtin.training.loop import Course, train
from slipway.builtin.training.placing import Place, derived
from slipway.core.protocols import Job


def fit(model: Any, rows: Rows, options: Seq2SeqOptions, place: Place, job: Job) -> dict[str, float]:
    """Train in place; returns what was measured. Call it within `placing.repeatable`."""
    seed = derived(job.seed, options.seed, "seq2seq")
    model.to(place.device)
    course = Course(
        model,
        lambda epoch: batches(rows.train, options.batch_size, derived(seed, "order", epoch)),
        AnswersAside(model, rows.train, place.device),
        dev=batches(rows.dev, options.batch_size, 0) if rows.dev else (),
        dev_loss=AnswersAside(model, rows.dev, place.device),
        tokens=lambda batch: sum(len(rows.train[at].ids) for (at,) in batch),
    )
    return train(course, options, place, job.folder, job.progress, seed)
