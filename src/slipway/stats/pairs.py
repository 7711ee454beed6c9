"""Two candidates on the same examples: differences with their bounds, tests and power. Judges nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slipway.core.metrics import MetricInfo
from slipway.core.release import Comparison
from slipway.core.report import Score
from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.stats.grouping import NORMAL_GROUPS, standard_error
from slipway.stats.intervals import mean_bounds, t_bounds
from slipway.stats.power import detectable, groups_needed
from slipway.stats.resampling import bootstrap_difference
from slipway.stats.samples import Sample, point, sample, statistic
from slipway.stats.significance import mcnemar, sign_flip, swap_test

if TYPE_CHECKING:
    from slipway.stats.grouping import Codes, Floats

_FEW = 8  # changed groups below which a sign-flip interval says too little about what may change


@dataclass(frozen=True)
class Pair:
    """The same examples under two candidates, in the same order."""

    champion: Sample
    challenger: Sample

    @property
    def codes(self) -> Codes:
        """Groups as integers, [n]."""
        return self.champion.codes

    @property
    def differences(self) -> Floats:
        """Challenger minus champion, [n]."""
        return self.challenger.values - self.champion.values


def pair(champion: Sequence[Score], challenger: Sequence[Score], info: MetricInfo) -> Pair:
    """Match the two on the example id; examples where the metric applies to one only are left out.

    Raises ConfigError when the two did not answer the same examples, or share none that has the metric.
    """
    first, second = {score.example: score for score in champion}, {score.example: score for score in challenger}
    if set(first) != set(second) or len(first) != len(champion) or len(second) != len(challenger):
        raise ConfigError(
            t(
                "the two reports are not about the same examples: {only_first} only in the champion's, "
                "{only_second} only in the challenger's",
                only_first=len(set(first) - set(second)),
                only_second=len(set(second) - set(first)),
            ),
            t("evaluate both on the same frozen dataset and split, then compare"),
        )
    left, right = sample(champion, info), sample([second[score.example] for score in champion], info)
    both = set(left.ids) & set(right.ids)
    if not both:
        raise ConfigError(
            t("no example has the metric '{metric}' under both candidates", metric=info.name),
            t("choose a metric that both reports show"),
        )
    return Pair(_only(left, both), _only(right, both))


def difference_bounds(info: MetricInfo, both: Pair, tail: float, seed: int = 0) -> tuple[float, float]:
    """Bounds of challenger minus champion, each with one-sided error `tail`."""
    if info.form == "mean":
        return mean_bounds(both.differences, both.codes, _difference_support(info), tail, seed)
    samples = [both.champion, both.challenger]
    low, high, _ = bootstrap_difference(statistic(info, samples), both.codes, tail, seed)
    return low, high


def compare_pair(info: MetricInfo, both: Pair, alpha: float = 0.05, seed: int = 0) -> Comparison:
    """The paired comparison: effect, 1 - alpha interval, two-sided p-value, minimum detectable effect.

    A mean: exact McNemar for right/wrong without shared groups, else the sign-flip test, and the interval that inverts
    it; where fewer than eight groups differ, the wider of that and `difference_bounds`, for what was never seen to
    differ may still differ. A quantile or macro F1: swap test, bootstrap interval.
    Raises ConfigError with fewer than two independent examples.
    """
    groups = int(both.codes.max()) + 1
    if groups < 2:
        raise ConfigError(
            t("comparing needs at least two independent examples; all of these belong to one group"),
            t("add examples from other groups"),
        )
    compared = _compare_means if info.form == "mean" else _compare_functionals
    p_value, low, high, test, error = compared(info, both, alpha, seed)
    champion, challenger = point(info, both.champion), point(info, both.challenger)
    effect = challenger - champion
    bounded = info.high is not None
    same = 1 - _changed(both) / groups if bounded and info.form == "mean" else 0.0
    step = 2 / len(both.champion) if test == "mcnemar-exact" else 0.0
    needed = None
    if p_value >= alpha and effect:
        per_group = len(both.champion) / groups
        found = groups_needed(error, groups, abs(effect), alpha / 2, 1.0 if bounded and _changed(both) < _FEW else 0.0)
        needed = None if found is None else math.ceil(found * per_group)
    return Comparison(
        metric=info.name,
        higher_is_better=info.higher_is_better,
        n=len(both.champion),
        groups=groups,
        champion=champion,
        challenger=challenger,
        effect=effect,
        low=min(low, effect),
        high=max(high, effect),
        p_value=p_value,
        test=test,
        mde=detectable(error, groups, alpha, same, step),
        needed=needed,
    )


def shifted_p_value(info: MetricInfo, both: Pair, shift: float, seed: int = 0) -> float:
    """One-sided p-value that the challenger's quantile is not `shift` or more on the bad side of the champion's.

    The swap test after the challenger's values are moved back by `shift` (0 or more, in the metric's unit).
    """
    from dataclasses import replace

    moved = both.challenger.values + (shift if info.higher_is_better else -shift)
    samples = [both.champion, replace(both.challenger, values=moved)]
    greater, less = swap_test(statistic(info, samples), both.codes, seed)
    return greater if info.higher_is_better else less


def _compare_means(info: MetricInfo, both: Pair, alpha: float, seed: int) -> tuple[float, float, float, str, float]:
    differences, codes = both.differences, both.codes
    groups, alone = int(codes.max()) + 1, int(codes.max()) + 1 == len(differences)
    flips = sign_flip(differences, codes, alpha, seed)
    if flips.low is None or flips.high is None:
        low, high = t_bounds(differences, codes, alpha / 2)
        if info.high is not None:  # too few groups for any claim: the interval is all there can be
            low, high = info.low - info.high, info.high - info.low
    else:
        low, high = flips.low, flips.high
        if _changed(both) < _FEW:
            widest = difference_bounds(info, both, alpha, seed)
            low, high = min(low, widest[0]), max(high, widest[1])
    error = standard_error(differences, codes)
    if alone and _binary(both):
        wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
        return mcnemar(wins, losses), low, high, "mcnemar-exact", error
    if groups > NORMAL_GROUPS:
        return flips.p_value, low, high, "normal" if alone else "cluster-normal", error
    name = ("" if alone else "cluster-") + "permutation" + ("-exact" if flips.exact else "")
    return flips.p_value, low, high, name, error


def _compare_functionals(
    info: MetricInfo, both: Pair, alpha: float, seed: int
) -> tuple[float, float, float, str, float]:
    measured = statistic(info, [both.champion, both.challenger])
    low, high, error = bootstrap_difference(measured, both.codes, alpha / 2, seed)
    p_value = min(1.0, 2 * min(swap_test(measured, both.codes, seed)))
    alone = int(both.codes.max()) + 1 == len(both.champion)
    return p_value, low, high, "swap-permutation" if alone else "cluster-swap-permutation", error


def _changed(both: Pair) -> int:
    """Groups in which some example differs."""
    return len(set(both.codes[both.differences != 0].tolist()))


def _only(found: Sample, ids: set[str]) -> Sample:
    import numpy as np

    keep = [index for index, name in enumerate(found.ids) if name in ids]
    return Sample(
        ids=tuple(found.ids[index] for index in keep),
        groups=tuple(found.groups[index] for index in keep),
        values=found.values[np.array(keep, dtype=np.intp)],
        gold=tuple(found.gold[index] for index in keep) if found.gold else (),
        predicted=tuple(found.predicted[index] for index in keep) if found.predicted else (),
    )


def _difference_support(info: MetricInfo) -> tuple[float | None, float | None]:
    if info.high is None:
        return None, None
    return info.low - info.high, info.high - info.low


def _binary(both: Pair) -> bool:
    import numpy as np

    values = np.concatenate([both.champion.values, both.challenger.values])
    return bool(np.isin(values, (0.0, 1.0)).all())
