"""What is said to an engine and what it answers. The shapes of the OpenAI API, without its history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

Role = Literal["system", "user", "assistant", "tool"]


class TextPart(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """A part of a message that is text."""

    text: str


class ImageUrl(msgspec.Struct, frozen=True):
    """`url`: a data URL that holds the image itself. Nothing is ever fetched."""

    url: str


class ImagePart(msgspec.Struct, frozen=True, tag_field="type", tag="image_url"):
    """A part of a message that is an image; for engines with the capability `images`."""

    image_url: ImageUrl


class ToolCall(msgspec.Struct, frozen=True):
    """A tool that the model wants called. `arguments`: JSON text as the model wrote it, which may not be JSON."""

    id: str
    name: str
    arguments: str


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One turn of a conversation. `tool_calls`: what the assistant wanted called; `tool_call_id`: which of these calls
    a message of the role `tool` is the result of.
    """

    role: Role
    content: str | tuple[TextPart | ImagePart, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""

    @property
    def text(self) -> str:
        """What it says, its parts of text joined by line breaks."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def images(self) -> tuple[ImagePart, ...]:
        """Its parts that are images."""
        return () if isinstance(self.content, str) else tuple(p for p in self.content if isinstance(p, ImagePart))


class Tool(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model may ask to be called. `parameters`: JSON schema of its arguments, an object."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}


class NamedTool(msgspec.Struct, frozen=True):
    """The choice of one tool."""

    name: str


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
    `tool_choice` of `tools`: `required` is any of them, `none` is text.
    """

    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    sampling: Sampling = Sampling()
    json_schema: dict[str, Any] | None = None
    choices: tuple[str, ...] = ()
    logprobs: int = 0
    adapters: dict[str, float] = {}
    tools: tuple[Tool, ...] = ()
    tool_choice: Literal["auto", "none", "required"] | NamedTool = "auto"


class LikelihoodRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How likely are these `answers` after the prompt of a request? What the request says of sampling and constraints
    does not matter. Without `ended`: how likely is it to begin with one.

    `within`: an answer whose log-probability, plus its offset, is sure to be so much (nats) below the best may be left
    at an upper bound; None: none may. Without `offsets` they are zero.
    """

    request: GenerateRequest
    answers: tuple[str, ...]
    offsets: tuple[float, ...] = ()
    within: float | None = None
    ended: bool = True


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


class Likelihood(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How likely one given answer is: the sum of the natural-log probabilities of its `tokens`, the one that ends the
    turn included where the engine scores it. `exact` False: it is at most this likely, and was not followed to its end.
    """

    logprob: float
    tokens: int
    exact: bool = True


class Likelihoods(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of each answer, in the order asked for. `usage`: the prompt once, and every token of an answer evaluated."""

    answers: tuple[Likelihood, ...]
    usage: Usage = Usage()

    @classmethod
    def of(cls, found: Sequence[tuple[float, int]], prompt_tokens: int) -> Likelihoods:
        """Of answers that were followed to their ends: (log-probability, tokens) each."""
        usage = Usage(prompt_tokens=prompt_tokens, completion_tokens=sum(tokens for _, tokens in found))
        return cls(answers=tuple(Likelihood(logprob=one, tokens=tokens) for one, tokens in found), usage=usage)


FinishReason = Literal["stop", "length", "tool_calls"]


class Delta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of an answer as it is made. The last one carries `finish` and `usage`; earlier ones carry neither.

    A tool call comes whole, in one delta.
    """

    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish: FinishReason | None = None
    usage: Usage | None = None


class Completion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole answer: the deltas joined."""

    text: str
    finish: FinishReason
    usage: Usage
    logprobs: tuple[TokenLogprob, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
