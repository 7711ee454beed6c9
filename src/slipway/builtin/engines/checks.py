"""What a request must be before any model sees it. Owns the limits; does not know which engine asks.

llama.cpp takes NaN, negative and absurd sampling values without a word and dies of a deeply nested JSON schema;
remote servers answer each in their own way. Checked here, every engine refuses the same things with the same words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from slipway.core.message import GenerateRequest, Message, NamedTool, Sampling
from slipway.core.protocols import Capability, missing
from slipway.core.ref import canonical
from slipway.errors import EngineError
from slipway.i18n import t

MAX_SCHEMA_DEPTH = 32
MAX_SCHEMA_BYTES = 64 * 1024
MAX_CHOICES = 1000
MAX_CHOICE_CHARS = 1000
MAX_STOPS = 16
MAX_STOP_CHARS = 256
MAX_LOGPROBS = 20
MAX_TOKENS = 1_000_000
MAX_TOOLS = 128
MAX_DESCRIPTION = 16_384  # characters
_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_IMAGE = re.compile(r"data:image/[a-z0-9.+-]{1,40};base64,[A-Za-z0-9+/=]+")
LONGEST_TOKEN = 128  # characters; a prompt of more than this times the context cannot fit
MAX_SEED = 2**32 - 2  # llama.cpp's seed is 32 bits wide, and its largest value means "draw one"


def refuse(message: str, hint: str = "") -> EngineError:
    """The error of a request that can never succeed: status 400, not retryable."""
    return EngineError(message, hint, status=400)


def too_long(name: str, tokens: int, limit: int, *, at_least: bool = False) -> EngineError:
    """The error of a prompt that leaves no room in the context of `limit` tokens. `at_least`: not all were counted."""
    counts = {"tokens": tokens, "name": name, "limit": limit}
    return refuse(
        t("the prompt has more than {tokens} tokens; the model '{name}' has room for {limit}", **counts)
        if at_least
        else t("the prompt has {tokens} tokens; the model '{name}' has room for {limit}", **counts),
        t("shorten the prompt, retrieve fewer or shorter passages, or raise the model's context in slipway.yaml"),
    )


def check_request(request: GenerateRequest, name: str, capabilities: frozenset[Capability]) -> None:
    """Raise EngineError (status 400) when `request` is malformed, or asks for what the engine lacks."""
    if "generate" not in capabilities:
        raise missing(name, "generate")
    if (request.prompt is None) == (not request.messages):
        raise refuse(t("a request needs either messages or a prompt, and not both"))
    _check_texts(request)
    check_sampling(request.sampling)
    _check_number("logprobs", request.logprobs, 0, MAX_LOGPROBS, whole=True)
    for wanted, capability in (
        (request.logprobs, "logprobs"),
        (request.json_schema is not None, "json_schema"),
        (request.choices, "choices"),
        (request.adapters, "adapters"),
        (request.tools or any(m.tool_calls or m.role == "tool" for m in request.messages), "tools"),
        (any(m.images for m in request.messages), "images"),
    ):
        if wanted and capability not in capabilities:
            raise missing(name, capability)
    if request.json_schema is not None and request.choices:
        raise refuse(t("a request can have a JSON schema or choices, not both"))
    if request.json_schema is not None:
        check_schema(request.json_schema)
    _check_choices(request.choices)
    for message in request.messages:
        _check_message(message)
    _check_tools(request)
    for adapter, scale in request.adapters.items():
        _check_number(f"adapters.{adapter}", scale, -10.0, 10.0)


def check_fits(request: GenerateRequest, name: str, context: int) -> None:
    """Raise EngineError (status 400) for a request that cannot fit into `context` tokens; tokenizes nothing."""
    if request.sampling.max_tokens > context:
        raise refuse(t("max_tokens must be at most {limit}, the context of '{name}'", limit=context, name=name))
    characters = len(request.prompt or "") + sum(len(message.text) for message in request.messages)
    if characters > LONGEST_TOKEN * context:
        raise too_long(name, characters // LONGEST_TOKEN, context, at_least=True)


def check_sampling(sampling: Sampling) -> None:
    """Raise EngineError (status 400) for values outside the ranges of the OpenAI API."""
    _check_number("temperature", sampling.temperature, 0.0, 2.0)
    _check_number("top_p", sampling.top_p, 0.0, 1.0)
    if sampling.top_p == 0.0:
        raise refuse(t("top_p must be above 0"), t("use temperature 0 for the most likely answer"))
    _check_number("frequency_penalty", sampling.frequency_penalty, -2.0, 2.0)
    _check_number("presence_penalty", sampling.presence_penalty, -2.0, 2.0)
    _check_number("max_tokens", sampling.max_tokens, 1, MAX_TOKENS, whole=True)
    if sampling.seed is not None:
        _check_number("seed", sampling.seed, 0, MAX_SEED, whole=True)
    if len(sampling.stop) > MAX_STOPS:
        raise refuse(t("at most {n} stop strings are allowed", n=MAX_STOPS))
    for stop in sampling.stop:
        if not 0 < len(stop) <= MAX_STOP_CHARS:
            raise refuse(t("a stop string must have 1 to {n} characters", n=MAX_STOP_CHARS))
        check_text(stop)


def check_schema(schema: dict[str, Any]) -> None:
    """Raise EngineError (status 400) for a JSON schema that is too deep, too large or not JSON.

    The walk keeps its own stack: a schema nested 20,000 deep, which kills llama.cpp, must not kill this either.
    """
    depth = max(depth for depth, _ in walk(schema))
    if depth > MAX_SCHEMA_DEPTH:
        raise refuse(
            t("the JSON schema is nested more than {limit} deep", limit=MAX_SCHEMA_DEPTH),
            t("flatten it, or name the inner parts under $defs and point at them with $ref"),
        )
    try:
        size = len(canonical(schema))
    except (TypeError, ValueError, OverflowError) as error:
        raise refuse(t("the JSON schema is not JSON: {error}", error=error)) from error
    if size > MAX_SCHEMA_BYTES:
        raise refuse(t("the JSON schema has {size} bytes; the limit is {limit}", size=size, limit=MAX_SCHEMA_BYTES))


def check_text(text: str) -> None:
    """Raise EngineError (status 400) for text that is not valid Unicode (lone surrogates cannot be sent)."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise refuse(
            t("the text is not valid Unicode at character {at}", at=error.start),
            t("it holds half of a surrogate pair; decode the input as UTF-8"),
        ) from error


