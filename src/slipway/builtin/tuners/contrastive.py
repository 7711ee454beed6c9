"""`retrieve.tune: contrastive`: the retriever's encoder, tuned so that questions lie near what answers them."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from slipway.builtin.engines.onnx import graph
from slipway.builtin.engines.onnx.engine import require_packages
from slipway.builtin.networks.encoders import base_files, starting
from slipway.builtin.networks.pairs import pairs
from slipway.builtin.training import checkpoint
from slipway.builtin.training.options import EncoderTraining, settled
from slipway.builtin.training.packages import require
from slipway.core.artifact import Made
from slipway.core.protocols import Job


class ContrastiveConfig(EncoderTraining):
    """`negatives`: hard ones for each question, beside the passages of the other questions of a batch. `temperature`:
    cosines are divided by it. `decay`: each layer's learning rate is that of the layer above times this. `cosine`: the
    least mean cosine of exported and trained vectors of up to 300 questions.
    """

    epochs: int = Field(default=2, ge=1, le=10_000)
    learning_rate: float = Field(default=2e-5, gt=0, allow_inf_nan=False)
    batch_size: int = Field(default=16, ge=2, le=1024)
    decay: float = Field(default=0.9, gt=0, le=1)
    negatives: int = Field(default=2, ge=0, le=20)
    temperature: float = Field(default=0.05, gt=0, le=1)
    cosine: float = Field(default=0.999, ge=-1, le=1)


class ContrastiveTuner:
    """InfoNCE with the other passages of a batch as negatives (Henderson et al. 2017, Karpukhin et al. 2020), and hard
    ones that the base or the words rank high. What makes the loss on dev no smaller changes nothing.
    """

    Config: ClassVar[type[ContrastiveConfig]] = ContrastiveConfig
    reads: ClassVar[tuple[Literal["train", "dev"], ...]] = ("train", "dev")
    makes: ClassVar[str] = "embedder"
    settled = staticmethod(settled)

    def __init__(self, config: ContrastiveConfig) -> None:
        self.config = config

    def tune(self, job: Job) -> Made:
        """Mine, train, export, compare. Raises ConfigError where no example of train names a passage."""
        require("torch", "transformers", "safetensors")
        require_packages()
        files = base_files(job)
        shape = graph.read_config(files)
        passages = job.passages()
        mined = {split: pairs(job, passages, split, self.config.negatives) for split in self.reads}
        from slipway.builtin.networks.contrasting import Contrast, export
        from slipway.builtin.training.placing import place_of, repeatable

        place = place_of(self.config)
        with repeatable(place, job.seed + self.config.seed):
            module = starting(job, 0, self.config.dropout).to(place.device)
            contrast = Contrast(module, passages, self.config, job, min(self.config.max_tokens, shape.max_tokens))
            measured = contrast.learn(mined["train"], mined["dev"])
            made, parity = export(job, module.cpu(), shape, contrast)
        checkpoint.remove(job.folder)
        options: dict[str, Any] = dict(job.base.options) if job.base and job.base.engine == "onnx" else {}
        return Made(kind="model", engine="onnx", files=made, options=options, measured={**measured, **parity})
