"""The pages of labelling. An annotator's key needs the scope `label`, and sees only what they said themselves; making
queues, adjudicating and writing rows needs `admin`, and how a queue stands `read`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, TypeVar

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from slipway import api
from slipway.api.labelling import Labelling
from slipway.console import filters, page, views
from slipway.console import label_forms as forms
from slipway.console.page import ROOT
from slipway.console.visit import Pages
from slipway.core.labelling import PICKS, Pick, Queue, Source, Value
from slipway.core.trace import Wanted
from slipway.errors import Overtaken
from slipway.i18n import t
from slipway.loop.labelling.room import Person, Plan, Work
from slipway.loop.labelling.values import criteria
from slipway.render.cells import Link
from slipway.render.document import Column, Document, Table
from slipway.render.pages import labelling as documents
from slipway.serve.admin.access import needs
from slipway.serve.auth.caller import Caller
from slipway.serve.refuse import Refused

AT = f"{ROOT}/labelling"
MOST = 200_000  # bytes of a form: a text as long as one may be that is trained on, in Chinese
T = TypeVar("T")
Annotator = Annotated[Caller, needs("label")]
Admin = Annotated[Caller, needs("admin")]


def labelling(pages: Pages) -> Sequence[APIRouter]:
    """The routers of all of it."""
    queues = api.labelling(pages.project)
    return _queues(pages, queues), _work(pages, queues), _settling(pages, queues)


def _person(caller: Caller) -> Person:
    return Person(caller.name, caller.key) if caller.key else Person.here()


async def _done(work: Callable[[], T]) -> T:
    """Work in a thread; what somebody else did in the meantime is a conflict, a catalog that is locked is not."""
    try:
        return await run_in_threadpool(work)
    except Overtaken as error:
        raise Refused(409, error.message, error.hint) from error


async def _said(
    pages: Pages, request: Request, queues: Labelling, name: str, id: str, keep: Callable[[Value, str], object]
) -> None:
    """Keep what the form of an item brings, with the judgement that it was made beside."""
    given = await pages.form(request, MOST)
    await _done(lambda: keep(forms.judged(queues.queue(name), queues.item(name, id), given), given.get("seen", "")))


def _to(path: str) -> Response:
    return RedirectResponse(path, 303, page.HEADERS)


def _queues(pages: Pages, queues: Labelling) -> APIRouter:
    """Which queues there are, how they stand, making one."""
    router = APIRouter(prefix=AT)

    @router.get("")
    def listed(request: Request, caller: Annotated[Caller, needs("label", "read")]) -> Response:
        found = [queues.standing(one.name, whole=False) for one in queues.queues()]
        labels = pages.may(request, "label")
        to = {one.queue.name: f"{AT}/{one.queue.name}{'/work' if labels else ''}" for one in found}
        rows = [[Link(one.queue.name, to[one.queue.name]), *documents.queue_cells(one)] for one in found]
        table = documents.queue_table(rows)
        if labels and pages.may(request, "read"):
            rows = [[*row, Link(t("status"), f"{AT}/{one.queue.name}")] for row, one in zip(rows, found, strict=True)]
            table = Table(table.title, [*table.columns, Column(t("status"))], rows)
        may = "admin" in caller.scopes
        form = forms.create((), f"bad-{datetime.now(UTC):%Y-%m-%d}") if may else ""
        return pages.page(request, t("Labelling"), Document(None, [table]), before=form)

    @router.post("")
    async def create(request: Request, caller: Admin) -> Response:
        plan = _plan(await pages.form(request))
        await _done(lambda: queues.create(plan, _person(caller).name))
        return _to(f"{AT}/{plan.name}")

    @router.get("/{name}", dependencies=[needs("read")])
    def status(request: Request, name: str) -> Response:
        found = queues.standing(name)
        may, links = pages.may(request, "admin"), list[str]()
        if pages.may(request, "label"):
            links.append(f'<a href="{AT}/{name}/work">{page.line(t("Label"))}</a>')
        if found.states["conflict"] and may:
            told = t("Adjudicate {n} items", n=found.states["conflict"])
            links.append(f'<a href="{AT}/{name}/conflicts">{page.line(told)}</a>')
        write = page.form(f"{AT}/{name}/write", t("Write rows to train on"), method="post") if may else ""
        before = f'<p class="around">{" ".join(links)}</p>' if links else ""
        return pages.page(request, name, documents.standing(found), before=before, after=write)

    @router.post("/{name}/write", dependencies=[needs("admin")])
    async def write(request: Request, name: str) -> Response:
        await pages.form(request)
        found = await _done(lambda: queues.make_rows(name))
        return pages.page(request, name, documents.written(found))

    _ = listed, create, status, write
    return router


def _plan(given: dict[str, str]) -> Plan:
    pick, source, kind = given.get("pick", "random"), given.get("source", "traces"), given.get("kind", "")
    since = given.get("since", "")
    if source not in ("traces", "examples", "documents") or (since and since not in _SPANS) or pick not in _CHOICES:
        raise Refused(400, t("such a queue is not known"), t("choose one of the list"))
    from_: Source = source  # pyright: ignore[reportAssignmentType]  # checked above
    return Plan(
        name=given.get("name", "").strip(), source=from_, kind=kind or None,  # pyright: ignore[reportArgumentType]  # `create` refuses others
        size=int(forms.number(given, "size", "50")), picks=_CHOICES[pick], share=forms.number(given, "share", "0.2"),
        annotators=int(forms.number(given, "annotators", "1")), blind=given.get("blind") == "yes",
        labels=tuple(one.strip() for one in given.get("labels", "").splitlines() if one.strip()),
        rubric=criteria(given.get("rubric", "").splitlines()), instructions=given.get("instructions", "")[:2000],
        wanted=Wanted(since=filters.since(since)),
    )  # fmt: skip


def _work(pages: Pages, queues: Labelling) -> APIRouter:
    """One item after the other, for one annotator."""
    router = APIRouter(prefix=AT)

    @router.get("/{name}/work")
    def work(request: Request, name: str, caller: Annotator) -> Response:
        found = queues.next(name, _person(caller))
        if found is None:
            told = page.notice(t("Nothing is left for you in this queue."))
            link = f'<p class="around"><a href="{AT}/{name}">{page.line(t("How it stands"))}</a></p>'
            return _shown(pages, request, queues.queue(name), told + (link if pages.may(request, "read") else ""))
        return _item(pages, request, found, _person(caller))

    @router.get("/{name}/items/{id}")
    def one(request: Request, name: str, id: str, caller: Annotator) -> Response:
        return _item(pages, request, queues.look(name, id, _person(caller)), _person(caller))

    @router.post("/{name}/items/{id}")
    async def judge(request: Request, name: str, id: str, caller: Annotator) -> Response:
        await _said(pages, request, queues, name, id, partial(queues.judge, name, id, _person(caller)))
        return _to(f"{AT}/{name}/work")

    @router.post("/{name}/undo")
    async def undo(request: Request, name: str, caller: Annotator) -> Response:
        await pages.form(request)
        last = await _done(lambda: queues.undo(name, _person(caller)))
        return _to(f"{AT}/{name}/items/{last.item}" if last else f"{AT}/{name}/work")

    _ = work, one, judge, undo
    return router


def _shown(
    pages: Pages, request: Request, queue: Queue, before: str, document: Document | str = "", after: str = ""
) -> Response:
    told = f"<p>{page.line(queue.instructions)}</p>" if queue.instructions else ""
    aside = f'<div class="aside">{forms.undo(queue.name)}</div>'
    return pages.page(
        request, queue.name, document, before=told + before, after=after + aside + page.script("labelling.js")
    )


def _item(pages: Pages, request: Request, work: Work, person: Person) -> Response:
    queue, item = work.queue, work.item
    flip = forms.flipped(item, person.id)
    document = documents.item(queue, item, shows_model=not queue.blind or work.reveal, flipped=flip)
    form = forms.judge(queue, item, f"{AT}/{queue.name}/items/{item.id}", work.mine, reveal=work.reveal, flip=flip)
    before = forms.stands(queue, work.mine, flip=flip) if work.mine else ""
    return _shown(pages, request, queue, before, document, form)


def _settling(pages: Pages, queues: Labelling) -> APIRouter:
    """Where annotators disagree, one person decides."""
    router = APIRouter(prefix=AT)

    @router.get("/{name}/conflicts", dependencies=[needs("admin")])
    def conflicts(request: Request, name: str, start: views.Start = 0) -> Response:
        queue = queues.queue(name)
        found, links = views.part(queues.conflicts(name), start, views.LISTED, f"{AT}/{name}/conflicts")
        rows = [
            [Link(item.text[:300] or t("(empty)"), f"{AT}/{name}/conflicts/{item.id}"),
             " / ".join(dict.fromkeys(documents.value(queue, one) for one in given))]
            for item, given in found
        ]  # fmt: skip
        columns = [Column(t("item"), "excerpt", 80), Column(t("said"), "excerpt", 120)]
        return pages.page(request, name, Document(None, [Table(t("In conflict"), columns, rows), *links]))

    @router.get("/{name}/conflicts/{id}", dependencies=[needs("admin")])
    def conflict(request: Request, name: str, id: str) -> Response:
        queue, item, given = queues.queue(name), queues.item(name, id), queues.judgements(name, id)
        settled = next((one for one in given if one.settles), None)
        told = documents.conflict(queue, [one for one in given if not one.settles])
        document = Document(None, [*documents.item(queue, item, shows_model=True).parts, *told.parts])
        form = forms.judge(queue, item, f"{AT}/{name}/conflicts/{id}", settled)
        before = forms.stands(queue, settled) if settled else ""
        return pages.page(request, name, document, before=before, after=form + page.script("labelling.js"))

    @router.post("/{name}/conflicts/{id}")
    async def settle(request: Request, name: str, id: str, caller: Admin) -> Response:
        await _said(pages, request, queues, name, id, partial(queues.adjudicate, name, id, _person(caller)))
        rest = await run_in_threadpool(queues.conflicts, name)
        return _to(f"{AT}/{name}/conflicts" + (f"/{rest[0][0].id}" if rest else ""))

    _ = conflicts, conflict, settle
    return router


_SPANS = ("1h", "1d", "7d", "30d")
_CHOICES: dict[str, tuple[Pick, ...]] = {**{one: (one,) for one in PICKS}, "all": PICKS}
