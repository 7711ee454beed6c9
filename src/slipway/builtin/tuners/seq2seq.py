"""`tune: seq2seq`: an encoder-decoder of the T5 family learns to write the examples' references."""

from __future__ import annotations

from typing import ClassVar, Literal

from slipway.builtin.causal.token_rows import rows_of
from slipway.builtin.engines.onnx.engine import require_packages
from slipway.builtin.engines.seq2seq.shape import read_shape
from slipway.builtin.seq2seq.base import base_files
from slipway.builtin.seq2seq.options import Seq2SeqOptions
from slipway.builtin.training.failures import explained
from slipway.builtin.training.options import settled
from slipway.builtin.training.packages import require
from slipway.core.artifact import Made
from slipway.core.protocols import Job


class Seq2SeqTuner:
    """Every weight is trained; a whole model comes out, for the engine `seq2seq`. A killed run goes on.

    Without a model, a small one is made from what train asks and answers. Its tokens are those that the engine tells.
    """

    Config: ClassVar[type[Seq2SeqOptions]] = Seq2SeqOptions
    reads: ClassVar[tuple[Literal["train", "dev"], ...]] = ("train", "dev")
    from_nothing: ClassVar[bool] = True
    settled = staticmethod(settled)

    def __init__(self, config: Seq2SeqOptions) -> None:
        self.config = config

    def tune(self, job: Job) -> Made:
        """Train, write, compare.

        Raises ConfigError for a base that cannot be trained or examples that nothing can be learned from,
        MissingPrerequisite without the extras `train` and `onnx`, SlipwayError for what goes wrong on the way and where
        the served model answers otherwise than the trained one.
        """
        require("torch", "transformers", "safetensors")
        require_packages()
        from dataclasses import replace

        from slipway.builtin.causal import parity
        from slipway.builtin.seq2seq import base
        from slipway.builtin.seq2seq.fitting import fit
        from slipway.builtin.training.placing import derived, place_of, repeatable

        config, place = self.config, place_of(self.config)
        options = dict(job.base.options) if job.base else {"context": max(1024, config.max_tokens)}
        with repeatable(place, derived(job.seed, config.seed, "seq2seq")):
            files = base_files(job, config)
            end = read_shape(job.base.name if job.base else "seq2seq", files).end
            begun = None if job.base else Made(kind="model", engine="seq2seq", files=files, options=options)
            with job.serving(begun) as served:
                rows = rows_of(job, served, end, config.max_tokens)
            model = base.load(files, config.dropout)
            measured = fit(model, rows, config, place, job)
        with explained():
            written = base.write(model, files, job.folder / "made")
            made = Made(kind="model", engine="seq2seq", files=written, options=options)
            exact = replace(place, dtype="float32")
            measured |= parity.check(job, made, model, [end], config, exact)
        measured |= {
            "examples": float(len(rows.train)), "dev_examples": float(len(rows.dev)),
            "left_out_too_long": float(rows.left_out), "left_out_without_reference": float(rows.unanswered),
            "parameters": float(sum(one.numel() for one in model.parameters())),
            "bytes": float(sum(path.stat().st_size for path in written.values())),
        }  # fmt: skip
        return Made(kind="model", engine="seq2seq", files=written, options=options, measured=measured)
