"""Looks at the gate split: counted before anything is told, within the budget that the project declares."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from slipway.core.look import Kind, Look
from slipway.core.material import Dataset, Example
from slipway.core.ref import digest_of
from slipway.errors import ConfigError, GateFailed
from slipway.i18n import t
from slipway.loop.context import Context, whoami
from slipway.release.looks import alpha_at, price

LOCKED = "data.split"  # the entry of slipway.lock that says how often the reserve was rotated in


class Spent(NamedTuple):
    """What a look takes of the budget. `number`: which look it is, of `budget`, at any of these examples."""

    number: int
    budget: int
    alpha: float


def gate_ids(context: Context, examples: Dataset) -> list[str]:
    """Ids of the gate examples, in their order."""
    return [e.id for e in context.store.blobs.get_lines(examples.items, Example) if e.split == "gate"]


def earlier_looks(context: Context, ids: Collection[str]) -> list[Look]:
    """Every look at any of these examples, those of older versions and of other projects in this store included."""
    return context.store.catalog.looks(ids, _older(context, frozenset(ids)))


def frozen_looks(context: Context) -> list[Look]:
    """Every look at the gate split as it was frozen last: for who must not wait until a run has ended."""
    frozen = context.store.catalog.list("dataset", Dataset, "examples")
    return earlier_looks(context, gate_ids(context, frozen[0][1])) if frozen else []


def _older(context: Context, ids: frozenset[str]) -> list[str]:
    """What an older version called lists of gate examples that hold some of these: it kept no ids, datasets do."""
    found: set[str] = set()
    for _, dataset in context.store.catalog.list("dataset", Dataset):
        if dataset.kind == "examples" and context.store.blobs.has(dataset.items):
            listed = gate_ids(context, dataset)
            if not ids.isdisjoint(listed):
                found.add(digest_of(listed))
    return sorted(found)


def afford(context: Context, ids: Sequence[str], kind: Kind, candidates: Sequence[str]) -> None:
    """Raise GateFailed when no look is left for these candidates, before anything is measured for it."""
    known = earlier_looks(context, ids)
    asked = (kind, tuple(candidates))
    if len(known) >= context.project.release.looks and asked not in [(one.kind, one.candidates) for one in known]:
        raise used_up(context, len(known))


def look(
    context: Context, ids: Sequence[str], kind: Kind, candidates: Sequence[str], asked: object, *, refuse: bool = True
) -> Spent:
    """Count a look at these examples and say what it takes, before anything is told.

    The same question about the same examples costs nothing again. Raises GateFailed when the budget is used up, unless
    it is only to be counted (`refuse` False).
    """
    budget, key, these = context.project.release.looks, digest_of([kind, asked]), digest_of(sorted(set(ids)))
    known = earlier_looks(context, ids)
    same = [one for one in known if (one.kind, one.asked, one.examples) == (kind, key, these)]
    if refuse and not same and len(known) >= budget:
        raise used_up(context, len(known))
    project, who = context.project.name, whoami()
    entered = context.store.catalog.look(ids, kind, candidates, key, project, who)
    before = [one for one in earlier_looks(context, ids) if one.seq < entered.seq]
    spent = Spent(len(before) + 1, budget, alpha_at(before))
    if not same:
        context.listener.say(told(spent))
    return spent


def told(spent: Spent) -> str:
    """What a look takes, in a sentence."""
    return t(
        "this is look {n} of {budget} at these gate examples, at alpha {alpha}: it needs {times} times the examples of "
        "the first look",
        n=spent.number,
        budget=spent.budget,
        alpha=f"{spent.alpha:.2%}" if spent.alpha >= 1e-4 else f"{spent.alpha:.1e}",
        times=f"{price(spent.alpha):.1f}",
    )


def used_up(context: Context, n: int) -> GateFailed:
    """The refusal, with the ways out."""
    return GateFailed(
        t("these gate examples were looked at {n} times, and release.looks allows {budget}", n=n,
          budget=context.project.release.looks),
        t("`slipway gate rotate` makes the reserve the new gate; or put fresh examples from traffic or labelling in "
          "the place of these. A larger release.looks helps only where there are many examples: each look needs more"),
    )  # fmt: skip


def rotation(context: Context) -> int:
    """How often the reserve was rotated in, as slipway.lock says."""
    value = (context.lock_file.get(LOCKED) or {}).get("rotated", "0")
    if not value.isdecimal():
        raise ConfigError(
            t("{path} is damaged: {why}", path=context.lock_file.path.name, why=f"{LOCKED}.rotated: {value}"),
            t("restore it from version control"),
        )
    return int(value)
