"""Regression adjustment (CUPED) and prediction-powered inference (PPI++): one estimate, two sets of covariates.

The covariates of examples without a value say how hard the examples with one are. The estimate is
mean(value - b x) + b mean(x of the rest), with the b that makes its variance least: Deng, Xu, Kohavi and Walker 2013,
"Improving the sensitivity of online controlled experiments by utilizing pre-experiment data"; Angelopoulos, Duchi and
Zrnic 2023, "PPI++: efficient prediction-powered inference" (arXiv:2311.01453), section 6, where x is what a judge says
and b lies between 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.stats.estimators.protocol import Estimated, Linear, Measured, at_least_two

if TYPE_CHECKING:
    from slipway.stats.grouping import Codes, Floats

ENOUGH = 10  # independent examples for each covariate


@dataclass(frozen=True)
class Regression:
    """Covariates that are known before the candidate answers: any sign, any unit."""

    def estimate(self, measured: Measured, tail: float = 0.025) -> Estimated:
        """See `Estimator`. Raises ConfigError with fewer than ten groups a covariate, or without a rest."""
        return _adjusted("regression", measured, tail, None)


@dataclass(frozen=True)
class Predictions:
    """One covariate that predicts the value, in its unit: a judge's score. A judge that is useless weighs nothing."""

    def estimate(self, measured: Measured, tail: float = 0.025) -> Estimated:
        """See `Estimator`. Raises ConfigError as `Regression` does."""
        return _adjusted("predictions", measured, tail, (0.0, 1.0))


def _adjusted(method: str, measured: Measured, tail: float, limits: tuple[float, float] | None) -> Estimated:
    import numpy as np

    _enough(measured)
    count = int(max(measured.groups.max(), measured.rest_groups.max())) + 1
    sizes = np.bincount(measured.groups, minlength=count).astype(np.float64)
    values = _parts(measured.values[:, None], measured.groups, count)[:, 0]
    moves = _parts(measured.covariates, measured.groups, count) - _parts(measured.rest, measured.rest_groups, count)
    inverse = np.linalg.pinv(moves.T @ moves, hermitian=True)
    slopes = inverse @ (moves.T @ values)
    if limits is not None:
        slopes = np.clip(slopes, *limits)
    leverage = np.einsum("gp,pq,gq->g", moves, inverse, moves)  # of the group in the slopes, which followed it
    parts = (values - moves @ slopes) / np.maximum(1 - leverage, 1e-6)
    value = float(measured.values.mean() - slopes @ (measured.covariates.mean(axis=0) - measured.rest.mean(axis=0)))
    low, high = measured.support
    return Linear(min(max(value, low), high), parts, sizes).concluded(
        method, measured, tail, tuple(float(slope) for slope in slopes)
    )


def _parts(columns: Floats, groups: Codes, count: int) -> Floats:
    """What each group adds to the error of the columns' means, [count, p]."""
    import numpy as np

    centred = (columns - columns.mean(axis=0)) / len(columns)
    found = np.zeros((count, columns.shape[1]))
    np.add.at(found, groups, centred)
    return found


def _enough(measured: Measured) -> None:
    at_least_two(measured.groups)
    width = measured.covariates.shape[1]
    if not len(measured.rest):
        raise ConfigError(
            t("every example has a value, so covariates cannot tell anything: both candidates answered the same ones"),
            t("add examples without a reference answer, for example from traffic; they need no labelling"),
        )
    groups = len(set(measured.groups.tolist()))
    if groups < ENOUGH * width:
        raise ConfigError(
            t("{p} covariates need at least {least} independent examples with a value, there are {n}",
              p=width, least=ENOUGH * width, n=groups),
            t("name fewer covariates, or add examples"),
        )  # fmt: skip
