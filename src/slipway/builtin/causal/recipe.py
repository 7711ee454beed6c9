"""What `tune: lora` and `tune: full` have in common: rows from the served template, training, files, parity."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from slipway.builtin.causal.base import base_of, end_of_turn
from slipway.builtin.causal.options import CausalOptions
from slipway.builtin.causal.token_rows import Rows, rows_of
from slipway.builtin.engines.gguf_model import ModelHeader
from slipway.builtin.training.failures import explained
from slipway.builtin.training.options import settled
from slipway.core.artifact import Made
from slipway.core.protocols import Job

if TYPE_CHECKING:
    from slipway.builtin.causal.fitting import Fitted, Run

OptionsT = TypeVar("OptionsT", bound=CausalOptions)


class CausalTuner(Generic[OptionsT]):
    """Learns the references of train, stops early on dev, and checks what it made. A killed run goes on."""

    Config: ClassVar[type[Any]]
    reads: ClassVar[tuple[Literal["train", "dev"], ...]] = ("train", "dev")
    recipe: ClassVar[Literal["lora", "full"]]

    def __init__(self, config: OptionsT) -> None:
        self.config = config

    @classmethod
    def settled(cls, config: OptionsT) -> Mapping[str, Any]:
        """Device, numbers and threads."""
        return settled(config)

    def tune(self, job: Job) -> Made:
        """Train, write, compare.

        Raises ConfigError for a base that cannot be trained or examples that nothing can be learned from,
        MissingPrerequisite without the extra `train`, SlipwayError for what goes wrong on the way and for a file that
        answers otherwise than what was trained.
        """
        _, path, header = base_of(job)
        self.check(job)
        end = end_of_turn(header)
        with job.serving() as served:
            rows = rows_of(job, served, end, self.config.max_tokens)
        fitted = _fitted(self._run(path, rows, job.seed), job, self.config.processes)
        made = self.export(job, path, header, fitted)
        measured = {
            **fitted.measured, "examples": float(len(rows.train)), "dev_examples": float(len(rows.dev)),
            "left_out_too_long": float(rows.left_out), "left_out_without_reference": float(rows.unanswered),
            "learned_tokens": float(sum(len(row.ids) - row.start for row in rows.train)),
            "bytes": float(sum(file.stat().st_size for file in made.files.values())),
        }  # fmt: skip
        from slipway.builtin.causal import parity

        ends = [end, *(token for token in header.ends if token != end)]
        with explained():
            measured |= parity.check(job, made, fitted.model, ends, self.config, fitted.place)
        return Made(kind=made.kind, files=made.files, engine=made.engine, options=made.options, measured=measured)

    def check(self, job: Job) -> None:
        """Raise ConfigError for what this recipe cannot do."""

    def export(self, job: Job, path: Path, header: ModelHeader, fitted: Fitted) -> Made:
        """Write what was learned."""
        raise NotImplementedError

    def merged(self, job: Job, path: Path, changes: Mapping[str, Any]) -> Made:
        """The base with what was learned, for the engine of the base."""
        from slipway.builtin.causal.exporting import write_merged

        assert job.base is not None
        target = job.folder / f"{path.stem}.{self.recipe}.{self.config.file_type}.gguf"
        with explained():
            write_merged(path, changes, self.config.file_type, target)
        return Made(kind="model", files={target.name: target}, engine=job.base.engine, options=job.base.options)

    def _run(self, path: Path, rows: Rows, seed: int) -> Run:
        from slipway.builtin.causal.fitting import Run

        return Run(
            recipe=self.recipe, base=str(path.resolve()), options=self.config.model_dump(mode="json"), seed=seed,
            train=rows.train, dev=rows.dev,
        )  # fmt: skip


def _fitted(run: Run, job: Job, processes: int) -> Fitted:
    from slipway.builtin.causal.fitting import fit

    if processes == 1:
        return fit(run, job.folder, job.progress)
    import msgspec
    import torch

    from slipway.builtin.causal import together
    from slipway.builtin.causal.fitting import RUN

    (job.folder / RUN).write_bytes(msgspec.json.encode(run))
    measured = together.run(job.folder, processes, job.progress)
    fitted = fit(run, job.folder, job.progress, steps=False)
    found = torch.load(job.folder / together.TRAINED, weights_only=True)
    fitted.model.load_state_dict(found, strict=False)
    fitted.measured = {**measured, "processes": float(processes)}
    return fitted
