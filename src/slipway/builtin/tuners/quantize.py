"""`tune: quantize`: the candidate's model in fewer bits: a GGUF model, or an encoder as an int8 graph."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, get_args

from pydantic import Field

from slipway.builtin.compressing import beside, encoders
from slipway.builtin.compressing.base_files import gguf_of
from slipway.builtin.compressing.recipe import CompressConfig, CompressTuner
from slipway.core.artifact import Made
from slipway.core.protocols import Job
from slipway.errors import ConfigError
from slipway.gguf_quantize import AnyQuantization, quantize_gguf
from slipway.i18n import t

Int8 = Literal["int8", "int8_static"]
_K_QUANTS = ("q6_k", "q5_k_m", "q4_k_m")


class QuantizeConfig(CompressConfig):
    """`type`: what the matrices become. GGUF: q8_0 is nearly lossless, q4_0 half as large, the k-quants keep more in as
    many bits. Encoders: int8 with ranges of activations found for each text, or once on texts of train (`int8_static`,
    `calibrate` of them).
    """

    type: AnyQuantization | Int8 = "q8_0"
    calibrate: int = Field(default=64, ge=1, le=10_000)


class QuantizeTuner(CompressTuner[QuantizeConfig]):
    """The model in another quantisation, loaded by the same engine."""

    Config: ClassVar[type[QuantizeConfig]] = QuantizeConfig

    def tune(self, job: Job) -> Made:
        """Write it. Raises ConfigError for a model that `type` does not fit, IntegrityError for a damaged one."""
        kind = self.config.type
        if kind in get_args(Int8):
            texts = [job.text(example) for example in job.examples("train")]
            return encoders.quantized(job, kind == "int8_static", texts, self.config.calibrate, self.config.measure)
        base, source = gguf_of(job)
        if kind in _K_QUANTS and base.engine != "llama":
            raise ConfigError(
                t("the engine '{engine}' does not load every block of {kind}", engine=base.engine, kind=kind),
                t("name a model of engine llama, or choose {names}", names="q8_0, q4_0"),
            )
        target = job.folder / f"{Path(source.name).stem}.{kind}.gguf"
        quantize_gguf(source, target, kind, lambda _, done, total: job.progress(done, total))  # type: ignore[arg-type]
        asked = beside.asked_of(job, self.reads) if self.config.measure else ()
        observed = beside.compare_gguf(source, target, asked) if asked else {}
        return Made(
            kind="model",
            files={target.name: target},
            engine=base.engine,
            options=base.options,
            measured=beside.rounded(beside.sizes(source, target)),
            observed=beside.rounded(observed),
        )
