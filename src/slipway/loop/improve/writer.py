"""Prompts written by a language model: who is asked, from which mistakes, and what became of each answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import ClassVar, NamedTuple

import msgspec

from slipway.core.candidate import ModelPin
from slipway.core.message import Completion, GenerateRequest, Message, Sampling
from slipway.core.protocols import Engine
from slipway.core.ref import digest_of
from slipway.errors import ConfigError, EngineError
from slipway.i18n import t
from slipway.loop.improve.recipes import Miss, Recipe, Situation, changed, recipe
from slipway.loop.improve.record import Draft, Turn
from slipway.loop.improve.search import Spending
from slipway.loop.improve.written import Template, conversation, fault, instruction_in
from slipway.loop.model_lock import pin_models
from slipway.loop.state import Loop
from slipway.privacy import secrets
from slipway.privacy.redact import Redactor
from slipway.privacy.secrets import Own
from slipway.runtime.cost import make_cost
from slipway.runtime.prompt import check_template
from slipway.runtime.session import Session
from slipway.runtime.working import complete

DRAFTS = 4  # instructions that are asked for in a turn
MISTAKES = 4  # that each of them is written from
BEFORE = 3  # instructions of earlier turns that the writer sees, with their scores
MOST_KEPT = 4000  # characters of a draft in the record
_PATIENCE = 5  # times what an answer may take: an instruction is longer, and it is thought about
_MEMORY = "written"  # in the memory of the catalog, by model, request and code
_SAMPLING = Sampling(temperature=0.7, top_p=0.95, max_tokens=500)


class Written:
    """A new instruction for the prompt of what serves, or of the first candidate that has one, from its mistakes.

    Rows of feedback are not shown to the writer: nobody outside may have a say in the prompt by way of a model.
    `model`: of the project, empty for the candidate's own; `turn`: where all that was written is recorded; `before`:
    instructions of earlier turns with their scores, the worst first.
    """

    name: ClassVar[str] = "written"

    def __init__(self, writer: Writer, model: str, turn: Turn, before: Sequence[tuple[str, float]]) -> None:
        self._writer, self._model, self._turn, self._before = writer, model, turn, before[-BEFORE:]

    def propose(self, situation: Situation) -> Iterable[Recipe]:
        """Those drafts that have no fault. A model that does not answer is a note of the turn."""
        asking = [(n, c, c.prompt) for n, c in situation.parents.items() if c.prompt is not None]
        parent = next(((n, c, p) for n, c, p in asking if c.model is not None), None)
        misses = [one for one in situation.misses() if not one.heard] if parent else []
        if parent is None or not misses:
            return
        name, config, path = parent
        model, template = self._model or config.model or "", Template.of(situation.prompt(path))
        shown = [_some(misses, nth) for nth in range(DRAFTS)]
        asked = [conversation(template, self._hidden(one), self._before, self._turn.metric) for one in shown]
        wrote = self._writer.write(model, asked, own=model == config.model)
        if wrote.trouble:
            told = t("{model} wrote {n} of {all} prompts: {why}", model=model, n=len(wrote.answers), all=len(asked),
                     why=wrote.trouble)  # fmt: skip
            self._turn.notes.append(told)
        tried = [text for text, _ in self._before]
        for some, one in zip(shown, wrote.answers, strict=False):
            text = instruction_in(one)
            prompt = template.with_instruction(text)
            why = fault(one, template, some, tried, self._writer.clean, situation.labels) or self._writer.check(prompt)
            draft = Draft(
                parent=name, model=wrote.model, examples=[miss.example for miss in some],
                instruction=self._writer.clean(text[:MOST_KEPT]), why=why,
            )  # fmt: skip
            self._turn.drafts.append(draft)
            if not why:
                tried.append(text)
                change = t("an instruction that {model} wrote", model=model)
                found = recipe(name, self.name, change, changed(config), prompt)
                draft.recipe = found.name
                yield found

    def _hidden(self, misses: Sequence[Miss]) -> list[Miss]:
        """Without secrets and personal data."""
        clean = self._writer.clean
        return [Miss(clean(m.text), [clean(e) for e in m.expected], clean(m.answer), m.score) for m in misses]


def _some(misses: Sequence[Miss], nth: int) -> list[Miss]:
    """The mistakes of one draft: the next ones in turn, so that drafts are written from different ones."""
    first = nth * MISTAKES % len(misses)
    return list(misses[first : first + MISTAKES]) or list(misses[:MISTAKES])


class Wrote(NamedTuple):
    """Who answered, and the answers in order: fewer than were asked for where the budget ended, or where there was
    `trouble`.
    """

    model: ModelPin
    answers: list[Completion]
    trouble: str


class Writer:
    """Asks the model that writes. What it wrote is remembered, so that a turn that was killed asks nothing again."""

    def __init__(self, loop: Loop, spending: Spending, seed: int) -> None:
        self._loop, self._spending, self._seed = loop, spending, seed
        own = Own(secrets.of_environment())
        own.learn(loop.context.secrets)
        self.clean = Redactor("mask", own).text

    def write(self, model: str, asked: Sequence[tuple[Message, ...]], *, own: bool = False) -> Wrote:
        """What a model of the project answers. `own`: it is the candidate's, which is loaded; another one is loaded for
        this alone, so that its memory is free again. Raises SlipwayError for one that cannot be fetched.
        """
        context, project = self._loop.context, self._loop.project
        only = project.model_copy(update={"models": {model: project.models[model]}})
        (pin,) = pin_models(only, context.root, context.lock_file, context.listener.progress, context.plugins).values()
        code = [context.code.of("slipway.loop.improve.writer"), context.plugins.code("engines", pin.engine)]
        requests = [
            GenerateRequest(messages=one, sampling=msgspec.structs.replace(_SAMPLING, seed=self._seed + nth))
            for nth, one in enumerate(asked)
        ]
        keys = [digest_of([msgspec.structs.replace(pin, name=""), one, code]) for one in requests]
        known = context.store.catalog.recall(_MEMORY, keys)
        missing = {key: request for key, request in zip(keys, requests, strict=True) if key not in known}
        trouble = ""
        try:
            context.wait(self._ask(pin, missing, own))
        except EngineError as error:
            trouble = error.message
        known |= context.store.catalog.recall(_MEMORY, missing)
        held = takewhile(known.__contains__, keys)
        return Wrote(pin, [msgspec.json.decode(known[key], type=Completion) for key in held], trouble)

    def check(self, prompt: str) -> str:
        """Why a prompt is no template; empty where it is one."""
        try:
            check_template(prompt, Written.name, self._loop.context.task)
        except ConfigError as error:
            return error.message
        return ""

    async def _ask(self, pin: ModelPin, missing: dict[str, GenerateRequest], own: bool) -> None:
        if not missing:
            return
        context, cost = self._loop.context, make_cost(self._loop.project, self._loop.context.rate_of)
        session = context.session
        if not own:
            session = Session(context.store, context.locate, cost, context.tell, context.plugins)
        progress = self._loop.progress(f"write:{pin.name}")
        try:
            engine = await session.engine(pin)
            for nth, (key, request) in enumerate(missing.items(), 1):
                if not self._spending.affords(0.0, 0.0):
                    return
                began = time.monotonic()
                made = await self._completed(engine, request)
                seconds = time.monotonic() - began
                self._spending.pay(cost(pin, made.usage, seconds)[0], seconds)
                context.store.catalog.remember(_MEMORY, {key: msgspec.json.encode(made)})
                progress(nth, len(missing))
        finally:
            if not own:
                await session.close()

    async def _completed(self, engine: Engine, request: GenerateRequest) -> Completion:
        timeout = _PATIENCE * self._loop.project.evaluate.timeout
        try:
            async with asyncio.timeout(timeout):
                return await complete(engine, request)
        except TimeoutError:
            raise EngineError(t("no answer within {n:g} s", n=timeout), t("let evaluate.timeout be longer")) from None
