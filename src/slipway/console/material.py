"""What the project works with: frozen sets with their items, what was dropped and why, versions, where a row came from.

Examples of gate and reserve are shown nowhere here, neither as items nor as what differs between two versions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from slipway import api
from slipway.console import page, views
from slipway.console.measured import origin
from slipway.console.page import ROOT
from slipway.console.visit import Pages
from slipway.core.material import Change, Chunk, Dataset, Document, Example
from slipway.data.folds import folds_of, folds_together
from slipway.errors import NotFound
from slipway.i18n import t
from slipway.render import document as shown
from slipway.render.cells import Link
from slipway.render.document import Column, Part, Passage, Section, Table
from slipway.render.pages import data as data_pages
from slipway.serve.admin.access import needs

ITEMS, CHANGES = 100, 500  # on one page
TEXT, _LINE = 100_000, 2_000  # characters of a document on one page, and how far back the end of a line is looked for
HELD = ("gate", "reserve")
Item = Document | Chunk | Example


def material(pages: Pages) -> APIRouter:
    """Needs the scope `read`."""
    router, project = APIRouter(prefix=ROOT, dependencies=[needs("read")]), pages.project

    @router.get("/data")
    def data(request: Request, folds: str = "", start: views.Start = 0) -> Response:
        every = api.datasets(project)
        listed = folds_together(every)[: start + views.LISTED + 1]
        if folds:
            listed = [(at, one, 0) for at, one in every if folds_of(one) == folds]
        columns = [Column(t("dataset")), Column(t("when"), "time"), Column(t("items"), "count"), Column(t("counts"))]
        rows: list[list[Any]] = [
            [_link(one) if not n else _folds(one, n), at, one.size, one.counts if not n else ""]
            for at, one, n in listed
        ]
        some, links = views.part(rows, start, views.LISTED, f"{ROOT}/data", folds=folds)
        return pages.page(request, t("Data"), shown.Document(None, [Table(t("Data"), columns, some), *links]))

    @router.get("/data/{digest}")
    def dataset(request: Request, digest: str, start: views.Start = 0) -> Response:
        found = api.find(project, "dataset", digest)
        document = _dataset(pages, found, max(0, start))
        return pages.page(request, found.ref.short, document, after=_versions(pages, found))

    @router.get("/data/{digest}/changes")
    def changes(request: Request, digest: str, reason: str = "") -> Response:
        found = api.find(project, "dataset", digest)
        made = _shown_changes(pages, found, reason)
        document = shown.Document(None, [_changes(made[:CHANGES]), *_more(len(made) - CHANGES)])
        return pages.page(request, t("Dropped, changed or flagged"), document, _back(found))

    @router.get("/data/{digest}/items/{number}")
    def item(request: Request, digest: str, number: views.Start, start: views.Start = 0) -> Response:
        found = api.find(project, "dataset", digest)
        most = None if found.kind == "examples" else max(0, number) + 2  # of examples the next one may be far away
        before, one, after = _beside(api.items(project, found, most), number)
        if one is None:
            raise NotFound(t("there is no such item here"), t("examples of gate and reserve are not shown"))
        at = f"{ROOT}/data/{found.digest}"
        around = page.around(
            ("", f"{at}?start={number // ITEMS * ITEMS}" if number >= ITEMS else at, found.ref.short),
            ("prev", "" if before is None else f"{at}/items/{before}", t("previous")),
            ("next", "" if after is None else f"{at}/items/{after}", t("next")),
        )
        return pages.page(
            request,
            " ".join(_name(one)[:400].split())[:120],
            _whole(pages, found, one, f"{at}/items/{number}", start),
            around,
        )

    @router.get("/versions")
    def versions(request: Request, before: str, after: str) -> Response:
        two = [api.find(project, "dataset", one) for one in (before, after)]
        found = api.diff(project, "dataset", two[0].digest, two[1].digest)
        items = [one for each in two if each.kind == "examples" for one in api.items(project, each)]
        hidden = {_name(one) for one in items if _held(one)}
        kept = msgspec.structs.replace(
            found,
            added=[one for one in found.added if _bare(one) not in hidden],
            removed=[one for one in found.removed if _bare(one) not in hidden],
            changed=[one for one in found.changed if _bare(one.item) not in hidden],
        )
        document = data_pages.difference(kept, CHANGES)
        if hidden:
            told = t("Examples of gate and reserve are left out.")
            document = shown.Document(None, [*document.parts, told])
        return pages.page(request, t("What differs between two versions"), document, _back(two[1]))

    _ = data, dataset, changes, item, versions
    return router


def _link(one: Dataset) -> Link:
    return Link(f"{one.name} {one.digest[:12]}", f"{ROOT}/data/{one.digest}")


def _folds(one: Dataset, n: int) -> Link:
    """All of a cross-validation; each is listed on a page of its own."""
    return Link(f"{data_pages.folded(one.name, n)} {one.lineage[0].digest[:12]}", f"{ROOT}/data?folds={folds_of(one)}")


def _back(found: Dataset) -> str:
    return f'<p><a href="{ROOT}/data/{found.digest}">{page.line(found.ref.short)}</a></p>'


def _beside(items: Iterable[Item], number: int) -> tuple[int | None, Item | None, int | None]:
    """An item, with the numbers of those before and after it that may be shown; none where it may not itself."""
    before, found = None, None
    for n, one in enumerate(items):
        if _held(one):
            if n == number:
                break
        elif n < number:
            before = n
        elif n == number:
            found = one
        else:
            return before, found, n
    return before, found, None


def _held(one: Item) -> bool:
    return isinstance(one, Example) and one.split in HELD


def _bare(name: str) -> str:
    """Without the number that tells apart items of one name."""
    return re.sub(r" \(\d+\)$", "", name)


def _name(one: Item) -> str:
    if isinstance(one, Example):
        return one.text
    return f"{one.source}#{' > '.join(one.path)}" if isinstance(one, Chunk) and one.path else one.source


def _dataset(pages: Pages, found: Dataset, start: int) -> shown.Document:
    at = f"{ROOT}/data/{found.digest}"
    tally = Counter((one.step, one.action, one.reason) for one in api.changes(pages.project, found.digest))
    listed = found.kind != "examples"
    why = [
        [Link(reason, f"{at}/changes?reason={reason}") if listed and re.fullmatch(r"[\w-]+", reason) else reason,
         step, action, n]
        for (step, action, reason), n in tally.most_common()
    ]  # fmt: skip
    items = api.items(pages.project, found, start + ITEMS + 1)[start:]
    rows = [
        [Link(_name(one) or t("(empty)"), f"{at}/items/{start + n}"), one.language,
         (one.split or "") if isinstance(one, Example) else "", "" if isinstance(one, Example) else one.text]
        for n, one in enumerate(items[:ITEMS])
        if not _held(one)
    ]  # fmt: skip
    columns = [Column(t("item"), "excerpt", 90), Column(t("language")), Column(t("split")),
               Column(t("text"), "excerpt", 100)]  # fmt: skip
    dropped = Table(
        t("Dropped, changed or flagged"),
        [Column(t("reason")), Column(t("step")), Column(t("action")), Column(t("items"), "count")],
        why,
    )
    made: list[list[Any]] = [[Link(one.short, f"{at.rpartition('/')[0]}/{one.digest}")] for one in found.lineage]
    parts: list[Part] = [t("{n} items: {counts}", n=found.size, counts=_counts(found)), dropped]
    parts += [Table(t("Made from"), [Column(t("dataset"))], made)] if made else []
    parts.append(Table(t("All items"), columns, rows))
    if len(items) > ITEMS:
        parts.append(Link(t("more"), f"{at}?start={start + ITEMS}"))
    return shown.Document(None, parts)


def _counts(found: Dataset) -> str:
    return ", ".join(f"{name} {n}" for name, n in found.counts.items())


def _shown_changes(pages: Pages, found: Dataset, reason: str) -> list[Change]:
    if found.kind == "examples":  # what was dropped may be like an example of the gate
        raise NotFound(t("of examples only the counts are shown"), t("`slipway data show NAME --changes` lists them"))
    return api.changes(pages.project, found.digest, reason or None)


def _changes(made: Sequence[Change]) -> Table:
    titles = (t("item"), t("action"), t("reason"), t("step"), t("kept instead"))
    columns = [*map(Column, titles), Column(t("detail"), "excerpt", 200)]
    rows = [[one.item, one.action, one.reason, one.step, one.kept, one.detail] for one in made]
    return Table(t("Dropped, changed or flagged"), columns, rows)


def _more(n: int) -> list[str]:
    return [t("and {n} more; `slipway data show NAME --changes` lists them", n=n)] if n > 0 else []


def _whole(pages: Pages, found: Dataset, one: Item, at: str, start: int) -> shown.Document:
    """One item, and where it came from; of a long document the part that holds the character `start`."""
    if isinstance(one, Example):
        expected = Section(t("expected"), [Passage(" | ".join(one.expected) or t("(empty)"), whole=True)])
        return shown.Document(None, [Section(t("input"), [Passage(one.text, whole=True)]), expected, *origin(one)])
    rows: list[list[Any]] = [[t("source"), one.source], [t("language"), one.language]]
    if isinstance(one, Chunk):
        rows += [[t("headings"), " > ".join(one.path)], [t("characters"), f"{one.start}-{one.end}"],
                 [t("passage"), one.id], [t("document"), _document(pages, found, one)]]  # fmt: skip
    else:
        rows += [[t("media type"), one.media_type], ["sha256", one.raw_sha256], [t("title"), one.title]]
    rows += [[name, value] for name, value in one.meta.items()]
    facts = Table(t("Where it came from"), [Column(t("field")), Column(t("value"))], [row for row in rows if row[1]])
    return shown.Document(None, [Section(t("text"), in_parts(one.text, at, start)), facts])


def in_parts(text: str, at: str, start: int) -> list[Part]:
    """A text, in parts where it is long: each ends with a line, where one ends near."""
    if len(text) <= TEXT:
        return [Passage(text, whole=True)]
    start = min(start, len(text) - 1)
    number = start // TEXT

    def edge(part: int) -> int:
        there = part * TEXT
        if not 0 < there < len(text):
            return min(there, len(text))
        line = text.rfind("\n", there - _LINE, there)
        return line + 1 if line >= 0 else there

    number += start >= edge(number + 1)
    begin, end = edge(number), edge(number + 1)
    told = t("characters {start} to {end} of {n}", start=f"{begin + 1:,}", end=f"{end:,}", n=f"{len(text):,}")
    places = ((t("previous part"), number - 1), (t("next part"), number + 1))
    links = [Link(said, f"{at}?start={n * TEXT}".removesuffix("?start=0")) for said, n in places
             if 0 <= n * TEXT < len(text)]  # fmt: skip
    return [told, *links, Passage(text[begin:end], whole=True), *links]


def _document(pages: Pages, found: Dataset, one: Chunk) -> Link | str:
    """The document that a passage was cut from, where it is kept."""
    for ref in found.lineage:
        parent = pages.project.store.catalog.get("dataset", ref.digest, Dataset)
        if parent.kind == "documents":
            for n, document in enumerate(api.items(pages.project, parent)):
                if isinstance(document, Document) and document.source == one.source:
                    part = f"?start={one.start}" if one.start >= TEXT - _LINE else ""
                    return Link(one.source, f"{ROOT}/data/{parent.digest}/items/{n}{part}")
    return one.source


def _versions(pages: Pages, found: Dataset) -> str:
    """A form that compares a set with another version of it."""
    others = [(at, one) for at, one in api.datasets(pages.project) if one.name == found.name and one != found][:50]
    if not others:
        return ""
    named = [(one.digest, f"{at[:19]} {one.digest[:12]}") for at, one in others]
    hidden = f'<input type="hidden" name="after" value="{found.digest}">'
    return page.form(f"{ROOT}/versions", t("Compare"), page.choice("before", t("with the version"), named), hidden)