def _check_texts(request: GenerateRequest) -> None:
    if request.prompt is not None:
        check_text(request.prompt)
        if not request.prompt:
            raise refuse(t("the prompt is empty"))
    for message in request.messages:
        check_text(message.text)


def _check_message(message: Message) -> None:
    """What belongs to one role stands there and nowhere else; images are here already."""
    if message.tool_calls and message.role != "assistant":
        raise refuse(t("only a message of the role '{role}' has {field}", role="assistant", field="tool_calls"))
    if bool(message.tool_call_id) != (message.role == "tool"):
        raise refuse(
            t("messages of the role 'tool', and no others, have a tool_call_id"),
            t("it is the id of the call that the message is the result of"),
        )
    check_text(message.tool_call_id)
    for call in message.tool_calls:
        _check_tool_name(call.name)
        check_text(call.id)
        check_text(call.arguments)
    for part in message.images:
        if not _IMAGE.fullmatch(part.image_url.url):
            raise refuse(
                t("an image must be a data URL such as data:image/png;base64,..."),
                t("nothing is fetched from other addresses; put the image itself into the request"),
            )


def _check_tools(request: GenerateRequest) -> None:
    names = [tool.name for tool in request.tools]
    if request.tools and (request.choices or request.prompt is not None):
        raise refuse(t("tools can be used with messages only, and not together with choices"))
    if len(names) > MAX_TOOLS:
        raise refuse(t("at most {n} tools are allowed", n=MAX_TOOLS))
    if len(set(names)) != len(names):
        raise refuse(t("two tools have the same name"))
    for tool in request.tools:
        _check_tool_name(tool.name)
        check_text(tool.description)
        if len(tool.description) > MAX_DESCRIPTION:
            raise refuse(t("the description of a tool has more than {n} characters", n=MAX_DESCRIPTION))
        check_schema(tool.parameters)
    choice = request.tool_choice
    wanted = isinstance(choice, NamedTool) and choice.name not in names
    if wanted or (choice == "required" and not names):
        raise refuse(t("tool_choice asks for a tool that is not among the tools"))


def _check_tool_name(name: str) -> None:
    if not _TOOL_NAME.fullmatch(name):
        raise refuse(t("the name of a tool has 1 to 64 letters, digits, '_' and '-'"))


def _check_choices(choices: tuple[str, ...]) -> None:
    if len(choices) > MAX_CHOICES:
        raise refuse(t("at most {n} choices are allowed", n=MAX_CHOICES))
    if len(set(choices)) != len(choices):
        raise refuse(t("the choices name the same answer twice"))
    for choice in choices:
        if not 0 < len(choice) <= MAX_CHOICE_CHARS:
            raise refuse(t("a choice must have 1 to {n} characters", n=MAX_CHOICE_CHARS))
        check_text(choice)


def _check_number(field: str, value: Any, low: float, high: float, *, whole: bool = False) -> None:
    kinds = (int,) if whole else (int, float)
    if isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value) and low <= value <= high:
        return
    shown = repr(value)[:40]
    raise refuse(
        t("{field} must be between {low} and {high}, not {value}", field=field, low=low, high=high, value=shown)
    )


def walk(value: Any) -> Iterator[tuple[int, Any]]:
    """Every (depth, node) of plain data, without recursion; stops descending below the limit."""
    stack: list[tuple[int, Any]] = [(1, value)]
    while stack:
        depth, node = stack.pop()
        yield depth, node
        if depth > MAX_SCHEMA_DEPTH:
            continue
        children: list[Any] = []
        if isinstance(node, dict):
            children = list(node.values())  # pyright: ignore[reportUnknownVariableType]
        elif isinstance(node, list | tuple):
            children = list(node)  # pyright: ignore[reportUnknownVariableType]
        stack.extend((depth + 1, child) for child in children)
