"""What a tuner may ask of the project while it works: another model's answers, and what a metric makes of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from slipway.adapt.candidates import effective, make_candidate
from slipway.core.answer import Answer
from slipway.core.candidate import ModelPin
from slipway.core.material import Dataset, Example
from slipway.core.protocols import Compares, Scorer, Tuner
from slipway.core.ref import digest_of
from slipway.errors import ConfigError, instead
from slipway.evaluate.answering import Asked, answer_all
from slipway.evaluate.scoring import make_scorers, scorers_of
from slipway.i18n import t
from slipway.loop.state import Loop
from slipway.project.plugin_config import PluginConfig
from slipway.runtime.cost import make_cost
from slipway.runtime.session import Session


def models_named(tuner: type[Tuner], options: PluginConfig) -> list[str]:
    """Names of other models of the project in a tuner's options (`Tuner.models`)."""
    found = [options.options.get(key) for key in getattr(tuner, "models", ())]
    return [name for name in found if isinstance(name, str) and name]


class Asking:
    """For one candidate's tuner. `key`: what its answers depend on, for the key of the step."""

    def __init__(self, loop: Loop, name: str, tuner: type[Tuner], pins: Mapping[str, ModelPin]) -> None:
        options = effective(loop.project, name).tune
        self._loop, self._name, self._pins = loop, name, pins
        self._named = models_named(tuner, options) if options else []
        self._scores = "scores" in tuner.reads
        self._scorers: dict[str, Scorer] | None = None
        for other in self._named:
            if other not in loop.project.models:
                raise ConfigError(
                    t("candidates.{name}.tune: the project has no model '{model}'", name=name, model=other),
                    instead(other, list(loop.project.models)),
                )

    @property
    def key(self) -> list[Any]:
        """Pins of the other models, and the metrics with their code; empty where nothing may be asked."""
        key: list[Any] = [self._pins[name] for name in self._named]
        key += [self._loop.context.plugins.code("engines", self._pins[name].engine) for name in self._named]
        if self._scores:
            metrics = scorers_of(self._loop.project.evaluate.metrics, self._loop.context.plugins)
            key += [one.model_dump(mode="json") for one in metrics]
            key += [self._loop.context.plugins.code("scorers", one.scorer) for one in metrics]
        return key

    def model(self, name: str) -> tuple[ModelPin, Mapping[str, Path]]:
        """See `Job.model`."""
        if name not in self._named:
            raise ConfigError(
                t("the tuner does not say that it uses the model '{name}'", name=name),
                t("name the option in `models` of the tuner: a step is done again when the model has changed"),
            )
        pin = self._pins[name]
        return pin, self._loop.context.locate(pin)

    def answers(
        self, name: str, examples: Sequence[Example], seen: Dataset, chunks: Dataset | None = None
    ) -> list[str]:
        """See `Job.answers`. In a session of its own: when it has answered, the other model's memory is free again."""
        pin, _ = self.model(name)
        context, project = self._loop.context, self._loop.project
        known = [e for e in context.store.blobs.get_lines(seen.items, Example) if e.split in ("train", "dev")]
        plain = project.model_copy(update={"candidates": {self._name: self._plain()}})
        at = chunks.ref if chunks else None
        candidate = make_candidate(plain, self._name, context.root, self._pins, at, known, context.plugins)
        candidate = msgspec.structs.replace(candidate, name=f"{self._name}:{name}", model=pin)
        asked = Asked(candidate, self._code(pin))
        step, once = f"teach:{self._name}", project.evaluate.model_copy(update={"repeats": 1})

        async def work() -> list[list[tuple[Answer, ...]]]:
            cost = make_cost(project, context.rate_of)
            session = Session(context.store, context.locate, cost, context.tell, context.plugins)
            try:
                progress = self._loop.progress(step)
                return await answer_all([asked], examples, session, once, progress=progress)
            finally:
                await session.close()

        (found,) = context.wait(work())
        failed = [each[0] for each in found if each[0].error]
        if failed:
            told = t("{step}: {n} of {all} examples were not answered; the first: {why}", step=step, n=len(failed),
                     all=len(found), why=failed[0].error)  # fmt: skip
            context.listener.say(f"  {told}")
        return ["" if each[0].error else each[0].raw.strip() for each in found]

    def _plain(self) -> Any:
        """The candidate without its tuner, and without worked examples: the one to be answered may be among them."""
        bare = {"tune": None, "few_shot": None, "extends": None, "samples": 1}
        return effective(self._loop.project, self._name).model_copy(update=bare)

    def _code(self, pin: ModelPin) -> str:
        context, task = self._loop.context, self._loop.project.task.name
        names = (("engines", pin.engine), ("tasks", task), ("strategies", "direct"))
        return digest_of([context.code.of("slipway.runtime.respond"), *(context.plugins.code(*one) for one in names)])

    def score(self, example: Example, text: str, metric: str) -> float:
        """See `Job.score`. What is no output of the task scores the worst."""
        if not self._scores:
            raise ConfigError(
                t("the tuner does not say that it reads '{what}'", what="scores"),
                t("name it in `reads` of the tuner: a step is done again when what it reads has changed"),
            )
        scorer = self._scorer(metric)
        try:
            output = self._loop.context.task.output(text)
        except ValueError:
            return 0.0
        value = scorer.score(example, Answer(text=output.text, raw=text, label=output.label))
        if value is None or output.abstained:
            return 0.0
        return float(value) if scorer.higher_is_better else 1.0 - float(value)

    def _scorer(self, metric: str) -> Scorer:
        if self._scorers is None:
            made = make_scorers(self._loop.project.evaluate.metrics, self._loop.context.plugins)
            self._scorers = {name: one for name, one in made.items() if not isinstance(one, Compares)}
        if metric in self._scorers:
            return self._scorers[metric]
        if metric or not self._scorers:
            raise ConfigError(
                t("candidates.{name}.tune: no metric '{metric}' scores answers without a model",
                  name=self._name, metric=metric or "-"),
                t("known: {names}", names=", ".join(self._scorers) or "-"),
            )  # fmt: skip
        return next(iter(self._scorers.values()))
