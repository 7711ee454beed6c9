"""What a run of Keras is after each epoch, in one file, so that a killed one comes to the same end. Imports no Keras.

Keras' own `BackupAndRestore` keeps weights and the epoch in two files and forgets what the other callbacks count, so a
run that was killed would end with other weights than one that was not.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import msgspec

from slipway.builtin.training.failures import no_number
from slipway.files import replace_file
from slipway.i18n import t

FILE = "keras.npz"
_STOPPING = ("wait", "best", "best_epoch", "stopped_epoch")  # what the callbacks count
_SLOWER = ("wait", "best", "cooldown_counter")


class _State(msgspec.Struct, frozen=True):
    epoch: int
    ended: bool
    curve: list[dict[str, float]]
    stopping: dict[str, Any]
    slower: dict[str, Any]
    variables: int
    best: int  # weights of the best epoch


class Keeping:
    """`epoch`: how many are done. `ended`: nothing is left to train. `curve`: what was told of each epoch.

    `stopping` and `slower` are the callbacks EarlyStopping and ReduceLROnPlateau.
    """

    def __init__(self, model: Any, stopping: Any, slower: Any, path: Path, epochs: int, progress: Any) -> None:
        self._model, self._stopping, self._slower = model, stopping, slower
        self._path, self._epochs, self._progress = path, epochs, progress
        self.epoch, self.ended = 0, False
        self.curve: list[dict[str, float]] = []
        self._counted: tuple[dict[str, Any], dict[str, Any]] = {}, {}
        self._best: list[Any] = []

    def resume(self) -> None:
        """From the file, where there is one that can be read; else from the beginning. The curve is told again."""
        import numpy as np

        try:
            with np.load(io.BytesIO(self._path.read_bytes()), allow_pickle=False) as held:
                state = msgspec.json.decode(held["state"].tobytes(), type=_State)
                values = [held[f"v{n}"] for n in range(state.variables)]
                self._best = [held[f"b{n}"] for n in range(state.best)]
        except (OSError, ValueError, KeyError, EOFError, msgspec.MsgspecError):
            return
        for variable, value in zip(self._variables(), values, strict=True):
            variable.assign(value)
        self.epoch, self.ended, self.curve = state.epoch, state.ended, state.curve
        self._counted = state.stopping, state.slower
        self.restore()
        for n, numbers in enumerate(self.curve):
            self._progress(n + 1, self._epochs, **numbers)

    def restore(self, logs: Any = None) -> None:
        """What the callbacks counted: they begin anew with each `fit`."""
        for callback, counted in zip((self._stopping, self._slower), self._counted, strict=True):
            vars(callback).update(counted)
        if self._best:
            self._stopping.best_weights = self._best

    def epoch_ended(self, epoch: int, logs: Any) -> None:
        """Keep and tell it. Raises SlipwayError for a loss that is no finite number."""
        found = {"loss": float(logs["loss"])}
        if "val_loss" in logs:
            found["dev_loss"] = float(logs["val_loss"])
        found["learning_rate"] = float(logs["learning_rate"])
        if not all(map(math.isfinite, found.values())):
            raise no_number(t("the loss"), epoch + 1, self._epochs)
        self.epoch, self.curve = epoch + 1, [*self.curve, found]
        self.ended = bool(self._model.stop_training) or self.epoch == self._epochs
        self._write()
        self._progress(self.epoch, self._epochs, **found)

    def _write(self) -> None:
        import numpy as np

        values = [variable.numpy() for variable in self._variables()]
        best = list(self._stopping.best_weights or [])
        counted = [{name: _plain(getattr(one, name)) for name in names}
                   for one, names in ((self._stopping, _STOPPING), (self._slower, _SLOWER))]  # fmt: skip
        state = _State(self.epoch, self.ended, self.curve, counted[0], counted[1], len(values), len(best))
        arrays = {f"v{n}": one for n, one in enumerate(values)} | {f"b{n}": one for n, one in enumerate(best)}
        held: Any = io.BytesIO()
        arrays["state"] = np.frombuffer(msgspec.json.encode(state), np.uint8)
        np.savez(held, allow_pickle=False, **arrays)
        replace_file(self._path, held.getvalue())

    def _variables(self) -> list[Any]:
        """All that changes in training: weights, statistics, what dropout is drawn from, the optimiser's."""
        return [*self._model.variables, *self._model.optimizer.variables]


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, int) else float(value)
