"""The prompt of a request that was answered, made again of what was kept: the candidate, the question, the passages.

It is what the model read where the candidate asks its model once, with examples that are the same for every input.
"""

from __future__ import annotations

from slipway.core.candidate import Candidate
from slipway.core.message import Message
from slipway.core.trace import Trace
from slipway.errors import SlipwayError
from slipway.loop.context import Context
from slipway.plugins import reporting
from slipway.runtime.prompt import build_messages
from slipway.text.language import of_short_text

ONCE = ("direct",)
"""Strategies that ask the model once, with the template and the passages."""


def conversation(trace: Trace) -> list[tuple[str, str]]:
    """(role, text) of what a task is asked with: a caller's own system text is not applied to a release."""
    return [(role or "user", text) for role, text in trace.turns if role in ("user", "assistant", "")]


def prompt_of(context: Context, trace: Trace) -> tuple[Message, ...]:
    """The messages that the model read; nothing where that cannot be told any more."""
    try:
        release = context.store.catalog.release(trace.release) if trace.release else None
        if release is None:
            return ()
        candidate = context.store.catalog.get("candidate", release.candidate.digest, Candidate)
        nearest = candidate.few_shot is not None and candidate.few_shot.choose == "nearest"
        if not candidate.prompt or candidate.strategy not in ONCE or nearest:
            return ()
        with reporting("tasks", candidate.task):
            task = context.session.task(candidate)
            said = [{"role": role, "content": text} for role, text in conversation(trace)]
            input = task.input(task.conversation(said))
            language = of_short_text(task.text(input))
        examples = candidate.few_shot.examples[: candidate.few_shot.k] if candidate.few_shot else ()
        passages = trace.answer.citations if trace.answer else ()
        return build_messages(candidate.prompt, candidate.system, input, passages, examples, language, task)
    except SlipwayError:  # forgotten, of another version, a task that changed
        return ()
