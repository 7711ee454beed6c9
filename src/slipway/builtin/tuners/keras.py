"""`tune: keras`: a dense network over sentence vectors and counted words, trained by Keras, served by LiteRT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from slipway.builtin.classifiers import preparing
from slipway.builtin.classifiers.classifier import Classifier
from slipway.builtin.classifiers.litert import GRAPH, Litert, require_extra, require_litert
from slipway.builtin.classifiers.preparing import ClassifierTuner, Counted
from slipway.builtin.dense.options import DenseOptions
from slipway.builtin.networks import parity
from slipway.builtin.networks.tuner import labelled_dev
from slipway.builtin.training.failures import explained
from slipway.builtin.training.packages import require
from slipway.builtin.training.placing import Place, derived, repeatable
from slipway.core.artifact import Made
from slipway.core.protocols import Job
from slipway.machine import usable_cores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class KerasTuner(ClassifierTuner[DenseOptions]):
    """Trains on train, stops and calibrates by dev, on the processor. A killed run goes on after its last epoch."""

    Config: ClassVar[type[DenseOptions]] = DenseOptions

    @classmethod
    def settled(cls, config: DenseOptions) -> Mapping[str, Any]:
        """Threads: other ones add up in another order."""
        return {"threads": config.threads or usable_cores()}

    def tune(self, job: Job) -> Made:
        """Raises ConfigError for examples that nothing can be learned from, MissingPrerequisite without the extra
        `keras`, SlipwayError where the LiteRT file differs from what Keras trained.
        """
        require("torch")
        require_extra("keras", "keras")
        require_litert()
        from slipway.builtin.dense import training
        from slipway.builtin.dense.writing import tflite

        given = preparing.labelled(job)
        preparing.calibrated(job, self.config)
        found = preparing.counted(job, given.texts, self.config.ngrams, self.config.features)
        dev = labelled_dev(job, given.labels)
        dev_texts = [text for text, _ in dev]
        header = preparing.header_of("dense", given.labels, found)
        arrays = preparing.arrays_of(found)
        # Its features are read as they will be when it is served; the network is there once it is trained.
        reading = Classifier(header, arrays)
        dev_rows = self._rows(reading, job, dev_texts)
        place = Place("cpu", "float32", self.config.threads or usable_cores())
        seed = derived(job.seed, self.config.seed, "keras")
        keras = training.the_keras()
        with explained(), repeatable(place, seed), keras.device("cpu"):
            width = found.vectors.shape[1] + len(found.vocabulary.codes)
            model = training.network(keras, width, len(given.labels), self.config, seed)
            held = (dev_rows, _places(dev)) if dev else None
            measured = training.train(
                keras, model, (_lazily(found), given.classes), held, self.config, job.folder, job.progress, seed
            )
            compared, texts = dev_rows[: parity.MOST], dev_texts[: parity.MOST]
            if not dev:
                texts = given.texts[: parity.MOST]
                compared = _lazily(found)(range(len(texts)))
            trained = keras.ops.convert_to_numpy(model(compared, training=False))
            content = tflite(training.layers_of(model, self.config))
        path = job.folder / GRAPH
        path.write_bytes(content)
        served = Litert(content, width, len(given.labels))
        agreed = parity.compare(texts, trained, _Asked(served, texts, compared), given.labels, self.config.disagreement)
        measured |= {"examples": float(len(given.texts)), "labels": float(len(given.labels)), **agreed.measured}
        (job.folder / training.FILE).unlink(missing_ok=True)
        return preparing.made(job, Classifier(header, arrays, dense=served), self.config, measured, {GRAPH: path})

    @staticmethod
    def _rows(reading: Classifier, job: Job, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        pairs = zip(texts, job.vectors(texts), strict=True)
        return np.stack([reading.features(text, vector) for text, vector in pairs]) if texts else np.zeros((0, 0), "f4")


class _Asked:
    """The served network, asked by text. Two texts that are the same have the same row."""

    def __init__(self, network: Litert, texts: Sequence[str], rows: NDArray[np.float32]) -> None:
        self._network, self._rows = network, dict(zip(texts, rows, strict=True))

    def scores(self, text: str) -> NDArray[np.float64]:
        return self._network.scores(self._rows[text])


def _places(dev: Sequence[tuple[str, int]]) -> NDArray[np.int32]:
    import numpy as np

    return np.array([place for _, place in dev], np.int32)


def _lazily(found: Counted) -> Any:
    """Rows of some examples, [places, features]: all of them at once may be gigabytes."""
    import numpy as np

    def rows(places: Sequence[int]) -> NDArray[np.float32]:
        at = list(places)
        return np.concatenate([found.vectors[at], found.rows[at].toarray()], axis=1, dtype=np.float32)

    return rows
