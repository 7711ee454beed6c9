"""A dense network beside a classifier's file, run by LiteRT (formerly TensorFlow Lite) in this process. Trains nothing.

`model.tflite` takes one row of features (float32, [1, n]) and gives scores (float32, [1, labels]).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.errors import IntegrityError, MissingPrerequisite
from slipway.i18n import t

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GRAPH = "model.tflite"
EXTRA = "pip install 'slipway-ai[keras]'"


def require_litert() -> None:
    """Raise MissingPrerequisite where LiteRT is not installed."""
    require_extra("ai_edge_litert", "ai-edge-litert")


def require_extra(module: str, package: str) -> None:
    """Raise MissingPrerequisite, naming the extra `keras`, where a module is not installed; imports nothing."""
    if find_spec(module) is None:
        raise MissingPrerequisite(
            t("'{name}' needs the package '{package}', which is not installed", name="keras", package=package), EXTRA
        )


class Litert:
    """A network in memory. Its interpreter takes one row at a time; others wait."""

    def __init__(self, content: bytes, features: int, labels: int) -> None:
        """Raises IntegrityError where the bytes are no network of these sizes."""
        require_litert()
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        try:
            # Without the delegate XNNPACK, which keeps a second copy of the weights and says so on stderr.
            plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            self._interpreter: Any = Interpreter(
                model_content=content, num_threads=1, experimental_op_resolver_type=plain
            )
            self._interpreter.allocate_tensors()
            (given,), (told,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
            if (tuple(given["shape"]), tuple(told["shape"])) != ((1, features), (1, labels)):
                raise ValueError(f"{tuple(given['shape'])} -> {tuple(told['shape'])}")
        except (ValueError, RuntimeError, TypeError) as error:
            raise IntegrityError(
                t("{path} is no network that can be run: {why}", path=GRAPH, why=str(error)[:300]),
                t("`slipway run adapt` makes it again"),
            ) from error
        self._in, self._out = given["index"], told["index"]
        self._lock = threading.Lock()

    def scores(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """[labels], of one row [n]."""
        with self._lock:
            self._interpreter.set_tensor(self._in, features[None, :])
            self._interpreter.invoke()
            return self._interpreter.get_tensor(self._out)[0].astype("float64")


def open_litert(files: Mapping[str, Path], features: int, labels: int) -> Litert:
    """The network of a classifier's files. Raises IntegrityError where it is not what it should be."""
    try:
        content = files[GRAPH].read_bytes()
    except (OSError, KeyError) as error:
        raise IntegrityError(
            t("the classifier lacks a part: {why}", why=error), t("`slipway run adapt` makes it again")
        ) from error
    return Litert(content, features, labels)
