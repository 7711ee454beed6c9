"""What a fetch brought, and which addresses it refused."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.data.collect.fetch import Fetched
from slipway.data.reasons import explain
from slipway.i18n import t
from slipway.render.document import Column, Document, Table, listed


def fetched(found: Sequence[Fetched], limit: int) -> Document:
    """A row for each site and table; below, the addresses that were refused, at most `limit` of each."""
    columns = [Column(t("name")), Column(t("documents"), "count"), Column(t("new"), "count"),
               Column(t("changed"), "count"), Column(t("gone"), "count"), Column(t("refused"), "count"),
               Column(t("requests"), "count"), Column(t("received"), "bytes"),
               Column(t("digest"), "digest")]  # fmt: skip
    rows = [[f.name, f.documents, f.new, f.changed, f.gone, sum(f.refused.values()), f.requests, f.received, f.digest]
            for f in found]  # fmt: skip
    notes = [note for one in found for note in _notes(one)]
    return listed(
        found, Table(t("Fetched"), columns, rows, notes), *(_refused(one, limit) for one in found if one.pages)
    )


def _notes(one: Fetched) -> list[str]:
    notes: list[str] = []
    if one.stopped:
        notes.append(
            t(
                "{name}: stopped at {limit}; {n} addresses were still waiting",
                name=one.name,
                limit=one.stopped,
                n=one.left,
            )
        )
    if one.resumed:
        notes.append(t("{name}: {n} answers came from an interrupted fetch", name=one.name, n=one.resumed))
    if one.beyond:
        notes.append(t("{name}: {n} links out of its scope were not followed", name=one.name, n=one.beyond))
    return notes


def _refused(one: Fetched, limit: int) -> Table:
    columns = [Column(t("address")), Column(t("reason")), Column(t("meaning")), Column(t("detail"))]
    rows = [[page.url, page.reason, explain(page.reason), page.detail] for page in one.pages[:limit]]
    total = ", ".join(f"{reason} {n}" for reason, n in one.refused.items())
    return Table(t("Refused of {name}: {total}", name=one.name, total=total), columns, rows)
