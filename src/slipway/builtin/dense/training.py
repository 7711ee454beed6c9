"""The dense network in Keras: its layers, its callbacks, and how a killed run goes on. Imported only where Keras is.

Keras' own `BackupAndRestore` keeps weights and the epoch in two files and forgets what the other callbacks count, so a
run that was killed would end with other weights than one that was not. `Kept` writes all of it into one file.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from slipway.builtin.dense.options import DenseOptions
from slipway.builtin.dense.writing import Layer
from slipway.builtin.training.failures import no_number
from slipway.builtin.training.placing import derived
from slipway.errors import ConfigError
from slipway.files import cache_folder, replace_file
from slipway.i18n import t

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

FILE = "keras.npz"
_COUNTED = {"EarlyStopping": ("wait", "best", "best_epoch", "stopped_epoch"),
            "ReduceLROnPlateau": ("wait", "best", "cooldown_counter")}  # fmt: skip


def the_keras() -> Any:
    """Keras on torch, its settings in our cache folder. Raises ConfigError where another backend was loaded before."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    os.environ.setdefault("KERAS_HOME", str(cache_folder() / "keras"))
    import keras

    if keras.backend.backend() != "torch":
        raise ConfigError(
            t("Keras runs on '{name}' here, and `tune: keras` needs torch", name=keras.backend.backend()),
            "export KERAS_BACKEND=torch",
        )
    return keras


def network(keras: Any, features: int, labels: int, options: DenseOptions, seed: int) -> Any:
    """Dense layers, each with batch normalisation (Ioffe and Szegedy 2015), ReLU and dropout (Srivastava et al. 2014);
    the last one gives scores. Compiled.
    """
    layers: list[Any] = [keras.Input((features,))]
    for n, units in enumerate(options.units):
        start = keras.initializers.HeNormal(seed=derived(seed, "kernel", n) % 2**31)
        layers.append(
            keras.layers.Dense(units, use_bias=not options.batch_norm, kernel_initializer=start, name=f"dense_{n}")
        )
        if options.batch_norm:
            layers.append(keras.layers.BatchNormalization(momentum=0.9, name=f"norm_{n}"))
        layers.append(keras.layers.ReLU())
        layers.append(keras.layers.Dropout(options.dropout, seed=derived(seed, "dropout", n) % 2**31))
    last = keras.initializers.GlorotUniform(seed=derived(seed, "last") % 2**31)
    layers.append(keras.layers.Dense(labels, kernel_initializer=last, name="scores"))
    made = keras.Sequential(layers)
    lost = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=options.label_smoothing)
    made.compile(keras.optimizers.AdamW(options.learning_rate, weight_decay=options.weight_decay), lost)
    made.optimizer.build(made.trainable_variables)
    return made


def train(
    keras: Any,
    model: Any,
    data: tuple[Callable[[Sequence[int]], Floats], NDArray[np.int32]],
    dev: tuple[Floats, NDArray[np.int32]] | None,
    options: DenseOptions,
    folder: Path,
    progress: Any,
    seed: int,
) -> dict[str, float]:
    """Train in place, with `fit` and its callbacks; it ends with the weights of the best epoch. `data`: (rows of some
    places, classes of all).
    """
    labels = model.output_shape[-1]
    batches = _batches(keras, *data, labels, options.batch_size, seed)
    watched = "val_loss" if dev else "loss"
    stopping = keras.callbacks.EarlyStopping(
        monitor=watched, patience=options.patience or options.epochs, restore_best_weights=True
    )
    slower = keras.callbacks.ReduceLROnPlateau(
        monitor=watched, factor=options.reduce_factor, patience=options.reduce_patience, min_lr=1e-6
    )
    kept = _kept(keras, [stopping, slower], folder / FILE, batches, options.epochs, progress)
    kept.resume(model)
    if not kept.ended:
        held = (dev[0], keras.ops.one_hot(dev[1], labels)) if dev else None
        model.fit(
            batches, epochs=options.epochs, initial_epoch=kept.epoch, validation_data=held, shuffle=False, verbose=0,
            callbacks=[stopping, slower, kept],
        )  # fmt: skip
    else:
        model.set_weights(stopping.best_weights)
    progress(options.epochs, options.epochs)
    told = {"epochs": float(kept.epoch), "best_epoch": float(stopping.best_epoch + 1), "loss": kept.curve[-1]["loss"]}
    return told | ({"dev_loss": float(stopping.best)} if dev else {})


