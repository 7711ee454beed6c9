"""What a strategy sent to its model for one request, as a trace keeps it."""

from __future__ import annotations

from typing import Any

import msgspec

from slipway.core.message import Message


class Filled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a candidate's prompt was filled with, so that it can be made again without its texts being kept twice.

    `passages`: places in the answer's citations; `examples`: places in the candidate's; `language`: a BCP 47 tag;
    `input`: where it is not what the user asked. It made so many `messages`; `digest`: SHA-256 of these (`digest_of`).
    """

    passages: tuple[int, ...] = ()
    examples: tuple[int, ...] = ()
    language: str = ""
    input: dict[str, Any] | None = None
    messages: int = 0
    digest: str = ""


class ModelCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request to a model: what it continues, then `messages`.

    `after`: the place of an earlier call, all of whose messages come first; `filled`: a prompt whose messages do.
    `times`: sent so often. `tools`: names of those offered. `scored`: so many given answers were scored, and none
    written. `raw`: one text without roles, to which no chat template was applied.
    """

    after: int | None = None
    filled: Filled | None = None
    messages: tuple[Message, ...] = ()
    times: int = 1
    tools: tuple[str, ...] = ()
    scored: int = 0
    raw: bool = False
