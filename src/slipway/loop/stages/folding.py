"""`evaluate.folds`: the examples of train and dev answered by candidates that were fitted without them.

What a candidate takes from examples (its tuner, its worked examples, its tuned embedder) is done again without each
fold, by the same steps as for the candidate itself: a fold is a frozen set of the same examples in which the fold's own
are held in reserve. The splits keep their parts: what is fitted on train is fitted on the rest of train, and what is
chosen on dev, such as a threshold, is chosen on the rest of dev. The gate split is untouched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from slipway.core.artifact import Artifact
from slipway.core.candidate import Candidate
from slipway.core.material import Dataset, Example
from slipway.core.protocols import Labelled
from slipway.core.ref import Ref, digest_of
from slipway.data.examples import example_files
from slipway.data.folds import assign_folds, fold_name
from slipway.data.label_splits import labels_of
from slipway.errors import ConfigError, NotFound
from slipway.i18n import t
from slipway.loop.stages.adapt import make_one
from slipway.loop.state import Loop

_POOL = ("train", "dev")


class Answered(NamedTuple):
    """Who answers which examples. `by`: for each example the candidate that was fitted without it; empty where one
    candidate answers them all. `folds`: how many were fitted; 0: none. `pooled`: those of train are among them.
    """

    examples: Sequence[Example]
    by: Sequence[Candidate] = ()
    folds: int = 0
    pooled: bool = True

    @property
    def apart(self) -> bool:
        """Whether each of them brings a model of its own, so that they are not all held in memory at once."""
        return any(_brings_model(one) for one in self.by)


class Folding:
    """The folds of the examples of train and dev, for candidates that are to be measured on them.

    Raises ConfigError where there are too few groups for so many.
    """

    def __init__(self, loop: Loop, examples: Dataset, candidates: Sequence[Candidate]) -> None:
        self._loop, self._examples, self._count = loop, examples, loop.project.evaluate.folds or 0
        self._every = list(loop.store.blobs.get_lines(examples.items, Example))
        self._held = [example for example in self._every if example.split in _POOL]
        only = _only_learnt(loop)
        learnt = [n for n, example in enumerate(self._held) if example.source.rpartition(":")[0] in only]
        self._places = self._dealt(learnt)
        outside = {self._held[n].id for n in learnt}
        asked = [example for example in self._held if example.id not in outside]
        self._asked = sorted(asked, key=lambda one: self._places[one.id])  # each fold is answered in one stretch
        self._fitted = {one.digest for one in candidates if fitted(loop, one)}
        again = [one.name for one in candidates if one.digest in self._fitted and one.digest in loop.made]
        if again:
            loop.context.listener.say(
                t("evaluate.folds: fitted {count} times more, each time without a fold of train and dev: {names}",
                  count=self._count, names=", ".join(again))
            )  # fmt: skip

    def of(self, candidate: Candidate) -> Answered:
        """Who answers in the place of a candidate; what must be fitted for it is fitted now, in steps of their own.

        A candidate of an earlier project file cannot be fitted again. If it took anything from examples, it answers
        those of dev only. Raises what fitting raises.
        """
        if candidate.digest not in self._fitted:
            return Answered(self._asked)
        made = self._loop.made.get(candidate.digest)
        if made is None:
            return Answered([example for example in self._held if example.split == "dev"], pooled=False)
        name, count = candidate.name, self._count
        without: list[Candidate] = []
        for fold in range(count):
            subset, seen = self._without(fold)
            try:
                without.append(make_one(self._loop, name, made, subset, seen, fold_name("", fold, count)))
            except ConfigError as error:  # the rest of train and dev may be too small for what all of it is enough for
                why = t("without fold {n} of {count}: {why}", n=fold + 1, count=count, why=error.said)
                raise ConfigError(why, error.hint) from error
        found = Answered(self._asked, [without[self._places[one.id]] for one in self._asked], count)
        if not found.apart:
            self._loop.context.session.expect(without)
        return found

    def _dealt(self, learnt: Sequence[int]) -> Mapping[str, int]:
        """The fold of each example of train and dev, by id; found once for the same examples."""
        loop, store, context, seed = (
            self._loop,
            self._loop.store,
            self._loop.context,
            self._loop.project.data.split.seed,
        )

        def work() -> Ref:
            task = context.task
            texts = [task.text(task.input(example.input)) for example in self._held]
            labels = labels_of(self._held) if isinstance(task, Labelled) else ()
            found = assign_folds(self._held, texts, self._count, seed, labels, learnt)
            return Ref("folds", self._examples.name, store.blobs.put_lines(found))

        code = [context.code.of(assign_folds.__module__), context.plugins.code("tasks", loop.project.task.name)]
        ref = loop.steps.step(
            "folds", [self._examples.ref], [self._count, seed, learnt], digest_of(code), work,
            lambda ref: store.blobs.sound(ref.digest),
        )  # fmt: skip
        found = store.blobs.get_lines(ref.digest, int)
        return dict(zip([example.id for example in self._held], found, strict=True))

    def _without(self, fold: int) -> tuple[Dataset, list[Example]]:
        """The frozen examples with a fold in reserve; and those of train and dev, the fold's own among them, since the
        labels of a task are known whatever is fitted.
        """
        store, name = self._loop.store, fold_name(self._examples.name, fold, self._count)
        made = [
            msgspec.structs.replace(one, split="reserve")
            if one.split in _POOL and self._places[one.id] == fold
            else one
            for one in self._every
        ]
        found = msgspec.structs.replace(
            self._examples, name=name, items=store.blobs.put_lines(made), lineage=(self._examples.ref,),
            counts=dict(sorted(Counter(str(one.split) for one in made).items())),
        )  # fmt: skip
        if not store.catalog.has("dataset", found.digest):
            store.catalog.put("dataset", name, found)
        return found, [one for one, before in zip(made, self._every, strict=True) if before.split in _POOL]


def fitted(loop: Loop, candidate: Candidate) -> bool:
    """Whether a candidate took anything from examples, or from feedback on such inputs."""
    if candidate.few_shot is not None:
        return True
    retrieve = candidate.retrieve
    for ref in (candidate.artifact, retrieve.artifact if retrieve else None):
        if ref is None:
            continue
        tuner = loop.store.catalog.get("artifact", ref.digest, Artifact).tuner
        try:
            if loop.context.plugins.load("tuners", tuner).reads:
                return True
        except NotFound:  # a plug-in that is not there any more: it may have read them
            return True
    return False


def _brings_model(candidate: Candidate) -> bool:
    pins = (candidate.model, candidate.retrieve.embedder if candidate.retrieve else None)
    return any(pin is not None and pin.source.startswith("artifact:") for pin in pins)


def _only_learnt(loop: Loop) -> set[str]:
    """Files of examples that are only to be learnt from: what users said is no measure of a candidate."""
    data, root = loop.project.data, loop.context.root
    sources = [source for source in data.examples if source.split == "train"]
    return {file.source for source in sources for file in example_files(source, data.roots, root)}
