"""Tuners of networks that are trained from scratch: the vocabulary is that of train."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, TypeVar

from pydantic import Field

from slipway.builtin.classifiers.network import Reader, Reading
from slipway.builtin.classifiers.preparing import Labels
from slipway.builtin.classifiers.word_ids import WordIds
from slipway.builtin.networks import graphs
from slipway.builtin.networks.tuner import NetworkConfig, NetworkTuner, Task
from slipway.core.protocols import Job


class ScratchConfig(NetworkConfig):
    """`size`: numbers of a word's vector. `forget`: share of words that are taken for unknown ones in training."""

    size: int = Field(default=128, ge=2, le=1024)
    forget: float = Field(default=0.05, ge=0, lt=1)


ScratchT = TypeVar("ScratchT", bound=ScratchConfig)


class ScratchTuner(NetworkTuner[ScratchT]):
    """`graph`: which of `networks.graphs` it becomes."""

    graph: ClassVar[str]

    @abstractmethod
    def module(self, known: int, labels: int) -> Any:
        """The network, with random weights."""

    def reader(self, job: Job, given: Labels) -> Reader:
        """Words of train, characters of Chinese."""
        most = self.config.max_tokens
        return Reader(Reading(by="words", max_tokens=most), WordIds.of(given.texts, most))

    def train(self, job: Job, task: Task, reader: Reader) -> tuple[Any, dict[str, float]]:
        """From random weights."""
        from slipway.builtin.networks.classifying import learn

        assert reader.words is not None
        module = self.module(len(reader.words), len(task.labels))
        groups = [{"params": list(module.parameters()), "lr": self.config.learning_rate,
                   "weight_decay": self.config.weight_decay}]  # fmt: skip
        measured = learn(module, groups, task, self.config, job)
        return module, measured | {"words": float(len(reader.words))}

    def export(self, job: Job, module: Any) -> bytes:
        """Written from the weights."""
        from slipway.builtin.networks.modules import arrays

        return getattr(graphs, self.graph)(arrays(module)).SerializeToString()
