"""The JSON of requests and answers, as OpenAI has it, plus the few fields that are ours. Checks types and ranges of
single fields, nothing across fields (`validate` does), and knows no model.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

MAX_TOKENS = 1_000_000
MAX_STOPS = 16
MAX_INPUTS = 2048
MAX_IDS = 8192  # of one text that came as token ids: the most that OpenAI's API takes

Temperature = Annotated[float, Meta(ge=0, le=2)]
TopP = Annotated[float, Meta(gt=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Tokens = Annotated[int, Meta(ge=1, le=MAX_TOKENS)]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 2)]
Stop = Annotated[str, Meta(min_length=1, max_length=256)]
Stops = Stop | Annotated[list[Stop], Meta(max_length=MAX_STOPS)]
ModelName = Annotated[str, Meta(min_length=1, max_length=200)]
TraceId = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]


class StreamOptions(Struct):
    """`stream_options`."""

    include_usage: bool = False


class JsonSchema(Struct):
    """`response_format.json_schema`."""

    schema: dict[str, Any]
    name: str = ""


class ResponseFormat(Struct):
    """`response_format`."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class ImageUrl(Struct):
    """`image_url` of a content part: a data URL; nothing is fetched."""

    url: str


class ContentPart(Struct, omit_defaults=True):
    """One part of a message's content: `text`, or `image_url` for a model whose engine reads images."""

    type: str
    text: str = ""
    image_url: ImageUrl | None = None


class FunctionCall(Struct):
    """`function` of a tool call; `arguments` is JSON text."""

    name: str
    arguments: str = ""


class ToolCallIn(Struct):
    """A tool that the assistant called."""

    id: str
    function: FunctionCall
    type: Literal["function"] = "function"


class Function(Struct, omit_defaults=True):
    """`function` of a tool; `parameters` is a JSON schema."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ToolIn(Struct):
    """A tool that the model may call."""

    type: Literal["function"]
    function: Function


class FunctionName(Struct):
    """`function` of a tool choice."""

    name: str


class ToolChoice(Struct):
    """The choice of one tool."""

    type: Literal["function"]
    function: FunctionName


class ChatMessage(Struct, omit_defaults=True):
    """One turn. `developer` is OpenAI's newer name of `system`; `tool_call_id` says which call a `tool` answers."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None
    tool_calls: Annotated[list[ToolCallIn], Meta(max_length=128)] | None = None
    tool_call_id: str | None = None


class Common(Struct, kw_only=True, omit_defaults=True):
    """What chat and plain completions share."""

    model: ModelName
    temperature: Temperature | None = None
    top_p: TopP | None = None
    max_tokens: Tokens | None = None
    stop: Stops | None = None
    seed: Seed | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    guided_choice: Annotated[list[str], Meta(min_length=1, max_length=1000)] | None = None
    logit_bias: dict[str, float] | None = None
    user: str | None = None


class ChatRequest(Common, kw_only=True, omit_defaults=True):
    """POST /v1/chat/completions."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=2048)]
    max_completion_tokens: Tokens | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    tools: Annotated[list[ToolIn], Meta(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    functions: list[Any] | None = None
    function_call: Any = None


class CompletionRequest(Common, kw_only=True, omit_defaults=True):
    """POST /v1/completions."""

    prompt: Annotated[str, Meta(min_length=1)] | list[Any]
    logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    best_of: int | None = None
    echo: bool | None = None
    suffix: str | None = None


class EmbeddingRequest(Struct, kw_only=True, omit_defaults=True):
    """POST /v1/embeddings."""

    model: ModelName
    input: str | Annotated[list[Any], Meta(min_length=1, max_length=MAX_IDS)]  # texts, or token ids of one or several
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    user: str | None = None


class GenerateBody(Struct, kw_only=True, omit_defaults=True):
    """POST /generate."""

    prompt: Annotated[str, Meta(min_length=1)]
    max_length: Tokens | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None


class FeedbackBody(Struct, kw_only=True, omit_defaults=True):
    """POST /v1/feedback; at least one of the four."""

    trace: TraceId
    thumb: Literal["up", "down"] | None = None
    score: Annotated[float, Meta(ge=0, le=1)] | None = None
    correction: Annotated[str, Meta(min_length=1, max_length=100_000)] | None = None
    comment: Annotated[str, Meta(min_length=1, max_length=10_000)] | None = None


# -- answers ----------------------------------------------------------------------------------------------------------


class ToolCallOut(Struct, omit_defaults=True):
    """A tool that the model called; `index` in a stream."""

    id: str
    function: FunctionCall
    type: str | UnsetType = UNSET
    index: int | UnsetType = UNSET


class Said(Struct, omit_defaults=True):
    """`message` or `delta`."""

    role: str | UnsetType = UNSET
    content: str | None | UnsetType = UNSET
    tool_calls: list[ToolCallOut] | UnsetType = UNSET


class ChatChoice(Struct):
    """One choice of a chat answer or chunk; `message` or `delta` is set."""

    finish_reason: str | None
    message: Said | UnsetType = UNSET
    delta: Said | UnsetType = UNSET
    index: int = 0
    logprobs: dict[str, Any] | None = None


class TextChoice(Struct):
    """One choice of a plain completion."""

    text: str
    finish_reason: str | None
    index: int = 0
    logprobs: dict[str, Any] | None = None


class PromptDetails(Struct):
    """`usage.prompt_tokens_details`."""

    cached_tokens: int


class UsageOut(Struct):
    """`usage`."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails


class Extension(Struct, omit_defaults=True):
    """Ours: what answered, the passages the answer rests on, what of the request was not applied; and of the answer its
    label and confidence, whether it declines, and the steps that led to it.
    """

    trace: str
    release: str = ""
    citations: tuple[Any, ...] | None = None
    ignored: tuple[str, ...] = ()
    label: str = ""
    confidence: float | None = None
    abstained: bool = False
    steps: tuple[Any, ...] = ()


class Completed(Struct):
    """A whole answer, or a chunk of one, of chat or of plain completion."""

    id: str
    object: Literal["chat.completion", "chat.completion.chunk", "text_completion"]
    created: int
    model: str
    choices: list[Any]  # ChatChoice or TextChoice
    usage: UsageOut | None | UnsetType = UNSET
    slipway: Extension | UnsetType = UNSET


class Vector(Struct):
    """One embedding; base64 of little-endian float32 when the client asked for it."""

    embedding: list[float] | str
    index: int
    object: str = "embedding"


class Embedded(Struct):
    """The answer of /v1/embeddings."""

    data: list[Vector]
    model: str
    usage: dict[str, int]
    object: str = "list"


class Generated(Struct):
    """The answer of /generate; seconds."""

    generated_text: str
    processing_time: float


class RefusalBody(Struct):
    """`error`: OpenAI's shape, and our hint."""

    message: str
    type: str
    param: str | None
    code: str | None
    hint: str


class Refusal(Struct):
    """What is answered when there is no answer."""

    error: RefusalBody


encode = msgspec.json.Encoder().encode
