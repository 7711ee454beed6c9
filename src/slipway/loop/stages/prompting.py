"""What a tuner trains on: the very messages that the candidate will be asked with, its passages and worked examples
among them. An example is never its own worked example, since its answer would stand in the prompt: another of the
nearest takes its place, and of fixed ones there is one less.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from slipway.core.candidate import Candidate
from slipway.core.material import Example
from slipway.core.message import Message
from slipway.loop.state import Loop
from slipway.runtime.session import Session
from slipway.runtime.working import AS_MEASURED, Spent, Working

_AT_ONCE = 4  # examples whose passages are looked for


class Prompts:
    """The prompts of one candidate, each made once. `examples`: those whose prompts are made together at the first one
    that is asked for.
    """

    def __init__(self, loop: Loop, step: str, candidate: Candidate, examples: Sequence[Example]) -> None:
        self._loop, self._step, self._examples = loop, step, examples
        shots = candidate.few_shot
        self._k = shots.k if shots else 0
        wider = msgspec.structs.replace(shots, k=shots.k + 1) if shots else None
        self._candidate = msgspec.structs.replace(candidate, few_shot=wider)
        self._made: dict[str, tuple[Message, ...]] = {}

    def of(self, example: Example) -> tuple[Message, ...]:
        """The messages for an example."""
        if example.id not in self._made:
            several = [one for one in self._examples if one.id not in self._made]
            todo = several if example.id in {one.id for one in several} else [example]
            self._loop.context.wait(self._make(todo))
        return self._made[example.id]

    async def _make(self, todo: Sequence[Example]) -> None:
        slots, done, session = asyncio.Semaphore(_AT_ONCE), 0, self._loop.context.session
        looked_for = self._candidate.retrieve is not None or self._candidate.few_shot is not None
        told = self._loop.progress(f"{self._step}:prompts")

        async def one(example: Example) -> None:
            nonlocal done
            async with slots:
                self._made[example.id] = await self._messages(example, session)
            done += 1
            if looked_for:
                told(done, len(todo))

        await asyncio.gather(*(one(example) for example in todo))

    async def _messages(self, example: Example, session: Session) -> tuple[Message, ...]:
        work = Working(self._candidate, example.input, session, AS_MEASURED, Spent())
        text = work.task.text(work.input)
        others = [shot for shot in await work.examples(text) if not _is(shot, example)]
        fixed = self._candidate.few_shot is not None and self._candidate.few_shot.choose == "fixed"
        shown = others[: self._k] if fixed else others[len(others) - min(self._k, len(others)) :]
        return tuple(work.request(await work.passages(text), shown).messages)


def _is(shot: Any, example: Example) -> bool:
    """Whether a worked example is this one."""
    return all(shot.get(key) == value for key, value in example.input.items())
