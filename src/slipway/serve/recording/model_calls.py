"""In which of two forms a trace keeps what was sent to the model.

A prompt is kept as what it was filled with, and the digest of what it became: its texts stand in the trace and in the
candidate already. Where something in the trace is redacted, that would no longer give what was sent: then the messages
themselves are kept, redacted like all else.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from slipway.core.asked import ModelCall
from slipway.core.ref import digest_of
from slipway.core.trace import Trace


def as_kept(trace: Trace, clean: Callable[[Trace], Trace]) -> Trace:
    """`clean`: makes of a trace what may be kept of it."""
    if not any(call.filled for call in trace.calls):
        return clean(trace)
    short = msgspec.structs.replace(trace, calls=tuple(map(_short, trace.calls)))
    found = clean(short)
    if not found.calls or (found.request, found.answer) == (short.request, short.answer):
        return found
    return clean(msgspec.structs.replace(trace, calls=whole(trace.calls)))


def whole(calls: tuple[ModelCall, ...]) -> tuple[ModelCall, ...]:
    """Calls that were just made, with all their messages."""
    return tuple(msgspec.structs.replace(call, filled=None) if call.filled else call for call in calls)


def _short(call: ModelCall) -> ModelCall:
    if call.filled is None:
        return call
    made, more = call.messages[: call.filled.messages], call.messages[call.filled.messages :]
    return msgspec.structs.replace(
        call, filled=msgspec.structs.replace(call.filled, digest=digest_of(made)), messages=more
    )
