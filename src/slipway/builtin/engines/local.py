"""What the engines share that run a GGUF file in a child process of their own: its limits, its life, its answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from slipway.builtin.engines.gguf_model import ModelHeader, sorted_files
from slipway.builtin.engines.made import Made
from slipway.builtin.engines.places import Places
from slipway.builtin.engines.process.retry import streamed, whole
from slipway.builtin.engines.process.supervisor import ChildSettings
from slipway.core.message import Completion, Delta, GenerateRequest
from slipway.i18n import t

COMPILE_TIMES = 2.0  # a grammar may take so many times what was estimated


class LocalConfig(BaseModel):
    """What the project file may set for a model in a child process."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    context: int = Field(default=4096, ge=64, le=1_048_576)  # tokens of prompt and answer, for each request
    parallel: int = Field(default=2, ge=1, le=64)  # requests answered at once; more wait
    threads: int | None = Field(default=None, ge=1, le=512)  # None: for the engine to choose
    load_seconds: float = Field(default=300.0, gt=0, le=86_400)
    stall_seconds: float = Field(default=300.0, gt=0, le=86_400)  # without a token: it hangs, and is started again
    max_crashes: int = Field(default=5, ge=0, le=100)  # within a minute; then it gives up
    memory_gb: float | None = Field(default=None, gt=0, le=65_536)  # None: what it needs, and 2 GiB
    grammar_seconds: float = Field(default=10.0, gt=0, le=3600)  # of processor time, to compile one schema or choices
    second_child: bool = True  # started when needed, for requests that could hold others up

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, value: Any) -> Any:
        if isinstance(value, dict) and "aside" in value:
            raise ValueError(t("'{old}' is now called '{new}'", old="aside", new="second_child"))
        return value


C = TypeVar("C", bound=LocalConfig)


class LocalEngine(Made[C], ABC):
    """A model in a child process, and in a second one where needed.

    `files`: one `*.gguf`, and adapters `<name>.lora.gguf`.
    """

    def prepare(self) -> None:
        """Tell model and adapters apart. Raises EngineError where they cannot be."""
        self.model, self.adapters = sorted_files(self.name, self.files)
        self.places = Places(self.name, self.tell)
        self.header: ModelHeader | None = None  # known once it is started

    async def start(self) -> None:
        """Check the files and load the model. Raises EngineError that says what is wrong."""
        await self.start_child()

    async def start_child(self) -> bool:
        """Whether it was not running yet."""
        second = self.second_settings if self.config.second_child else None
        return await self.places.start(self.first_settings, self.config.parallel, second)

    async def close(self) -> None:
        """End the child processes; nothing of them is left when this returns."""
        await self.places.close()

    async def trouble(self) -> str:
        """Why the child cannot answer now; empty when it can, however busy it is. The second one does not count."""
        return await self.places.trouble()

    @property
    def pid(self) -> int | None:
        """Process id of the running child, None when there is none."""
        return self.places.pid

    @property
    def second_pid(self) -> int | None:
        """Process id of the second child, None when there is none."""
        return self.places.second_pid

    def generate(self, request: GenerateRequest) -> AsyncIterator[Delta]:
        """Stream an answer. Requests beyond `parallel` wait in the order they came."""
        return streamed(lambda: self.deltas(request))

    async def complete(self, request: GenerateRequest) -> Completion:
        """The whole answer at once: what `generate` would stream."""
        return await whole(lambda: self.deltas(request))

    @abstractmethod
    def deltas(self, request: GenerateRequest) -> AsyncGenerator[Delta]:
        """One try of an answer; it is tried again when the child ended before it said anything."""

    @abstractmethod
    async def first_settings(self) -> ChildSettings:
        """Check the files, read the header, and say what the first child is started with."""

    @abstractmethod
    def second_settings(self) -> ChildSettings:
        """What the second child is started with. Raises EngineError when there is no memory for it."""
