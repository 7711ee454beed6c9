"""What travels to and from an OpenAI-compatible server: bodies, answers, server-sent events. Pure; does no I/O.

Servers differ in what they leave out, so every field of an answer has a default, and what must be there is checked
by the engine, which can say what is missing.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from slipway.core.message import Delta, GenerateRequest, Message, NamedTool, TokenLogprob, ToolCall, Usage
from slipway.errors import EngineError
from slipway.i18n import t

MAX_EVENT = 4_000_000
"""Bytes that one server-sent event may have; a server that sends more is not speaking this protocol."""

MAX_CALLS = 128
"""Tools that one answer may call."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
ChoicesBy = Literal["json_schema", "guided_choice", "structured_outputs"]


class Function(msgspec.Struct):
    """`tool_calls[].function`, or a piece of it."""

    name: str | None = None
    arguments: str | None = None


class Called(msgspec.Struct):
    """A tool call, or a piece of one; pieces of the same call have the same `index`."""

    index: Annotated[int, msgspec.Meta(ge=0, lt=MAX_CALLS)] | None = None
    id: str | None = None
    function: Function | None = None


class Said(msgspec.Struct):
    """`message` of a whole answer or `delta` of a chunk."""

    content: str | None = None
    tool_calls: Annotated[list[Called], msgspec.Meta(max_length=MAX_CALLS)] | None = None


class OneOf(msgspec.Struct):
    """A token that might have been said."""

    token: str
    logprob: float


class Token(OneOf):
    """A token of a chat answer."""

    top_logprobs: list[OneOf] | None = None


class Logprobs(msgspec.Struct):
    """Log-probabilities of chat (`content`) or of plain completion (three lists as long as the answer)."""

    content: list[Token] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class Choice(msgspec.Struct):
    """One choice, of chat (`message`, `delta`) or of plain completion (`text`)."""

    message: Said | None = None
    delta: Said | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None

    @property
    def said(self) -> str:
        """The text, wherever this kind of answer keeps it."""
        if self.text is not None:
            return self.text
        return ((self.message or self.delta or Said()).content) or ""

    @property
    def calls(self) -> list[Called]:
        """The tool calls, or pieces of them."""
        return (self.message or self.delta or Said()).tool_calls or []


class PromptDetails(msgspec.Struct):
    """`usage.prompt_tokens_details`."""

    cached_tokens: Count | None = None


class Counts(msgspec.Struct):
    """`usage`."""

    prompt_tokens: Count = 0
    completion_tokens: Count | None = 0
    prompt_tokens_details: PromptDetails | None = None

    def usage(self) -> Usage:
        """As the rest of Slipway counts."""
        cached = (self.prompt_tokens_details.cached_tokens if self.prompt_tokens_details else 0) or 0
        return Usage(
            prompt_tokens=self.prompt_tokens, completion_tokens=self.completion_tokens or 0, cached_tokens=cached
        )


class Spoken(msgspec.Struct):
    """A whole answer or one chunk of a stream; `error` when the server failed half-way."""

    choices: list[Choice] = []
    usage: Counts | None = None
    error: Any = None


class Embedded(msgspec.Struct):
    """One vector of an answer."""

    embedding: list[float]
    index: int = -1


class Embeddings(msgspec.Struct):
    """The answer of /embeddings."""

    data: list[Embedded]


class Ranked(msgspec.Struct):
    """One text of the answer of /rerank."""

    index: int
    relevance_score: float


class Ranking(msgspec.Struct):
    """The answer of /rerank, as vLLM, Jina and Cohere give it."""

    results: list[Ranked]


read_ranking = msgspec.json.Decoder(Ranking).decode
read_spoken = msgspec.json.Decoder(Spoken).decode
read_embeddings = msgspec.json.Decoder(Embeddings).decode


def body_of(
    request: GenerateRequest, model: str, *, stream: bool, max_tokens_field: str, choices_by: ChoicesBy
) -> bytes:
    """The JSON of a request to /chat/completions (messages) or /completions (prompt)."""
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        max_tokens_field: sampling.max_tokens,
    }
    if request.prompt is None:
        body["messages"] = [_message(message) for message in request.messages]
        body.update(_tools(request))
    else:
        body["prompt"] = request.prompt
    for key in ("stop", "seed", "frequency_penalty", "presence_penalty"):
        value = getattr(sampling, key)
        if value or (key == "seed" and value is not None):
            body[key] = value
    if request.logprobs:
        body.update(_logprobs_asked(request))
    body.update(_constraint(request, choices_by))
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return msgspec.json.encode(body)


