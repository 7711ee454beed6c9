"""Have a tuner make an artifact: its job, its folder, and what it made taken into the store. Knows no tuner."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from slipway.core.artifact import ADAPTER, Artifact, Made
from slipway.core.candidate import Candidate, ModelPin, Retrieval
from slipway.core.judged import Preference, Thumb
from slipway.core.material import Chunk, Example
from slipway.core.message import Message
from slipway.core.protocols import Served, Task, Tuner
from slipway.core.ref import Ref, canonical
from slipway.errors import ConfigError, NotFound, SlipwayError
from slipway.i18n import t
from slipway.plugins import Plugins, reporting
from slipway.project.plugin_config import PluginConfig
from slipway.store.store import Store

if TYPE_CHECKING:
    from slipway.core.protocols import Vectors

_OBSERVED = "observed"  # in the memory of the catalog, by digest of the artifact
Progress = Callable[[int, "int | None"], None]


@dataclass
class TuneJob:
    """`core.protocols.Job`. `told`: what the tuner told, for the log; `hear` gets each line at once."""

    name: str
    base: ModelPin | None
    files: Mapping[str, Path]
    folder: Path
    held: Sequence[Example]
    render: Callable[[Example], tuple[Message, ...]]
    embed: Callable[[Sequence[str]], Vectors]
    task: Task
    listener: Progress
    reads: Sequence[str]
    load: Callable[[Made | None], AbstractContextManager[Served]]
    corpus: Callable[[], Sequence[Chunk]] = tuple
    pairs: Sequence[Preference] = ()
    judged: Sequence[Thumb] = ()
    other: Callable[[str], tuple[ModelPin, Mapping[str, Path]]] | None = None
    teach: Callable[[str, Sequence[Example]], Sequence[str]] | None = None
    grade: Callable[[Example, str, str], float] | None = None
    seed: int = 0
    hear: Callable[[Mapping[str, Any]], None] | None = None
    told: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def examples(self, split: Literal["train", "dev"]) -> list[Example]:
        """Those of a split, in order; never those of the gate."""
        self._may(split, ("train", "dev"))
        return [example for example in self.held if example.split == split]

    def preferences(self) -> Sequence[Preference]:
        """Of the files in `feedback/`, none close to what is held out."""
        self._may("preferences", ("preferences",))
        return self.pairs

    def thumbs(self) -> Sequence[Thumb]:
        """Of the files in `feedback/`, none close to what is held out."""
        self._may("thumbs", ("thumbs",))
        return self.judged

    def _may(self, what: str, known: Sequence[str]) -> None:
        if what not in self.reads or what not in known:
            raise ConfigError(
                t("the tuner does not say that it reads '{what}'", what=what),
                t("name it in `reads` of the tuner: a step is done again when what it reads has changed"),
            )

    def score(self, example: Example, text: str, metric: str = "") -> float:
        """By the project's metric."""
        self._may("scores", ("scores",))
        return self.grade(example, text, metric) if self.grade else 0.0

    def model(self, name: str) -> tuple[ModelPin, Mapping[str, Path]]:
        """Of the project."""
        if self.other is None:
            raise NotFound(t("there is no model '{name}' here", name=name))
        return self.other(name)

    def answers(self, model: str, examples: Sequence[Example]) -> Sequence[str]:
        """Through the code that serves."""
        return self.teach(model, examples) if self.teach else [""] * len(examples)

    def text(self, example: Example) -> str:
        """What the task takes for it."""
        return self.task.text(self.task.input(example.input))

    def passages(self) -> Sequence[Chunk]:
        """Those of the frozen chunk set."""
        return self.corpus()

    def reference(self, example: Example) -> str:
        """What is to be learned."""
        return self.task.expected(example.expected[0]) if example.expected else ""

    def serving(self, made: Made | None = None) -> AbstractContextManager[Served]:
        """By the engine that will serve it."""
        return self.load(made)

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """By the base, remembered."""
        return self.embed(texts)

    def messages(self, example: Example) -> tuple[Message, ...]:
        """What would be sent for an example."""
        return self.render(example)

    def progress(self, done: int, total: int | None, /, **numbers: float) -> None:
        """For the listener, and into the log; without speeds, so that equal jobs leave equal logs."""
        self.listener(done, total)
        kept = {name: value for name, value in numbers.items() if not name.endswith("_per_second")}
        if kept:
            self.told.append({"done": done, "total": total, **kept})
            if self.hear:
                self.hear(self.told[-1])


