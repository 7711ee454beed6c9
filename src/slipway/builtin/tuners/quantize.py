"""`tune: quantize`: the candidate's model with its matrices in 8 or 4 bits. Needs no examples."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from slipway.core.artifact import ADAPTER, Made
from slipway.core.protocols import Job
from slipway.errors import ConfigError
from slipway.gguf_quantize import Quantization, quantize_gguf
from slipway.i18n import t


class QuantizeConfig(BaseModel):
    """`type`: what the matrices become; q8_0 is nearly lossless, q4_0 half as large."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Quantization = "q8_0"


class QuantizeTuner:
    """A GGUF model in another quantisation, loaded by the same engine. A killed run begins again: it takes seconds."""

    Config: ClassVar[type[QuantizeConfig]] = QuantizeConfig
    reads: ClassVar[tuple[Literal["train", "dev"], ...]] = ()

    def __init__(self, config: QuantizeConfig) -> None:
        self.config = config

    def tune(self, job: Job) -> Made:
        """Write the file. Raises ConfigError unless the model is one GGUF file, IntegrityError for a damaged one."""
        found = [path for name, path in job.files.items() if name.endswith(".gguf") and not name.endswith(ADAPTER)]
        if job.base is None or len(found) != 1:
            raise ConfigError(
                t("'{name}' is not one GGUF file, which quantising needs", name=job.base.name if job.base else "-"),
                t("name a model of engine llama or openvino"),
            )
        target = job.folder / f"{Path(found[0].name).stem}.{self.config.type}.gguf"
        quantize_gguf(found[0], target, self.config.type, lambda _, done, total: job.progress(done, total))
        size = float(target.stat().st_size)
        return Made(
            kind="model",
            files={target.name: target},
            engine=job.base.engine,
            options=job.base.options,
            measured={"bytes": size, "share": size / found[0].stat().st_size},
        )
