"""Of which requests question, answer and passages are kept: a share of them, told by the id of the trace alone.

The id is hashed together with the store's salt, so that whoever chooses an id (`traceparent`) does not choose this.
What is left of the others is what they took: times, tokens, cost, status, label, and scores of passages.
"""

from __future__ import annotations

import hashlib

import msgspec

from slipway.core.answer import Answer, Citation, Step
from slipway.core.trace import Trace
from slipway.i18n import Said, catalog

PARTS = ("input", "answer", "passages")
_WHOLE = 1 << 64
_MEASURED = (  # of an answer: what stays; a field that comes later does not, until it is named here
    "usage", "finish", "seconds", "first_token_seconds", "retrieve_seconds", "cost", "currency", "label", "confidence",
    "abstained",
)  # fmt: skip


class Bodies:
    """`share` of requests, 0 to 1; a larger share keeps all that a smaller one keeps."""

    def __init__(self, share: float, salt: bytes) -> None:
        self._below = round(share * _WHOLE)
        self._salt = salt

    def keeps(self, trace: str) -> bool:
        """Whether the texts of a request are kept, by its trace id."""
        if self._below >= _WHOLE:
            return True
        found = hashlib.sha256(self._salt + b"bodies:" + trace.encode()).digest()
        return int.from_bytes(found[:8]) < self._below

    def trace(self, trace: Trace) -> Trace:
        """The same, or what it took alone."""
        return trace if self.keeps(trace.id) else without(trace)


def without(trace: Trace) -> Trace:
    """A trace without a text of a user, a model or a document."""
    request: dict[str, object] = {
        key: value for key, value in trace.request.items() if key == "model" or isinstance(value, int | float)
    }
    answer = trace.answer
    if answer is not None:
        answer = Answer(
            text="",
            raw="",
            citations=tuple(map(_place, answer.citations)),
            steps=tuple(Step(name=step.name, seconds=step.seconds) for step in answer.steps),
            error=_bare(answer.error),
            **{name: getattr(answer, name) for name in _MEASURED},
        )
    return msgspec.structs.replace(
        trace, request=request, answer=answer, error=_bare(trace.error), kept=False, calls=()
    )


def _bare(error: Said | str) -> Said | str:
    """What went wrong, without the texts that it quotes: only a message of ours is known to have them in its values."""
    if isinstance(error, str) or error.text not in catalog("zh"):
        return "…" if error else ""
    return Said(error.text, {k: v if isinstance(v, int | float) else "…" for k, v in error.values.items()})


def _place(citation: Citation) -> Citation:
    return Citation(
        chunk=citation.chunk, source="", path=(), start=0, end=0, text="", score=citation.score, cited=citation.cited
    )
