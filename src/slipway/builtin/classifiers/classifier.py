"""A classifier: how sure it is of each label for a text and its vector. Knows no task and fits nothing.

Its file is NumPy's `.npz` without pickled objects: arrays, and a header in JSON. It holds no text but the labels. A
network lies beside it (`network`).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from slipway.builtin.classifiers.features import Vocabulary, centred, grams
from slipway.builtin.classifiers.litert import Litert, open_litert
from slipway.builtin.classifiers.network import Reading, Scoring, open_network
from slipway.errors import IntegrityError
from slipway.i18n import t

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Evidence = tuple[NDArray[np.float64], NDArray[np.intp]]  # scores, and the label that each speaks for

FILE = "classifier.npz"
_LARGEST = 2 << 30  # bytes of one array


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What is not an array. `kind`: `linear` multiplies features with weights, `nearest` lets `k` neighbours vote,
    `network` is a trained network, to whose scores those of `linear` over counted features are added, `mix` times; for
    a text that the network cannot read they stand alone, `alone` times. `dense` is a network over the features
    themselves, the vector before the counted ones.

    `dimension`: of the vectors that it reads; 0: none. `temperature`: scores are divided by it before they become
    probabilities. `threshold`: under this confidence (0 to 1) it abstains.
    """

    kind: Literal["linear", "nearest", "network", "dense"]
    labels: tuple[str, ...]
    dimension: int = 0
    temperature: float = 1.0
    threshold: float = 0.0
    k: int = 0
    mix: float = 0.0
    alone: float = 1.0
    reading: Reading | None = None
    format: int = 1


