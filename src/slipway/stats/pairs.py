"""Two candidates on the same examples: differences with their bounds, p-values and power. Judges nothing."""

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
from slipway.stats import right_or_wrong
from slipway.stats.grouping import standard_error
from slipway.stats.likelihoods import unscored
from slipway.stats.means import Totals, ends, mean_bounds, tail_at, totals
from slipway.stats.power import Needed, detectable, groups_needed
from slipway.stats.quantile_pairs import QuantilePair
from slipway.stats.right_or_wrong import Turned
from slipway.stats.samples import Sample, as_mean, point, sample, worst_filled

if TYPE_CHECKING:
    from slipway.stats.grouping import Codes, Floats


_ENUMERATED = 3_000  # examples; with more the exact test takes seconds and is no stronger any more
_STRETCH = 1.0  # where no limit is known, no difference is taken to be larger than the largest seen


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

    @property
    def counted(self) -> float:
        """As what part of one each group counts: see `Sample`."""
        return min(self.champion.counted, self.challenger.counted)

    @property
    def per_group(self) -> float:
        """Examples of a group, on average; of what counts as one, where a group counts as a part of it."""
        return len(self.champion) / (self.champion.group_count * self.counted)

    def turned(self, info: MetricInfo) -> Turned | None:
        """How many answers became right and wrong, where nothing else can happen to one; else None.

        The metric must be right or wrong by definition, with one answer an example, and no two examples in a group.
        Not for more than 3,000 examples, nor for out-of-fold answers, which are not independent.
        """
        import numpy as np

        n = len(self.champion)
        several = self.champion.averaged or self.challenger.averaged
        if not info.right_or_wrong or several or n > _ENUMERATED or self.counted < 1:
            return None
        both = np.concatenate([self.champion.values, self.challenger.values])
        if self.champion.group_count < n or not np.isin(both, (0.0, 1.0)).all():
            return None
        return Turned(int((self.differences > 0).sum()), int((self.differences < 0).sum()), n)


def pair(champion: Sequence[Score], challenger: Sequence[Score], info: MetricInfo) -> Pair:
    """Match the two on the example id; examples where the metric applies to one only are left out.

    What failed counts as the largest value that either of the two was seen to have: see `sample`.

    Raises ConfigError when the two did not answer the same examples, or share none that has the metric.
    """
    if info.kind == "likelihood":
        _comparable(info, champion, challenger)
    if info.answered:
        raise ConfigError(
            t("'{metric}' is over what each candidate answered, which are not the same examples", metric=info.name),
            t("compare accuracy, which counts an abstention as wrong, and coverage"),
        )
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
    left, right = _only(left, both), _only(right, both)
    largest = float(max(left.values.max(), right.values.max()))
    return Pair(worst_filled(left, info, largest), worst_filled(right, info, largest))


def _comparable(info: MetricInfo, champion: Sequence[Score], challenger: Sequence[Score]) -> None:
    """Raise ConfigError for likelihoods that say nothing beside each other."""
    if info.name == "perplexity":
        raise ConfigError(
            t("perplexity counts a model's own tokens, and two models cut a text into different ones"),
            t("compare bits_per_byte: it does not depend on the tokenizer, and ranks one model's candidates as "
              "perplexity does"),
        )  # fmt: skip
    missing = unscored([*champion, *challenger])
    if missing:
        raise ConfigError(
            t("{n} references have no likelihood, so that '{metric}' is not defined for both", n=missing,
              metric=info.name),
            t("`slipway eval show` says why; engine `llama` scores references"),
        )  # fmt: skip


def difference_bounds(
    info: MetricInfo, both: Pair, tail: float, claim: float = 0.0
) -> tuple[float | None, float | None]:
    """Bounds of challenger minus champion, each with one-sided error `tail`; None where the data give none.

    A bound is on the other side of `claim` exactly when the p-value there (`one_sided`) is at most `tail`.
    """
    if info.form == "quantile":
        found = _quantiles(info, both)
        return found.low(tail), found.high(tail)
    turned = both.turned(info)
    if turned is not None:
        low = right_or_wrong.lower_bound(turned, tail, claim)
        return low, -right_or_wrong.lower_bound(turned.mirrored(), tail, -claim)
    differences, support = _differences(info, both)
    return mean_bounds(differences, both.codes, support, tail, _STRETCH, both.counted, both.champion.weights)


