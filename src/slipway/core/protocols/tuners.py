"""Tuners: what makes a model, an adapter or a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from slipway.core.artifact import Made
from slipway.core.candidate import ModelPin
from slipway.core.judged import Preference, Thumb
from slipway.core.material import Chunk, Example
from slipway.core.message import Completion, GenerateRequest, Message

if TYPE_CHECKING:
    from slipway.core.protocols.engines import Vectors


Reads = Literal["train", "dev", "preferences", "thumbs", "scores"]


class Served(Protocol):
    """A model as it will be served, by the engine that will do it, while a tuner looks at it."""

    def prompts(self, conversations: Sequence[Sequence[Message]]) -> list[list[int]]:
        """Token ids of each conversation as the model reads it, up to where its answer begins.

        Raises EngineError for an engine that does not tell.
        """
        ...

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text within an answer."""
        ...

    def texts(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """The text of token ids."""
        ...

    def answer_tokens(self, requests: Sequence[GenerateRequest]) -> list[list[int]]:
        """Token ids of what is answered, those that end an answer included."""
        ...

    def answers(self, requests: Sequence[GenerateRequest]) -> list[Completion]:
        """In the order of the requests; those of an adapter are answered with it."""
        ...


class Job(Protocol):
    """What a tuner is asked to do."""

    @property
    def base(self) -> ModelPin | None:
        """The model that the candidate names. Only a tuner of classifiers, or `from_nothing`, may get None."""
        ...

    @property
    def files(self) -> Mapping[str, Path]:
        """Its files, checked; empty for a remote model."""
        ...

    @property
    def folder(self) -> Path:
        """To work in. It survives a crash: what a killed run left here is found by the next one of the same job."""
        ...

    @property
    def seed(self) -> int:
        """For all that is random."""
        ...

    def examples(self, split: Literal["train", "dev"]) -> Sequence[Example]:
        """Of a split that the tuner `reads`; raises ConfigError for another one."""
        ...

    def preferences(self) -> Sequence[Preference]:
        """Pairs of outputs that users preferred one of, none close to what is held out; only for a tuner that `reads`
        `preferences`. `messages(pair.example)` is what was asked.
        """
        ...

    def thumbs(self) -> Sequence[Thumb]:
        """Single outputs that users called good or bad, likewise; only for a tuner that `reads` `thumbs`."""
        ...

    def score(self, example: Example, text: str, metric: str = "") -> float:
        """What a metric of the project makes of `text` as the answer to an example, 0 to 1 and higher for better; the
        first that can score it without a model, unless `metric` names one. Only for a tuner that `reads` `scores`.
        """
        ...

    def model(self, name: str) -> tuple[ModelPin, Mapping[str, Path]]:
        """Another model of the project and its files, checked; only one that an option named in `models` names."""
        ...

    def answers(self, model: str, examples: Sequence[Example]) -> Sequence[str]:
        """What that other model writes for each example with the candidate's prompt, as it would be served; empty where
        it cannot answer. Remembered between jobs.
        """
        ...

    def text(self, example: Example) -> str:
        """The text of an example's input, as the task has it."""
        ...

    def messages(self, example: Example) -> tuple[Message, ...]:
        """What the candidate will send for an example, with its passages and with worked examples, of which it is none
        itself: train on what is served. Nothing for a tuner that makes a classifier, or reads no examples.
        """
        ...

    def passages(self) -> Sequence[Chunk]:
        """What the project's candidates retrieve from; nothing for a tuner that does not say that it reads them."""
        ...

    def reference(self, example: Example) -> str:
        """The first reference of an example, as the task compares outputs with it; empty where it has none."""
        ...

    def serving(self, made: Made | None = None) -> AbstractContextManager[Served]:
        """The base, or what was made of it, loaded for as long as the context lasts. Raises EngineError."""
        ...

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """What the base makes of texts, as `Work.vectors` gives them to a strategy. Remembered between jobs."""
        ...

    def progress(self, done: int, total: int | None, /, **numbers: float) -> None:
        """Told now and then, with whatever is worth a curve: `loss=1.25`."""
        ...


class Tuner(Protocol):
    """Makes a model, an adapter or a classifier. Made as `Tuner(config)`.

    A class with the attribute `makes = "classifier"` makes what the strategy `classifier` reads: its candidates need no
    prompt, and the model that they name, if they name one, is one that embeds. One with `embedder` in `makes` makes a
    model that embeds and stands in `retrieve.tune`; it gets the passages. The attribute `models` names the options
    whose values are other models of the project (`models = ("teacher",)`). One with `from_nothing = True` makes a model
    also where the candidate names none.

    Called in the main thread; it may take hours, and is ended by KeyboardInterrupt or killed. The same job is then done
    again in the same folder. Equal jobs should make equal files.
    """

    Config: ClassVar[type[Any]]
    reads: ClassVar[tuple[Reads, ...]]  # splits whose examples it gets, and kinds of feedback

    def tune(self, job: Job) -> Made:
        """Do it. Raises SlipwayError."""
        ...


def makes_embedder(tuner: type[Tuner]) -> bool:
    """Whether a tuner makes what a candidate retrieves with."""
    return "embedder" in getattr(tuner, "makes", ())


def makes_model(tuner: type[Tuner]) -> bool:
    """Whether a tuner makes a model or an adapter that answers, as one does that says nothing else."""
    return "model" in getattr(tuner, "makes", ("model",))


def makes_classifier(tuner: type[Tuner]) -> bool:
    """Whether a tuner's candidates answer by a classifier, without a prompt."""
    return getattr(tuner, "makes", "") == "classifier"


def from_nothing(tuner: type[Tuner]) -> bool:
    """Whether a tuner's candidates need to name no model."""
    return getattr(tuner, "from_nothing", False)


def settled_by(tuner: type[Tuner], config: Any) -> Any:
    """What a tuner's class says that this machine makes of options that are left to it (`settled(config)`): device,
    threads, numbers. Part of the key of its step: other threads add up in another order. None where it says nothing.
    """
    told = getattr(tuner, "settled", None)
    return told(config) if told else None
