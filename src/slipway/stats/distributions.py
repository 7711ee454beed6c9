"""The normal distribution, which root finding and sizes of samples stand on."""

from __future__ import annotations


def normal_quantile(level: float) -> float:
    """Of the standard normal distribution."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(level)


def normal_share(z: float) -> float:
    """The share of the standard normal distribution below `z`."""
    from statistics import NormalDist

    return NormalDist().cdf(z)
