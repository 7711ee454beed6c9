"""What was measured: scores per example and aggregates with intervals."""

from __future__ import annotations

import msgspec

from slipway.core.answer import Answer
from slipway.core.material import Split
from slipway.core.metrics import MetricInfo, metric_info
from slipway.core.ref import Noun, Ref
from slipway.i18n import Said


class ReferenceLikelihood(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How likely an example's first reference is after the candidate's prompt: the sum of the negative natural-log
    probabilities of its `tokens`, the one that ends an answer included where the engine scores it; `bytes` in UTF-8.
    """

    nats: float
    tokens: int
    bytes: int


class Score(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One example under one candidate. `answer` is the first of several (`evaluate.repeats`)."""

    example: str  # Example.id
    group: str
    language: str
    answer: Answer
    metrics: dict[str, float]  # a metric that does not apply to the example is absent; NaN never is
    expected: tuple[str, ...] = ()  # the example's references; macro F1 needs the label, a person the answer
    draws: dict[str, tuple[float, ...]] = {}  # of several answers: what each scored; `metrics` has their mean
    facets: dict[str, str] = {}  # short values of the example's `meta`: what a rule of the gate may slice by
    likelihood: ReferenceLikelihood | None = None  # where it was asked for and scored
    folds: int = 0  # answered by one of so many candidates, which was fitted without its fold; 0: by the candidate

    @property
    def untimed(self) -> Score:
        """The same without what a clock measured and what follows from that: alike where answers are alike."""
        steps = tuple(msgspec.structs.replace(step, seconds=0.0) for step in self.answer.steps)
        answer = msgspec.structs.replace(
            self.answer, seconds=0.0, first_token_seconds=0.0, retrieve_seconds=0.0, cost=0.0, steps=steps, timed="",
            usage=msgspec.structs.replace(self.answer.usage, cached_tokens=0),
        )  # fmt: skip
        return msgspec.structs.replace(self, answer=answer)


class Aggregate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A metric over the examples it applies to.

    `low`, `high`: 95% interval, by whole groups. None: so few examples give no bound; a 95th percentile has an upper
    one only from 72 independent examples on.
    """

    value: float
    low: float | None
    high: float | None
    n: int


class Report(Noun, frozen=True, kw_only=True):
    """One candidate on one split of one dataset. `scores`: blob of `Score`s, one a line, in example order.

    `metrics` holds the aggregates over all examples; `by_language` the same per language. `meanings`: what the numbers
    of metrics mean that a project or a package brought; those of the table are left out.
    """

    candidate: Ref
    dataset: Ref
    split: Split
    scores: str
    metrics: dict[str, Aggregate]
    by_language: dict[str, dict[str, Aggregate]] = {}
    errors: int = 0  # examples with no answer
    currency: str = ""
    meanings: dict[str, MetricInfo] = {}
    answers: str = ""  # digest of the untimed scores: equal on two machines that answer alike, as `scores` is not
    timed: str = ""  # the stretch of time in which all answers were measured; empty: not in one
    unscored: Said | str = ""  # why there is no perplexity, where it was asked for
    folds: int = 0  # of `evaluate.folds`: the examples are those of train and dev, and not of dev alone

    def meaning(self, metric: str) -> MetricInfo:
        """What a metric's numbers mean. Raises NotFound, with the nearest name, for one that is not known."""
        return self.meanings.get(metric) or metric_info(metric, self.meanings)

    @property
    def ref(self) -> Ref:
        """How others point at it."""
        return Ref("report", f"{self.candidate.name}/{self.split}", self.digest)
