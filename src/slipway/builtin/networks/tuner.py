"""What the tuners of networks share: texts are read, the network is trained, exported, compared, mixed, calibrated."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import msgspec
from pydantic import Field

from slipway.builtin.classifiers import fitting
from slipway.builtin.classifiers.calibrating import LEAST
from slipway.builtin.classifiers.classifier import Classifier, Header
from slipway.builtin.classifiers.features import FULL_VOCABULARY, Vocabulary, grams
from slipway.builtin.classifiers.network import GRAPH, Network, Reader, Remembering
from slipway.builtin.classifiers.preparing import (
    AbstainConfig,
    ClassifierTuner,
    Labels,
    calibrated,
    labelled,
    made,
)
from slipway.builtin.engines.onnx.engine import require_packages
from slipway.builtin.networks import parity
from slipway.builtin.training import checkpoint
from slipway.builtin.training.options import EncoderTraining, settled
from slipway.builtin.training.packages import require
from slipway.core.artifact import Made
from slipway.core.protocols import Job
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.text.words import normalize_label

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_WEIGHTS = 6_000_000  # of counted features that are fitted, as for the probe


class NetworkConfig(AbstainConfig, EncoderTraining):
    """`label_smoothing`: the share of an example's weight that goes to the other labels. `balanced`: examples of rare
    labels weigh more, so that all labels weigh alike. `ngrams`: add a regression on counted words and runs of
    characters, as the probe has it. `disagreement`: the share of up to 300 examples for which the exported network may
    give another label than the trained one.
    """

    epochs: int = Field(default=20, ge=1, le=10_000)
    batch_size: int = Field(default=32, ge=1, le=65_536)
    max_tokens: int = Field(default=256, ge=8, le=8192)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)
    balanced: bool = False
    ngrams: bool = False
    disagreement: float = Field(default=0.0, ge=0, le=1)


ConfigT = TypeVar("ConfigT", bound=NetworkConfig)


class Task(NamedTuple):
    """What is learned from: rows of numbers that can be read, and the place of each one's label in `labels`.

    `weights` [labels]: how much an example of a label weighs.
    """

    rows: list[list[int]]
    classes: NDArray[np.int32]
    dev_rows: list[list[int]]
    dev_classes: NDArray[np.int32]
    labels: tuple[str, ...]
    weights: NDArray[np.float32]


class NetworkTuner(ClassifierTuner[ConfigT]):
    """Trains on train, stops and calibrates by dev. A killed run goes on from its last checkpoint."""

    settled = staticmethod(settled)
    packages: ClassVar[tuple[str, ...]] = ("torch",)

    def tune(self, job: Job) -> Made:
        """Raises ConfigError for examples that nothing can be learned from, SlipwayError where export differs."""
        require(*self.packages)
        require_packages()
        from slipway.builtin.networks.modules import in_batches
        from slipway.builtin.training.placing import place_of, repeatable

        given = labelled(job)
        calibrated(job, self.config)
        reader = self.reader(job, given)
        read = [reader.read(text) for text in given.texts]
        task = _task(job, given, reader, read, self.config.balanced)
        with repeatable(place_of(self.config), job.seed + self.config.seed):
            module, measured = self.train(job, task, reader)
            module.cpu()
        path = job.folder / GRAPH
        path.write_bytes(self.export(job, module))
        served = Remembering(Network(reader, path.read_bytes()))
        texts = [text for text, _ in labelled_dev(job, given.labels)] + given.texts
        read_texts = [(text, row) for text in texts if (row := reader.read(text)) is not None][: parity.MOST]
        trained = in_batches(module, [row for _, row in read_texts], module)
        asked = [text for text, _ in read_texts]
        found = parity.compare(asked, trained, served, given.labels, self.config.disagreement)
        header = Header(kind="network", labels=given.labels, reading=reader.reading)
        classifier = self._with_grams(job, given, header, reader, served)
        measured |= {"examples": float(len(given.texts)), "labels": float(len(given.labels)), **found.measured}
        measured |= {"unread": 1 - len(task.rows) / len(read), "mix": classifier.header.mix}
        checkpoint.remove(job.folder)
        return made(job, classifier, self.config, measured, {GRAPH: path, **self.files(job)})

    @abstractmethod
    def reader(self, job: Job, given: Labels) -> Reader:
        """How texts are read."""

    @abstractmethod
    def train(self, job: Job, task: Task, reader: Reader) -> tuple[Any, dict[str, float]]:
        """(the trained torch module, what was measured)."""

    @abstractmethod
    def export(self, job: Job, module: Any) -> bytes:
        """Its ONNX graph."""

    def files(self, job: Job) -> Mapping[str, Path]:
        """What else must lie beside the graph."""
        return {}

    def _with_grams(self, job: Job, given: Labels, header: Header, reader: Reader, served: Remembering) -> Classifier:
        """The classifier, with a regression on counted features where that is asked for."""
        import numpy as np

        arrays: dict[str, NDArray[Any]] = {"words": reader.words.codes} if reader.words is not None else {}
        if not self.config.ngrams:
            return Classifier(header, arrays, served)
        labels = len(given.labels)
        counted = [grams(text) for text in given.texts]
        vocabulary = Vocabulary.of(counted, 2 if len(counted) > FULL_VOCABULARY else 1, MOST_WEIGHTS // labels)
        features = fitting.Features(np.zeros((len(counted), 0), np.float32), vocabulary.matrix(counted))
        strength, _ = fitting.choose_strength(features, given.classes, labels, job.seed, lambda done, total: None)
        weights = fitting.fit(features, given.classes, labels, strength)
        arrays |= {"codes": vocabulary.codes, "idf": vocabulary.idf, "bias": weights.bias}
        arrays["grams"] = weights.grams.astype(np.float16)
        classifier = Classifier(header, arrays, served)
        dev, mix, alone = labelled_dev(job, given.labels), 0.5, 1.0
        if len(dev) >= LEAST:
            mix, alone = parity.mixed(classifier, [text for text, _ in dev], [place for _, place in dev])
        return Classifier(msgspec.structs.replace(header, mix=mix, alone=alone), arrays, served)


def labelled_dev(job: Job, labels: Sequence[str]) -> list[tuple[str, int]]:
    """Texts of dev with the place of their label; of several labels the first. Without those that train lacks."""
    places = {normalize_label(name): n for n, name in enumerate(labels)}
    found = [
        (job.text(one), places.get(normalize_label(one.expected[0]))) for one in job.examples("dev") if one.expected
    ]
    return [(text, place) for text, place in found if place is not None]


def _task(job: Job, given: Labels, reader: Reader, read: list[list[int] | None], balanced: bool) -> Task:
    import numpy as np

    kept = [n for n, row in enumerate(read) if row is not None]
    classes = given.classes[kept]
    if (read_labels := len(set(classes.tolist()))) < 2:
        raise ConfigError(
            t("the network can read examples of {n} labels only: the others are in a script that it does not know",
              n=read_labels)
            if read_labels
            else t("the network can read no example of train: they are in a script that it does not know, or no words"),
            t("use an encoder that reads your languages, or `tune: probe`, which needs none"),
        )  # fmt: skip
    dev = [(reader.read(text), place) for text, place in labelled_dev(job, given.labels)]
    known = [(row, place) for row, place in dev if row is not None]
    counts = np.bincount(classes, minlength=len(given.labels))
    weights = np.where(counts > 0, len(classes) / (np.maximum(counts, 1) * (counts > 0).sum()), 0.0)
    return Task(
        [row for row in read if row is not None],
        classes,
        [row for row, _ in known],
        np.array([place for _, place in known], np.int32),
        given.labels,
        (weights if balanced else np.ones(len(given.labels))).astype(np.float32),
    )
