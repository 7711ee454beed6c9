"""`tune: full`: every weight of a causal language model learns the examples' references."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from slipway.builtin.causal.options import FullOptions
from slipway.builtin.causal.recipe import CausalTuner
from slipway.builtin.engines.gguf_model import ModelHeader
from slipway.core.artifact import Made
from slipway.core.protocols import Job

if TYPE_CHECKING:
    from slipway.builtin.causal.fitting import Fitted


class FullTuner(CausalTuner[FullOptions]):
    """A whole model comes out, in 8 or 16 bits, for the engine of the base."""

    Config: ClassVar[type[FullOptions]] = FullOptions
    recipe: ClassVar[Literal["lora", "full"]] = "full"

    def export(self, job: Job, path: Path, header: ModelHeader, fitted: Fitted) -> Made:
        """One file."""
        from slipway.builtin.causal import exporting

        return self.merged(job, path, exporting.weights(header, fitted.model))
