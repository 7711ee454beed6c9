"""Answers in OpenAI's JSON: whole, in chunks, embeddings. Pure; knows neither HTTP nor models."""

from __future__ import annotations

from time import time
from typing import Any, Literal

import msgspec

from slipway.core.answer import Answer
from slipway.core.message import Delta, TokenLogprob, Usage
from slipway.serve.requests.shapes import (
    ChatChoice,
    Completed,
    Extension,
    FunctionCall,
    PromptDetails,
    Said,
    TextChoice,
    ToolCallOut,
    UsageOut,
    encode,
)

Form = Literal["chat", "text"]
DONE = b"data: [DONE]\n\n"


def usage_out(usage: Usage) -> UsageOut:
    """`usage`."""
    return UsageOut(
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.prompt_tokens + usage.completion_tokens,
        PromptDetails(usage.cached_tokens),
    )


def logprobs_out(form: Form, logprobs: tuple[TokenLogprob, ...]) -> dict[str, Any] | None:
    """`logprobs` of a choice: chat has a list of tokens, plain completions have parallel lists."""
    if not logprobs:
        return None
    if form == "text":
        return {
            "tokens": [p.token for p in logprobs],
            "token_logprobs": [p.logprob for p in logprobs],
            "top_logprobs": [dict(p.top) for p in logprobs],
        }
    return {
        "content": [
            {**_token(p.token, p.logprob), "top_logprobs": [_token(token, value) for token, value in p.top]}
            for p in logprobs
        ]
    }


def _token(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def extension(answer: Answer, trace: str, release: str, ignored: tuple[str, ...]) -> Extension:
    """Our own field of the answer."""
    if not release:
        return Extension(trace=trace, ignored=ignored)
    return Extension(
        trace=trace,
        release=release,
        citations=answer.citations,
        ignored=ignored,
        label=answer.label,
        confidence=answer.confidence,
        abstained=answer.abstained,
        steps=answer.steps,
    )


def whole(form: Form, model: str, answer: Answer, own: Extension, logprobs: tuple[TokenLogprob, ...] = ()) -> bytes:
    """A whole answer."""
    shown = logprobs_out(form, logprobs)
    choice = (
        ChatChoice(answer.finish, message=_message(answer), logprobs=shown)
        if form == "chat"
        else TextChoice(answer.text, answer.finish, logprobs=shown)
    )
    return encode(
        Completed(
            id=_id(form, own.trace),
            object="chat.completion" if form == "chat" else "text_completion",
            created=int(time()),
            model=model,
            choices=[choice],
            usage=usage_out(answer.usage),
            slipway=own,
        )
    )


def _message(answer: Answer) -> Said:
    if not answer.tool_calls:
        return Said("assistant", answer.text)
    return Said("assistant", answer.text or None, _calls(answer))


def _calls(answer: Answer) -> list[ToolCallOut]:
    return [ToolCallOut(c.id, FunctionCall(c.name, c.arguments), "function") for c in answer.tool_calls]


class Chunks:
    """The server-sent events of one streamed answer."""

    def __init__(self, form: Form, model: str, trace: str) -> None:
        self._form: Form = form
        self._chunk = Completed(
            id=_id(form, trace),
            object="chat.completion.chunk" if form == "chat" else "text_completion",
            created=int(time()),
            model=model,
            choices=[],
        )

    def opening(self) -> bytes:
        """What comes before the text: chat says who speaks."""
        if self._form == "text":
            return b""
        return self._event([ChatChoice(None, delta=Said("assistant", ""))])

    def text(self, delta: Delta) -> bytes:
        """A piece of text."""
        shown = logprobs_out(self._form, delta.logprobs)
        if self._form == "text":
            return self._event([TextChoice(delta.text, None, logprobs=shown)])
        return self._event([ChatChoice(None, delta=Said(content=delta.text), logprobs=shown)])

    def closing(self, answer: Answer, own: Extension, *, include_usage: bool) -> bytes:
        """The tools that were called, the reason for the end with our own field, the usage if it was asked for, and
        `[DONE]`.
        """
        calls = [msgspec.structs.replace(call, index=at) for at, call in enumerate(_calls(answer))]
        last = TextChoice("", answer.finish) if self._form == "text" else ChatChoice(answer.finish, delta=Said())
        end = self._event([ChatChoice(None, delta=Said(tool_calls=calls))]) if calls else b""
        end += self._event([last], slipway=own)
        if include_usage:
            end += self._event([], usage=usage_out(answer.usage))
        return end + DONE

    def _event(self, choices: list[Any], **more: Any) -> bytes:
        return b"data: " + encode(msgspec.structs.replace(self._chunk, choices=choices, **more)) + b"\n\n"


def _id(form: Form, trace: str) -> str:
    return f"{'chatcmpl' if form == 'chat' else 'cmpl'}-{trace}"