def tune(job: TuneJob, config: PluginConfig, data: Sequence[Ref], plugins: Plugins, store: Store) -> Artifact:
    """Make the artifact; the job's folder is gone afterwards, and stays where it failed.

    Raises EngineError for a tuner that fails, ConfigError for one that made nothing that can be used.
    """
    where = f"candidates.{job.name}.tune"
    tuner: Tuner = plugins.make("tuners", config.name, config.options, where)
    job.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with reporting("tuners", f"{config.name} (candidates.{job.name})"):
        made = tuner.tune(job)
    _check(made, config.name)
    artifact = Artifact(
        name=job.name,
        kind=made.kind,
        files={name: store.blobs.take(path) for name, path in sorted(made.files.items())},
        tuner=config.name,
        engine=made.engine,
        options=made.options,
        tuner_options=config.options,
        seed=job.seed,
        base=job.base,
        data=tuple(data),
        measured=made.measured,
        log=store.blobs.put_lines(job.told) if job.told else "",
    )
    if made.observed:
        store.catalog.remember(_OBSERVED, {artifact.digest: canonical(made.observed)})
    shutil.rmtree(job.folder, ignore_errors=True)
    return artifact


def observed_of(artifact: Artifact, store: Store) -> dict[str, float]:
    """`Made.observed` where it was first made in this store; empty where that is not known any more."""
    found = store.catalog.recall(_OBSERVED, [artifact.digest]).get(artifact.digest, b"{}")
    return msgspec.json.decode(found, type=dict[str, float])


def _check(made: Made, tuner: str) -> None:
    names = sorted(made.files)
    why = ""
    if not names:
        why = t("it made no file")
    elif missing := [name for name in names if not Path(made.files[name]).is_file()]:
        why = t("{name} is not where it says", name=missing[0])
    elif bad := [name for name in names if "/" in name or name.startswith(".")]:
        why = t("{name} is no name of a file", name=bad[0])
    elif made.kind == "adapter" and (len(names) != 1 or not names[0].endswith(ADAPTER)):
        why = t("an adapter is one file that ends in {suffix}", suffix=ADAPTER)
    elif made.kind == "model" and not made.engine:
        why = t("it does not say which engine loads it")
    if why:
        raise SlipwayError(
            t("the tuner '{name}' made nothing that can be used: {why}", name=tuner, why=why),
            t("that is a defect of the plug-in"),
        )


def apply(candidate: Candidate, artifact: Artifact, base: ModelPin | None) -> Candidate:
    """The candidate that answers with what was made. `base`: the model that it was made from.

    A classifier is read by the strategy of its name, unless the candidate names another one; it gets vectors of the
    base, unless it says that an engine runs a network of its own.
    """
    made = msgspec.structs.replace(candidate, artifact=artifact.ref)
    if artifact.kind == "classifier":
        asked = {"strategy": "classifier", "strategy_options": {}} if made.strategy == "direct" else {}
        return msgspec.structs.replace(made, files=artifact.files, encoder=None if artifact.engine else base, **asked)
    if artifact.kind == "adapter":
        (sha256,) = artifact.files.values()
        adapter = sha256[:16]
        return msgspec.structs.replace(made, model=base, adapters={adapter: 1.0}, adapter_files={adapter: sha256})
    return msgspec.structs.replace(made, model=_pin(artifact, base.name if base else artifact.name))


def retrieved_with(retrieval: Retrieval, artifact: Artifact) -> Retrieval:
    """The retrieval with an embedder that was made. It has a name of its own: the base may be used beside it."""
    named = f"{artifact.base.name if artifact.base else artifact.name}-tuned"
    return msgspec.structs.replace(retrieval, embedder=_pin(artifact, named), artifact=artifact.ref)


def _pin(artifact: Artifact, name: str) -> ModelPin:
    return ModelPin(
        name=name,
        engine=artifact.engine,
        source=f"artifact:{artifact.digest}",
        files=artifact.files,
        options=artifact.options,
    )