def one_sided(info: MetricInfo, both: Pair, at: float = 0.0) -> tuple[float, float]:
    """p-values of "the difference is not above `at`" and "it is not below": the smallest errors that refute them."""
    if info.form == "quantile":
        found = _quantiles(info, both)
        return found.p_above(at), found.p_below(at)
    turned = both.turned(info)
    if turned is not None:
        return right_or_wrong.tail_at(turned, at), right_or_wrong.tail_at(turned.mirrored(), -at)
    found, support = _totals(info, both)
    return tail_at(found, support[0], at), tail_at(found.mirrored(), -support[1], -at)


def difference_needs(info: MetricInfo, both: Pair, at: float, tail: float) -> Needed:
    """Examples in all at which it is decided on which side of `at` the difference lies, one-sided error `tail`."""
    if info.form == "quantile":
        return _quantiles(info, both).needs(at, tail).times(both.per_group)
    found, support = _totals(info, both)
    return groups_needed(found, support, at, tail, turned=both.turned(info) is not None).times(both.per_group)


def compare_pair(info: MetricInfo, both: Pair, alpha: float = 0.05) -> Comparison:
    """The paired comparison: effect, 1 - alpha interval, two-sided p-value, minimum detectable effect.

    The p-value is the smallest alpha at which the interval excludes zero, so that the two never contradict each other.
    Raises ConfigError with fewer than two independent examples.
    """
    groups = both.champion.group_count
    if groups < 2:
        raise ConfigError(
            t("comparing needs at least two independent examples; all of these belong to one group"),
            t("add examples from other groups"),
        )
    champion, challenger = point(info, both.champion), point(info, both.challenger)
    effect, tail = challenger - champion, alpha / 2
    low, high = difference_bounds(info, both, tail)
    p_value = min(1.0, 2 * min(one_sided(info, both)))
    if info.form == "quantile":
        error, mde, test = None, _quantiles(info, both).detectable(tail), "order-statistics"
    else:
        differences, _ = _differences(info, both)
        turned = both.turned(info) is not None
        error = standard_error(differences, both.codes, both.champion.weights) / math.sqrt(both.counted)
        mde = detectable(*_totals(info, both), tail, turned=turned)
        test = "exact-paired" if turned else "gaffke" if info.form in ("mean", "ratio") else "gaffke-first-order"
    return Comparison(
        metric=info.name,
        higher_is_better=info.higher_is_better,
        n=len(both.champion),
        groups=groups,
        champion=champion,
        challenger=challenger,
        effect=effect,
        low=None if low is None else min(low, effect),
        high=None if high is None else max(high, effect),
        error=error,
        p_value=p_value,
        test=("folds-" if both.counted < 1 else "") + (test if groups == len(both.champion) else f"cluster-{test}"),
        mde=mde,
        needed=difference_needs(info, both, 0.0, tail).likely if p_value >= alpha and effect else None,
    )


def _differences(info: MetricInfo, both: Pair) -> tuple[Floats, tuple[float | None, float | None]]:
    """Values [n] whose mean is the difference, and the range they can lie in."""
    ours, our_least, our_most = as_mean(info, both.challenger)
    theirs, their_least, their_most = as_mean(info, both.champion)
    if our_least is None or our_most is None or their_least is None or their_most is None:
        return ours - theirs, (None, None)
    return ours - theirs, (our_least - their_most, our_most - their_least)


def difference_values(info: MetricInfo, both: Pair) -> tuple[Floats, tuple[float, float]]:
    """Values [n] whose mean is the difference, and the range that its bounds take them to lie in. Not for quantiles."""
    differences, support = _differences(info, both)
    return differences, ends(differences, support, _STRETCH)


def _totals(info: MetricInfo, both: Pair) -> tuple[Totals, tuple[float, float]]:
    differences, support = difference_values(info, both)
    return totals(differences, both.codes, both.counted, both.champion.weights), support


def _quantiles(info: MetricInfo, both: Pair) -> QuantilePair:
    return QuantilePair(both.champion, both.challenger, both.codes, info.q)


def _only(found: Sample, ids: set[str]) -> Sample:
    import numpy as np

    keep = [index for index, name in enumerate(found.ids) if name in ids]
    chosen = np.array(keep, dtype=np.intp)
    return Sample(
        ids=tuple(found.ids[index] for index in keep),
        groups=tuple(found.groups[index] for index in keep),
        values=found.values[chosen],
        failed=found.failed[chosen],
        gold=tuple(found.gold[index] for index in keep) if found.gold else (),
        predicted=tuple(found.predicted[index] for index in keep) if found.predicted else (),
        averaged=found.averaged,
        counted=found.counted,
        weights=None if found.weights is None else found.weights[chosen],
    )
