"""`strategy: quote`: the best statement of the retrieved passages is the answer, word for word. No model is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from slipway.core.answer import Answer, Citation
from slipway.core.message import Delta
from slipway.core.protocols import Work
from slipway.i18n import speaking, t
from slipway.text.language import of_short_text
from slipway.text.relevance import Relevance
from slipway.text.statements import shown, statements


class QuoteConfig(BaseModel):
    """`sentences`: how many at most. `threshold`: under this confidence (0 to 1) it abstains."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sentences: int = Field(default=1, ge=1, le=20)
    threshold: float = Field(default=0.3, ge=0, le=1)


class QuoteStrategy:
    """Statements are ranked by `text.relevance`, with the embedder that the candidate retrieves with where it has one.

    What is quoted is text, whatever it says: no instruction in it is followed, and it is not rendered. Passages that
    are quoted are cited.
    """

    Config: ClassVar[type[QuoteConfig]] = QuoteConfig
    asks_model: ClassVar[bool] = False

    def __init__(self, config: QuoteConfig) -> None:
        self.config = config

    async def respond(self, work: Work) -> AsyncIterator[Delta | Answer]:
        """Each line that is quoted, then the answer."""
        passages = await work.passages(work.task.text(work.input))
        answer = await quoted(work, passages, self.config)
        for line in answer.text.splitlines(keepends=True):
            yield Delta(text=line)
        yield answer


async def quoted(work: Work, passages: Sequence[Citation], config: QuoteConfig) -> Answer:
    """The answer that quotes these passages; one that abstains where none of them is about the question."""
    question = work.task.text(work.input)
    found = statements([passage.text for passage in passages])
    relevance = Relevance(question, found, [" ".join(passage.path) for passage in passages])
    promising = relevance.promising()
    similarity = await work.similarity(question, [found[n].told for n in promising])
    if similarity is not None:
        relevance.learn(dict(zip(promising, similarity, strict=True)))
    best: dict[str, int] = {}
    for n in relevance.ranked():
        if len(best) == config.sentences or relevance.confidence(n) < config.threshold:
            break
        if not any(relevance.of_another(n, chosen) for chosen in best.values()):
            best.setdefault(shown(found[n].told), n)
    if not best:
        return _abstained(question, passages, max(map(relevance.confidence, relevance.ranked()[:1]), default=0.0))
    used = {found[n].at for n in best.values()}
    text = "\n".join(line for line, _ in sorted(best.items(), key=lambda entry: entry[1]))
    return Answer(
        text=text,
        raw=text,
        citations=tuple(msgspec.structs.replace(p, cited=n in used) for n, p in enumerate(passages)),
        confidence=max(map(relevance.confidence, best.values())),
    )


def _abstained(question: str, passages: Sequence[Citation], confidence: float) -> Answer:
    """Says so in the language of the question, English or Chinese."""
    with speaking("zh" if of_short_text(question) == "zh" else "en"):
        text = str(t("The documents say nothing about this."))
    return Answer(text=text, raw=text, citations=tuple(passages), confidence=confidence, abstained=True)
