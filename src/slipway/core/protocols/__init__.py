"""What a plug-in must be able to do. Each protocol has at most six methods and two real implementations in `builtin`.

A plug-in is made by calling its class with one argument, an instance of its `Config` (a pydantic model, found as the
class attribute `Config`), plus keyword arguments named below. Contract suites for each are in `slipway.testing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipway.core.protocols.engines import (
    Capability,
    Completes,
    CountsTokens,
    Embeds,
    EmbedsQuestions,
    Engine,
    OnEvent,
    OutOfVocabulary,
    Ranks,
    Scores,
    ScoresAnswers,
    TellsTokens,
    TellsTrouble,
    Windows,
    missing,
)
from slipway.core.protocols.indexes import Elsewhere, Index
from slipway.core.protocols.scorers import Compares, Scorer
from slipway.core.protocols.tasks import (
    Input,
    Labelled,
    ReadsFiles,
    Strategy,
    Structured,
    Task,
    Tool,
    Work,
    asks_model,
)
from slipway.core.protocols.tuners import (
    Job,
    Served,
    Tuner,
    from_nothing,
    makes_classifier,
    makes_embedder,
    makes_model,
    settled_by,
)

if TYPE_CHECKING:
    from slipway.core.protocols.engines import Vectors

__all__ = [
    "Capability",
    "Compares",
    "Completes",
    "CountsTokens",
    "Elsewhere",
    "Embeds",
    "EmbedsQuestions",
    "Engine",
    "Index",
    "Input",
    "Job",
    "Labelled",
    "OnEvent",
    "OutOfVocabulary",
    "Ranks",
    "ReadsFiles",
    "Scorer",
    "Scores",
    "ScoresAnswers",
    "Served",
    "Strategy",
    "Structured",
    "Task",
    "TellsTokens",
    "TellsTrouble",
    "Tool",
    "Tuner",
    "Vectors",
    "Windows",
    "Work",
    "asks_model",
    "from_nothing",
    "makes_classifier",
    "makes_embedder",
    "makes_model",
    "missing",
    "settled_by",
]
