"""What is said to an engine and what it answers. The shapes of the OpenAI API, without its history."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Role = Literal["system", "user", "assistant"]


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation."""

    role: Role
    content: str


class Sampling(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How tokens are drawn. `temperature` 0 is greedy; `seed` makes a draw repeatable."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0


class GenerateRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One generation. Exactly one of `messages` (the model's chat template is applied) and `prompt` (raw text).

    Constrained output: `json_schema` (the answer is valid JSON for it) or `choices` (the answer is one of them).
    `adapters`: LoRA name -> scale. `logprobs`: alternatives to report per token (0: no logprobs).
    """

    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    sampling: Sampling = Sampling()
    json_schema: dict[str, Any] | None = None
    choices: tuple[str, ...] = ()
    logprobs: int = 0
    adapters: dict[str, float] = {}


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """True token counts of one answer. `cached_tokens`: prompt tokens that a prefix cache saved."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
        )


class TokenLogprob(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A generated token, its natural-log probability, and the alternatives asked for."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


FinishReason = Literal["stop", "length"]


class Delta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of an answer as it is made. The last one carries `finish` and `usage`; earlier ones carry neither."""

    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    finish: FinishReason | None = None
    usage: Usage | None = None


class Completion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole answer: the deltas joined."""

    text: str
    finish: FinishReason
    usage: Usage
    logprobs: tuple[TokenLogprob, ...] = ()