class Classifier:
    """`arrays` of a linear one, and of what is added to a network: `bias` [L], `vectors` [dimension, L] and `grams` [m,
    L], the weights of a text's vector and of its features; of `nearest`: `vectors` [n, dimension], `grams` (`places`,
    `values`, `starts`: sparse rows) and `classes` [n], the label of each example. `codes`, `idf`: the features that are
    known (`Vocabulary`). `centre` [dimension]: from where vectors are read. `words`: those of a network trained from
    scratch (`WordIds`). What is saved in half precision is used in single.
    """

    def __init__(
        self, header: Header, arrays: Mapping[str, NDArray[Any]], network: Scoring | None = None,
        dense: Litert | None = None,
    ) -> None:  # fmt: skip
        self.header = header
        self.network = network
        self.dense = dense
        self.saved = dict(arrays)
        self.arrays = {name: one.astype("float32") if one.dtype == "float16" else one for name, one in arrays.items()}
        self._vocabulary = Vocabulary(arrays["codes"], arrays["idf"]) if "codes" in arrays else None
        self._neighbours: Any = None

    def probabilities(self, texts: Sequence[str], vectors: Floats) -> NDArray[np.float64]:
        """[len(texts), labels], each row adding up to 1. `vectors`: [len(texts), dimension]."""
        import numpy as np

        found = [self.shares(self.evidence(text, vector)) for text, vector in zip(texts, vectors, strict=True)]
        return np.stack(found)

    def evidence(self, text: str, vector: Floats) -> Evidence:
        """What speaks for labels: their scores, or the similarity of the nearest examples and their labels.

        One text at a time, so that it gets the same numbers whatever is asked beside it.
        """
        import numpy as np

        scores = self.scores(text, vector)
        if self.header.kind != "nearest":
            return scores, np.arange(len(scores))
        best = np.argsort(-scores, kind="stable")[: self.header.k]
        return scores[best], self.arrays["classes"][best]

    def shares(self, evidence: Evidence, temperature: float | None = None) -> NDArray[np.float64]:
        """The probability of each label, [labels]: exp(score / temperature), added up by label, of all."""
        import numpy as np

        scores, classes = evidence
        weights = softmax(scores / (temperature or self.header.temperature))
        return np.bincount(classes, weights=weights, minlength=len(self.header.labels)).astype(np.float64)

    def scores(self, text: str, vector: Floats) -> NDArray[np.float64]:
        """Of each label. Nearest: the cosine with each example, the mean of both kinds of features."""
        if self.header.kind == "nearest":
            return self._similar(text, vector)
        if self.header.kind == "linear":
            return self.linear(text, vector)
        if self.dense is not None:
            return self.dense.scores(self.features(text, vector))
        own = self.network.scores(text) if self.network else None
        counted = self.linear(text, vector)
        return self.header.alone * counted if own is None else own + self.header.mix * counted

    def linear(self, text: str, vector: Floats) -> NDArray[np.float64]:
        """The weights of what a text has, [labels]; zeros where there are none."""
        import numpy as np

        if "bias" not in self.arrays:
            return np.zeros(len(self.header.labels))
        found = self.arrays["bias"].astype(np.float64)
        if self.header.dimension:
            found = found + self._centred(vector).astype(np.float64) @ self.arrays["vectors"]
        if self._vocabulary is not None:
            at, values = self._vocabulary.row(grams(text))
            if len(at):
                found = found + values.astype(np.float64) @ self.arrays["grams"][at]
        return found

    def features(self, text: str, vector: Floats) -> Floats:
        """What a `dense` one reads of a text: its vector, then its counted features; float32, [dimension + m]."""
        import numpy as np

        counted = np.zeros(len(self.arrays["codes"]) if self._vocabulary is not None else 0, np.float32)
        if self._vocabulary is not None:
            at, values = self._vocabulary.row(grams(text))
            counted[at] = values
        return np.concatenate([self._centred(vector), counted], dtype=np.float32)

    def _centred(self, vector: Floats) -> Floats:
        centre = self.arrays.get("centre")  # one that was made before has none
        return vector if centre is None else centred(vector, centre)

    def _similar(self, text: str, vector: Floats) -> NDArray[np.float64]:
        import numpy as np

        kinds = bool(self.header.dimension) + (self._vocabulary is not None)
        found = np.zeros(len(self.arrays["classes"]))
        if self.header.dimension:
            found += self.arrays["vectors"] @ self._centred(vector)
        if self._vocabulary is not None:
            found += self._rows() @ self.features(text, vector)[len(vector) :]
        return found / max(1, kinds)  # of signs alone nothing is counted: all examples are equally far

    def _rows(self) -> Any:
        from scipy.sparse import csr_matrix

        if self._neighbours is None:
            parts = self.arrays
            shape = (len(parts["classes"]), len(parts["codes"]))
            held = (parts["values"], parts["places"], parts["starts"])
            self._neighbours = csr_matrix(held, shape=shape)
        return self._neighbours

    def save(self, path: Path) -> None:
        """Write it; equal classifiers make equal bytes."""
        import numpy as np

        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(zipfile.ZipInfo("header.json"), msgspec.json.encode(self.header, order="sorted"))
            for name, array in sorted(self.saved.items()):
                held = io.BytesIO()
                np.save(held, np.ascontiguousarray(array), allow_pickle=False)
                info = zipfile.ZipInfo(f"{name}.npy")
                info.compress_type = zipfile.ZIP_DEFLATED
                file.writestr(info, held.getvalue())


def load(path: Path, files: Mapping[str, Path] | None = None) -> Classifier:
    """Read what `save` wrote, and the network among `files` that belongs to it. Raises IntegrityError for others.

    Raises MissingPrerequisite where the packages that run a network are not installed.
    """
    import numpy as np

    try:
        with zipfile.ZipFile(path) as file:
            header = msgspec.json.decode(file.read("header.json"), type=Header)
            arrays: dict[str, NDArray[Any]] = {}
            for info in file.infolist():
                if info.file_size > _LARGEST:
                    raise ValueError(info.filename)
                if info.filename.endswith(".npy"):
                    held = io.BytesIO(file.read(info))
                    arrays[info.filename.removesuffix(".npy")] = np.load(held, allow_pickle=False)
        reading = header.reading
        network = open_network(reading, arrays.get("words"), files or {}) if reading is not None else None
        width = header.dimension + len(arrays.get("codes", ()))
        dense = open_litert(files or {}, width, len(header.labels)) if header.kind == "dense" else None
        return Classifier(header, arrays, network, dense)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, msgspec.MsgspecError) as error:
        raise IntegrityError(
            t("{path} is no classifier: {why}", path=path.name, why=error), t("`slipway run adapt` makes it again")
        ) from error


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares that add up to 1, of scores."""
    import numpy as np

    found = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return found / found.sum(axis=-1, keepdims=True)
