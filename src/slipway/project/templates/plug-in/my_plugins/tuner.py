"""A tuner: the references of the train split become a table, which the engine `table` answers from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from slipway.core.artifact import Made
from slipway.core.material import Example
from slipway.core.protocols import Job


class TableConfig(BaseModel):
    """`most`: rows that are taken. `teacher`: a model of the project whose answers are learned, in place of references;
    `least`: those that the project's metric gives less are left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    most: int = Field(default=10_000, ge=1)
    teacher: str = ""
    least: float = Field(default=0.0, ge=0, le=1)


class TableTuner:
    """One row an example: what would be sent for it, and its reference. A killed run goes on after the last row."""

    Config: ClassVar[type[TableConfig]] = TableConfig
    reads: ClassVar[tuple[Literal["train", "scores"], ...]] = ("train", "scores")  # never the gate's examples
    models: ClassVar[tuple[str, ...]] = ("teacher",)  # options that name other models: they are pinned
    variants: ClassVar[Mapping[str, Sequence[Any]]] = {"least": (0.5,)}  # what `slipway improve` may try

    def __init__(self, config: TableConfig) -> None:
        self.config = config

    def tune(self, job: Job) -> Made:
        """Write table.json."""
        path = job.folder / "rows.jsonl"
        examples = [example for example in job.examples("train") if example.expected][: self.config.most]
        answers = self._answers(job, examples)
        done = len(path.read_text("utf-8").splitlines()) if path.exists() else 0
        with path.open("a", encoding="utf-8") as file:
            for n, (example, answer) in enumerate(list(zip(examples, answers, strict=True))[done:], done + 1):
                row = [job.messages(example)[-1].text, answer]
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                file.flush()
                job.progress(n, len(examples), rows=float(n))
        table = job.folder / "table.json"
        rows = [row for line in path.read_text("utf-8").splitlines() if (row := json.loads(line))[1]]
        table.write_text(json.dumps(rows, ensure_ascii=False), "utf-8")
        return Made(kind="model", files={table.name: table}, engine="table", measured={"rows": float(len(rows))})

    def _answers(self, job: Job, examples: Sequence[Example]) -> list[str]:
        """What is learned for each example; empty where that is nothing."""
        if not self.config.teacher:
            return [job.reference(example) for example in examples]
        told = job.answers(self.config.teacher, examples)
        pairs = zip(examples, told, strict=True)
        return [text if text and job.score(one, text) >= self.config.least else "" for one, text in pairs]
