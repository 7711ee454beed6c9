"""Which of a task's labels a language model finds likeliest: each whole label is scored after the chat's prompt.

A model that writes under a grammar commits to the first token that begins any label, however unlikely what follows is;
a label's own probability, that of all its tokens and of the end of the answer, does not depend on where labels part.

Its probability is divided by how likely it is when the input says nothing (contextual calibration, Zhao et al. 2021,
"Calibrate Before Use"; as a ratio it is PMI_DC, Holtzman et al. 2021). The prompt is then rendered for such an input,
with worked examples that are the same for every input, whose labels a model likes to say again; without those nearest
an input, which say much about its label. A ratio needs no end of the answer, which only adds noise to it; without it, a
label that begins another one would always win.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from slipway.core.answer import Answer, Step
from slipway.core.message import GenerateRequest, Likelihood, LikelihoodRequest
from slipway.core.protocols import Labelled, Work
from slipway.core.ref import digest_of
from slipway.errors import EngineError
from slipway.i18n import t

NEUTRAL = "N/A"  # an input that says nothing, as Zhao et al. have it
SHOWN = 3  # labels, the likeliest first, that a step of the answer tells
MOST_PRIORS = 64  # prompts whose priors are kept
_MOST_OUT = 3.0  # nats that leaving out by probability is wider, so that a temperature above 1 sees the next ones


class LabelsConfig(BaseModel):
    """How a language model chooses a label.

    `by`: `score` each whole label, or let it `write` under a grammar; without it, `score` where the engine can.
    `prior`: divide by how likely a label is for an input that says nothing, to the power of this number, 0 to 1.
    `per_token`: compare means over tokens, not sums. `temperature`: confidences are the softmax of scores divided
    by it. `within`: a label that is sure to be so many nats below the best is not followed to its end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Literal["score", "write"] | None = None
    prior: float = Field(default=1.0, ge=0, le=1)
    per_token: bool = False
    temperature: float = Field(default=1.0, gt=0, le=100)
    within: float = Field(default=5.0, gt=0, le=1000)


class Labels:
    """Scores labels, and remembers their priors."""

    def __init__(self, config: LabelsConfig) -> None:
        self.config = config
        self._priors: OrderedDict[str, tuple[float, ...]] = OrderedDict()
        self._finding = asyncio.Lock()

    def scored(self, work: Work) -> bool:
        """Whether labels are scored. Raises EngineError where they must be and the engine cannot."""
        candidate, task = work.candidate, work.task
        free = candidate.json_schema is not None or candidate.answer_pattern or candidate.tools
        if self.config.by == "write" or not isinstance(task, Labelled) or not task.labels:
            return False
        if work.can("score") and not free and candidate.samples == 1:
            return True
        if self.config.by is None:
            return False
        raise EngineError(
            t("labels cannot be scored here: the engine has no 'score', or the candidate asks for more than a label"),
            t(
                "use `engine: llama`, or leave out `labels: {by: score}`; samples, tools, answer_pattern and "
                "json_schema go with labels that are written"
            ),
            status=400,
        )

    async def choose(self, work: Work, request: GenerateRequest, labels: Mapping[str, str]) -> Answer:
        """The likeliest label, with its confidence; the step `labels` tells the next ones."""
        names, config = list(work.candidate.choices or labels), self.config
        priors = await self._prior(work, names) if config.prior else (0.0,) * len(names)
        offsets = [-config.prior * prior for prior in priors]
        # Means over tokens do not fall as a label goes on, so no branch can be left out for what it has so far.
        within = None if config.per_token else config.within * max(1.0, config.temperature) + _MOST_OUT
        found = await work.likelihoods(
            LikelihoodRequest(
                request=request, answers=tuple(names), offsets=tuple(offsets), within=within, ended=not config.prior
            )
        )
        worth = [self._worth(one, offset) for one, offset in zip(found.answers, offsets, strict=True)]
        shares = softmax([value / config.temperature for value in worth])
        order = sorted(range(len(names)), key=lambda n: (not found.answers[n].exact, -worth[n], n))
        told = ", ".join(f"{names[n]} {shares[n]:.2f}" for n in order[:SHOWN])
        best = order[0]
        return Answer(
            text=names[best], raw=names[best], confidence=shares[best], steps=(Step(name="labels", output=told),)
        )

    def _worth(self, one: Likelihood, offset: float) -> float:
        worth = one.logprob + offset
        return worth / max(1, one.tokens) if self.config.per_token else worth

    async def _prior(self, work: Work, names: Sequence[str]) -> tuple[float, ...]:
        """The log-probability of each label for an input that says nothing; found once, whoever asks first."""
        few_shot = work.candidate.few_shot
        fixed = await work.examples(NEUTRAL) if few_shot is not None and few_shot.choose == "fixed" else ()
        request = work.request(examples=fixed, input=dict.fromkeys(work.task.inputs, NEUTRAL))
        key = digest_of([request.messages, names, work.candidate.model, work.candidate.adapters])
        async with self._finding:
            if key not in self._priors:
                found = await work.likelihoods(LikelihoodRequest(request=request, answers=tuple(names), ended=False))
                self._priors[key] = tuple(one.logprob for one in found.answers)
                while len(self._priors) > MOST_PRIORS:
                    self._priors.popitem(last=False)
            self._priors.move_to_end(key)
            return self._priors[key]


def softmax(values: Sequence[float]) -> list[float]:
    """Shares of one, in the order of the values."""
    highest = max(values)
    powers = [math.exp(value - highest) for value in values]
    return [power / sum(powers) for power in powers]
