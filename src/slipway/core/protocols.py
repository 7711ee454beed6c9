"""What a plug-in must be able to do. Each protocol has at most six methods and two real implementations in `builtin`.

A plug-in is made by calling its class with one argument, an instance of its `Config` (a pydantic model, found as the
class attribute `Config`), plus keyword arguments named below. Contract suites for each are in `slipway.testing`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from slipway.core.answer import Answer, Citation, Output
from slipway.core.artifact import Made
from slipway.core.candidate import Candidate, ModelPin
from slipway.core.material import Chunk, Example
from slipway.core.message import Completion, Delta, GenerateRequest, Message
from slipway.errors import EngineError
from slipway.i18n import t

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]  # [n, dimension], each row of unit length

Capability = Literal[
    "generate", "embed", "logprobs", "json_schema", "choices", "adapters", "tokenize", "tools", "images", "rank"
]


class OnEvent(Protocol):
    """Told what an engine does by itself: a child process was restarted, tokens are not counted."""

    def __call__(self, event: str, details: Mapping[str, Any], /) -> None:
        """`event`: its name; `details`: what is known of it, as plain data."""
        ...


class Engine(Protocol):
    """A model that answers. Made as `Engine(config, name=..., files={file name: path}, on_event=OnEvent | None)`.

    Every method may raise EngineError; what is asked for without its capability raises EngineError with status 400.
    Cancelling the task that awaits a method, or closing the iterator, frees the model at once.
    Engines are safe for concurrent calls from one event loop. What else an engine can do is told by the protocols
    below: `Completes`, `Embeds`, `Scores`, `CountsTokens`, `TellsTrouble`, `OutOfVocabulary`, `Windows`, `Ranks`. Ask
    `isinstance(engine, Embeds)`; an engine that cannot does not have the method.
    """

    Config: ClassVar[type[Any]]

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What may be asked for; settled when `start` returns."""
        ...

    async def start(self) -> None:
        """Load the model; returns when it can answer. Idempotent."""
        ...

    async def close(self) -> None:
        """Free everything, child processes included. Idempotent."""
        ...

    def generate(self, request: GenerateRequest) -> AsyncIterator[Delta]:
        """Stream an answer; the last delta carries `finish` and true `usage`."""
        ...


@runtime_checkable
class Completes(Protocol):
    """An engine that makes a whole answer with less work than the deltas of a streamed one."""

    async def complete(self, request: GenerateRequest) -> Completion:
        """What `generate` would stream, at once."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """An engine with the capability `embed`."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, [len(texts), dimension], float32."""
        ...


@runtime_checkable
class EmbedsQuestions(Protocol):
    """An engine that embeds a question in another way than what is searched: encoders are trained with two prefixes."""

    async def embed_question(self, text: str) -> Vectors:
        """A unit vector, [1, dimension], to compare with those of `embed`."""
        ...


@runtime_checkable
class Windows(Protocol):
    """An engine that embeds no more than the beginning of a long text, and can cut it so that nothing is lost."""

    async def windows(self, texts: Sequence[str], heads: Sequence[str]) -> list[list[str]]:
        """For each text what to embed, at least one: `head + text` where it is read whole, else parts of the text.

        Each part stands after its head where that is short.
        """
        ...


