"""Scorers that compare meanings: which model embeds for each, and what it embeds. Scores nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from slipway.core.answer import Answer
from slipway.core.candidate import ModelPin
from slipway.core.material import Example
from slipway.core.protocols import Compares, OutOfVocabulary, Scorer
from slipway.errors import ConfigError, instead
from slipway.i18n import t
from slipway.plugins import reporting
from slipway.project.schema import Project
from slipway.runtime.session import Session
from slipway.runtime.vectors import MAX_OUT_OF_VOCABULARY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH = 256  # texts asked for at once


def encoders(project: Project, scorers: Mapping[str, Scorer]) -> dict[str, str]:
    """Metric -> the model whose vectors its scorer compares. Raises ConfigError where none or several can be meant."""
    return {
        name: _encoder(project, name, scorer.embedder)
        for name, scorer in scorers.items()
        if isinstance(scorer, Compares)
    }


def _encoder(project: Project, metric: str, named: str) -> str:
    where = f"evaluate.metrics.{metric}"
    if named:
        if named not in project.models:
            raise ConfigError(
                t("{where}.embedder: no model is called '{name}'", where=where, name=named),
                instead(named, project.models),
            )
        return named
    used = {one.retrieve.embedder for one in project.candidates.values() if one.retrieve and one.retrieve.embedder}
    used &= project.models.keys()
    if len(used) != 1:
        raise ConfigError(
            t("{where} needs a model that embeds", where=where),
            t("name one of the project's models: {example}", example=f"{metric}: {{embedder: NAME}}"),
        )
    return used.pop()


async def teach(
    scorers: Mapping[str, Scorer],
    pins: Mapping[str, ModelPin],
    examples: Sequence[Example],
    answers: Sequence[Sequence[Answer]],
    session: Session,
) -> None:
    """Give each scorer of `pins` (metric -> its encoder) the vectors of what it compares, of every answer."""
    for name, pin in pins.items():
        scorer = scorers[name]
        if isinstance(scorer, Compares):
            with reporting("scorers", name):
                pairs = [(one, got) for one, every in zip(examples, answers, strict=True) for got in every]
                wanted = [text for pair in pairs for text in scorer.texts(*pair)]
            scorer.learn(await _vectors(session, pin, dict.fromkeys(wanted)))


async def _vectors(session: Session, pin: ModelPin, texts: Iterable[str]) -> dict[str, NDArray[np.float32]]:
    engine, found = await session.embedder(pin), dict[str, "NDArray[np.float32]"]()
    readable = [text for text in texts if not await _unknown(engine, text)]
    for start in range(0, len(readable), _BATCH):
        part = readable[start : start + _BATCH]
        found.update(zip(part, await engine.embed(part), strict=True))
    return found


async def _unknown(engine: object, text: str) -> bool:
    """Whether the encoder cannot read a text: its vector would mean nothing."""
    if not isinstance(engine, OutOfVocabulary):
        return False
    return await engine.out_of_vocabulary(text) > MAX_OUT_OF_VOCABULARY
