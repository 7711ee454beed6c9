"""What the tuners of classifiers have in common: the examples as numbers, the calibration on dev, the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator

from slipway.builtin.classifiers import calibrating
from slipway.builtin.classifiers.classifier import FILE, Classifier, Header
from slipway.builtin.classifiers.features import FULL_VOCABULARY, Vocabulary, centre_of, centred, grams
from slipway.core.artifact import Made
from slipway.core.material import Example
from slipway.core.protocols import Job
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.text.words import normalize_label

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class AbstainConfig(BaseModel):
    """When to abstain; never, where nothing is said. `risk`: so that of what is answered on dev at most this share is
    wrong. `coverage`: so that at least this share of dev is answered. `threshold`: under this confidence.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    risk: float | None = Field(default=None, ge=0, le=1)
    coverage: float | None = Field(default=None, gt=0, le=1)
    threshold: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _one(self) -> AbstainConfig:
        if sum(value is not None for value in (self.risk, self.coverage, self.threshold)) > 1:
            raise ValueError(t("give one of risk, coverage and threshold"))
        return self


ConfigT = TypeVar("ConfigT", bound=AbstainConfig)


class ClassifierTuner(Generic[ConfigT]):
    """How a tuner that makes a classifier is made: it learns on train, and calibrates and chooses on dev."""

    Config: ClassVar[type[Any]]
    reads: ClassVar[tuple[Literal["train", "dev"], ...]] = ("train", "dev")
    makes: ClassVar[str] = "classifier"

    def __init__(self, config: ConfigT) -> None:
        self.config = config


class Labels(NamedTuple):
    """Examples of train with one label each: their texts, and the place of their label in `labels`."""

    texts: list[str]
    classes: NDArray[np.int32]
    labels: tuple[str, ...]


class Counted(NamedTuple):
    """`vectors` [n, d] about their `centre` [d], `vocabulary` and `rows` (sparse [n, m]) of texts; d or m is 0 where
    they are not used. `raw`: the vectors as the encoder gave them.
    """

    vectors: NDArray[np.float32]
    centre: NDArray[np.float32]
    raw: NDArray[np.float32]
    vocabulary: Vocabulary
    rows: Any


def labelled(job: Job) -> Labels:
    """The examples of train that have a label; of several labels the first. Spellings are brought to the one used most.

    Raises ConfigError for fewer than two labels.
    """
    import numpy as np

    examples = [example for example in job.examples("train") if example.expected]
    spelled: dict[str, Counter[str]] = {}
    for example in examples:
        spelled.setdefault(normalize_label(example.expected[0]), Counter())[example.expected[0]] += 1
    names = {key: min(found, key=lambda name: (-found[name], name)) for key, found in spelled.items()}
    if len(names) < 2:
        raise ConfigError(
            t("there is nothing to learn: train has {n} examples, and the label of all is '{name}'", n=len(examples),
              name=next(iter(names.values())))
            if names
            else t("no example of train has a label"),
            t("add examples of other labels, or give data.split.train a larger share"),
        )  # fmt: skip
    labels = tuple(sorted(names.values()))
    places = {key: labels.index(name) for key, name in names.items()}
    classes = np.array([places[normalize_label(example.expected[0])] for example in examples], np.int32)
    return Labels([job.text(example) for example in examples], classes, labels)


def counted(job: Job, texts: Sequence[str], ngrams: bool, most: int | None = None) -> Counted:
    """Texts as numbers: vectors of the job's base where it has one, and `ngrams`, at most `most` features."""
    import numpy as np
    from scipy.sparse import csr_matrix

    if job.base is None and not ngrams:
        raise ConfigError(
            t("there is nothing to classify by: no model that embeds, and ngrams: false"),
            t("name a model of engine onnx or static, or leave out ngrams: false"),
        )
    raw = job.vectors(texts)
    centre = centre_of(raw)
    vectors = centred(raw, centre)
    if not ngrams:
        nothing = Vocabulary(np.zeros(0, np.uint32), np.zeros(0, np.float32))
        return Counted(vectors, centre, raw, nothing, csr_matrix((len(texts), 0), dtype=np.float32))
    found = [grams(text) for text in texts]
    vocabulary = Vocabulary.of(found, 2 if len(texts) > FULL_VOCABULARY else 1, most)
    return Counted(vectors, centre, raw, vocabulary, vocabulary.matrix(found))


