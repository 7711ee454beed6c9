"""What of a request's texts goes with its span, where the project file says so: questions and answers are personal
data. The shapes are those of the conventions (`gen_ai.input.messages` and its relatives, as JSON).
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from slipway.core.spans import Value
from slipway.core.trace import Trace

LONGEST = 16_000  # characters of one text


def bodies(trace: Trace, wanted: Collection[str]) -> dict[str, Value]:
    """Of `input`, `answer` and `passages` those that are wanted and were kept."""
    found: dict[str, Value] = {}
    if not trace.kept:
        return found
    if "input" in wanted:
        found["gen_ai.input.messages"] = _json([_message(role or "user", text) for role, text in trace.turns])
    answer = trace.answer
    if answer is None:
        return found
    if "answer" in wanted:
        said = {**_message("assistant", answer.text), "finish_reason": answer.finish}
        found["gen_ai.output.messages"] = _json([said])
    if "passages" in wanted and answer.citations:
        found["gen_ai.retrieval.documents"] = _json(
            [{"id": one.chunk, "score": one.score, "content": one.text[:LONGEST]} for one in answer.citations]
        )
    return found


def _message(role: str, text: str) -> dict[str, object]:
    return {"role": role, "parts": [{"type": "text", "content": text[:LONGEST]}]}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
