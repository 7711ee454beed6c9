"""Asking candidates from the console: a question that was asked before, again, and any question of several at once.

Both run in the server, within its slots and its deadline, and are refused while users take them all. What is asked here
is no traffic. In the playground the answer that a person prefers is kept, as what it is: a question, its answers, and
a score of 1 for the preferred and 0 for the others, of which `feedback mine` makes pairs.
"""

from __future__ import annotations

import secrets
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import SystemRandom
from time import monotonic
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from slipway import api
from slipway.console import filters, page, trace_views
from slipway.console.page import ROOT
from slipway.console.visit import Pages
from slipway.core.answer import Answer
from slipway.core.asked import ModelCall
from slipway.core.candidate import Candidate
from slipway.core.trace import PLAYGROUND, Feedback, Trace
from slipway.errors import ConfigError, NotFound, SlipwayError
from slipway.i18n import t, told
from slipway.loop.prompts import conversation
from slipway.render import html
from slipway.render.cells import duration, price
from slipway.render.document import Column, Document, Part, Passage, Section, Table
from slipway.render.pages.whole import said
from slipway.runtime.working import Spent
from slipway.serve.admin.access import needs
from slipway.serve.auth.caller import Caller
from slipway.serve.recording.model_calls import whole
from slipway.serve.refuse import Refused, refusal
from slipway.store.catalog import now

MOST = 4  # candidates asked at once
LONGEST = 20_000  # characters of a question
_KEPT = 200  # questions whose answers wait for a choice
_SECONDS = 3600.0
Listed = Annotated[dict[str, str], Depends(filters.given)]


@dataclass
class Side:
    """One candidate's answer; or why there is none."""

    candidate: Candidate
    answer: Answer | None = None
    trouble: str = ""
    calls: tuple[ModelCall, ...] = ()


@dataclass
class Asked:
    """A question of the playground and what was answered, in the order shown. `chosen`: None until somebody chose;
    -1: none is good.
    """

    text: str
    sides: list[Side]
    blind: bool
    key: str
    at: float = field(default_factory=monotonic)
    chosen: int | None = None


def answers(pages: Pages) -> APIRouter:
    """Every route needs `ask`, for it costs what asking costs; those that show what others asked, `read` as well."""
    router, waiting = APIRouter(prefix=ROOT), _Waiting()

    @router.post("/traces/{id}/replay")
    async def replay(
        id: str, request: Request, caller: Annotated[Caller, needs("read")], listed: Listed, before: str = ""
    ) -> Response:
        caller.require("ask")
        given = await pages.form(request)
        found, _ = await run_in_threadpool(api.trace, pages.project, id)
        candidate = await run_in_threadpool(_candidate, pages, given.get("candidate", ""))
        if not found.asked:
            raise ConfigError(
                t("what was asked was not kept, so it cannot be asked again"), t("serve.bodies says what share is kept")
            )
        turns = conversation(found)
        side = (await _ask(pages, [candidate], turns))[0]
        then = Side(candidate, found.answer, page_error(found))
        columns = [
            column(t("As it was answered"), then, [f"{found.at[:19]} {found.channel}"]),
            column(t("By {name} now", name=candidate.name), side, [candidate.digest[:12]]),
        ]
        asked = Document(None, [Section(role, [Passage(text, whole=True)]) for role, text in turns])
        where = filters.query(listed, before)
        back = page.around(("up", f"{ROOT}/traces/{found.id}{where}", t("back to the trace")))
        above = back + page.notice(t("Nothing of this was kept: it is no traffic."))
        again = await run_in_threadpool(replay_form, pages, found, where)
        body = html.body(asked) + beside(columns)
        return pages.page(request, t("The same question, asked again"), body, above, again)

    @router.get("/playground", dependencies=[needs("ask")])
    def playground(request: Request) -> Response:
        text = t(
            "The same question to several candidates. What you prefer is kept as a preference, of which "
            "`slipway feedback mine` makes rows to train on."
        )
        return pages.page(request, t("Playground"), Document(None, [text]), after=_question(pages))

    @router.post("/playground")
    async def ask(request: Request, caller: Annotated[Caller, needs("ask")]) -> Response:
        given = await pages.fields(request)
        question = (given.get("text") or [""])[0].strip()
        named = list(dict.fromkeys(given.get("candidate", [])))
        if not question or len(question) > LONGEST:
            raise Refused(400, t("ask something of at most {n} characters", n=LONGEST))
        if not 1 <= len(named) <= MOST:
            raise Refused(400, t("choose one to {n} candidates", n=MOST))
        chosen = [await run_in_threadpool(_candidate, pages, digest) for digest in named]
        SystemRandom().shuffle(chosen)
        sides = await _ask(pages, chosen, [("user", question)])
        token = waiting.put(Asked(question, sides, "blind" in given, caller.key))
        return RedirectResponse(f"{ROOT}/playground/{token}", 303, page.HEADERS)

    @router.get("/playground/{token}")
    def answered(token: str, request: Request, caller: Annotated[Caller, needs("ask")]) -> Response:
        found = waiting.get(token, caller.key)
        hidden = found.blind and found.chosen is None
        columns = [column(_title(n, side, hidden), side, [], plain=hidden) for n, side in enumerate(found.sides)]
        asked = html.body(Document(None, [Section(t("question"), [Passage(found.text, whole=True)])]))
        below = _choice(token, found) + html.body(Document(None, [_cost(found, hidden)]))
        return pages.page(request, t("Playground"), asked + beside(columns), after=below + _question(pages, found))

    @router.post("/playground/{token}")
    async def choose(token: str, request: Request, caller: Annotated[Caller, needs("ask")]) -> Response:
        given, found = await pages.form(request), waiting.get(token, caller.key)
        best = given.get("best", "")
        if found.chosen is not None or best not in ("none", *map(str, range(len(found.sides)))):
            raise Refused(400, t("nothing can be chosen here"), t("ask again in the playground"))
        found.chosen = -1 if best == "none" else int(best)
        await _keep(pages, found, caller)
        return RedirectResponse(f"{ROOT}/playground/{token}", 303, page.HEADERS)

    _ = replay, playground, ask, answered, choose
    return router