def layers_of(model: Any, options: DenseOptions) -> list[Layer]:
    """What the network computes when it is served: the normalisation is part of the matrices, dropout is gone."""
    import numpy as np

    def values(name: str) -> list[NDArray[np.float64]]:
        return [np.asarray(one, np.float64) for one in model.get_layer(name).get_weights()]

    made: list[Layer] = []
    for n in range(len(options.units)):
        kernel, *bias = values(f"dense_{n}")
        offset = bias[0] if bias else np.zeros(kernel.shape[1])
        if options.batch_norm:
            gamma, beta, mean, variance = values(f"norm_{n}")
            scale = gamma / np.sqrt(variance + model.get_layer(f"norm_{n}").epsilon)
            kernel, offset = kernel * scale, (offset - mean) * scale + beta
        made.append(Layer(kernel.astype(np.float32), offset.astype(np.float32), relu=True))
    kernel, offset = values("scores")
    return [*made, Layer(kernel.astype(np.float32), offset.astype(np.float32), relu=False)]


def _batches(
    keras: Any, rows: Callable[[Sequence[int]], Floats], classes: NDArray[np.int32], labels: int, size: int, seed: int
) -> Any:
    """An epoch's order depends on the seed and the epoch alone."""
    import numpy as np

    hot = np.eye(labels, dtype=np.float32)

    class Batches(keras.utils.PyDataset):
        epoch = 0

        def __len__(self) -> int:
            return math.ceil(len(classes) / size)

        def __getitem__(self, at: int) -> tuple[Floats, Floats]:
            order = np.random.default_rng(derived(seed, "order", self.epoch)).permutation(len(classes))
            places = order[at * size : (at + 1) * size]
            return rows(places), hot[classes[places]]

    return Batches()


def _kept(keras: Any, callbacks: Sequence[Any], path: Path, batches: Any, epochs: int, progress: Any) -> Any:
    """The callback that keeps everything after each epoch, and tells how far it is."""
    import numpy as np

    class Kept(keras.callbacks.Callback):
        """`epoch`: how many are done. `ended`: nothing is left to train."""

        def __init__(self) -> None:
            super().__init__()
            self.epoch, self.ended = 0, False
            self.curve: list[dict[str, float]] = []
            self._counted: dict[str, dict[str, Any]] = {}
            self._best: list[Any] = []

        def resume(self, model: Any) -> None:
            """From the file, where there is one that can be read; else from the beginning."""
            try:
                with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as held:
                    state = msgspec.json.decode(held["state"].tobytes())
                    values = [held[f"v{n}"] for n in range(state["variables"])]
                    self._best = [held[f"b{n}"] for n in range(state["best"])]
            except (OSError, ValueError, KeyError, EOFError, msgspec.MsgspecError):
                return
            for variable, value in zip(_variables(model), values, strict=True):
                variable.assign(value)
            self.epoch, self.ended, self.curve = state["epoch"], state["ended"], state["curve"]
            self._counted = state["counted"]
            self._restore()
            for n, numbers in enumerate(self.curve):
                progress(n + 1, epochs, **numbers)

        def _restore(self) -> None:
            for one in callbacks:
                vars(one).update(self._counted.get(type(one).__name__, {}))
                if self._best and hasattr(one, "best_weights"):
                    one.best_weights = self._best

        def on_train_begin(self, logs: Any = None) -> None:
            self._restore()  # the others have just begun anew

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            batches.epoch = epoch

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            found = {"loss": float(logs["loss"])}
            found |= {"dev_loss": float(logs["val_loss"])} if "val_loss" in logs else {}
            found["learning_rate"] = float(logs.get("learning_rate", self.model.optimizer.learning_rate))
            if not all(map(math.isfinite, found.values())):
                raise no_number(t("the loss"), epoch + 1, epochs)
            self.epoch, self.curve = epoch + 1, [*self.curve, found]
            self.ended = bool(self.model.stop_training) or self.epoch == epochs
            self._write()
            progress(self.epoch, epochs, **found)

        def _write(self) -> None:
            values = [np.asarray(keras.ops.convert_to_numpy(one)) for one in _variables(self.model)]
            best = callbacks[0].best_weights or []
            counted = {
                type(one).__name__: {name: _plain(getattr(one, name)) for name in _COUNTED[type(one).__name__]}
                for one in callbacks
            }
            state = {
                "epoch": self.epoch, "ended": self.ended, "curve": self.curve, "counted": counted,
                "variables": len(values), "best": len(best),
            }  # fmt: skip
            arrays = {f"v{n}": one for n, one in enumerate(values)} | {f"b{n}": one for n, one in enumerate(best)}
            held = io.BytesIO()
            np.savez(held, state=np.frombuffer(msgspec.json.encode(state), np.uint8), **arrays)
            replace_file(path, held.getvalue())

    return Kept()


def _variables(model: Any) -> list[Any]:
    """All that changes in training: weights, statistics, what dropout is drawn from, the optimiser's."""
    return [*model.variables, *model.optimizer.variables]


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, int) else float(value)
