"""What out-of-fold answers are worth as evidence. Knows no examples.

Each fold is answered by another candidate, and any two of these were fitted to mostly the same examples. So the answers
are not independent, and their spread does not tell by how much: no estimator of the variance of K-fold cross-validation
is unbiased for all distributions (Bengio and Grandvalet 2004). Taken for independent, a 95% interval misses in 5 to 20%
of samples. Nadeau and Bengio (2003) take the correlation of two folds to be the share of examples that a fold holds,
which multiplies the variance of the mean by 1 + K / (K - 1); measured in `bench/folds.py`.
"""

from __future__ import annotations


def counted(folds: int) -> float:
    """As what part of an independent one each group counts where so many candidates were fitted; 1 for none."""
    return 1 / (1 + folds / (folds - 1)) if folds > 1 else 1.0