class _Waiting:
    """Answers that nobody has chosen of yet: so many, for so long, each for the key that asked."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Asked] = OrderedDict()

    def put(self, asked: Asked) -> str:
        self._clear(_KEPT - 1)
        token = secrets.token_hex(16)
        self._held[token] = asked
        return token

    def get(self, token: str, key: str) -> Asked:
        self._clear(_KEPT)
        found = self._held.get(token)
        if found is None or found.key != key:
            raise NotFound(t("these answers are not kept any more"), t("ask again in the playground"))
        return found

    def _clear(self, most: int) -> None:
        while self._held:
            first = next(iter(self._held))
            if len(self._held) <= most and self._held[first].at > monotonic() - _SECONDS:
                return
            del self._held[first]


async def _ask(pages: Pages, candidates: Sequence[Candidate], turns: Sequence[tuple[str, str]]) -> list[Side]:
    """One after the other, so that none slows down another. Raises Refused where users take every slot."""
    found = list[Side]()
    for one in candidates:
        try:
            spent = Spent()
            answer = await pages.server.aside.ask(one, turns, spent)
            found.append(Side(one, answer, calls=whole(spent.calls.of(one, answer))))
        except Refused as error:
            if error.status == 429 and not found:
                raise
            found.append(Side(one, trouble=error.message))
        except SlipwayError as error:
            found.append(Side(one, trouble=refusal(error).message))
    return found


async def _keep(pages: Pages, asked: Asked, caller: Caller) -> None:
    """Each answer as a trace and a score on it. An answer that reads like the preferred one is left out."""
    best = "" if asked.chosen == -1 else _text(asked.sides[asked.chosen or 0])
    every = await run_in_threadpool(api.releases, pages.project)
    releases = {one.candidate.digest: one.digest for _, one, _ in every}
    for n, side in enumerate(asked.sides):
        if side.answer is None or side.answer.error or (n != asked.chosen and _text(side) == best):
            continue
        trace = Trace(
            id=uuid.uuid4().hex, at=now(), endpoint=f"{ROOT}/playground", channel=PLAYGROUND,
            release=releases.get(side.candidate.digest, ""), status=200,
            request={"messages": [{"role": "user", "content": asked.text}]}, answer=side.answer,
            seconds=side.answer.seconds, key=caller.key, tenant=caller.tenant, calls=side.calls,
        )  # fmt: skip
        score = 1.0 if n == asked.chosen else 0.0
        await pages.server.recorder.write(trace)
        await pages.server.recorder.write(
            Feedback(id=uuid.uuid4().hex, trace=trace.id, at=now(), score=score, by=caller.key)
        )


def _text(side: Side) -> str:
    return " ".join(side.answer.text.split()) if side.answer else ""


# what is shown -------------------------------------------------------------------------------------------------------


def replay_form(pages: Pages, found: Trace, asked: str) -> str:
    """Asks the question of a trace again; nothing where it holds none. `asked`: the filter of the list it stood in."""
    known = _candidates(pages)
    if not known or not found.asked:
        return ""
    choice = page.choice("candidate", t("Candidate"), [(one.digest, _label(one)) for one in known])
    return page.form(f"{ROOT}/traces/{found.id}/replay{asked}", t("Ask it again"), choice, method="post")


def page_error(found: Trace) -> str:
    """Why a trace has no answer."""
    return told(found.error) if found.answer is None else ""


def _question(pages: Pages, asked: Asked | None = None) -> str:
    known = _candidates(pages)
    if not known:
        return page.notice(t("There is no candidate yet: `slipway run adapt` makes them."), "bad")
    before = {side.candidate.digest for side in asked.sides} if asked else {one.digest for one in known[:2]}
    boxes = "".join(
        page.box("candidate", one.digest, _label(one), checked=one.digest in before) for one in known[:40]
    )  # fmt: skip
    return page.form(
        f"{ROOT}/playground",
        t("Ask"),
        page.area("text", t("Question"), asked.text if asked else ""),
        page.group(t("Candidates"), boxes),
        page.box("blind", "yes", t("hide the names until one is chosen"), checked=asked is None or asked.blind),
        method="post",
    )


def _choice(token: str, found: Asked) -> str:
    if found.chosen is not None:
        chosen = t("none of them") if found.chosen == -1 else found.sides[found.chosen].candidate.name
        return page.notice(t("Kept: preferred is {name}.", name=chosen))
    if len(found.sides) < 2:
        return ""
    buttons = "".join(
        page.button("best", str(n), t("{letter} is better", letter=_letter(n)))
        for n, side in enumerate(found.sides)
        if side.answer
    )
    none = page.button("best", "none", t("none is good"))
    return f'<form method="post" action="{ROOT}/playground/{page.line(token)}">{buttons}{none}</form>'


def _cost(found: Asked, hidden: bool) -> Table:
    """What each took; not before the choice, where it would tell which is which."""
    columns = [Column(t("candidate")), Column(t("seconds"), "seconds"), Column(t("tokens read and written")),
               Column(t("cost"))]  # fmt: skip
    rows = [
        [side.candidate.name, side.answer.seconds, f"{side.answer.usage.prompt_tokens} + "
         f"{side.answer.usage.completion_tokens}", price(side.answer.cost, side.answer.currency)]
        for side in found.sides
        if side.answer and not hidden
    ]  # fmt: skip
    return Table(t("What it took"), columns, rows, [t("shown after the choice")] if hidden else [])


def _title(n: int, side: Side, hidden: bool) -> str:
    return _letter(n) if hidden else f"{_letter(n)}: {side.candidate.name}"


def _letter(n: int) -> str:
    return "ABCDEFGH"[n]


def column(title: str, side: Side, lines: Sequence[str], *, plain: bool = False) -> str:
    """One answer under its title. `plain`: nothing but what it says, which is all that may decide."""
    parts: list[Part] = list(lines)
    if side.answer is None:
        parts.append(side.trouble or t("there was no answer"))
    elif plain:
        parts.append(Passage(said(side.answer), whole=True))
    else:
        parts += trace_views.answer(side.answer, 3)
        facts = [row for row in trace_views.facts_of(side.answer) if row[1]]
        rows = [[t("time taken"), duration(side.answer.seconds)], *facts]
        parts.append(Table(f"{title}: {t('Facts')}", [Column(t("field")), Column(t("value"))], rows))
    return html.body(Document(None, [Section(title, parts)]))


def beside(columns: Sequence[str]) -> str:
    """Columns of a page, below each other where it is narrow."""
    return f'<div class="sides">{"".join(f"<div>{one}</div>" for one in columns)}</div>'


# which candidates ----------------------------------------------------------------------------------------------------


def _candidates(pages: Pages) -> list[Candidate]:
    """The newest of each name, and what serves."""
    catalog = pages.project.store.catalog
    found = dict[str, Candidate]()
    for _, one in catalog.list("candidate", Candidate):
        if one.name not in {known.name for known in found.values()}:
            found[one.digest] = one
    for digest in catalog.channels().values():
        try:
            release = catalog.release(digest)
            serving = catalog.get("candidate", release.candidate.digest, Candidate)
        except NotFound:
            continue  # taken out by `slipway data forget`
        found.setdefault(serving.digest, serving)
    return sorted(found.values(), key=lambda one: one.name)


def _candidate(pages: Pages, digest: str) -> Candidate:
    if len(digest) != 64:
        raise Refused(400, t("choose a candidate of the list"))
    return pages.project.store.catalog.get("candidate", digest, Candidate)


def _label(one: Candidate) -> str:
    return f"{one.name} {one.digest[:12]}"
