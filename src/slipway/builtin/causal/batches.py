"""Rows put together: those of like length side by side, or several packed into one. Imports no torch.

Rows are filled up on the right. That needs no mask: a causal model never looks ahead, and what it says after the end
of a row is not asked for.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from slipway.builtin.causal.token_rows import Row

Pack = tuple[int, ...]  # places of the rows that share one
Batch = tuple[Pack, ...]
_SORTED = 32  # batches among which rows of like length are put together


def batches(rows: Sequence[Row], size: int, seed: int, pack: int = 0) -> list[Batch]:
    """An epoch's batches of `size` packs, in an order that the seed determines. `pack`: most tokens of a pack; 0: each
    row is alone.
    """
    draw = random.Random(seed)
    order = list(range(len(rows)))
    draw.shuffle(order)
    packs = _packed(rows, order, pack) if pack else [(place,) for place in order]
    made: list[Batch] = []
    for start in range(0, len(packs), size * _SORTED):
        alike = sorted(packs[start : start + size * _SORTED], key=lambda one: -length(rows, one))
        made += [tuple(alike[at : at + size]) for at in range(0, len(alike), size)]
    draw.shuffle(made)
    return made


def shared_out(made: Sequence[Batch], processes: int) -> list[Batch]:
    """Each batch as so many parts, one after the other; some are empty where a batch is smaller."""
    return [batch[rank::processes] for batch in made for rank in range(processes)]


def length(rows: Sequence[Row], pack: Pack) -> int:
    """Tokens of a pack."""
    return sum(len(rows[place].ids) for place in pack)


def _packed(rows: Sequence[Row], order: Sequence[int], most: int) -> list[Pack]:
    """First fit among the packs that were begun last: nearly full packs in one pass."""
    done: list[list[int]] = []
    open_packs: list[tuple[list[int], int]] = []
    for place in order:
        needed = len(rows[place].ids)
        for at, (pack, used) in enumerate(open_packs):
            if used + needed <= most:
                pack.append(place)
                open_packs[at] = (pack, used + needed)
                break
        else:
            pack = [place]
            done.append(pack)
            open_packs = [*open_packs[-31:], (pack, needed)]
    return [tuple(pack) for pack in done]
