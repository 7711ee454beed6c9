"""`tune: lora`: a language model learns the examples' references; a small adapter comes out, or a merged model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from slipway.builtin.causal.options import LoraOptions
from slipway.builtin.causal.recipe import CausalTuner
from slipway.builtin.engines.gguf_model import ModelHeader
from slipway.core.artifact import ADAPTER, Made
from slipway.core.protocols import Job
from slipway.errors import ConfigError
from slipway.i18n import t

if TYPE_CHECKING:
    from slipway.builtin.causal.fitting import Fitted


class LoraTuner(CausalTuner[LoraOptions]):
    """LoRA (Hu et al. 2021) in torch. The base's file stays what it is."""

    Config: ClassVar[type[LoraOptions]] = LoraOptions
    recipe: ClassVar[Literal["lora", "full"]] = "lora"

    def check(self, job: Job) -> None:
        """Adapters are loaded by `llama` alone."""
        if job.base is not None and job.base.engine != "llama" and not self.config.merge:
            raise ConfigError(
                t("the engine '{engine}' loads no adapters", engine=job.base.engine),
                t("name a model of engine llama, or say tune: {lora: {merge: true}}"),
            )

    def export(self, job: Job, path: Path, header: ModelHeader, fitted: Fitted) -> Made:
        """One file."""
        from slipway.builtin.causal import exporting, lora

        learned, options = lora.learned(fitted.model), self.config
        if options.merge:
            return self.merged(job, path, exporting.deltas(header, learned, options.alpha / options.r))
        target = job.folder / f"adapter{ADAPTER}"
        exporting.write_adapter(header, learned, options.alpha, target)
        return Made(kind="adapter", files={target.name: target})
