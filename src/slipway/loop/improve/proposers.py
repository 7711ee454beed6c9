"""What is tried without looking at answers: tuned again with other options, worked examples, retrieval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from slipway.i18n import t
from slipway.loop.improve.recipes import Recipe, Situation, changed, recipe
from slipway.project.plugin_config import PluginConfig
from slipway.project.schema import CandidateConfig

SHOTS = (2, 4, 8)  # worked examples
EXCERPT = 600  # weighted characters of sentences near the question


class Retrain:
    """Every candidate that is tuned, made again of all rows there are now; then with one option changed.

    Which options are worth a try is the tuner's to say: its class may have `variants`, option -> values.
    """

    name: ClassVar[str] = "retrain"

    def propose(self, situation: Situation) -> Iterable[Recipe]:
        """First all as they are, then their variants in turn."""
        tuned = {name: config for name, config in situation.parents.items() if config.tune is not None}
        for name, config in tuned.items():
            yield recipe(name, self.name, t("as it is, with all rows"), config)
        for name, config in tuned.items():
            assert config.tune is not None
            tuner, options = situation.tuner(config.tune.name), config.tune.options
            variants: Mapping[str, Sequence[Any]] = getattr(tuner, "variants", {})
            for option, values in variants.items():
                for value in values:
                    if options.get(option, _default(tuner, option)) != value:
                        tune = PluginConfig(name=config.tune.name, options={**options, option: value})
                        yield recipe(name, self.name, f"{option}: {value}", changed(config, tune=_plain(tune)))


class Shots:
    """Other numbers of worked examples, and other ones, where the prompt shows any."""

    name: ClassVar[str] = "few-shot"

    def propose(self, situation: Situation) -> Iterable[Recipe]:
        """For each candidate that has a prompt: the pool of now, more and fewer, the nearest, another draw."""
        for name, config in situation.parents.items():
            if config.prompt is None or config.model is None or "examples" not in situation.prompt(config.prompt):
                continue
            now = config.few_shot
            if now is not None:
                yield recipe(name, self.name, t("worked examples of all rows"), config)
            embedder = (now.embedder if now else None) or (config.retrieve.embedder if config.retrieve else None)
            for k in SHOTS:
                if embedder and (now is None or (now.k, now.choose) != (k, "nearest")):
                    shots = {"k": k, "choose": "nearest", "embedder": embedder}
                    yield recipe(name, self.name, t("the {k} nearest examples", k=k), changed(config, few_shot=shots))
                if now is None or (now.k, now.choose) != (k, "fixed"):
                    shots = {"k": k, "choose": "fixed", "seed": now.seed if now else 7}
                    yield recipe(name, self.name, t("{k} fixed examples", k=k), changed(config, few_shot=shots))
            if now is not None and now.choose == "fixed":
                other = {"k": now.k, "choose": "fixed", "seed": now.seed + 1}
                yield recipe(name, self.name, t("other fixed examples"), changed(config, few_shot=other))


class Retrieval:
    """More and fewer passages, another order of them, only the sentences near the question, more or fewer quotes."""

    name: ClassVar[str] = "retrieval"

    def propose(self, situation: Situation) -> Iterable[Recipe]:
        """For each candidate that retrieves."""
        for name, config in situation.parents.items():
            if config.retrieve is None:
                continue
            for change, keys in _retrieving(config):
                yield recipe(name, self.name, change, changed(config, **keys))


def _retrieving(config: CandidateConfig) -> Iterable[tuple[str, dict[str, Any]]]:
    assert config.retrieve is not None
    now = config.retrieve
    for k in dict.fromkeys((max(1, now.top_k // 2), now.top_k + 1, min(100, now.top_k * 2))):
        if k != now.top_k:
            yield f"top_k: {k}", {"retrieve": {"top_k": k}}
    if now.rerank is None and now.reranker is None:
        yield "rerank: 20", {"retrieve": {"rerank": 20}}
    excerpt = None if now.excerpt_chars else EXCERPT
    yield f"excerpt_chars: {excerpt}", {"retrieve": {"excerpt_chars": excerpt}}
    if config.strategy.name == "quote":
        sentences = int(config.strategy.options.get("sentences", 1))
        for n in (sentences + 1, sentences - 1):
            if n >= 1:
                quote = PluginConfig(name="quote", options={**config.strategy.options, "sentences": n})
                yield f"sentences: {n}", {"strategy": _plain(quote)}


def _plain(plugin: PluginConfig) -> dict[str, Any]:
    return {"name": plugin.name, "options": plugin.options}


def _default(tuner: type[Any], option: str) -> Any:
    field = tuner.Config.model_fields.get(option)
    return field.get_default(call_default_factory=True) if field is not None else None
