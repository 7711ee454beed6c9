"""Datasets: what there is, what is in one, what happened on the way into it, how two differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from slipway.core.material import Change, Chunk, Dataset, Document, Example
from slipway.data.folds import folds_together
from slipway.data.inspection import Difference
from slipway.i18n import t
from slipway.render import document as page
from slipway.render.cells import text
from slipway.render.document import Column, Table


def datasets(found: Sequence[tuple[str, Dataset]]) -> page.Document:
    """(when, dataset), newest first. The sets of a cross-validation are one line for people, and whole for programs."""
    columns = [Column(t("when"), "time"), Column(t("name")), Column(t("kind")), Column(t("items"), "count"),
               Column(t("counts")), Column(t("digest"), "digest")]  # fmt: skip
    rows = [[at, d.name, d.kind, d.size, d.counts, d.digest] for at, d in found]
    short = [
        [at, folded(d.name, folds), d.kind, d.size, d.counts if not folds else "", d.digest if not folds else ""]
        for at, d, folds in folds_together(found)
    ]
    data = [{"at": at, "digest": d.digest, "dataset": d} for at, d in found]
    title = t("Datasets")
    return page.Document(data, [Table(title, columns, short)], Table(title, columns, rows))


def folded(name: str, folds: int) -> str:
    """`examples [5 folds]` for the set of a fold that stands for all, or the name of what is no fold."""
    return f"{name.rpartition(':')[0]} [{t('{n} folds', n=folds)}]" if folds else name


def dataset(found: Dataset, items: Sequence[Document | Chunk | Example], changes: Sequence[Change]) -> page.Document:
    """One dataset: counts, changes by reason, first items."""
    by = Counter((c.step, c.action, c.reason) for c in changes)
    tally = Table(
        t("Dropped, changed or flagged"),
        [Column(t("step")), Column(t("action")), Column(t("reason")), Column(t("items"), "count")],
        [[*key, n] for key, n in by.most_common()],
    )
    columns = [Column(t("item")), Column(t("language")), Column(t("text"), "excerpt", 100)]
    first = Table(t("First items"), columns, [_item(item) for item in items])
    head = f"{found.ref.short}: {found.size} · {text(found.counts)}"
    data = {"digest": found.digest, "dataset": found, "items": items, "changes": changes}
    return page.Document(data, [head, tally, first], first)


def _item(item: Document | Chunk | Example) -> list[Any]:
    if isinstance(item, Example):
        return [f"{item.split or '-'} {item.id}", item.language, item.text]
    heading = f"#{item.path[-1]}" if isinstance(item, Chunk) and item.path else ""
    return [item.source + heading, item.language, item.text]


def changes(found: Sequence[Change], limit: int) -> page.Document:
    """Each dropped or changed item with its reason."""
    titles = (t("action"), t("reason"), t("item"), t("step"), t("detail"))
    columns = [Column(title) for title in titles]
    rows = [[c.action, c.reason, c.item, c.step, c.detail] for c in found]
    title = t("Dropped, changed or flagged")
    more = [t("and {n} more; --limit shows them", n=len(found) - limit)] if len(found) > limit else []
    return page.Document(found, [Table(title, columns, rows[:limit]), *more], Table(title, columns, rows))


def difference(found: Difference, limit: int) -> page.Document:
    """Added, removed, changed."""
    rows = [[t("added"), item, ""] for item in found.added]
    rows += [[t("removed"), item, ""] for item in found.removed]
    rows += [[t("changed"), one.item, one.fields] for one in found.changed]
    title, columns = t("Differences"), [Column(t("change")), Column(t("item")), Column(t("fields"))]
    counts = t(
        "{added} added, {removed} removed, {changed} changed, {same} the same",
        added=len(found.added), removed=len(found.removed), changed=len(found.changed), same=found.same,
    )  # fmt: skip
    return page.Document(found, [Table(title, columns, rows[:limit]), counts], Table(title, columns, rows))
