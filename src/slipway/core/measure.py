"""From scores per example to aggregates and paired differences. Knows metrics and statistics, but no rules.

Both `evaluate` (to report and compare) and `release` (to judge) stand on it, so that the number shown is the number
that decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slipway.core import stats
from slipway.core.metrics import MetricInfo
from slipway.core.release import Comparison
from slipway.core.report import Aggregate, Score
from slipway.core.text import normalize_label
from slipway.errors import ConfigError
from slipway.i18n import t

if TYPE_CHECKING:
    from slipway.core.stats import Codes, Floats, Statistic


_FEW = 8  # changed groups below which a sign-flip interval says too little about what may change


@dataclass(frozen=True)
class Sample:
    """One metric of some examples: `values` [n], `groups` [n]; `gold` and `predicted` labels for macro F1 only."""

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    values: Floats
    gold: tuple[str, ...] = ()
    predicted: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def codes(self) -> Codes:
        """Groups as integers 0..G-1, [n]."""
        return group_codes(self.groups)


def group_codes(groups: Sequence[str]) -> Codes:
    """Group names as integers in order of first appearance, [n]."""
    import numpy as np

    known: dict[str, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in groups], dtype=np.intp)


def sample(scores: Sequence[Score], info: MetricInfo) -> Sample:
    """The metric's value for every example that has one.

    An answer with an error has the worst value of every quality metric; its latency ranks with the slowest answer, so
    that failing fast makes nothing faster; its tokens are left out; its cost counts.
    """
    import numpy as np

    found = [(score, _value(score, info)) for score in scores]
    kept = [(score, value) for score, value in found if value is not None and not math.isnan(value)]
    values = np.array([value for _, value in kept], dtype=np.float64)
    failed = np.array([bool(score.answer.error) for score, _ in kept], dtype=bool)
    if info.form == "quantile" and failed.any() and not failed.all():
        values[failed] = np.maximum(values[failed], values[~failed].max())
    labels = info.form == "macro_f1"
    return Sample(
        ids=tuple(score.example for score, _ in kept),
        groups=tuple(f"g:{score.group}" if score.group else f"e:{score.example}" for score, _ in kept),
        values=values,
        gold=tuple(normalize_label(score.expected[0]) for score, _ in kept) if labels else (),
        predicted=tuple(_prediction(score) for score, _ in kept) if labels else (),
    )


def statistic(info: MetricInfo, samples: Sequence[Sample]) -> Statistic:
    """The metric as a function of weights [draws, n] over the samples' examples, one sample after the other."""
    import numpy as np

    values = np.concatenate([one.values for one in samples])
    if info.form == "quantile":
        return stats.weighted_quantile(values, info.q)
    if info.form == "macro_f1":
        gold = [label for one in samples for label in one.gold]
        return _macro_f1(gold, [label for one in samples for label in one.predicted])
    return lambda weights: (weights @ values) / weights.sum(axis=1)


def point(info: MetricInfo, found: Sample) -> float:
    """The metric over the sample; raises ConfigError for an empty one."""
    import numpy as np

    if not len(found):
        raise ConfigError(t("no example has the metric '{metric}'", metric=info.name))
    if info.form == "quantile":
        return stats.quantile(found.values, info.q)
    if info.form == "mean":
        return float(found.values.mean())
    return float(statistic(info, [found])(np.ones((1, len(found))))[0])


def bounds(info: MetricInfo, found: Sample, tail: float = 0.025, seed: int = 0) -> tuple[float | None, float | None]:
    """Confidence bounds of `point`, each with one-sided error `tail`; None where the data give none."""
    if info.form == "mean":
        return stats.mean_bounds(found.values, found.codes, (info.low, info.high), tail, seed)
    if info.form == "quantile":
        low, high = stats.quantile_bounds(found.values, found.codes, info.q, tail)
        value = point(info, found)
        return None if low is None else min(low, value), None if high is None else max(high, value)
    return _macro_bounds(info, found, tail, seed)


def aggregate(scores: Sequence[Score], info: MetricInfo, seed: int = 0) -> Aggregate | None:
    """The metric with its 95% interval, None when no example has it.

    A quantile that the data do not bound (see `stats.quantile_bounds`) ends at the smallest or largest value seen.
    """
    found = sample(scores, info)
    if not len(found):
        return None
    low, high = bounds(info, found, 0.025, seed)
    return Aggregate(
        value=point(info, found),
        low=float(found.values.min()) if low is None else low,
        high=float(found.values.max()) if high is None else high,
        n=len(found),
    )


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
        return stats.mean_bounds(both.differences, both.codes, _difference_support(info), tail, seed)
    samples = [both.champion, both.challenger]
    low, high, _ = stats.bootstrap_difference(statistic(info, samples), both.codes, tail, seed)
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
        found = stats.groups_needed(
            error, groups, abs(effect), alpha / 2, 1.0 if bounded and _changed(both) < _FEW else 0.0
        )
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
        mde=stats.detectable(error, groups, alpha, same, step),
        needed=needed,
    )


