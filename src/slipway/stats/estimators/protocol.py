"""What an estimator is given and gives, and the one interval that all of them end in. Knows no estimator."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.stats.grouping import standard_error
from slipway.stats.means import lower_bound, merged

if TYPE_CHECKING:
    from slipway.stats.grouping import Codes, Floats


def _nothing(*shape: int) -> Any:
    import numpy as np

    return np.zeros(shape)


@dataclass(frozen=True)
class Measured:
    """What is known of examples. n of them have a value; the N of the `rest` have covariates only.

    `values` [n] lie in `support`. `groups` [n] and `rest_groups` [N] are codes of one numbering: a group may have
    examples of both kinds. `covariates` [n, p], `rest` [N, p]. `strata` [n]: the stratum's name. Where a value is the
    mean of several `answers`, `within` [n] is the variance of one answer's value.
    """

    values: Floats
    groups: Codes
    support: tuple[float, float]
    covariates: Floats = field(default_factory=lambda: _nothing(0, 0))
    rest: Floats = field(default_factory=lambda: _nothing(0, 0))
    rest_groups: Codes = field(default_factory=lambda: _nothing(0).astype(int))
    strata: tuple[str, ...] = ()
    within: Floats = field(default_factory=lambda: _nothing(0))
    answers: int = 1


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Variance of a question's value: `between` questions, and `within` one answer's draw around its question's mean.

    `between` is that of an independent question: where questions share groups it is larger. `answers`: K of each.
    `worth`: the fewest answers beyond which the standard error gets at most 5% smaller.
    """

    between: float
    within: float
    answers: int
    worth: int

    def smaller(self, answers: float) -> float:
        """By which share the standard error is smaller with so many answers a question than with one."""
        one = self.between + self.within
        return 1 - math.sqrt((self.between + self.within / answers) / one) if one > 0 else 0.0


class Estimated(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate of the mean with its interval. `method`: its estimator's name.

    `error`: standard error by whole groups. `n`: examples that have a value; `effective`: how many the plain mean would
    need for the same standard error (of `repeats`: with one answer each). `coefficients`: by covariate.
    """

    method: str
    value: float
    low: float
    high: float
    error: float
    n: int
    effective: float
    coefficients: tuple[float, ...] = ()
    spread: Spread | None = None


class Estimator(Protocol):
    """A way to estimate a mean."""

    def estimate(self, measured: Measured, tail: float = 0.025) -> Estimated:
        """The estimate and its interval, each end with one-sided error `tail`, right for many groups.

        Raises ConfigError where there is not enough to estimate with.
        """
        ...


@dataclass(frozen=True)
class Linear:
    """An estimate as a sum over groups: `value`, what each group adds to its error `parts` [G], and `sizes` [G].

    `sizes` are in examples that have a value, n in all; `parts` are in the unit of the value and sum to about zero.
    """

    value: float
    parts: Floats
    sizes: Floats

    def concluded(
        self, method: str, measured: Measured, tail: float, coefficients: tuple[float, ...] = ()
    ) -> Estimated:
        """The bound of `means` for it: the value of a group is the estimate, and what the group adds n times."""
        import numpy as np

        n, support = len(measured.values), measured.support
        parts = self.parts - self.sizes * (self.parts.sum() / n)
        found = merged(self.value * self.sizes + n * parts, self.sizes)
        groups = np.count_nonzero(self.sizes)
        error = math.sqrt(groups / (groups - 1) * float(parts @ parts))
        plain = standard_error(measured.values, measured.groups)
        return Estimated(
            method=method,
            value=self.value,
            low=lower_bound(found, support[0], tail),
            high=-lower_bound(found.mirrored(), -support[1], tail),
            error=error,
            n=n,
            effective=n * (plain / error) ** 2 if error > 0 else float(n),
            coefficients=coefficients,
        )


def at_least_two(groups: Codes) -> None:
    """Raises ConfigError where there are fewer than two independent examples."""
    if len(set(groups.tolist())) < 2:
        raise ConfigError(
            t("comparing needs at least two independent examples; all of these belong to one group"),
            t("add examples from other groups"),
        )
