"""The dense network in Keras: its layers, its training, and what it becomes. Imported only where Keras is."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.builtin.dense.keeping import FILE, Keeping
from slipway.builtin.dense.options import DenseOptions
from slipway.builtin.dense.writing import Layer
from slipway.builtin.training.placing import derived
from slipway.errors import ConfigError
from slipway.files import cache_folder
from slipway.i18n import t

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


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
    kept = Keeping(model, stopping, slower, folder / FILE, options.epochs, progress)
    kept.resume()

    def begins(epoch: int, logs: Any) -> None:
        batches.epoch = epoch

    if not kept.ended:
        keeping = keras.callbacks.LambdaCallback(
            on_train_begin=kept.restore, on_epoch_begin=begins, on_epoch_end=kept.epoch_ended
        )
        held = (dev[0], keras.ops.one_hot(dev[1], labels)) if dev else None
        model.fit(
            batches, epochs=options.epochs, initial_epoch=kept.epoch, validation_data=held, shuffle=False, verbose=0,
            callbacks=[stopping, slower, keeping],
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
            return rows(places.tolist()), hot[classes[places]]

    return Batches()