def shifted_p_value(info: MetricInfo, both: Pair, shift: float, seed: int = 0) -> float:
    """One-sided p-value that the challenger's quantile is not `shift` or more on the bad side of the champion's.

    The swap test after the challenger's values are moved back by `shift` (0 or more, in the metric's unit).
    """
    from dataclasses import replace

    moved = both.challenger.values + (shift if info.higher_is_better else -shift)
    samples = [both.champion, replace(both.challenger, values=moved)]
    greater, less = stats.swap_test(statistic(info, samples), both.codes, seed)
    return greater if info.higher_is_better else less


def _compare_means(info: MetricInfo, both: Pair, alpha: float, seed: int) -> tuple[float, float, float, str, float]:
    differences, codes = both.differences, both.codes
    groups, alone = int(codes.max()) + 1, int(codes.max()) + 1 == len(differences)
    flips = stats.sign_flip(differences, codes, alpha, seed)
    if flips.low is None or flips.high is None:
        low, high = stats.t_bounds(differences, codes, alpha / 2)
        if info.high is not None:  # too few groups for any claim: the interval is all there can be
            low, high = info.low - info.high, info.high - info.low
    else:
        low, high = flips.low, flips.high
        if _changed(both) < _FEW:
            widest = difference_bounds(info, both, alpha, seed)
            low, high = min(low, widest[0]), max(high, widest[1])
    error = stats.standard_error(differences, codes)
    if alone and _binary(both):
        wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
        return stats.mcnemar(wins, losses), low, high, "mcnemar-exact", error
    if groups > stats.NORMAL_GROUPS:
        return flips.p_value, low, high, "normal" if alone else "cluster-normal", error
    name = ("" if alone else "cluster-") + "permutation" + ("-exact" if flips.exact else "")
    return flips.p_value, low, high, name, error


def _compare_functionals(
    info: MetricInfo, both: Pair, alpha: float, seed: int
) -> tuple[float, float, float, str, float]:
    measured = statistic(info, [both.champion, both.challenger])
    low, high, error = stats.bootstrap_difference(measured, both.codes, alpha / 2, seed)
    p_value = min(1.0, 2 * min(stats.swap_test(measured, both.codes, seed)))
    alone = int(both.codes.max()) + 1 == len(both.champion)
    return p_value, low, high, "swap-permutation" if alone else "cluster-swap-permutation", error


def _changed(both: Pair) -> int:
    """Groups in which some example differs."""
    return len(set(both.codes[both.differences != 0].tolist()))


def _value(score: Score, info: MetricInfo) -> float | None:
    if info.form == "macro_f1":
        return (0.0 if score.answer.error else score.metrics.get("accuracy")) if score.expected else None
    if info.kind == "quality":
        return info.worst if score.answer.error else score.metrics.get(info.name)
    return _operational(score, info.name)


def _operational(score: Score, name: str) -> float | None:
    answer = score.answer
    failed = bool(answer.error)
    if name.startswith("latency"):
        return answer.seconds
    if name.startswith("ttft"):
        return answer.first_token_seconds if answer.first_token_seconds > 0 or failed else None
    if name in ("prompt_tokens", "completion_tokens"):
        return None if failed else float(getattr(answer.usage, name))
    if name == "cost_per_query":
        return answer.cost if answer.currency else None
    return float(failed)


def _prediction(score: Score) -> str:
    return "\0" if score.answer.error else normalize_label(score.answer.text)


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


def _label_matrices(gold: Sequence[str], predicted: Sequence[str]) -> tuple[Floats, Floats]:
    """Which label each example has and which it was given, each [n, labels]; labels are those of `gold`."""
    import numpy as np

    labels = np.array(sorted(set(gold)))
    return (
        (np.array(gold)[:, None] == labels).astype(np.float64),
        (np.array(predicted)[:, None] == labels).astype(np.float64),
    )


def _f1(hits: Floats, truths: Floats, guesses: Floats) -> Floats:
    """Mean over the labels that occur of 2 hits / (truths + guesses); arrays are [draws, labels]."""
    import numpy as np

    present = truths > 0
    scores = np.where(present, 2 * hits / np.maximum(truths + guesses, 1e-300), 0.0)
    return scores.sum(axis=1) / np.maximum(present.sum(axis=1), 1)


def _macro_f1(gold: Sequence[str], predicted: Sequence[str]) -> Statistic:
    truth, guess = _label_matrices(gold, predicted)
    hit = truth * guess
    return lambda weights: _f1(weights @ hit, weights @ truth, weights @ guess)


def _macro_bounds(info: MetricInfo, found: Sample, tail: float, seed: int) -> tuple[float, float]:
    """Bayesian bootstrap with one more group whose labels are spread as seen: all wrong below, all right above."""
    import numpy as np

    codes = found.codes
    truth, guess = _label_matrices(found.gold, found.predicted)
    groups = int(codes.max()) + 1
    drawn = stats.exponential_weights(min(2_000, stats.draws_for(len(found))), groups + 1, seed)
    weights, extra = drawn[:, :-1][:, codes].astype(np.float64), drawn[:, -1:].astype(np.float64)
    added = extra * truth.mean(axis=0)[None, :] * (len(found) / groups)
    hits, truths, guesses = weights @ (truth * guess), weights @ truth + added, weights @ guess + added
    value = point(info, found)
    low = float(np.quantile(_f1(hits, truths, guesses), tail))
    high = float(np.quantile(_f1(hits + added, truths, guesses), 1 - tail))
    return min(low, value), max(high, value)
