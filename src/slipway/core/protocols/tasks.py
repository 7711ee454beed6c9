"""Tasks, the strategies that do them, and the tools of a strategy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from slipway.core.answer import Answer, Citation, Output
from slipway.core.candidate import Candidate
from slipway.core.message import Completion, Delta, GenerateRequest, LikelihoodRequest, Likelihoods

if TYPE_CHECKING:
    from slipway.core.protocols.engines import Capability, Vectors

Input = Mapping[str, Any]
"""What a task is asked, or a worked example of it: names of fields -> values."""


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

    def text(self, input: Input) -> str:
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


@runtime_checkable
class Structured(Protocol):
    """A task whose outputs are JSON. What a model writes is held to the schema where its engine can do that."""

    @property
    def json_schema(self) -> dict[str, Any]:
        """What every output fits."""
        ...


@runtime_checkable
class ReadsFiles(Protocol):
    """A task of Slipway's own, or of an installed package, whose options may name files of the project."""

    @staticmethod
    def read(options: Mapping[str, Any], text: Callable[[str, str], str]) -> dict[str, Any]:
        """The options with what stands in the files in place of their names. `text`: (option, path) -> the file's text.

        Raises ConfigError.
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
    def input(self) -> Input:
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
        """How near each of the others is to a text, as the embedder that the candidate retrieves with sees it,
        [len(others)]: from 0, as near as texts that have nothing to do with each other, to 1, the same. None where
        there is no embedder, or none that can read the text.
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

    async def examples(self, text: str) -> Sequence[Input]:
        """The candidate's worked examples for a text."""
        ...

    def request(
        self, passages: Sequence[Citation] = (), examples: Sequence[Input] = (), input: Input | None = None
    ) -> GenerateRequest:
        """The candidate's prompt for the input, or for another one, with its sampling and constraints."""
        ...

    def can(self, capability: Capability) -> bool:
        """Whether the candidate's model can do this."""
        ...

    async def likelihoods(self, asked: LikelihoodRequest) -> Likelihoods:
        """How likely the candidate's model is to say each answer; see `ScoresAnswers`. It must have the capability
        `score`.
        """
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
