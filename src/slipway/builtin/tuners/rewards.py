"""`tune: grpo` and `tune: rloo`: the candidate's model answers, and learns what scored well.

The score is the project's own metric (`job.score`), so what is learned is what is measured. RLOO (Ahmadian et al. 2024)
stands where PPO stood: without a value network, each answer's baseline are the other answers to the same prompt.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from slipway.builtin.preferring import room
from slipway.builtin.preferring.room import Base, Learner
from slipway.builtin.preferring.trainers import Row, TrlOptions, arguments, dataset, make
from slipway.builtin.training.failures import check_score
from slipway.core.artifact import Made
from slipway.core.protocols import Job
from slipway.i18n import t


class DrawingOptions(TrlOptions):
    """`answers`: to each prompt, that are compared with each other. `answer_tokens`: the most of one. `temperature`: of
    drawing them.
    """

    answers: int = Field(default=4, ge=2, le=256)
    answer_tokens: int = Field(default=64, ge=1, le=8192)
    temperature: float = Field(default=1.0, gt=0, le=10)
    beta: float = Field(default=0.0, ge=0, le=100)

    @model_validator(mode="after")
    def _whole_groups(self) -> Self:
        if self.batch_size * self.accumulate % self.answers:
            raise ValueError(
                t("batch_size times accumulate ({n}) must be a multiple of answers ({answers})",
                  n=self.batch_size * self.accumulate, answers=self.answers)
            )  # fmt: skip
        return self


def drawing(job: Job, options: DrawingOptions, seed: int) -> Any:
    """What configurations of trainers get that draw answers."""
    return arguments(job, options, seed) | {
        "num_generations": options.answers, "max_completion_length": options.answer_tokens,
        "temperature": options.temperature,
    }  # fmt: skip


class RewardedConfig(DrawingOptions):
    """`metric`: of `evaluate.metrics`; without it the first that scores answers without a model."""

    metric: str = ""


class _Rewarded(Learner[RewardedConfig]):
    Config: ClassVar[type[RewardedConfig]] = RewardedConfig
    reads: ClassVar[tuple[Literal["train", "scores"], ...]] = ("train", "scores")

    def tune(self, job: Job) -> Made:
        """Raises ConfigError without examples that can be scored."""
        config = self.config
        examples = [example for example in job.examples("train") if example.expected]

        def reward(completions: Sequence[str], example: Sequence[int], **_: Any) -> list[float]:
            pairs = zip(completions, example, strict=True)
            what = t("the metric '{name}'", name=config.metric) if config.metric else t("the metric")
            return [check_score(job.score(examples[at], text, config.metric), what) for text, at in pairs]

        def build(base: Base, prompts: Sequence[str], seed: int) -> Any:
            rows: list[Row] = [
                {"prompt": prompt, "example": at}
                for at, prompt in enumerate(prompts)
                if room.fits(base, config, prompt)
            ]
            hint = t("add data.examples with references; max_tokens leaves long prompts out")
            return self.trainer(base, drawing(job, config, seed),
                                dataset(rows, t("examples with a reference"), 1, hint), reward)  # fmt: skip

        return make(job, config, examples, build)

    def trainer(self, base: Base, common: Any, data: Any, reward: Any) -> Any:
        """Of trl."""
        arguments, trainer = self.of_trl()
        return trainer(
            model=base.model, reward_funcs=reward, args=arguments(**common), train_dataset=data,
            processing_class=base.tokenizer, peft_config=room.peft_lora(self.config),
        )  # fmt: skip

    @abstractmethod
    def of_trl(self) -> tuple[Any, Any]:
        """(class of its arguments, class of the trainer)."""


class GrpoTuner(_Rewarded):
    """Group relative policy optimisation (Shao et al. 2024)."""

    def of_trl(self) -> tuple[Any, Any]:
        """GRPO's."""
        from trl.trainer.grpo_config import GRPOConfig
        from trl.trainer.grpo_trainer import GRPOTrainer

        return GRPOConfig, GRPOTrainer


class RlooTuner(_Rewarded):
    """REINFORCE with the other answers as baseline (Ahmadian et al. 2024)."""

    def of_trl(self) -> tuple[Any, Any]:
        """RLOO's."""
        from trl.trainer.rloo_config import RLOOConfig
        from trl.trainer.rloo_trainer import RLOOTrainer

        return RLOOConfig, RLOOTrainer
