"""`tune: prune`: the candidate's model without a share of its neurons, attention heads or smallest weights."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from slipway.builtin.compressing import activations, beside, encoders
from slipway.builtin.compressing.base_files import gguf_of, is_encoder
from slipway.builtin.compressing.gguf_pruning import prune_gguf
from slipway.builtin.compressing.recipe import CompressConfig, CompressTuner
from slipway.core.artifact import Made
from slipway.core.protocols import Job
from slipway.errors import ConfigError
from slipway.gguf_quantize import AnyQuantization
from slipway.i18n import t


class PruneConfig(CompressConfig):
    """`method`: `neurons` of the feed-forward layers and `heads` make the model smaller and faster; `magnitude` sets
    the smallest weights to zero, which saves neither bytes nor time here. `share`: how much goes, of each layer. `by`:
    what neurons are judged by; `activations` are seen on `texts` of train, and of a GGUF model need torch. `type`: how
    a GGUF is written.
    """

    method: Literal["neurons", "heads", "magnitude"] = "neurons"
    share: float = Field(default=0.2, gt=0, lt=1)
    by: Literal["weights", "activations"] = "weights"
    texts: int = Field(default=64, ge=1, le=10_000)
    type: AnyQuantization = "q8_0"


class PruneTuner(CompressTuner[PruneConfig]):
    """Nothing is trained afterwards."""

    Config: ClassVar[type[PruneConfig]] = PruneConfig

    def tune(self, job: Job) -> Made:
        """Remove and write. Raises ConfigError for a model, share or judge that cannot be done."""
        config = self.config
        if config.by == "activations" and config.method != "neurons":
            raise ConfigError(
                t("`by: activations` judges neurons only, not {method}", method=config.method),
                t("leave `by` out, or prune neurons"),
            )
        if is_encoder(job):
            texts = [job.text(example) for example in job.examples("train")][: config.texts]
            return encoders.pruned(job, config.method, config.share, config.by == "activations", texts, config.measure)
        base, source = gguf_of(job)
        says = activations.importance(job, source, config.texts) if config.by == "activations" else None
        target = job.folder / f"{Path(source.name).stem}.pruned.gguf"
        found = prune_gguf(
            source, target, config.method, config.share, config.type, says,
            lambda _, done, total: job.progress(done, total),
        )  # fmt: skip
        asked = beside.asked_of(job, self.reads) if config.measure else ()
        observed = beside.compare_gguf(source, target, asked) if asked else {}
        return Made(
            kind="model", files={target.name: target}, engine=base.engine, options=base.options,
            measured=beside.rounded(beside.sizes(source, target) | found), observed=beside.rounded(observed),
        )  # fmt: skip
