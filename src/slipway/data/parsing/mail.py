"""E-mail (RFC 5322, MIME) and mbox (RFC 4155) into documents: a message, and each attachment read by its own parser."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any

from slipway.data.parsing import media
from slipway.data.parsing.blocks import Block, Draft, Note
from slipway.data.parsing.html import parse_html
from slipway.data.parsing.markdown import parse_plain
from slipway.data.reasons import NO_ENDING, Refused

Read = Callable[[bytes, str], tuple[list[Draft], list[Note]]]

_MOST_ATTACHMENTS, _DEEPEST = 100, 3
_SHOWN = ("From", "To", "Cc", "Date")
_BROKEN = (LookupError, ValueError, TypeError, AttributeError, AssertionError)  # what headers and charsets raise
_START = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\r\n]{1,500}\r?\n")


def parse_mail(data: bytes, read: Read) -> tuple[list[Draft], list[Note]]:
    """A message and its attachments, named `/NAME`. `read` parses an attachment; what cannot be read is noted."""
    return _message(email.message_from_bytes(data, policy=email.policy.default), read, "", 0)  # pyright: ignore[reportArgumentType]


def parse_mbox(data: bytes, read: Read) -> tuple[list[Draft], list[Note]]:
    """The messages of a mailbox, named by their number from 1, with their attachments below. Raises Refused."""
    starts = [found.span() for found in _START.finditer(data)]
    if not starts:
        raise Refused("corrupt", "no line begins with 'From ': it is no mailbox")
    drafts: list[Draft] = []
    notes: list[Note] = []
    ends = [start for start, _ in starts[1:]] + [len(data)]
    for number, ((_, begin), end) in enumerate(zip(starts, ends, strict=True), 1):
        raw = re.sub(rb"(?m)^>(>*From )", rb"\1", data[begin:end])
        message = email.message_from_bytes(raw, policy=email.policy.default)
        made, more = _message(message, read, f"/{number}", 0)  # pyright: ignore[reportArgumentType]
        drafts += made
        notes += more
    return drafts, notes


def _message(message: EmailMessage, read: Read, name: str, depth: int) -> tuple[list[Draft], list[Note]]:
    subject = _header(message, "Subject")
    lines = [f"{key}: {value}" for key in _SHOWN if (value := _header(message, key))]
    body = _body(message)
    blocks = [Block("heading", subject, 1)] if subject else []
    blocks += [Block("text", "\n".join(lines))] if lines else []
    meta: dict[str, Any] = {key.lower(): _header(message, key) for key in ("From", "Date") if _header(message, key)}
    draft = Draft(blocks=blocks + _lower(body), title=subject, name=name, meta=meta)
    drafts, notes = [draft] if body or lines else [], []
    names: set[str] = set()
    for number, part in enumerate(_attachments(message), 1):
        if number > _MOST_ATTACHMENTS:
            detail = f"more than {_MOST_ATTACHMENTS} attachments"
            notes.append(Note("parse", "dropped", "too-large", detail, f"{name}/attachment-{number}"))
            break
        shown = (_file_name(part) or f"attachment-{number}").replace("/", "_").replace("#", "_")[:150]
        shown = shown if shown not in names else f"{number}-{shown}"
        names.add(shown)
        made, more = _attachment(part, read, f"{name}/{shown}", depth)
        drafts += made
        notes += more
    return drafts, notes


def _attachment(part: Any, read: Read, name: str, depth: int) -> tuple[list[Draft], list[Note]]:
    try:
        if part.get_content_type() == "message/rfc822":
            if depth >= _DEEPEST:
                raise Refused("too-deep", f"more than {_DEEPEST} messages within each other")
            within = part.get_payload(0)
            return _message(within, read, name, depth + 1)
        kind = media.media_type(name)
        if kind is None or kind in (media.MAIL, media.MBOX):
            raise Refused("unsupported-type", "." + name.rsplit(".", 1)[-1][:20] if "." in name else NO_ENDING)
        drafts, notes = read(part.get_payload(decode=True) or b"", kind)
    except Refused as refused:
        return [], [Note("parse", "dropped", refused.reason, refused.detail, name)]
    except _BROKEN as error:
        return [], [Note("parse", "dropped", "corrupt", str(error)[:200], name)]
    for draft in drafts:
        draft.name = name + draft.name
    return drafts, [Note(n.step, n.action, n.reason, n.detail, name + n.item) for n in notes]


def _attachments(message: EmailMessage) -> Iterator[Any]:
    """Parts that are files; the texts of the message itself are not."""
    waiting: list[Any] = [message]
    while waiting:
        part = waiting.pop()
        if part is not message and (part.get_content_type() == "message/rfc822" or _file_name(part)):
            yield part
        elif part.is_multipart():
            waiting += reversed(part.get_payload())


def _body(message: EmailMessage) -> list[Block]:
    """The text of the message: plain where there is any, else HTML. A plain part that is blank says nothing."""
    return _part(message, "plain") or _part(message, "html")


def _part(message: EmailMessage, kind: str) -> list[Block]:
    try:
        part = message.get_body(preferencelist=(kind,))
    except _BROKEN:
        return []
    if part is None or _file_name(part):
        return []
    try:
        text = str(part.get_content())
    except _BROKEN:  # a charset that nobody knows
        raw = part.get_payload(decode=True)
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""
    draft = parse_html(text, boilerplate=False) if part.get_content_type() == "text/html" else parse_plain(text)
    return draft.blocks


def _lower(blocks: list[Block]) -> list[Block]:
    """Headings of the body stand below the subject."""
    return [Block(b.kind, b.text, min(6, b.level + 1) if b.kind == "heading" else 0) for b in blocks]


def _header(message: EmailMessage, name: str) -> str:
    try:
        value = str(message.get(name) or "")
    except (*_BROKEN, RecursionError):
        return ""
    return " ".join(value.encode("utf-8", "replace").decode().split())[:1000]


def _file_name(part: Any) -> str:
    try:
        return str(part.get_filename() or "").strip()
    except _BROKEN:
        return ""
