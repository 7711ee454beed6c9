"""What one input got: the answer, the passages it rests on, and what it took to make it."""

from __future__ import annotations

import msgspec

from slipway.core.message import ToolCall, Usage
from slipway.i18n import Said


class Citation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A retrieved passage an answer rests on: where it stands, how it scored, whether the answer cites it."""

    chunk: str  # Chunk.id
    source: str
    path: tuple[str, ...]
    start: int
    end: int
    text: str
    score: float
    cited: bool = False
    shown: str = ""  # what of the text stood in the prompt, when it was not all of it


class Output(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model's text means in a task: a text to show; a label and its confidence (0 to 1) where there is one.

    `abstained`: it declines to answer. That counts as the worst value of every quality metric.
    """

    text: str
    label: str = ""
    confidence: float | None = None
    abstained: bool = False


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing a strategy did on its way to an answer, such as a tool that it called."""

    name: str
    input: str = ""
    output: str = ""
    seconds: float = 0.0
    error: str = ""  # what a tool said, as it said it


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `runtime.respond` made of one input. Seconds are monotonic-clock differences."""

    text: str  # the extracted answer
    raw: str  # what the model said, before extraction
    citations: tuple[Citation, ...] = ()
    usage: Usage = Usage()
    finish: str = "stop"
    seconds: float = 0.0
    first_token_seconds: float = 0.0
    retrieve_seconds: float = 0.0
    cost: float = 0.0
    currency: str = ""
    samples: tuple[str, ...] = ()  # the raw answers that voted, when there were several
    tool_calls: tuple[ToolCall, ...] = ()  # of a model asked by its own name
    error: Said | str = ""  # set when no answer could be made; it then scores the worst
    label: str = ""  # what the text says, in a task of labels
    confidence: float | None = None  # of the answer, 0 to 1; None: nothing was said about it
    abstained: bool = False  # it declined to answer; it then scores the worst
    steps: tuple[Step, ...] = ()
    timed: str = ""  # the stretch of time it was measured in: seconds compare with those of the same one only

    @property
    def failed(self) -> bool:
        """Whether there is nothing to score: it could not be made, or it declined."""
        return bool(self.error) or self.abstained
