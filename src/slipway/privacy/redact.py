"""What becomes of secrets and personal data before something is kept, exported or logged.

Secrets always go. Personal data goes as the mode says: `off` leaves it, `mask` puts its kind in its place (`[email]`),
`hash` a keyed hash in addition (`[email:3f2a9c1b]`), so that the same value can be recognised again and not guessed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar, cast

import msgspec

from slipway.core.answer import Answer
from slipway.core.asked import ModelCall
from slipway.core.message import Message
from slipway.core.trace import Feedback, Trace
from slipway.i18n import Said
from slipway.privacy import personal, secrets
from slipway.privacy.secrets import Own

Mode = Literal["off", "mask", "hash"]
T = TypeVar("T")


class Redactor:
    """Redacts texts and records. `salt` keys the hashes; `own` are the secrets Slipway was given. Safe for threads."""

    def __init__(self, mode: Mode = "off", own: Own | None = None, salt: bytes = b"") -> None:
        self.mode: Mode = mode
        self._own = own or Own()
        self._salt = salt

    def text(self, text: str) -> str:
        """`text` as it may be kept."""
        text = secrets.scrub(self._own.scrub(text))
        if self.mode == "off":
            return text
        made, at = list[str](), 0
        for one in personal.find(text):
            made += (text[at : one.start], self._instead(one.kind, text[one.start : one.end]))
            at = one.end
        return "".join([*made, text[at:]])

    def _instead(self, kind: str, value: str) -> str:
        if self.mode == "mask":
            return f"[{kind}]"
        plain = re.sub(r"[^\w@.:]", "", value.casefold()).encode()
        return f"[{kind}:{hmac.new(self._salt, plain, hashlib.sha256).hexdigest()[:8]}]"

    def value(self, value: Any) -> Any:
        """Plain data (what JSON can say) with every text in it redacted, names of fields too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            found = cast("dict[Any, Any]", value)
            return {self.value(k): self.value(v) for k, v in found.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in cast("list[Any]", value)]
        return value

    def trace(self, trace: Trace) -> Trace:
        """A trace as it may be kept: most hold nothing to redact, and are returned as they are."""
        if self._sound(trace):
            return trace
        answer = None
        if trace.answer is not None:
            answer = msgspec.convert(self.value(msgspec.to_builtins(trace.answer)), Answer)
        request = cast("dict[str, object]", self.value(trace.request))
        calls, error = tuple(map(self._call, trace.calls)), clean_said(trace.error, self.text)
        return msgspec.structs.replace(trace, request=request, answer=answer, error=error, calls=calls)

    def _call(self, call: ModelCall) -> ModelCall:
        messages = msgspec.convert(self.value(msgspec.to_builtins(call.messages)), tuple[Message, ...])
        filled = call.filled
        if filled is not None and filled.input is not None:
            filled = msgspec.structs.replace(filled, input=self.value(filled.input))
        return msgspec.structs.replace(call, messages=messages, filled=filled, tools=tuple(map(self.text, call.tools)))

    def feedback(self, said: Feedback) -> Feedback:
        """Feedback as it may be kept."""
        if self._sound(said):
            return said
        correction = None if said.correction is None else self.text(said.correction)
        comment = None if said.comment is None else self.text(said.comment)
        return msgspec.structs.replace(said, correction=correction, comment=comment)

    def _sound(self, record: Trace | Feedback) -> bool:
        """Whether a first look finds nothing that could be a secret."""
        if self.mode != "off":
            return False
        texts = list(_texts(record))
        if any(map(secrets.suspicious, texts)):
            return False
        return self._own.all_dense or not any(map(self._own.within, texts))


def clean_said(said: Said | str, clean: Callable[[str], str]) -> Said | str:
    """A stored message with every text in it cleaned: a value in it may be what another server said."""
    if isinstance(said, str):
        return clean(said)
    values = {k: clean_said(v, clean) if isinstance(v, str | Said) else v for k, v in said.values.items()}
    return Said(clean(said.text), values)


def _plain(said: Said | str) -> str:
    return said if isinstance(said, str) else msgspec.json.encode(said).decode()


def _texts(record: Trace | Feedback) -> Iterator[str]:
    """Every text in a record that is not ours, cheaply: what was asked as one text, JSON."""
    if isinstance(record, Feedback):
        yield record.correction or ""
        yield record.comment or ""
        return
    yield msgspec.json.encode(record.request).decode()
    yield _plain(record.error)
    for call in record.calls:  # its digest looks like a key
        if call.messages or call.tools or (call.filled and call.filled.input):
            said = (call.messages, call.tools, call.filled and call.filled.input)
            yield msgspec.json.encode(said).decode()
    if (answer := record.answer) is not None:
        yield answer.text
        if answer.raw != answer.text:
            yield answer.raw
        yield _plain(answer.error)
        yield from answer.samples
        yield answer.label
        for step in answer.steps:
            yield from (step.name, step.input, step.output, step.error)
        for call in answer.tool_calls:
            yield from (call.id, call.name, call.arguments)
        for citation in answer.citations:
            yield citation.text
            yield citation.shown
            yield citation.source
            yield from citation.path
