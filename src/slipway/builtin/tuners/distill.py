"""`tune: distill`: the candidate's model learns to answer as a larger one does, as an adapter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from slipway.builtin.causal.options import TARGETS
from slipway.builtin.causal.token_rows import Row
from slipway.builtin.engines.gguf_model import ModelHeader, read_header
from slipway.builtin.preferring import room
from slipway.builtin.preferring.room import AdapterOptions, Learner
from slipway.builtin.training.failures import explained
from slipway.core.artifact import Made
from slipway.core.material import Example
from slipway.core.protocols import Job, Served
from slipway.errors import ConfigError
from slipway.i18n import t


class DistillConfig(AdapterOptions):
    """`teacher`: a model of the project. `by: sequences`: it answers the inputs of train, and the student trains on its
    answers; any model may teach. `by: logits`: its distribution over tokens is learned, on the references of train
    (`on: references`) or on its own answers (`on: teacher`); a GGUF model with the same tokens. `temperature` of both
    distributions, `weight` of their divergence beside the cross-entropy. `left_out`: the largest share of train that
    may be missing because the teacher did not answer, or answered with more than `max_tokens`: what is missing is no
    random part of what is asked.
    """

    teacher: str = Field(min_length=1)
    by: Literal["sequences", "logits"] = "sequences"
    on: Literal["references", "teacher"] = "references"
    temperature: float = Field(default=2.0, gt=0, le=100)
    weight: float = Field(default=0.5, ge=0, le=1)
    left_out: float = Field(default=0.2, ge=0, le=1)


class _Split(NamedTuple):
    """Rows of a split, and how many examples have none: without an answer, and too long."""

    rows: list[Row]
    unanswered: int
    too_long: int

    @property
    def given(self) -> int:
        return len(self.rows) + self.unanswered + self.too_long


class DistillTuner(Learner[DistillConfig]):
    """Trains on train, stops by dev. A killed run goes on from its last checkpoint."""

    Config: ClassVar[type[DistillConfig]] = DistillConfig
    reads: ClassVar[tuple[Literal["train", "dev"], ...]] = ("train", "dev")
    models: ClassVar[tuple[str, ...]] = ("teacher",)

    def tune(self, job: Job) -> Made:
        """Raises ConfigError for a teacher or examples that nothing can be learned from."""
        config, (path, header, end) = self.config, room.open_base(job)
        teacher = self._teacher(job, header) if config.by == "logits" else None
        answered = config.by == "sequences" or config.on == "teacher"
        with job.serving() as served:
            splits = [self._rows(job, served, job.examples(split), answered, end) for split in ("train", "dev")]
        train, dev = splits
        if not train.rows:
            raise ConfigError(
                t("there is nothing to learn: the teacher answered no example of train that is short enough")
                if answered
                else t("there is nothing to learn: train has no example with a reference that is short enough"),
                t("look at data.examples, and raise max_tokens if they are long"),
            )
        if answered and 1 - len(train.rows) / train.given > config.left_out:
            raise ConfigError(
                t("of {n} examples of train the teacher '{name}' left {unanswered} without an answer, and {too_long} "
                  "are longer than max_tokens: more than the share of {share:g} that may be missing", n=train.given,
                  name=config.teacher, unanswered=train.unanswered, too_long=train.too_long, share=config.left_out),
                t("ask the teacher as a candidate of its own to see why, raise max_tokens, or let left_out be larger"),
            )  # fmt: skip
        made, measured = self._trained(job, path, header, teacher, train.rows, dev.rows)
        why = "left_out_without_answer" if answered else "left_out_without_reference"
        counts = {
            "examples": len(train.rows), "dev_examples": len(dev.rows), why: sum(one.unanswered for one in splits),
            "left_out_too_long": sum(one.too_long for one in splits),
        }  # fmt: skip
        told = {name: float(count) for name, count in counts.items()}
        return Made(kind=made.kind, files=made.files, measured=measured | told)

    def _trained(
        self, job: Job, path: Path, header: ModelHeader, teacher: Path | None, rows: Sequence[Row], dev: Sequence[Row]
    ) -> tuple[Made, dict[str, float]]:
        from slipway.builtin.causal import base, lora
        from slipway.builtin.causal.batches import batches
        from slipway.builtin.causal.losses import Answers
        from slipway.builtin.preferring.distilling import taught
        from slipway.builtin.training.loop import Course, train
        from slipway.builtin.training.placing import derived, place_of, repeatable

        config, place = self.config, place_of(self.config)
        seed = derived(job.seed, config.seed, "distill")
        with repeatable(place, seed), explained():
            model = base.load(path)
            lora.add(model, TARGETS, config.r, config.alpha, 0.0)
            model.to(place.device)
            teaching: Any = base.load(teacher).to(place.device).eval().requires_grad_(False) if teacher else None

            def loss_of(some: Sequence[Row]) -> Any:
                own = Answers(model, some, place.device)
                if teaching is None:
                    return own
                return taught(own, Answers(teaching, some, place.device), config.temperature, config.weight)

            course = Course(
                model, lambda epoch: batches(rows, config.batch_size, derived(seed, "order", epoch)), loss_of(rows),
                dev=batches(dev, config.batch_size, 0) if dev else (), dev_loss=loss_of(dev),
                tokens=lambda batch: sum(len(rows[place].ids) for one in batch for place in one),
            )  # fmt: skip
            measured = train(course, config, place, job.folder, job.progress, seed)
            made = room.write(job, header, lora.learned(model), config)
            examples = list(job.examples("dev")) or list(job.examples("train"))
            return made, measured | room.compared(job, made, model, header, config, place, examples)

    def _teacher(self, job: Job, student: ModelHeader) -> Path:
        """The teacher's file. Raises ConfigError for one that is no GGUF model, or has other tokens."""
        name = self.config.teacher
        files = [path for key, path in job.model(name)[1].items() if key.endswith(".gguf")]
        if len(files) != 1:
            raise ConfigError(
                t("'{name}' is not one GGUF file, which a teacher of logits must be", name=name),
                t("use by: sequences, for which any model may teach"),
            )
        if _vocabulary(files[0], read_header(files[0])) != _vocabulary(job_file(job), student):
            raise ConfigError(
                t("'{name}' has other tokens than the student: their probabilities cannot be compared", name=name),
                t("use by: sequences, or a teacher of the same family"),
            )
        return files[0]

    def _rows(self, job: Job, served: Served, examples: Sequence[Example], answered: bool, end: int) -> _Split:
        """Rows of a split."""
        given = list(examples)
        texts = list(job.answers(self.config.teacher, given)) if answered else [job.reference(one) for one in given]
        pairs = [(example, text) for example, text in zip(given, texts, strict=True) if text.strip()]
        prompts = served.prompts([job.messages(example) for example, _ in pairs])
        answers = served.tokens([text for _, text in pairs])
        rows = [Row((*prompt, *answer, end), len(prompt)) for prompt, answer in zip(prompts, answers, strict=True)]
        kept = [row for row in rows if len(row.ids) <= self.config.max_tokens]
        return _Split(kept, len(given) - len(pairs), len(rows) - len(kept))


def job_file(job: Job) -> Path:
    """The base's GGUF file."""
    return room.open_base(job)[0]


def _vocabulary(path: Path, header: ModelHeader) -> tuple[str, list[str]]:
    """How a model cuts texts, and its tokens in their order."""
    from slipway.gguf import read_header as read

    key = "tokenizer.ggml.tokens"
    with path.open("rb") as file:
        tokens = read(file, (key,)).arrays.get(key, [])
    return str(header.header.scalars.get("tokenizer.ggml.model", "")), tokens
