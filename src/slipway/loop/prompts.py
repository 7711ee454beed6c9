"""What was sent to the model for a request, made again of what was kept: the candidate, the question, the passages.

A trace keeps how the candidate's prompt was filled and the digest of what it became (`core.asked`). What is made again
is shown only if it has that digest: a prompt that was not sent is never shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from slipway.core.asked import Filled, ModelCall
from slipway.core.candidate import Candidate
from slipway.core.message import Message
from slipway.core.ref import digest_of
from slipway.core.trace import Trace
from slipway.errors import SlipwayError
from slipway.i18n import t
from slipway.loop.context import Context
from slipway.plugins import reporting
from slipway.runtime.prompt import build_messages
from slipway.text.language import of_short_text


class Sent(NamedTuple):
    """One request to a model. `messages`: those that the call it continues (`call.after`) does not have; `lost`: why
    those of the prompt cannot be told any more.
    """

    call: ModelCall
    messages: tuple[Message, ...]
    lost: str = ""


def conversation(trace: Trace) -> list[tuple[str, str]]:
    """(role, text) of what a task is asked with: a caller's own system text is not applied to a release."""
    return [(role or "user", text) for role, text in trace.turns if role in ("user", "assistant", "")]


def candidate_of(context: Context, trace: Trace) -> Candidate | None:
    """Who answered; None for a raw model, and where its record is gone."""
    try:
        release = context.store.catalog.release(trace.release) if trace.release else None
        return release and context.store.catalog.get("candidate", release.candidate.digest, Candidate)
    except SlipwayError:
        return None


def sent(context: Context, trace: Trace, candidate: Candidate | None) -> list[Sent]:
    """Each request to the model, in order. `candidate`: who answered."""
    return list(_sent(context, trace, candidate))


def _sent(context: Context, trace: Trace, candidate: Candidate | None) -> Iterator[Sent]:
    for call in trace.calls:
        if call.filled is None:
            yield Sent(call, call.messages)
            continue
        if candidate is None:
            yield Sent(call, call.messages, t("the release that answered is not kept any more"))
            continue
        try:
            made = _made(context, trace, candidate, call.filled)
        except (SlipwayError, LookupError, TypeError, ValueError):  # of another version, or a task that changed
            made = ()
        if digest_of(made) == call.filled.digest:
            yield Sent(call, (*made, *call.messages))
        else:
            yield Sent(call, call.messages, t("what was kept does not give what was sent any more"))


def _made(context: Context, trace: Trace, candidate: Candidate, filled: Filled) -> tuple[Message, ...]:
    with reporting("tasks", candidate.task):
        task = context.session.task(candidate)
        said = [{"role": role, "content": text} for role, text in conversation(trace)]
        input = filled.input or task.input(task.conversation(said))
        language = filled.language or of_short_text(task.text(input))
    pool = candidate.few_shot.examples if candidate.few_shot else ()
    cited = trace.answer.citations if trace.answer else ()
    passages, examples = [cited[n] for n in filled.passages], [pool[n] for n in filled.examples]
    return build_messages(candidate.prompt, candidate.system, input, passages, examples, language, task)
