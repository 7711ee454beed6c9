"""`tune: majority`: always the label that most examples of train have. What every other candidate has to beat."""

from __future__ import annotations

from typing import ClassVar

from slipway.builtin.classifiers.classifier import Classifier, Header
from slipway.builtin.classifiers.preparing import AbstainConfig, ClassifierTuner, labelled, made
from slipway.core.artifact import Made
from slipway.core.protocols import Job


class MajorityTuner(ClassifierTuner[AbstainConfig]):
    """Its confidence is the share of the label, calibrated on dev."""

    Config: ClassVar[type[AbstainConfig]] = AbstainConfig

    def tune(self, job: Job) -> Made:
        """Count the labels. Raises ConfigError for fewer than two of them."""
        import numpy as np

        given = labelled(job)
        counts = np.bincount(given.classes, minlength=len(given.labels))
        job.progress(1, 1)
        header = Header(kind="linear", labels=given.labels)
        classifier = Classifier(header, {"bias": np.log(counts / counts.sum()).astype(np.float32)})
        measured = {"examples": float(len(given.texts)), "labels": float(len(given.labels))}
        return made(job, classifier, self.config, measured)
