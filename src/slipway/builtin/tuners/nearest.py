"""`tune: nearest`: the examples of train that are most similar vote, the more similar the more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from pydantic import Field

from slipway.builtin.classifiers.classifier import Classifier
from slipway.builtin.classifiers.preparing import (
    AbstainConfig,
    ClassifierTuner,
    Labels,
    arrays_of,
    counted,
    header_of,
    labelled,
    made,
)
from slipway.core.artifact import Made
from slipway.core.protocols import Job

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEIGHBOURS = (3, 5, 10, 20)  # of one alone a confidence tells nothing
TRIED = 500  # examples of train by which the number of neighbours is chosen
TEMPERATURE = 0.1  # of a vote, before dev tells a better one


class NearestConfig(AbstainConfig):
    """`k`: how many vote; without it, chosen on train, each example without itself. `ngrams`: as for `probe`."""

    k: int | None = Field(default=None, ge=1, le=1000)
    ngrams: bool = True


class NearestTuner(ClassifierTuner[NearestConfig]):
    """Keeps the numbers of every example of train, not its text. Compared by cosine."""

    Config: ClassVar[type[NearestConfig]] = NearestConfig
    variants: ClassVar[Mapping[str, Sequence[Any]]] = {"k": (None, 5, 20), "ngrams": (True,)}

    def tune(self, job: Job) -> Made:
        """Collect and calibrate. Raises ConfigError for examples that nothing can be learned from."""
        import numpy as np

        given = labelled(job)
        found = counted(job, given.texts, self.config.ngrams)
        arrays = arrays_of(found) | {"classes": given.classes}
        if found.vectors.shape[1]:
            arrays["vectors"] = found.vectors.astype(np.float16)
        if len(found.vocabulary.codes):
            rows = found.rows
            arrays |= {"places": rows.indices.astype(np.int32), "starts": rows.indptr.astype(np.int64)}
            arrays["values"] = rows.data.astype(np.float16)
        header = header_of("nearest", given.labels, found, temperature=TEMPERATURE, k=self.config.k or max(NEIGHBOURS))
        classifier = Classifier(header, arrays)
        measured = {"examples": float(len(given.texts)), "labels": float(len(given.labels))}
        k = self.config.k
        if k is None:
            k, share = _neighbours(job, classifier, given, found.raw)
            measured["left_out_accuracy"] = share
        job.progress(1, 1)
        header = msgspec.structs.replace(header, k=min(k, len(given.texts)))
        return made(job, Classifier(header, arrays), self.config, measured | {"k": float(header.k)})


def _neighbours(job: Job, classifier: Classifier, given: Labels, vectors: NDArray[np.float32]) -> tuple[int, float]:
    """(the number of neighbours that is right most often on examples of train, that share); the least of equals."""
    import numpy as np

    tried = np.sort(np.random.default_rng(job.seed).permutation(len(given.texts))[:TRIED])
    right = dict.fromkeys(NEIGHBOURS, 0)
    for at in tried:
        scores = classifier.scores(given.texts[at], vectors[at])
        scores[at] = -np.inf
        best = np.argsort(-scores, kind="stable")[: max(NEIGHBOURS)]
        for k in NEIGHBOURS:
            shares = classifier.shares((scores[best[:k]], given.classes[best[:k]].astype(np.intp)))
            right[k] += int(shares.argmax() == given.classes[at])
    k = max(NEIGHBOURS, key=lambda one: (right[one], -one))
    return k, right[k] / len(tried)
