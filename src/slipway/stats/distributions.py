"""Quantiles of the distributions that intervals and power stand on."""

from __future__ import annotations


def normal_quantile(level: float) -> float:
    """Of the standard normal distribution."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(level)


def t_quantile(level: float, freedom: int) -> float:
    """Of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, level))