def _message(message: Message) -> dict[str, Any]:
    said: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_call_id:
        said["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        said["content"] = message.content or None
        said["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return said


def _tools(request: GenerateRequest) -> dict[str, Any]:
    if not request.tools:
        return {}
    choice: Any = request.tool_choice
    if isinstance(choice, NamedTool):
        choice = {"type": "function", "function": choice}
    return {"tools": [{"type": "function", "function": tool} for tool in request.tools], "tool_choice": choice}


def _logprobs_asked(request: GenerateRequest) -> dict[str, Any]:
    if request.prompt is None:
        return {"logprobs": True, "top_logprobs": request.logprobs}
    return {"logprobs": request.logprobs}


def _constraint(request: GenerateRequest, choices_by: ChoicesBy) -> dict[str, Any]:
    schema, name = request.json_schema, "answer"
    if request.choices:
        if choices_by == "guided_choice":
            return {"guided_choice": request.choices}
        if choices_by == "structured_outputs":
            return {"structured_outputs": {"choice": request.choices}}
        schema, name = choice_schema(request.choices), "choice"
    if schema is None:
        return {}
    return {"response_format": {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": True}}}


def choice_schema(choices: tuple[str, ...]) -> dict[str, Any]:
    """`choices` as a JSON schema. An object around them, because OpenAI takes nothing else at the top."""
    return {
        "type": "object",
        "properties": {"choice": {"type": "string", "enum": list(choices)}},
        "required": ["choice"],
        "additionalProperties": False,
    }


def logprobs_of(choice: Choice) -> tuple[TokenLogprob, ...]:
    """The log-probabilities of a choice: the shape of chat (`content`) or of completions (`tokens`)."""
    found = choice.logprobs or Logprobs()
    if found.content:
        return tuple(
            TokenLogprob(
                token=token.token,
                logprob=_at_most_zero(token.logprob),
                top=_sorted([(other.token, other.logprob) for other in token.top_logprobs or ()]),
            )
            for token in found.content
        )
    tops = found.top_logprobs or []
    return tuple(
        TokenLogprob(
            token=token,
            logprob=_at_most_zero(logprob or 0.0),
            top=_sorted(list((tops[at] or {}).items())) if at < len(tops) else (),
        )
        for at, (token, logprob) in enumerate(zip(found.tokens or (), found.token_logprobs or (), strict=False))
    )


class Heard:
    """An answer as its parts come in, whole or streamed."""

    def __init__(self) -> None:
        self.finish: str | None = None
        self.usage: Usage | None = None
        self.logprobs: list[TokenLogprob] = []
        self._said: list[str] = []
        self._calls: dict[int, list[str]] = {}  # index -> id, name, arguments

    @property
    def text(self) -> str:
        """What was said so far."""
        return "".join(self._said)

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tools that were called. Raises EngineError for a call without a name."""
        made = [
            (id or f"call_{at}", name, arguments or "{}") for at, (id, name, arguments) in sorted(self._calls.items())
        ]
        if any(not name for _, name, _ in made):
            raise EngineError(t("the server called a tool without saying which"))
        return tuple(ToolCall(*call) for call in made)

    def take(self, part: Spoken) -> Delta:
        """Add a part; what is new in it."""
        self.usage = part.usage.usage() if part.usage else self.usage
        if not part.choices:
            return Delta()
        choice = part.choices[0]
        self.finish = choice.finish_reason or self.finish
        delta = Delta(text=choice.said, logprobs=logprobs_of(choice))
        self._said.append(delta.text)
        self.logprobs += delta.logprobs
        for at, called in enumerate(choice.calls):
            self._add(at if called.index is None else called.index, called)
        return delta

    def _add(self, at: int, called: Called) -> None:
        """The id and the name come once, some servers repeat them; the arguments come in pieces."""
        call, function = self._calls.setdefault(at, ["", "", ""]), called.function or Function()
        call[0] = call[0] or called.id or ""
        call[1] = call[1] or function.name or ""
        call[2] += function.arguments or ""


def _at_most_zero(logprob: float) -> float:
    return min(float(logprob), 0.0)


def _sorted(top: list[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(((token, _at_most_zero(value)) for token, value in top), key=lambda pair: -pair[1]))


class Events:
    """Cuts a byte stream into the payloads of its `data:` lines (WHATWG server-sent events, one line an event)."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads completed by `data`. Raises EngineError for a line without end."""
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        self._rest += rest
        if len(self._rest) > MAX_EVENT:
            raise EngineError(t("the server sent an event of more than {n} bytes", n=MAX_EVENT))
        return [line[5:].strip() for line in lines if line.startswith(b"data:")]

    @property
    def unfinished(self) -> bytes:
        """A last payload whose line was not ended when the stream was."""
        return bytes(self._rest[5:].strip()) if self._rest.startswith(b"data:") else b""
