"""Which grammars a child has compiled, which it must not meet again, and whose turn it is to be compiled next.

A new grammar holds up everyone who is being answered, so new ones come one at a time, and between two of them the
child has time for others. Knows nothing of grammars but their digests.
"""

from __future__ import annotations

import asyncio
import time

from slipway.builtin.engines.checks import refuse
from slipway.errors import EngineError
from slipway.i18n import t

KNOWN = 1000
FREE_SECONDS = 0.3  # of compiling, that no one has to wait for
SHARE = 3.0  # times as long as a grammar took, no one may bring another
LONGEST_PAUSE = 20.0
PATIENCE_SECONDS = 30.0  # that a new grammar waits for its turn


class Compiling:
    """One for each child. A restarted one knows no grammar: `pid` says which is meant. `bad`: shared by an engine's."""

    def __init__(self, bad: dict[str, str] | None = None) -> None:
        self.lock = asyncio.Lock()
        self.next = 0.0  # when the next new one may come
        self.bad = {} if bad is None else bad
        self._good: dict[str, str] = {}
        self._pid: int | None = None

    async def turn(self, digest: str, pid: int | None) -> Turn:
        """Wait until this grammar may be brought to the child. Raises EngineError: 400 for one that was found bad, 503
        (retryable) when others would be first for too long.
        """
        self._refuse_bad(digest)
        if self.has(digest, pid):
            return Turn(self, digest, open=False)
        await self._wait()
        turn = Turn(self, digest, open=not self.has(digest, pid))
        if not turn.open:  # someone brought it meanwhile
            self.lock.release()
        elif digest in self.bad:
            turn.open = False
            self.lock.release()
            self._refuse_bad(digest)
        return turn

    def has(self, digest: str, pid: int | None) -> bool:
        """Whether this child has compiled it."""
        if pid != self._pid:
            self._pid = pid
            self._good.clear()
        return digest in self._good

    def remember(self, digest: str, why: str = "") -> None:
        """It works; or it does not, because `why`."""
        known = self.bad if why else self._good
        if len(known) >= KNOWN:
            known.clear()
        known[digest] = why

    def _refuse_bad(self, digest: str) -> None:
        if digest in self.bad:
            raise unenforceable(self.bad[digest])

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.lock.acquire()
                try:
                    await asyncio.sleep(max(0.0, self.next - time.monotonic()))
                except BaseException:
                    self.lock.release()
                    raise
        except TimeoutError:
            raise EngineError(
                t("too many new JSON schemas or lists of choices are waiting to be prepared"),
                t("try again later; one that was prepared before is answered at once"),
                retryable=True,
                status=503,
            ) from None


class Turn:
    """Of one grammar. While it is `open`, what befalls the child is this grammar's doing."""

    def __init__(self, compiling: Compiling, digest: str, *, open: bool) -> None:
        self._compiling = compiling
        self._digest = digest
        self._since = time.monotonic()
        self.open = open

    def begin(self) -> None:
        """It is sent to the child now."""
        self._since = time.monotonic()

    def done(self, seconds: float | None = None) -> None:
        """It was compiled, in so many seconds."""
        if self.open:
            self._compiling.remember(self._digest)
            self._end(time.monotonic() - self._since if seconds is None else seconds)

    def failed(self, why: str) -> EngineError:
        """The child could not compile it, or did not survive it: the error of its request, and of the next like it."""
        self._compiling.remember(self._digest, why)
        if self.open:  # the child was lost to it: however quickly that was, the next one must not follow at once
            self._end(LONGEST_PAUSE)
        return unenforceable(why)

    def close(self) -> None:
        """The request is over, whatever became of it. Idempotent."""
        if self.open:
            self._end(time.monotonic() - self._since)

    def _end(self, seconds: float) -> None:
        self.open = False
        if seconds > FREE_SECONDS:
            self._compiling.next = time.monotonic() + min(seconds * SHARE, LONGEST_PAUSE)
        self._compiling.lock.release()


def unenforceable(why: str) -> EngineError:
    """The error of a grammar that the engine cannot keep an answer to."""
    return refuse(
        t("the JSON schema or the choices cannot be enforced: {why}", why=why),
        t("use a simpler schema, smaller bounds, or fewer and shorter choices"),
    )
