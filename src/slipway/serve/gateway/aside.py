"""Answers for people who look at the service, beside those for its users: one slot, the same deadline, no trace.

A user never waits for one: it is refused while every slot is taken. Knows no HTTP and keeps nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter

from slipway.core.answer import Answer
from slipway.core.candidate import Candidate
from slipway.i18n import t
from slipway.plugins import reporting
from slipway.runtime import respond as runtime
from slipway.runtime.session import Session
from slipway.serve.gateway.concurrency import Slots, late
from slipway.serve.refuse import Refused, draining


class Aside:
    """`ended`: whether the server shuts down. Belongs to the server's event loop."""

    def __init__(self, session: Session, slots: Slots, deadline: float, ended: Callable[[], bool]) -> None:
        self._session = session
        self._slots = slots
        self._deadline = deadline
        self._ended = ended

    async def ask(
        self, candidate: Candidate, turns: Sequence[tuple[str, str]], spent: runtime.Spent | None = None
    ) -> Answer:
        """What a candidate says to a conversation, (role, text) each; its model is loaded where it is not. `spent` is
        told what it takes, and what its model is asked.

        Raises Refused: 429 while users' requests take every slot, 503 at the end, 504 after the deadline; and whatever
        else keeps the candidate from answering, as a SlipwayError.
        """
        if self._ended():
            raise draining()
        if self._slots.running >= self._slots.parallel:
            raise Refused(
                429,
                t("the server is busy: {n} requests of users are being answered", n=self._slots.running),
                t("try again after {s} s", s=self._slots.retry_after),
                code="queue_full",
                retry_after=self._slots.retry_after,
            )
        await self._slots.take()
        taken = perf_counter()
        try:
            async with asyncio.timeout(self._deadline):
                with reporting("tasks", candidate.task):
                    said = [{"role": role or "user", "content": text} for role, text in turns]
                    input = self._session.task(candidate).conversation(said)
                return await runtime.answer(candidate, input, self._session, spent=spent)
        except TimeoutError as error:
            raise late(self._deadline) from error
        finally:
            self._slots.give(perf_counter() - taken)
