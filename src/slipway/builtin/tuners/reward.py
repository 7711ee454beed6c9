"""`tune: reward`: a reward model learns from pairs what users prefer, and the candidate's model learns from it (RLHF).

A reward model answers nothing, so it is no candidate: it is made on the way, its accuracy on pairs that it has not seen
is told, and the artifact is the adapter that was trained against it (Ouyang et al. 2022, with RLOO in place of PPO).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from slipway.builtin.causal.base import without_bars
from slipway.builtin.preferring import room
from slipway.builtin.preferring.room import Base, Learner
from slipway.builtin.preferring.trainers import Row, arguments, dataset, make, run
from slipway.builtin.training.failures import check_score
from slipway.builtin.tuners.preferences import pair_rows
from slipway.builtin.tuners.rewards import DrawingOptions, drawing
from slipway.core.artifact import Made
from slipway.core.protocols import Job
from slipway.errors import ConfigError
from slipway.files import aside
from slipway.i18n import t

_JUDGE = "judge.pt"
_LEAST = 5  # pairs


class RewardConfig(DrawingOptions):
    """`judge_steps`, `judge_rate`: of the reward model. `held`: the share of pairs that only measure it. `beta`: how
    dear it is to move away from the base, which keeps the model from learning the reward model's mistakes.
    """

    judge_steps: int = Field(default=100, ge=1, le=1_000_000)
    judge_rate: float = Field(default=1e-4, gt=0, le=1)
    held: float = Field(default=0.2, gt=0, lt=1)
    beta: float = Field(default=0.05, ge=0, le=100)


class RewardTuner(Learner[RewardConfig]):
    """First the reward model, then the policy; each goes on from its last checkpoint."""

    reads: ClassVar[tuple[Literal["preferences"], ...]] = ("preferences",)
    Config: ClassVar[type[RewardConfig]] = RewardConfig

    def tune(self, job: Job) -> Made:
        """Raises ConfigError without pairs enough to learn from and to measure on."""
        config, pairs = self.config, job.preferences()
        hint = t("collect feedback on answers, then run `slipway feedback mine`; max_tokens leaves long rows out")
        if len(pairs) < _LEAST:
            said = t(
                "there are {n} pairs of preferences; a reward model needs {least} or more", n=len(pairs), least=_LEAST
            )
            raise ConfigError(said, hint)
        found: dict[str, float] = {}

        def build(base: Base, prompts: Sequence[str], seed: int) -> Any:
            from trl.trainer.rloo_config import RLOOConfig
            from trl.trainer.rloo_trainer import RLOOTrainer

            rows = pair_rows(base, config, prompts, pairs)
            held = max(1, math.floor(len(rows) * config.held))
            judge = _Judge(self._judge(job, base, rows[held:], seed, hint), base)
            found["reward_accuracy"] = judge.accuracy(rows[:held])
            found["reward_pairs"] = float(held)

            def reward(prompts: Sequence[str], completions: Sequence[str], **_: Any) -> list[float | None]:
                pairs = zip(prompts, completions, strict=True)
                return [check_score(judge.score(*pair), t("the reward model")) for pair in pairs]

            asked = [{"prompt": prompt} for prompt in dict.fromkeys(row["prompt"] for row in rows)]
            return RLOOTrainer(
                model=base.model, reward_funcs=reward, args=RLOOConfig(**drawing(job, config, seed)),
                processing_class=base.tokenizer, train_dataset=dataset(asked, t("prompts"), 1, hint),
                peft_config=room.peft_lora(config),
            )  # fmt: skip

        made = make(job, config, [pair.example for pair in pairs], build, config.judge_steps)
        return Made(kind=made.kind, files=made.files, measured={**made.measured, **found})

    def _judge(self, job: Job, base: Base, rows: Sequence[Row], seed: int, hint: str) -> Any:
        """The reward model: the base with a head that gives one number, trained or found in the job's folder."""
        import torch
        from transformers import AutoModelForSequenceClassification, GgufConfig
        from trl.trainer.reward_config import RewardConfig as Arguments
        from trl.trainer.reward_trainer import RewardTrainer

        config, steps = self.config, self.config.judge_steps
        kept = job.folder / "judge" / _JUDGE
        with without_bars():
            whole = AutoModelForSequenceClassification.from_pretrained(
                base.path.parent, gguf_file=base.path.name, quantization_config=GgufConfig(dequantize=True),
                num_labels=1, dtype=torch.float32, local_files_only=True,
            )  # fmt: skip
        whole.config.pad_token_id = base.tokenizer.pad_token_id
        given = arguments(job, config, seed, "judge")
        given |= {"learning_rate": config.judge_rate, "max_steps": steps, "max_length": None}
        del given["beta"]
        trainer: Any = RewardTrainer(
            model=whole, args=Arguments(**given), processing_class=base.tokenizer,
            train_dataset=dataset(rows, t("pairs of preferences"), 2, hint),
            peft_config=room.peft_lora(config, "SEQ_CLS"),
        )  # fmt: skip
        if kept.is_file():
            trainer.model.load_state_dict(torch.load(kept, weights_only=True), strict=False)
            job.progress(steps, None)
        else:
            run(job, trainer, after=config.max_steps or 0)
            trained = {n: p.detach().cpu() for n, p in trainer.model.named_parameters() if p.requires_grad}
            with aside(kept, durable=False) as new:
                torch.save(trained, new)
        return trainer.model.eval()


class _Judge:
    """Asks a reward model."""

    def __init__(self, model: Any, base: Base) -> None:
        self._model, self._tokens = model, base.tokenizer

    def score(self, prompt: str, completion: str) -> float:
        """One number; more is better."""
        import torch

        ids = self._tokens(prompt + completion + self._tokens.eos_token, add_special_tokens=False).input_ids
        with torch.no_grad():
            return float(self._model(torch.tensor([ids], device=self._model.device)).logits[0, 0])

    def accuracy(self, rows: Sequence[Row]) -> float:
        """The share of pairs whose chosen answer scores higher."""
        right = [self.score(row["prompt"], row["chosen"]) > self.score(row["prompt"], row["rejected"]) for row in rows]
        return sum(right) / max(1, len(right))
