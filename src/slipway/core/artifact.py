"""What a tuner made: files pinned by digest, how they are loaded, and what they were made from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from slipway.core.candidate import ModelPin
from slipway.core.ref import Noun, Ref

Kind = Literal["model", "adapter", "classifier"]
ADAPTER = ".lora.gguf"  # how the file of an adapter ends


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a tuner returns. `files`: name -> where it lies in the job's folder, from where it is taken away.

    `kind`: `model` stands for itself, loaded by `engine` with `options`; `adapter` goes on top of the base, and is one
    file; `classifier` is read by a strategy, which gets vectors of the base where there is one, unless `engine` says
    what runs a network of its own. `measured`: what the tuner found out on the way, such as its last loss, the same
    for equal jobs. `observed`: what another machine or moment would tell otherwise, such as speeds; it is kept beside
    the artifact, and is no part of its digest.
    """

    kind: Kind
    files: Mapping[str, Path]
    engine: str = ""
    options: dict[str, Any] = {}
    measured: dict[str, float] = {}
    observed: dict[str, float] = {}


class Artifact(Noun, frozen=True, kw_only=True):
    """A trained or converted thing. `files`: name -> sha256 of a blob of the store.

    `tuner`, `options`, `seed`, `base` and `data` are its recipe; `log` is a blob of what the tuner told on the way, one
    JSON object a line.
    """

    name: str  # of the candidate that it was made for
    kind: Kind
    files: dict[str, str]
    tuner: str
    engine: str = ""
    options: dict[str, Any] = {}
    tuner_options: dict[str, Any] = {}
    seed: int = 0
    base: ModelPin | None = None
    data: tuple[Ref, ...] = ()
    measured: dict[str, float] = {}
    log: str = ""

    @property
    def ref(self) -> Ref:
        """How candidates point at it."""
        return Ref("artifact", self.name, self.digest)
