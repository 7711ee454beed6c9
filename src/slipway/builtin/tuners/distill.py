"""`tune: distill`: the candidate's model learns to answer as a larger one does, as an adapter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from slipway.builtin.preferring import parity, room
from slipway.builtin.preferring.room import AdapterOptions, Base
from slipway.builtin.training import checkpoint
from slipway.builtin.training.packages import require
from slipway.core.artifact import ADAPTER, Made
from slipway.core.material import Example
from slipway.core.protocols import Job
from slipway.errors import ConfigError
from slipway.i18n import t

if TYPE_CHECKING:
    from slipway.builtin.preferring.distilling import Row


class DistillConfig(AdapterOptions):
    """`teacher`: a model of the project. `by: sequences`: it answers the inputs of train, and the student trains on its
    answers; any model may teach. `by: logits`: its distribution over tokens is learned, on the references of train
    (`on: references`) or on its own answers (`on: teacher`); a GGUF model with the same tokens. `temperature` of both
    distributions, `weight` of their divergence beside the cross-entropy.
    """

    teacher: str = Field(min_length=1)
    by: Literal["sequences", "logits"] = "sequences"
    on: Literal["references", "teacher"] = "references"
    temperature: float = Field(default=2.0, gt=0, le=100)
    weight: float = Field(default=0.5, ge=0, le=1)


class DistillTuner:
    """Trains on train, stops by dev. A killed run goes on from its last checkpoint."""

    Config: ClassVar[type[DistillConfig]] = DistillConfig
    reads: ClassVar[tuple[Literal["train", "dev"], ...]] = ("train", "dev")
    models: ClassVar[tuple[str, ...]] = ("teacher",)

    def __init__(self, config: DistillConfig) -> None:
        self.config = config

    def tune(self, job: Job) -> Made:
        """Raises ConfigError for a teacher or examples that nothing can be learned from."""
        require("torch", "transformers", "peft", "trl", "gguf")
        from slipway.builtin.training.placing import place_of, repeatable

        config = self.config
        answered = config.by == "sequences" or config.on == "teacher"
        seed = job.seed + config.seed
        with repeatable(place_of(config), seed):
            base = room.base_of(job)
            teacher = self._teacher(job, base) if config.by == "logits" else None
            rows, dev = (self._rows(job, base, list(job.examples(split)), answered) for split in ("train", "dev"))
            if not rows:
                raise ConfigError(
                    t("there is nothing to learn: the teacher answered no example of train that is short enough")
                    if answered
                    else t("there is nothing to learn: train has no example with a reference that is short enough"),
                    t("look at data.examples, and raise max_tokens if they are long"),
                )
            adapted, measured = self._trained(job, base, teacher, rows, dev, seed)
            found = room.made(job, base, adapted, config, measured | {"examples": float(len(rows))})
            (path,) = found.files.values()
            prompts = [base.prompt(job.messages(example)) for example in list(job.examples("train"))[:200]]
            said = parity.check(base, adapted, path, prompts, config.difference)
        checkpoint.remove(job.folder)
        room.leave_nothing(job.folder)
        name = f"{job.base.name if job.base else 'model'}{ADAPTER}"
        return Made(kind="adapter", files={name: path}, measured={**found.measured, **said})

    def _trained(
        self, job: Job, base: Base, teacher: Any, rows: Sequence[Row], dev: Sequence[Row], seed: int
    ) -> tuple[Any, dict[str, float]]:
        from peft import get_peft_model

        from slipway.builtin.preferring.distilling import batches, loss_of
        from slipway.builtin.training.loop import Course, train
        from slipway.builtin.training.placing import place_of

        config, place = self.config, place_of(self.config)
        adapted = get_peft_model(base.model, room.lora(config)).to(place.device)
        if teacher is not None:
            teacher.to(place.device).eval().requires_grad_(False)
        course = Course(
            module=adapted,
            batches=lambda epoch: batches(rows, config.batch_size, seed, epoch),
            loss=loss_of(adapted, teacher, base.tokenizer.pad_token_id, config.temperature, config.weight),
            dev=batches(dev, config.batch_size, 0, 0) if dev else (),
            tokens=lambda some: sum(row.size for row in some),
        )
        return adapted, train(course, config, place, job.folder, job.progress, seed)

    def _teacher(self, job: Job, base: Base) -> Any:
        """The teacher in torch. Raises ConfigError for one that has other tokens."""
        files = [path for name, path in job.model(self.config.teacher)[1].items() if name.endswith(".gguf")]
        if len(files) != 1:
            raise ConfigError(
                t("'{name}' is not one GGUF file, which a teacher of logits must be", name=self.config.teacher),
                t("use by: sequences, for which any model may teach"),
            )
        teacher = room.load(job, files[0])
        if teacher.tokenizer.get_vocab() != base.tokenizer.get_vocab():
            raise ConfigError(
                t("'{name}' has other tokens than the student: their probabilities cannot be compared",
                  name=self.config.teacher),
                t("use by: sequences, or a teacher of the same family"),
            )  # fmt: skip
        return teacher.model

    def _rows(self, job: Job, base: Base, examples: Sequence[Example], answered: bool) -> list[Row]:
        """Rows of a split; examples without an answer, and those that are too long, are left out."""
        from slipway.builtin.preferring.distilling import Row

        if answered:
            texts = list(job.answers(self.config.teacher, examples))
        else:
            texts = [example.expected[0] if example.expected else "" for example in examples]
        made: list[Row] = []
        for example, text in zip(examples, texts, strict=True):
            if text.strip():
                tokens = base.tokenizer
                prompt = tokens(base.prompt(job.messages(example)), add_special_tokens=False).input_ids
                completion = tokens(text, add_special_tokens=False).input_ids + [tokens.eos_token_id]
                if len(prompt) + len(completion) <= self.config.max_tokens:
                    made.append(Row(prompt, completion))
        return made
