"""SQuAD's and CMRC 2018's scores as they are published, to stand beside published numbers (`text.published`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from slipway.builtin.scorers.common import WithoutOptions, best
from slipway.core.answer import Answer
from slipway.core.material import Example
from slipway.text import published


class _Published(WithoutOptions):
    measure: ClassVar[Callable[[str, str], float]]

    def score(self, example: Example, answer: Answer) -> float | None:
        """In [0, 1]; None without references."""
        return best(example, answer, type(self).measure)


class SquadF1(_Published):
    """F1 of SQuAD v1.1 (Rajpurkar et al. 2016). English only; 3.5 is 35 to it."""

    measure = staticmethod(published.squad_f1)


class SquadEM(_Published):
    """Exact match of SQuAD v1.1 (Rajpurkar et al. 2016). English only; 3.5 is 35 to it."""

    measure = staticmethod(published.squad_em)


class CmrcF1(_Published):
    """F1 of CMRC 2018 (Cui et al. 2019): of the longest common run of characters and words. Chinese."""

    measure = staticmethod(published.cmrc_f1)


class CmrcEM(_Published):
    """Exact match of CMRC 2018 (Cui et al. 2019). Chinese."""

    measure = staticmethod(published.cmrc_em)
