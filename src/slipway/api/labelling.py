"""People label what was served, and their labels become examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.api.served import exporting
from slipway.core.ref import canonical
from slipway.loop.context import Context, whoami
from slipway.loop.labelling import label_studio, rows
from slipway.loop.labelling import standing as _standing
from slipway.loop.labelling.room import Room
from slipway.privacy.redact import Mode
from slipway.store.new_file import new_file


class Labelling(Room):
    """A project's queues, with what is made of them."""

    def standing(self, name: str, *, whole: bool = True) -> _standing.Standing:
        """What is done in a queue, how far its annotators agree, and what that says of all that was served; the last
        two only where it is `whole`.
        """
        return _standing.standing(self, name, whole=whole)

    def make_rows(self, name: str) -> rows.Written:
        """Write a queue's labels as rows to train on into `feedback/NAME.*.jsonl`, without what is held out."""
        return rows.write(self, name)

    def tasks(self, name: str) -> tuple[list[dict[str, Any]], str]:
        """A queue as Label Studio's tasks, and the labelling interface that fits them, in its XML."""
        return label_studio.exported(self, name), label_studio.labelling_config(self.queue(name))

    def export(self, name: str, file: Path) -> tuple[int, str]:
        """Write a queue as Label Studio's tasks into a new file; how many, and the labelling interface for them."""
        tasks, interface = self.tasks(name)
        with new_file(file) as out:
            out.write(canonical(tasks))
        return len(tasks), interface

    def take(self, name: str, path: Path) -> label_studio.Taken:
        """Judgements of a file of Label Studio for a queue, or a new queue of the file's tasks."""
        return label_studio.imported(self, name, path, whoami())


def labelling(project: Context, redact: Mode | None = None) -> Labelling:
    """The project's queues: `create`, `next`, `judge`, `undo`, `adjudicate`, `remove`; `standing`,
    `make_rows`, and Label Studio's JSON both ways: `export`, `take`.

    `redact`: what becomes of personal data in items that are made, as for `export_traces`.
    """
    return Labelling(project, exporting(project, redact))
