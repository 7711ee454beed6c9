"""A tuner: the references of the train split become a table, which the engine `table` answers from."""

from __future__ import annotations

import json
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from slipway.core.artifact import Made
from slipway.core.protocols import Job


class TableConfig(BaseModel):
    """`most`: rows that are taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    most: int = Field(default=10_000, ge=1)


class TableTuner:
    """One row an example: what would be sent for it, and its reference. A killed run goes on after the last row."""

    Config: ClassVar[type[TableConfig]] = TableConfig
    reads: ClassVar[tuple[Literal["train", "dev"], ...]] = ("train",)

    def __init__(self, config: TableConfig) -> None:
        self.config = config

    def tune(self, job: Job) -> Made:
        """Write table.json."""
        path = job.folder / "rows.jsonl"
        examples = [example for example in job.examples("train") if example.expected][: self.config.most]
        done = len(path.read_text("utf-8").splitlines()) if path.exists() else 0
        with path.open("a", encoding="utf-8") as file:
            for n, example in enumerate(examples[done:], done + 1):
                row = [job.messages(example)[-1].text, example.expected[0]]
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                file.flush()
                job.progress(n, len(examples), rows=float(n))
        table = job.folder / "table.json"
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        table.write_text(json.dumps(rows, ensure_ascii=False), "utf-8")
        return Made(kind="model", files={table.name: table}, engine="table", measured={"rows": float(len(rows))})
