"""`tune: dpo` and `tune: kto`: the candidate's model learns from pairs that users judged, or from single thumbs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from slipway.builtin.preferring import room
from slipway.builtin.preferring.room import Base, Learner
from slipway.builtin.preferring.trainers import Row, TrlOptions, arguments, dataset, make
from slipway.core.artifact import Made
from slipway.core.judged import Preference
from slipway.core.protocols import Job
from slipway.errors import ConfigError
from slipway.i18n import t


def _hint() -> str:
    return t("collect feedback on answers, then run `slipway feedback mine`; max_tokens leaves long rows out")


class DpoConfig(TrlOptions):
    """`loss`: the sigmoid of Rafailov et al. 2023, or `ipo` (Azar et al. 2023), which minds noise less. `smoothing`:
    the share of pairs that are expected to be the wrong way round.
    """

    loss: Literal["sigmoid", "ipo"] = "sigmoid"
    smoothing: float = Field(default=0.0, ge=0, lt=0.5)


class DpoTuner(Learner[DpoConfig]):
    """Direct preference optimisation of an adapter; the base without it is the reference."""

    Config: ClassVar[type[DpoConfig]] = DpoConfig
    reads: ClassVar[tuple[Literal["preferences"], ...]] = ("preferences",)

    def tune(self, job: Job) -> Made:
        """Raises ConfigError without pairs."""
        config = self.config
        if not job.preferences():
            raise ConfigError(t("there are no pairs of preferences to learn from"), _hint())

        pairs = job.preferences()

        def build(base: Base, prompts: Sequence[str], seed: int) -> Any:
            from trl.trainer.dpo_config import DPOConfig
            from trl.trainer.dpo_trainer import DPOTrainer

            options = DPOConfig(
                **arguments(job, config, seed), loss_type=[config.loss], label_smoothing=config.smoothing,
                max_length=None,
            )  # fmt: skip
            return DPOTrainer(
                model=base.model, args=options, processing_class=base.tokenizer, peft_config=room.peft_lora(config),
                train_dataset=dataset(pair_rows(base, config, prompts, pairs), t("pairs of preferences"), 2, _hint()),
            )  # fmt: skip

        return make(job, config, [pair.example for pair in pairs], build)


def pair_rows(base: Base, options: TrlOptions, prompts: Sequence[str], pairs: Sequence[Preference]) -> list[Row]:
    """Rows of a trainer; those that are too long are left out."""
    rows = [
        {"prompt": prompt, "chosen": pair.chosen, "rejected": pair.rejected}
        for prompt, pair in zip(prompts, pairs, strict=True)
    ]
    return [row for row in rows if room.fits(base, options, row["prompt"], row["chosen"])
            and room.fits(base, options, row["prompt"], row["rejected"])]  # fmt: skip


class KtoConfig(TrlOptions):
    """`desirable`, `undesirable`: what good and bad answers weigh; by default as if there were as many of each."""

    desirable: float | None = Field(default=None, gt=0, le=100)
    undesirable: float | None = Field(default=None, gt=0, le=100)
    batch_size: int = Field(default=4, ge=2, le=65_536)


class KtoTuner(Learner[KtoConfig]):
    """Kahneman-Tversky optimisation (Ethayarajh et al. 2024), straight from thumbs: no pairs are needed."""

    Config: ClassVar[type[KtoConfig]] = KtoConfig
    reads: ClassVar[tuple[Literal["thumbs"], ...]] = ("thumbs",)

    def tune(self, job: Job) -> Made:
        """Raises ConfigError without thumbs, or when all of them point the same way."""
        config, thumbs = self.config, job.thumbs()
        if not thumbs:
            raise ConfigError(t("there are no thumbs to learn from"), _hint())
        good = sum(one.label for one in thumbs)
        if good in (0, len(thumbs)):
            raise ConfigError(
                t("all {n} thumbs are up: nothing tells good from bad", n=len(thumbs))
                if good
                else t("all {n} thumbs are down: nothing tells good from bad", n=len(thumbs)),
                t("KTO needs some of both; wait for more feedback, or use `tune: lora` on corrections"),
            )

        def build(base: Base, prompts: Sequence[str], seed: int) -> Any:
            from trl.trainer.kto_config import KTOConfig
            from trl.trainer.kto_trainer import KTOTrainer

            rows: list[Row] = [
                {"prompt": prompt, "completion": one.completion, "label": one.label}
                for prompt, one in zip(prompts, thumbs, strict=True)
                if room.fits(base, config, prompt, one.completion)
            ]
            up = max(1, sum(row["label"] for row in rows))
            down = max(1, len(rows) - up)
            options = KTOConfig(
                **arguments(job, config, seed), max_length=None,
                desirable_weight=config.desirable or max(1.0, down / up),
                undesirable_weight=config.undesirable or max(1.0, up / down),
            )  # fmt: skip
            return KTOTrainer(
                model=base.model, args=options, processing_class=base.tokenizer, peft_config=room.peft_lora(config),
                train_dataset=dataset(rows, t("thumbs"), config.batch_size, _hint()),
            )  # fmt: skip

        return make(job, config, [one.example for one in thumbs], build)
