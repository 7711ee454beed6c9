"""From the bytes of a request to a checked one, before anything reaches an engine. Knows the limits, no model.

A body is read twice: by the standard library, which can be told to refuse duplicate keys, NaN and Infinity, and by
msgspec, which checks types and ranges. Both run in C; together they take microseconds on a usual request.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn, TypeVar

import msgspec

from slipway.core.message import (
    GenerateRequest,
    ImagePart,
    ImageUrl,
    Message,
    NamedTool,
    Sampling,
    TextPart,
    Tool,
    ToolCall,
)
from slipway.i18n import t
from slipway.runtime.respond import Overrides
from slipway.serve.refuse import Refused, bad
from slipway.serve.requests.shapes import (
    MAX_INPUTS,
    ChatMessage,
    ChatRequest,
    Common,
    CompletionRequest,
    ContentPart,
    EmbeddingRequest,
    Function,
    GenerateBody,
    ToolChoice,
)
from slipway.serve.requests.token_ids import text_of

T = TypeVar("T")

MAX_DEPTH = 64
_AT = re.compile(r"^(?P<what>.*) - at `\$\.?(?P<path>[^`]*)`$", re.DOTALL)
_KEY = re.compile(r"[A-Za-z_]{1,40}")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_NOT_APPLIED = ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty")


def read(body: bytes, type_: type[T]) -> tuple[T, tuple[str, ...]]:
    """A checked request, and the names of fields in it that are unknown (they are not applied).

    Raises Refused (400): no JSON, invalid UTF-8, duplicate keys, NaN, too deep, a wrong type or a value out of range.
    """
    plain = _json(body)
    try:
        request = msgspec.convert(plain, type_)
    except msgspec.ValidationError as error:
        raise _invalid(error) from error
    known = type_.__struct_fields__  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    return request, tuple(key for key in plain if key not in known and _KEY.fullmatch(key))[:20]


def _json(body: bytes) -> dict[str, Any]:
    try:
        text = body.decode("utf-8")
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise _no_json(t("the body is not UTF-8 at byte {at}", at=error.start)) from error
    except json.JSONDecodeError as error:
        raise _no_json(t("the body is not JSON: {why}", why=error)) from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:  # a number of more digits than Python converts
        raise _no_json(t("the body holds a number that is too long")) from error
    if not isinstance(found, dict):
        raise _no_json(t("the body is not a JSON object"))
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        _check_depth(found)
    if "\\u" in text and _SURROGATE.search(text):
        _check_unicode(found)
    return found  # pyright: ignore[reportUnknownVariableType]


def _no_json(message: str) -> Refused:
    return bad(message, t("send one JSON object, UTF-8, without duplicate keys, NaN or Infinity"))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise bad(
            t("the field '{field}' occurs twice in one object", field=twice[:40]), t("leave one of them out"),
            param=twice[:40],
        )  # fmt: skip
    return found


def _no_constant(name: str) -> NoReturn:
    raise bad(t("{value} is not JSON", value=name), t("send a finite number, or leave the field out"))


def _check_depth(value: Any) -> None:
    """Walk without recursion: this is what must not fail on deep nesting."""
    stack: list[tuple[int, Any]] = [(1, value)]
    while stack:
        depth, node = stack.pop()
        if depth > MAX_DEPTH:
            raise _too_deep()
        children: Any = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        stack.extend((depth + 1, child) for child in children if isinstance(child, dict | list))


def _too_deep() -> Refused:
    return bad(t("the body is nested more than {limit} deep", limit=MAX_DEPTH), t("flatten it"))


def _check_unicode(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise bad(
            t("the body holds half of a surrogate pair (\\ud800 to \\udfff)"),
            t("encode characters beyond U+FFFF as a pair, or as plain UTF-8"),
        ) from error


def _invalid(error: msgspec.ValidationError) -> Refused:
    found = _AT.match(str(error))
    what, path = (found["what"], found["path"]) if found else (str(error), "")
    if not path:
        return bad(t("the request is not valid: {what}", what=what), t("/openapi.json describes every field"))
    return bad(
        t("the field '{field}' is not valid: {what}", field=path, what=what),
        t("/openapi.json describes every field"),
        param=path,
    )


# -- chat and completions ---------------------------------------------------------------------------------------------


def check_chat(request: ChatRequest) -> None:
    """What single fields cannot say. Raises Refused (400)."""
    if request.functions or request.function_call:
        raise bad(
            t("'{field}' is not supported", field="functions"), t("use `tools` and `tool_choice`"), param="functions"
        )
    _check_common(request)
    for at, message in enumerate(request.messages):
        if message.role == "function":
            raise _wrong_role(at, message.role)
        content_of(message, at)
    if request.top_logprobs is not None and not request.logprobs:
        raise bad(t("top_logprobs needs logprobs"), t("set logprobs to true"), param="top_logprobs")


def check_completion(request: CompletionRequest) -> None:
    """What single fields cannot say. Raises Refused (400)."""
    _check_common(request)
    if not isinstance(request.prompt, str):
        raise bad(
            t("'prompt' must be one text"),
            t("send one request for each prompt, as text, not as tokens"),
            param="prompt",
        )
    for field, harmless in (("best_of", (None, 1)), ("echo", (None, False)), ("suffix", (None, ""))):
        if getattr(request, field) not in harmless:
            raise bad(t("'{field}' is not supported", field=field), t("leave it out"), param=field)


def _check_common(request: Common) -> None:
    if request.n not in (None, 1):
        raise bad(
            t("'n' must be 1: one request has one answer"), t("send the request {n} times", n=request.n), param="n"
        )
    if request.logit_bias:
        raise bad(t("'{field}' is not supported", field="logit_bias"), t("leave it out"), param="logit_bias")
    form = request.response_format
    if form is not None and form.type == "json_schema" and form.json_schema is None:
        raise bad(
            t("response_format.type is json_schema, but there is no schema"),
            t("put it into response_format.json_schema.schema"),
            param="response_format.json_schema",
        )
    if request.guided_choice and form is not None and form.type != "text":
        raise bad(t("response_format and guided_choice cannot be used together"), t("leave one out"))


def _wrong_role(at: int, role: str) -> Refused:
    return bad(
        t("messages with the role '{role}' cannot be answered", role=role),
        t("roles: system, user, assistant, and tool for a model asked by its own name"),
        param=f"messages[{at}].role",
    )


def content_of(message: ChatMessage, at: int = 0) -> str | tuple[TextPart | ImagePart, ...]:
    """A message's text, its parts joined; the parts when an image is among them. Raises Refused (400) for other parts,
    or for no content.
    """
    if isinstance(message.content, str):
        return message.content
    if not message.content:
        if message.tool_calls:
            return ""
        raise bad(t("a message has no content"), t("send text"), param=f"messages[{at}].content")
    parts = tuple(_part(part, at) for part in message.content)
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    return "\n".join(texts) if len(texts) == len(parts) else parts


def _part(part: ContentPart, at: int) -> TextPart | ImagePart:
    if part.type == "text":
        return TextPart(part.text)
    if part.type == "image_url" and part.image_url is not None:
        return ImagePart(ImageUrl(part.image_url.url))
    raise bad(
        t("a content part of the type '{type}' cannot be answered", type=part.type[:40]),
        t("send text only"),
        param=f"messages[{at}].content",
    )


def _text_for_release(message: ChatMessage, at: int) -> str:
    """What a release is told of a message. Raises Refused (400) for what it was not measured with."""
    if message.role == "tool":
        raise _wrong_role(at, message.role)
    if message.tool_calls:
        raise _not_measured("tool_calls", f"messages[{at}].tool_calls")
    content = content_of(message, at)
    if not isinstance(content, str):
        raise _not_measured("image_url", f"messages[{at}].content")
    return content


def _not_measured(field: str, param: str = "") -> Refused:
    return bad(
        t("'{field}' cannot be used with a release: it answers as it was measured", field=field),
        t("leave it out, or ask a model by its own name"),
        param=param or field,
    )


def conversation(request: ChatRequest) -> tuple[list[dict[str, str]], tuple[str, ...]]:
    """The turns that a release is told, the user's last: its task makes an input of them.

    System messages are not applied (a release has been measured with its own) and are named in the second value.
    Raises Refused (400) when the last message is not the user's.
    """
    said = [(m.role, _text_for_release(m, n)) for n, m in enumerate(request.messages)]
    turns = [(role, text) for role, text in said if role in ("user", "assistant")]
    if not turns or turns[-1][0] != "user":
        raise bad(t("the last message must be the user's"), t("end with a message of the role user"), param="messages")
    ignored = ("messages.system",) if len(turns) < len(request.messages) else ()
    return [{"role": role, "content": text} for role, text in turns], ignored


def overrides(request: ChatRequest | CompletionRequest) -> tuple[Overrides, tuple[str, ...]]:
    """What a release lets a caller change, and the names of the rest. Raises Refused (400) for another output format:
    a client that asks for JSON and gets prose is worse off than one that is told.
    """
    form = request.response_format
    for field, asked in (
        ("response_format", form is not None and form.type != "text"),
        ("guided_choice", bool(request.guided_choice)),
        ("logprobs", bool(request.logprobs)),
        ("tools", isinstance(request, ChatRequest) and bool(request.tools)),
    ):
        if asked:
            raise _not_measured(field)
    ignored = tuple(field for field in _NOT_APPLIED if getattr(request, field) is not None)
    return Overrides(_max_tokens(request), _stops(request), whole=not request.stream), ignored


def generation(request: ChatRequest | CompletionRequest) -> GenerateRequest:
    """A request to a raw model: everything is applied."""
    asked = {
        field: value
        for field in ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty")
        if (value := getattr(request, field)) is not None
    }
    if (limit := _max_tokens(request)) is not None:
        asked["max_tokens"] = limit
    sampling = Sampling(stop=_stops(request), **asked)
    schema, choices = _constraint(request)
    if isinstance(request, CompletionRequest):
        prompt = request.prompt if isinstance(request.prompt, str) else ""
        return GenerateRequest(
            prompt=prompt, sampling=sampling, json_schema=schema, choices=choices, logprobs=request.logprobs or 0
        )
    choice = request.tool_choice or "auto"
    return GenerateRequest(
        messages=tuple(_message(m, n) for n, m in enumerate(request.messages)),
        sampling=sampling,
        json_schema=schema,
        choices=choices,
        logprobs=max(1, request.top_logprobs or 0) if request.logprobs else 0,
        tools=tuple(_tool(tool.function) for tool in request.tools or ()),
        tool_choice=NamedTool(choice.function.name) if isinstance(choice, ToolChoice) else choice,
    )


def _message(message: ChatMessage, at: int) -> Message:
    """`developer` is `system`: the models that know the difference take `system` for it."""
    if message.role == "function":
        raise _wrong_role(at, message.role)
    role = "system" if message.role == "developer" else message.role
    calls = tuple(ToolCall(c.id, c.function.name, c.function.arguments) for c in message.tool_calls or ())
    return Message(role, content_of(message, at), calls, message.tool_call_id or "")


def _tool(function: Function) -> Tool:
    return Tool(name=function.name, description=function.description or "", parameters=function.parameters or {})


def _constraint(request: Common) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    if request.guided_choice:
        return None, tuple(request.guided_choice)
    form = request.response_format
    if form is None or form.type == "text":
        return None, ()
    if form.json_schema is None:
        return {"type": "object"}, ()
    return form.json_schema.schema, ()


def _max_tokens(request: Common) -> int | None:
    newer = getattr(request, "max_completion_tokens", None)
    return request.max_tokens if newer is None else newer


def _stops(request: Common) -> tuple[str, ...]:
    return (request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ())


def short_form(body: GenerateBody, model: str) -> ChatRequest:
    """/generate as the chat request that it is short for."""
    return ChatRequest(
        model=model,
        messages=[ChatMessage(role="user", content=body.prompt)],
        max_tokens=body.max_length,
        temperature=body.temperature,
        top_p=body.top_p,
    )


def inputs(request: EmbeddingRequest) -> list[str]:
    """The texts to embed; token ids are read as text (`token_ids`). Raises Refused (400) for what is neither, or for a
    dimension that cannot be chosen.
    """
    if request.dimensions is not None:
        raise bad(t("'{field}' is not supported", field="dimensions"), t("leave it out"), param="dimensions")
    given: list[Any] = [request.input] if isinstance(request.input, str) or _ids(request.input) else request.input
    if len(given) > MAX_INPUTS:
        raise bad(t("'input' has more than {n} texts", n=MAX_INPUTS), t("send them in several requests"), param="input")
    return [_text(one, f"input[{at}]") for at, one in enumerate(given)]


def _text(one: Any, param: str) -> str:
    if isinstance(one, str):
        return one
    if _ids(one):
        return text_of(one, param)
    raise bad(t("'input' must be a text or a list of texts"), t("send text"), param=param)


def _ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(id) is int for id in value)  # pyright: ignore[reportUnknownVariableType]
