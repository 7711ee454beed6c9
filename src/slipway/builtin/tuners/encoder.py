"""`tune: encoder`: a sentence encoder fine-tuned to tell labels, served as ONNX."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from slipway.builtin.classifiers import fitting
from slipway.builtin.classifiers.network import TOKENIZER, Reader, Reading
from slipway.builtin.classifiers.preparing import Labels
from slipway.builtin.engines.onnx import graph
from slipway.builtin.engines.onnx.engine import read_tokenizer
from slipway.builtin.networks.encoders import base_files, groups, prefix_of, starting
from slipway.builtin.networks.tuner import NetworkConfig, NetworkTuner, Task
from slipway.core.protocols import Job

if TYPE_CHECKING:
    from slipway.builtin.networks.modules import Encoder

_STRENGTH = 64.0  # of the regression that the head starts from, as `fitting` has it


class EncoderConfig(NetworkConfig):
    """`decay`: each layer's learning rate is that of the layer above times this. `head_rate`: the head's own.

    `precision`: of what is served; `int8` is dynamic, one scale for each output channel, and gives other labels now and
    then: allow them by `disagreement`.
    """

    epochs: int = Field(default=8, ge=1, le=10_000)
    learning_rate: float = Field(default=1e-4, gt=0, allow_inf_nan=False)
    decay: float = Field(default=0.85, gt=0, le=1)
    head_rate: float = Field(default=1e-2, gt=0, le=1)
    max_tokens: int = Field(default=128, ge=8, le=8192)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    ngrams: bool = True
    precision: Literal["fp32", "int8"] = "fp32"


class EncoderTuner(NetworkTuner[EncoderConfig]):
    """The head starts as a regression on the untouched encoder's vectors, then all is trained: so the encoder is not
    bent by a head that knows nothing yet (Kumar et al. 2022).
    """

    Config: ClassVar[type[EncoderConfig]] = EncoderConfig
    packages: ClassVar[tuple[str, ...]] = ("torch", "transformers")

    def reader(self, job: Job, given: Labels) -> Reader:
        """The base's tokenizer. Raises ConfigError without a base that is a sentence encoder."""
        files = base_files(job)
        most = min(self.config.max_tokens, graph.read_config(files).max_tokens)
        reading = Reading(by="tokens", max_tokens=most, prefix=prefix_of(job))
        return Reader(reading, None, read_tokenizer(files))

    def train(self, job: Job, task: Task, reader: Reader) -> tuple[Any, dict[str, float]]:
        """The head first, then all."""
        from slipway.builtin.networks.classifying import learn
        from slipway.builtin.training.placing import place_of

        module = starting(job, len(task.labels), self.config.dropout).to(place_of(self.config).device)
        self._start_head(module, task)
        return module, learn(module, self._groups(module), task, self.config, job)

    def _groups(self, module: Encoder) -> list[dict[str, Any]]:
        return groups(module, self.config, self.config.decay, self.config.head_rate)

    def _start_head(self, module: Encoder, task: Task) -> None:
        import torch
        from scipy.sparse import csr_matrix

        from slipway.builtin.networks.modules import in_batches

        vectors = in_batches(module, task.rows, module.embed)
        nothing = csr_matrix((len(vectors), 0), dtype="float32")
        weights = fitting.fit(fitting.Features(vectors, nothing), task.classes, len(task.labels), _STRENGTH)
        given = {"weight": weights.vectors.T.copy(), "bias": weights.bias.copy()}
        module.head.load_state_dict({name: torch.from_numpy(value) for name, value in given.items()})

    def export(self, job: Job, module: Any) -> bytes:
        """The graph of the engine `onnx`, with a head."""
        from slipway.builtin.networks.modules import arrays

        encoder, int8 = graph.read_config(base_files(job)), self.config.precision == "int8"
        return graph.build(encoder, arrays(module), int8=int8, labels=True).SerializeToString()

    def files(self, job: Job) -> Mapping[str, Path]:
        """The tokenizer."""
        path = job.folder / TOKENIZER
        shutil.copyfile(base_files(job)[TOKENIZER], path)
        return {TOKENIZER: path}
