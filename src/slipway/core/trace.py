"""What was served and what its users said of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from slipway.core.answer import Answer
from slipway.core.asked import ModelCall
from slipway.core.ref import Noun
from slipway.i18n import Said
from slipway.text.language import of_short_text

PLAYGROUND = "playground"
"""Channel of traces that a person made in the console's playground: they are no traffic."""


class Trace(Noun, frozen=True, kw_only=True):
    """One served request: what was asked, what answered it, what it cost. `release` is empty for a raw model."""

    id: str  # W3C trace id: 32 hex characters
    at: str
    endpoint: str
    channel: str
    release: str
    status: int
    request: dict[str, object]
    answer: Answer | None = None
    error: Said | str = ""
    seconds: float = 0.0
    overhead_seconds: float = 0.0
    key: str = ""  # id of the API key, never the key
    tenant: str = ""  # whose key that is, in a project with several tenants
    kept: bool = True  # whether question, answer and passages are in it (`serve.bodies`)
    calls: tuple[ModelCall, ...] = ()  # what was sent to the release's model, in order

    @property
    def turns(self) -> list[tuple[str, str]]:
        """(role, text) of each message that was sent; of a prompt or texts to embed, without a role."""
        return list(_turns(self.request))

    @property
    def asked(self) -> str:
        """What the user said last, or the prompt."""
        said = [text for role, text in self.turns if role in ("user", "")]
        return said[-1] if said else ""

    @property
    def said(self) -> str:
        """The answer; empty when there was none."""
        return self.answer.text if self.answer else ""

    @property
    def words(self) -> str:
        """All that was asked and answered: where words are looked for."""
        return "\n".join([*(text for _, text in self.turns), self.said])


def _turns(request: dict[str, Any]) -> Iterator[tuple[str, str]]:
    whole = request.get("messages") or request.get("prompt") or request.get("input") or []
    for one in whole if isinstance(whole, list) else [whole]:  # pyright: ignore[reportUnknownVariableType]
        content: Any = one.get("content") if isinstance(one, dict) else one
        parts: list[Any] = content if isinstance(content, list) else [content or ""]
        text = "\n".join(str(part.get("text") or part) if isinstance(part, dict) else str(part) for part in parts)
        yield str(one.get("role", "")) if isinstance(one, dict) else "", text


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which traces are looked for; what is empty leaves nothing out.

    `since`, `until`: RFC 3339, UTC, or its beginning, such as a day: from the one on, before the other. `status`:
    `404`, or a class such as `5xx`. `thumb`, `said`: one piece of feedback to it has this thumb, and a score, a
    correction or a comment; `any`: there is feedback. `release`: whole digest. `slow`: seconds, at least. `words`: each
    must occur in what was asked or answered, whatever its case. `language`: of the question, as a tag
    (`slipway.text.language`). `before`: id of a trace; only those written before it. `ids`: only these.
    """

    channel: str | None = None
    since: str = ""
    until: str = ""
    status: str = ""
    thumb: Literal["up", "down"] | None = None
    said: Literal["", "any", "score", "correction", "comment"] = ""
    release: str = ""
    slow: float | None = None
    words: tuple[str, ...] = ()
    language: str = ""
    before: str = ""
    ids: tuple[str, ...] | None = None

    @property
    def statuses(self) -> tuple[int, int]:
        """The lowest and the highest status."""
        low = int(self.status.replace("x", "0"))
        return low, low + (99 if "x" in self.status else 0)

    def says(self, trace: Trace) -> bool:
        """Whether every word occurs in a trace, and its question is in the language."""
        if self.language and of_short_text(trace.asked) != self.language:
            return False
        if not self.words:
            return True
        text = trace.words.casefold()
        return all(word.casefold() in text for word in self.words)


class Feedback(Noun, frozen=True, kw_only=True):
    """What a user said of one trace. At least one of the four is set; `score` is in [0, 1]."""

    id: str
    trace: str
    at: str
    thumb: Literal["up", "down"] | None = None
    score: float | None = None
    correction: str | None = None
    comment: str | None = None
    by: str = ""