@runtime_checkable
class Ranks(Protocol):
    """An engine that reads a question and a text together: slower than comparing vectors, and more exact."""

    async def rank(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers the question, [len(texts)]: more is better. Compare only within one call."""
        ...


@runtime_checkable
class Scores(Protocol):
    """An engine that tells how likely a given text is."""

    async def score(self, prompt: str, continuations: Sequence[str]) -> list[float]:
        """Natural-log probability of each continuation after the raw prompt, summed over its tokens."""
        ...


@runtime_checkable
class CountsTokens(Protocol):
    """An engine with the capability `tokenize`."""

    async def count_tokens(self, text: str) -> int:
        """Tokens of raw `text`, without special tokens."""
        ...


@runtime_checkable
class TellsTrouble(Protocol):
    """An engine that may be unable to answer for a while, and knows it."""

    async def trouble(self) -> str:
        """Why it cannot answer now, for a person to read; empty when it can. Takes a second at most."""
        ...


@runtime_checkable
class OutOfVocabulary(Protocol):
    """An engine whose vocabulary does not hold every text."""

    async def out_of_vocabulary(self, text: str) -> float:
        """Share of the text's tokens that it does not know, 0 to 1. A vector of such a text means little."""
        ...


def missing(name: str, capability: str) -> EngineError:
    """The error of asking the model `name` for what its engine cannot do: status 400, not retryable."""
    return EngineError(
        t("the model '{name}' cannot do this: its engine has no '{capability}'", name=name, capability=capability),
        t(
            "an engine that has it is needed: `llama` for log-probabilities and adapters, `onnx` for embeddings, "
            "`cross-encoder` to rank, `openai` for tools"
        ),
        status=400,
    )


class Index(Protocol):
    """Passages that can be searched. A cache: it can be rebuilt from chunks (and vectors) at any time.

    Made as `Index(config)`. Dense implementations need `vectors` in `add` and a vector query; lexical ones ignore
    vectors and take the text.
    """

    Config: ClassVar[type[Any]]

    def add(self, chunks: Sequence[Chunk], vectors: Vectors | None = None) -> None:
        """Add passages, replacing those with the same id."""
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Forget passages by id; unknown ids are ignored."""
        ...

    def search(
        self, text: str, vector: Vectors | None, k: int, filters: Mapping[str, Any] | None = None
    ) -> list[tuple[str, float]]:
        """The `k` best (id, score), best first; `filters` are equalities on source, language and meta keys.

        Ties are broken by id, so that a search is repeatable. `vector`: [dimension] or [1, dimension].
        """
        ...

    def save(self, folder: str) -> None:
        """Write the index into an existing empty folder."""
        ...

    def load(self, folder: str) -> None:
        """Read what `save` wrote; raises IntegrityError when it cannot."""
        ...


@runtime_checkable
class Elsewhere(Protocol):
    """An index whose passages another program holds: its searches wait for that program, from a thread of their own.

    The folder that `save` writes only says where they are: the place.
    """

    def sound(self) -> bool:
        """Whether the other program still holds what was put there, as far as can be told at once."""
        ...

    def places(self, folder: str) -> Sequence[str]:
        """Where the passages of an index saved in a folder are; equal for indexes that share them."""
        ...

    def forget(self, place: str) -> bool:
        """Delete what is there; False for a place that is not this index's to delete."""
        ...

    def answers(self) -> str:
        """Where the program is, for a person to read. Raises EngineError or MissingPrerequisite when it fails."""
        ...


class Scorer(Protocol):
    """One metric of one answer. Made as `Scorer(config)`; offline evaluation and online monitoring share it."""

    Config: ClassVar[type[Any]]
    higher_is_better: ClassVar[bool]  # which direction the gate takes for better

    def score(self, example: Example, answer: Answer) -> float | None:
        """The metric for this example, or None when it does not apply (no reference, nothing retrieved, ...)."""
        ...


@runtime_checkable
class Compares(Scorer, Protocol):
    """A scorer that compares meanings. It loads no model: before it scores, it is given the vectors of its texts."""

    @property
    def embedder(self) -> str:
        """Name of the project's model that embeds; empty: the only one that its candidates retrieve with."""
        ...

    def texts(self, example: Example, answer: Answer) -> Sequence[str]:
        """What has to be embedded to score this answer."""
        ...

    def learn(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Unit vectors by text, [dimension]; a text that the encoder cannot read has none."""
        ...


class Task(Protocol):
    """What an input, a reference and an output are. Made as `Task(config)`.

    An input is a mapping with the fields that `inputs` names; the first of them must be there. A reference is a text,
    in a row of examples the field that `reference` names. Templates and worked examples use the same names.
    """

    Config: ClassVar[type[Any]]
    inputs: ClassVar[tuple[str, ...]]  # names of the fields of an input; the first must be there
    reference: ClassVar[str]  # name of the field of a reference

    def input(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """A valid input of what a row or a request gave; raises ConfigError for anything else."""
        ...

    def conversation(self, turns: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """The input that a chat makes: `turns` of role and content, the user's last. Raises ConfigError."""
        ...

    def text(self, input: Mapping[str, Any]) -> str:
        """One text for an input: searched with, told the language of, compared for repeats."""
        ...

    def expected(self, text: str) -> str:
        """A reference as outputs are compared with it; raises ConfigError for one that can never be right."""
        ...

    def output(self, text: str) -> Output:
        """What a model's text says; raises ValueError when it is no output of this task, which counts as an error."""
        ...


@runtime_checkable
class Labelled(Protocol):
    """A task whose outputs are labels. What a language model writes is held to them where its engine can do that."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Label -> what it means, or an empty text; empty as long as they are to be learned from examples."""
        ...

    def learned(self, references: Sequence[str]) -> dict[str, Any]:
        """The task's options once the references of the splits train and dev are known: they name every label.

        Raises ConfigError where there is nothing to choose between.
        """
        ...


class Work(Protocol):
    """One input being answered by a candidate: what a strategy may use. Tokens and time are counted on the way."""

    @property
    def candidate(self) -> Candidate:
        """Who answers."""
        ...

    @property
    def task(self) -> Task:
        """What is asked for."""
        ...

    @property
    def input(self) -> Mapping[str, Any]:
        """A valid input of the task."""
        ...

    @property
    def tools(self) -> Mapping[str, Tool]:
        """What the candidate's model may call, by name."""
        ...

    @property
    def whole(self) -> bool:
        """No one reads along: the answer may come at once."""
        ...

    async def passages(self, text: str) -> tuple[Citation, ...]:
        """What the candidate retrieves for a text; nothing when it does not retrieve."""
        ...

    async def similarity(self, text: str, others: Sequence[str]) -> Sequence[float] | None:
        """How near each of the others is to a text, as the embedder that the candidate retrieves with sees it: cosines,
        [len(others)]. None where there is no embedder, or none that can read the text.
        """
        ...

    async def vectors(self, texts: Sequence[str]) -> Vectors:
        """What the candidate's encoder makes of texts, a row each: of unit length, or zeros for a text that it cannot
        read. Without an encoder [len(texts), 0].
        """
        ...

    async def files(self) -> Mapping[str, Path]:
        """The candidate's files, checked against their digests when they are first asked for."""
        ...

    async def examples(self, text: str) -> Sequence[Mapping[str, Any]]:
        """The candidate's worked examples for a text."""
        ...

    def request(self, passages: Sequence[Citation] = (), examples: Sequence[Mapping[str, Any]] = ()) -> GenerateRequest:
        """The candidate's prompt for the input, with its sampling and constraints."""
        ...

    def generate(self, request: GenerateRequest) -> AsyncIterator[Delta]:
        """The candidate's model, streamed."""
        ...

    async def complete(self, request: GenerateRequest) -> Completion:
        """The candidate's model, waited for."""
        ...

    def extract(self, said: str) -> str:
        """The answer within what the model said, by the candidate's pattern."""
        ...


class Strategy(Protocol):
    """How a candidate does its task. Made as `Strategy(config)`; one instance answers many inputs at once.

    A class with the attribute `asks_model = False` says that it never asks a model: its candidates need no model and no
    prompt, and those that they name are not loaded.
    """

    Config: ClassVar[type[Any]]

    def respond(self, work: Work) -> AsyncIterator[Delta | Answer]:
        """Deltas of text as they are made, then exactly one Answer; its tokens, times and cost are filled in after.

        Raises EngineError or ConfigError. Closing the iterator frees the model at once.
        """
        ...


def asks_model(strategy: type[Strategy]) -> bool:
    """Whether a strategy's candidates need a model and a prompt."""
    return getattr(strategy, "asks_model", True)


class Tool(Protocol):
    """Something that a model may call. Made as `Tool(config)`; one instance serves many calls at once.

    What it returns is text for the model, and data: Slipway never follows it as an instruction.
    """

    Config: ClassVar[type[Any]]
    name: ClassVar[str]  # what the model calls it: letters, digits, `_` and `-`
    description: ClassVar[str]  # for the model
    parameters: ClassVar[dict[str, Any]]  # JSON schema of its arguments, an object

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """The result; ValueError says to the model what was wrong with the arguments."""
        ...


class Job(Protocol):
    """What a tuner is asked to do."""

    @property
    def base(self) -> ModelPin | None:
        """The model that the candidate names; only a tuner that makes a classifier may get None."""
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

    def text(self, example: Example) -> str:
        """The text of an example's input, as the task has it."""
        ...

    def messages(self, example: Example) -> tuple[Message, ...]:
        """What the candidate's prompt would send for an example, without passages: train on what is served."""
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
    prompt, and the model that they name, if they name one, is one that embeds.

    Called in the main thread; it may take hours, and is ended by KeyboardInterrupt or killed. The same job is then done
    again in the same folder. Equal jobs should make equal files.
    """

    Config: ClassVar[type[Any]]
    reads: ClassVar[tuple[Literal["train", "dev"], ...]]  # splits whose examples it gets

    def tune(self, job: Job) -> Made:
        """Do it. Raises SlipwayError."""
        ...


def makes_classifier(tuner: type[Tuner]) -> bool:
    """Whether a tuner's candidates answer by a classifier, without a prompt."""
    return getattr(tuner, "makes", "") == "classifier"
