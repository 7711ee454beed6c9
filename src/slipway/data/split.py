"""Which examples go into train, dev, gate and reserve: whole groups, in seeded order, every language in every split.

Within each language (in a task of labels, within each label of a language) the groups are ordered by a hash of seed
and group, and cut at the shares. So shares are met as closely as whole groups allow, and when examples are added only
groups next to a cut change their split (a hash compared with the share would move none, but leaves a split of a hundred
examples ten or twenty off).
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from slipway.core.material import Change, Example, Split
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.project.data import SplitConfig

_SPLITS: tuple[Split, ...] = ("train", "dev", "gate", "reserve")
_LEAST = 1e-9  # of a share, against rounding


class _Group(msgspec.Struct):
    key: str
    size: int
    language: str
    label: str
    rank: str  # seeded hash


def slices(config: SplitConfig) -> int:
    """How many parts the reserve has, each at least as large as the gate; how often it can be rotated in."""
    if config.reserve <= 0:
        return 0
    return max(1, int(config.reserve / config.gate + _LEAST)) if config.gate > 0 else 1


def assign(
    examples: Sequence[Example], config: SplitConfig, rotation: int = 0, labels: Sequence[str] = ()
) -> tuple[list[Split], list[str]]:
    """The split of each example, and the languages that are not in every split.

    `rotation`: how often the reserve was rotated in. The newest part is the gate, and what was the gate before is dev.
    `labels`: of the examples, one each, so that every label is in every split where there are enough of it.

    An example without a group is one of its own. Raises ConfigError when a split with a share above 0 stays empty.
    """
    keys = [example.group or f"\0{example.id}" for example in examples]
    groups = _groups(examples, keys, config.seed, labels or [""] * len(examples))
    parts = _parts(config, rotation)
    wanted: list[Split] = [name for name in _SPLITS if any(name == split for _, split in parts)]
    languages = Counter(group.language for group in groups)
    thin = sorted(name for name, count in languages.items() if count < len(wanted))
    chosen: dict[str, Split] = {}
    for members in _strata(groups, len(wanted)):
        chosen.update(_deal(sorted(members, key=lambda group: group.rank), parts, wanted))
    _require_all(chosen, wanted, groups)
    return [chosen[key] for key in keys], thin


def _strata(groups: list[_Group], least: int) -> list[list[_Group]]:
    """The groups that are dealt out together: those of a label in a language; of what is too small to be in every split
    those of a label in any language; the rest together.
    """
    found: list[list[_Group]] = []
    rest = groups
    for of in (lambda group: (group.language, group.label), lambda group: ("", group.label)):
        strata: defaultdict[tuple[str, str], list[_Group]] = defaultdict(list)
        for group in rest:
            strata[of(group)].append(group)
        if len(strata) == 1:
            break
        found += [members for _, members in sorted(strata.items()) if len(members) >= least]
        rest = [group for _, members in sorted(strata.items()) if len(members) < least for group in members]
    return [*found, rest] if rest else found


def _groups(examples: Sequence[Example], keys: list[str], seed: int, labels: Sequence[str]) -> list[_Group]:
    languages: defaultdict[str, Counter[str]] = defaultdict(Counter)
    labelled: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for example, key, label in zip(examples, keys, labels, strict=True):
        languages[key][example.language] += 1
        labelled[key][label] += 1
    return [
        _Group(
            key=key,
            size=sum(counts.values()),
            language=min(counts, key=lambda name: (-counts[name], name)),
            label=min(labelled[key], key=lambda name: (-labelled[key][name], name)),
            rank=hashlib.sha256(f"{seed}\0{key}".encode()).hexdigest(),
        )
        for key, counts in languages.items()
    ]


def _parts(config: SplitConfig, rotation: int) -> list[tuple[float, Split]]:
    """Shares in the order in which they are cut; the reserve is the last, so that rotating moves no other cut."""
    parts: list[tuple[float, Split]] = [(config.train, "train"), (config.dev, "dev")]
    parts.append((config.gate, "gate" if not rotation else "dev"))
    n = slices(config)
    for part in range(1, n + 1):
        split: Split = "dev" if part < rotation else "gate" if part == rotation else "reserve"
        parts.append((config.reserve / n, split))
    return [(share, split) for share, split in parts if share > 0]


def _deal(groups: list[_Group], parts: list[tuple[float, Split]], wanted: list[Split]) -> dict[str, Split]:
    """Groups in order, each to the split in whose share its middle lies; no wanted split stays empty if avoidable."""
    total = sum(group.size for group in groups)
    ends: list[tuple[float, Split]] = []
    share = 0.0
    for size, name in parts:
        share += size
        ends.append((share, name))
    ends[-1] = (1.0, ends[-1][1])
    chosen: dict[str, Split] = {}
    before = 0.0
    for group in groups:
        middle = (before + group.size / 2) / total
        chosen[group.key] = next(name for end, name in ends if middle <= end)
        before += group.size
    for name in wanted:
        _fill(name, chosen, groups)
    return chosen


def _fill(name: Split, chosen: dict[str, Split], groups: list[_Group]) -> None:
    """Give an empty split the smallest group of the split that has the most."""
    counts = Counter(chosen.values())
    if counts[name] or len(groups) < 2:
        return
    richest = min(counts, key=lambda split: (-counts[split], split))
    if counts[richest] > 1:
        moved = min((g for g in groups if chosen[g.key] == richest), key=lambda group: (group.size, group.rank))
        chosen[moved.key] = name


def _require_all(chosen: dict[str, Split], wanted: list[Split], groups: list[_Group]) -> None:
    empty = [name for name in wanted if name not in chosen.values()]
    if empty:
        raise ConfigError(
            t("data.split: no example is left for {splits}", splits=", ".join(empty)),
            t(
                "there are {n} groups, and a group is never cut: add examples, or choose a finer data.split.group_by",
                n=len(groups),
            ),
        )


def missing_slices(examples: Sequence[Example]) -> list[Change]:
    """A Change for each language, and each value of a column of few values, that a split lacks.

    A column is one of few values when at least a quarter of the examples has it and its values, at most 20, stand for
    three examples or more on average.
    """
    present = {example.split for example in examples}
    wanted = [name for name in _SPLITS if name in present]
    there: dict[str, dict[str, set[Split | None]]] = {"language": defaultdict(set)}
    rows: Counter[str] = Counter()
    for example in examples:
        there["language"][example.language].add(example.split)
        for name, value in example.meta.items():
            if isinstance(value, (str, bool, int)) and len(str(value)) <= 60:
                rows[name] += 1
                there.setdefault(name, defaultdict(set))[str(value)].add(example.split)
    changes: list[Change] = []
    for name, values in there.items():
        few = 2 <= len(values) <= 20 and rows[name] >= max(len(examples) / 4, 3 * len(values))
        for value, splits in sorted(values.items()) if few or name == "language" else ():
            lacking = [split for split in wanted if split not in splits]
            if lacking:
                reason = "language-not-in-every-split" if name == "language" else "slice-not-in-every-split"
                detail = f"not in {', '.join(lacking)}"
                changes.append(
                    Change(item=f"{name}:{value}", step="split", action="flagged", reason=reason, detail=detail)
                )
    return changes