def made(
    job: Job,
    classifier: Classifier,
    config: AbstainConfig,
    measured: dict[str, float],
    files: Mapping[str, Path] | None = None,
) -> Made:
    """Calibrate on dev, choose the threshold there, and write the file; `files`: what else belongs to the classifier.

    With fewer than ten labelled examples of dev the temperature stays what it is. Raises ConfigError for a `risk` or a
    `coverage` that there are too few examples for.
    """
    import numpy as np

    dev, asked = calibrated(job, config), config.risk is not None or config.coverage is not None
    if len(dev) < calibrating.LEAST:
        header = msgspec.structs.replace(classifier.header, threshold=config.threshold or 0.0)
        return _written(job, Classifier(header, classifier.saved), measured, files)
    texts = [job.text(example) for example in dev]
    vectors = job.vectors(texts) if classifier.header.dimension else np.zeros((len(texts), 0), np.float32)
    evidence = [classifier.evidence(text, row) for text, row in zip(texts, vectors, strict=True)]
    truth = [{normalize_label(name) for name in example.expected} for example in dev]
    names = [normalize_label(name) for name in classifier.header.labels]

    def confident(at: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        shares = [classifier.shares(one, at) for one in evidence]
        right = [names[int(row.argmax())] in one for row, one in zip(shares, truth, strict=True)]
        return np.array([row.max() for row in shares]), np.array(right)

    before = calibrating.calibration_error(*confident(classifier.header.temperature))
    low, high = (0.005, 2.0) if classifier.header.kind == "nearest" else (0.05, 20.0)
    found = calibrating.temperature(confident, low, high)
    confidence, right = confident(found)
    least = config.threshold or 0.0
    if asked:
        least = calibrating.threshold(confidence, right, config.risk, config.coverage)
    answered = confidence >= least
    measured |= {
        "temperature": found, "threshold": least, "dev_accuracy": float(right.mean()),
        "dev_calibration_error_before": before,
        "dev_calibration_error": calibrating.calibration_error(confidence, right),
        "dev_coverage": float(answered.mean()),
    }  # fmt: skip
    if answered.any():
        measured["dev_selective_risk"] = float(1 - right[answered].mean())
    header = msgspec.structs.replace(classifier.header, temperature=found, threshold=least)
    return _written(job, Classifier(header, classifier.saved), measured, files)


def calibrated(job: Job, config: AbstainConfig) -> list[Example]:
    """The labelled examples of dev. Raises ConfigError where a `risk` or a `coverage` has too few of them."""
    dev = [example for example in job.examples("dev") if example.expected]
    if len(dev) < calibrating.LEAST and (config.risk is not None or config.coverage is not None):
        raise ConfigError(
            t("a threshold is chosen on {least} labelled examples of dev or more; there are {n}", n=len(dev),
              least=calibrating.LEAST),
            t("give data.split.dev a larger share, or name a threshold"),
        )  # fmt: skip
    return dev


def _written(
    job: Job, classifier: Classifier, measured: dict[str, float], files: Mapping[str, Path] | None = None
) -> Made:
    path = job.folder / FILE
    classifier.save(path)
    every = {FILE: path, **(files or {})}
    size = float(sum(one.stat().st_size for one in every.values()))
    own = classifier.header.reading is not None  # its own network reads the text, and no vectors of the base
    return Made(kind="classifier", engine="onnx" if own else "", files=every, measured={**measured, "bytes": size})


def arrays_of(found: Counted) -> dict[str, NDArray[Any]]:
    """What of the features is kept in the file."""
    kept: dict[str, NDArray[Any]] = {"centre": found.centre} if len(found.centre) else {}
    if len(found.vocabulary.codes):
        kept |= {"codes": found.vocabulary.codes, "idf": found.vocabulary.idf}
    return kept


def header_of(kind: Any, labels: Sequence[str], found: Counted, **more: Any) -> Header:
    """A header for these features."""
    return Header(kind=kind, labels=tuple(labels), dimension=found.vectors.shape[1], **more)
