"""Recipes made and measured, one rung after another: each failure is its recipe's own, and each cost is counted."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from slipway.core.candidate import Candidate
from slipway.core.material import Dataset, Example
from slipway.core.metrics import MetricInfo
from slipway.core.report import Score
from slipway.errors import SlipwayError
from slipway.evaluate.scoring import evaluate
from slipway.loop.improve.choosing import value
from slipway.loop.improve.recipes import Miss, Recipe
from slipway.loop.improve.record import Records, Tried
from slipway.loop.improve.search import Spending
from slipway.loop.row_files import FOLDER as ROWS
from slipway.loop.stages.adapt import answering, make_candidates
from slipway.loop.stages.evaluate import encoder_pins
from slipway.loop.state import Loop
from slipway.project.plugin_config import PluginConfig
from slipway.project.schema import CandidateConfig
from slipway.stats.samples import aggregate

ASKED = 24  # examples of train that mistakes are looked for in
_SHORT = "epochs"  # an option of a tuner that says how long it trains


class Attempts:
    """The recipes of one turn. `scores`: of each, on the examples that it was asked last."""

    def __init__(
        self, loop: Loop, chunks: Dataset | None, examples: Dataset, records: Records, spending: Spending, seed: int
    ) -> None:
        self._loop, self._chunks, self._examples, self._records, self._spending = (
            loop, chunks, examples, records, spending
        )  # fmt: skip
        held = list(loop.store.blobs.get_lines(examples.items, Example))
        self._train = _drawn([e for e in held if e.split == "train"], seed)
        self._dev = _drawn([e for e in held if e.split == "dev"], seed)
        self._project = loop.project
        self.candidates: dict[str, Candidate] = {}
        self.scores: dict[str, list[Score]] = {}

    def begin(
        self, recipes: Sequence[Recipe], tried: Sequence[Tried], champion: Candidate, info: MetricInfo, sizes: list[int]
    ) -> None:
        """These are to be measured."""
        self.recipes = {one.name: one for one in recipes}
        self.tried = {one.name: one for one in tried}
        self._champion, self._info, self._sizes = _bare(champion), info, sizes

    def measure(self, name: str, rung: int, size: int) -> float | None:
        """Make the candidate and let it answer the first `size` examples of dev; None where that is not to be had."""
        one = self.tried[name]
        if not self._affords(one, size):
            one.state = "budget"
            return None
        began = time.monotonic()
        try:
            scores = self._measured(self.recipes[name], rung, size)
        except SlipwayError as error:
            one.state, one.why = "failed", error.message
            self._count(one, [], began)
            self._loop.context.listener.say(f"  {name}: {error.message}")
            return None
        if scores is None:
            one.state = "serves"
            return None
        self.scores[name] = scores
        self._count(one, scores[one.examples :], began)
        found = aggregate(scores, self._info)
        one.rung, one.examples = rung, size
        if found is not None:
            one.score, one.low, one.high = found.value, found.low, found.high
        one.state = "measured" if rung == len(self._sizes) - 1 else "waiting"
        return value(self._info, scores)

    def drop(self, name: str, rung: int) -> None:
        """It goes on no further."""
        self.tried[name].state = "dropped"

    def misses(self, champion: Candidate, info: MetricInfo) -> list[Miss]:
        """What the champion answers badly of some examples of train; nothing where it asks no model."""
        asked = [e for e in self._train if e.expected][:ASKED]
        if champion.model is None or not asked:
            return []
        began = time.monotonic()
        try:
            scores = self._answer(champion, asked)
        except SlipwayError:
            return []
        self._spending.pay(sum(score.answer.cost for score in scores), time.monotonic() - began)
        often = Counter(reference for one in self._train for reference in set(one.expected))
        found = [
            Miss(
                e.text, e.expected, s.answer.text, s.metrics.get(info.name, 0.0), e.language, e.id,
                common=any(often[reference] > 1 for reference in e.expected), heard=is_heard(e),
            )
            for e, s in zip(asked, scores, strict=True)
        ]  # fmt: skip
        return [one for one in found if (one.score < 0.5) == info.higher_is_better]

    def _affords(self, one: Tried, size: int) -> bool:
        """By what the rungs before have taken; nothing is known of the first."""
        share = (size - one.examples) / one.examples if one.examples else 0.0
        return self._spending.affords(one.seconds * share, one.cost * share)

    def _measured(self, recipe: Recipe, rung: int, size: int) -> list[Score] | None:
        """The scores on the first `size` examples of dev, in that order; None for what serves already."""
        config = _shortened(recipe.config, self._loop, 3.0 ** (rung + 1 - len(self._sizes)))
        if recipe.prompt:
            config = config.model_copy(update={"prompt": self._records.prompt(recipe)})
        loop = self._loop
        loop.project = self._project.model_copy(update={"candidates": {recipe.name: config}})
        try:
            candidate = make_candidates(loop, self._chunks, self._examples)[recipe.name]
        finally:
            loop.project = self._project
        if _bare(candidate) == self._champion:
            return None
        self.candidates[recipe.name] = candidate
        return self._answer(candidate, self._dev[:size])

    def _answer(self, candidate: Candidate, examples: Sequence[Example]) -> list[Score]:
        loop = self._loop
        progress = loop.progress(f"answer:{candidate.name}")
        return loop.context.wait(
            evaluate(
                candidate, examples, loop.context.session, loop.project.evaluate, answering(loop, candidate), progress,
                encoder_pins(loop),
            )
        )  # fmt: skip

    def _count(self, one: Tried, new: Sequence[Score], began: float) -> None:
        seconds = time.monotonic() - began
        one.seconds += seconds
        one.cost += self._spending.pay(sum(score.answer.cost for score in new), seconds)


def is_heard(example: Example) -> bool:
    """Whether it is a row of feedback."""
    return example.source.startswith(f"{ROWS}/")


def _drawn(examples: list[Example], seed: int) -> list[Example]:
    """In an order that does not change when the file is shuffled, so that a rung's examples begin the next one's."""
    held = sorted(examples, key=lambda one: one.id)
    random.Random(seed).shuffle(held)
    return held


def _bare(candidate: Candidate) -> Candidate:
    """Without what it is called, and what its artifact is."""
    return msgspec.structs.replace(candidate, name="", artifact=None)


def _shortened(config: CandidateConfig, loop: Loop, share: float) -> CandidateConfig:
    """With this share of the tuner's epochs, at least one, where it has such an option."""
    if config.tune is None or share >= 1:
        return config
    fields: Mapping[str, Any] = loop.context.plugins.load("tuners", config.tune.name).Config.model_fields
    if _SHORT not in fields:
        return config
    whole = config.tune.options.get(_SHORT, fields[_SHORT].get_default(call_default_factory=True))
    if not isinstance(whole, int | float) or whole <= 1:
        return config
    fewer = max(1, round(whole * share))
    options = {**config.tune.options, _SHORT: fewer if isinstance(whole, int) else float(fewer)}
    return config.model_copy(update={"tune": PluginConfig(name=config.tune.name, options=options)})
