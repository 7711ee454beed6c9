"""`tune: probe`: multinomial logistic regression on sentence vectors and runs of characters. Without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from slipway.builtin.classifiers import fitting
from slipway.builtin.classifiers.classifier import Classifier
from slipway.builtin.classifiers.preparing import (
    AbstainConfig,
    ClassifierTuner,
    arrays_of,
    counted,
    header_of,
    labelled,
    made,
)
from slipway.core.artifact import Made
from slipway.core.protocols import Job

MOST_WEIGHTS = 6_000_000  # that are fitted, so that it takes less than 2 GB; with many labels fewer features are kept


class ProbeConfig(AbstainConfig):
    """`ngrams`: count words and runs of characters, too, and not only vectors of the candidate's model.

    `strength`: how much an example weighs against the size of the weights (C); without it, chosen by cross-validation
    on train.
    """

    ngrams: bool = True
    strength: float | None = Field(default=None, gt=0, le=1e6)


class ProbeTuner(ClassifierTuner[ProbeConfig]):
    """Fitted on train; temperature and threshold are chosen on dev. A killed run begins again."""

    Config: ClassVar[type[ProbeConfig]] = ProbeConfig
    variants: ClassVar[Mapping[str, Sequence[Any]]] = {"ngrams": (True,), "strength": (None, 4.0, 64.0)}

    def tune(self, job: Job) -> Made:
        """Fit and calibrate. Raises ConfigError for examples that nothing can be learned from."""
        import numpy as np

        given = labelled(job)
        labels = len(given.labels)
        found = counted(job, given.texts, self.config.ngrams, MOST_WEIGHTS // labels)
        features = fitting.Features(found.vectors, found.rows)
        measured = {"examples": float(len(given.texts)), "labels": float(labels)}
        strength, steps = self.config.strength, [0]

        def told(done: int, total: int) -> None:
            steps[0] = total
            job.progress(done, total + 1)

        if strength is None:
            strength, share = fitting.choose_strength(features, given.classes, labels, job.seed, told)
            measured["cross_validated_accuracy"] = share
        weights = fitting.fit(features, given.classes, labels, strength)
        job.progress(steps[0] + 1, steps[0] + 1)
        arrays = arrays_of(found) | {"bias": weights.bias}
        if found.vectors.shape[1]:
            arrays["vectors"] = weights.vectors
        if len(found.vocabulary.codes):
            arrays["grams"] = weights.grams.astype(np.float16)
        classifier = Classifier(header_of("linear", given.labels, found), arrays)
        return made(job, classifier, self.config, measured | {"strength": strength})
