"""People label what was served, and their labels become examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.api.served import exporting
from slipway.loop.context import Context, whoami
from slipway.loop.labelling import label_studio, rows
from slipway.loop.labelling import standing as _standing
from slipway.loop.labelling.room import Room
from slipway.privacy.redact import Mode


class Labelling(Room):
    """A project's queues, with what is made of them."""

    def standing(self, name: str, *, whole: bool = True) -> _standing.Standing:
        """What is done in a queue, how far its annotators agree, and what that says of all that was served; the last
        two only where it is `whole`.
        """
        return _standing.standing(self, name, whole=whole)

    def write(self, name: str) -> rows.Written:
        """Write a queue's labels as rows to train on into `feedback/NAME.*.jsonl`, without what is held out."""
        return rows.write(self, name)

    def tasks(self, name: str) -> tuple[list[dict[str, Any]], str]:
        """A queue as Label Studio's tasks, and the labelling interface that fits them, in its XML."""
        return label_studio.exported(self, name), label_studio.labelling_config(self.queue(name))

    def take(self, name: str, path: Path) -> label_studio.Taken:
        """Judgements of a file of Label Studio for a queue, or a new queue of the file's tasks."""
        return label_studio.imported(self, name, path, whoami())


def labelling(project: Context, redact: Mode | None = None) -> Labelling:
    """The project's queues: `create`, `next`, `judge`, `undo`, `adjudicate`, `remove`; `standing`, `write`, and Label
    Studio's JSON both ways: `tasks`, `take`.

    `redact`: what becomes of personal data in items that are made, as for `export_traces`.
    """
    return Labelling(project, exporting(project, redact))
