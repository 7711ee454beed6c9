"""`strategy: classifier`: the label that a classifier made by a tuner gives; it abstains under its threshold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from slipway.builtin.classifiers.classifier import FILE, Classifier, load
from slipway.core.answer import Answer, Step
from slipway.core.message import Delta
from slipway.core.protocols import Work
from slipway.errors import ConfigError
from slipway.i18n import t

SHOWN = 3  # labels, the likeliest first, that a step of the answer tells


class ClassifierConfig(BaseModel):
    """`threshold`: under this confidence (0 to 1) it abstains, in place of what was chosen when it was made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float | None = Field(default=None, ge=0, le=1)


class ClassifierStrategy:
    """Asks no language model; the candidate's encoder, where it has one, makes a vector of the text.

    An answer's step `labels` tells the likeliest labels, also where it abstains. A network that cannot read a text
    finds no label likelier than another, and abstains whatever the threshold is.
    """

    Config: ClassVar[type[ClassifierConfig]] = ClassifierConfig
    asks_model: ClassVar[bool] = False

    def __init__(self, config: ClassifierConfig) -> None:
        self.config = config
        self._loaded: dict[tuple[Path, ...], Classifier] = {}

    async def respond(self, work: Work) -> AsyncIterator[Delta | Answer]:
        """The label, in one piece."""
        classifier = await self._classifier(work)
        text = work.task.text(work.input)
        vectors = await work.vectors([text])
        header = classifier.header
        asked = (classifier.probabilities, [text], vectors)
        (shares,) = await asyncio.to_thread(*asked) if header.kind == "network" else asked[0](*asked[1:])
        order = sorted(range(len(shares)), key=lambda n: (-shares[n], n))
        label, confidence = header.labels[order[0]], min(1.0, float(shares[order[0]]))
        told = ", ".join(f"{header.labels[n]} {shares[n]:.2f}" for n in order[:SHOWN])
        step = Step(name="labels", output=told)
        least = header.threshold if self.config.threshold is None else self.config.threshold
        if confidence < least or (header.kind == "network" and shares.max() == shares.min()):
            yield Answer(text="", raw=label, confidence=confidence, abstained=True, steps=(step,))
            return
        yield Delta(text=label)
        yield Answer(text=label, raw=label, confidence=confidence, steps=(step,))

    async def _classifier(self, work: Work) -> Classifier:
        files = await work.files()
        path = files.get(FILE)
        if path is None:
            raise ConfigError(
                t("the strategy `classifier` reads what a tuner made, and the candidate has no `tune`"),
                t("give it one: tune: probe"),
            )
        key = tuple(sorted(files.values()))
        if key not in self._loaded:
            self._loaded[key] = await asyncio.to_thread(load, path, files)
        return self._loaded[key]
