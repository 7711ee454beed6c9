"""How fast a model will be that was not measured: scaled from one that was, else from the speed of the memory.

Writing a token reads every weight once, so its time goes with the bytes; reading a prompt is arithmetic, so its time
goes with the parameters; how fast an engine does either depends on the quantisation. So the reference is a measured
model of the same quantisation, else any, the nearest in size. `checks` holds the rule against what it can be held
against: each measured model, estimated from the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from slipway.gguf import Unsound, read_header
from slipway.loop.choosing.measured import Speed, speeds
from slipway.loop.model_size import BITS, PROMPT_FLOPS, bandwidth, weights_of
from slipway.machine import usable_cores
from slipway.store import models

# Shares of what the memory and the cores could do, where no model was measured: the middles of the ranges that
# `slipway check` tells (`loop.model_size`).
_WRITING, _READING = 0.65, 0.85


class Reference(msgspec.Struct, frozen=True):
    """A measured model, with its parameters and the bytes of its weights."""

    name: str
    quantize: str
    speed: Speed
    parameters: float
    weights: float


class Check(msgspec.Struct, frozen=True):
    """A measured model beside what would have been estimated from another: (estimate / measured) of both rates."""

    name: str
    by: str
    reading: float
    writing: float


class Estimator:
    """Reads what was measured once; models that are gone from the cache folder count no more."""

    def __init__(self) -> None:
        self._speeds = {_key(one.files): one for one in reversed(speeds())}
        self.references: list[Reference] = []
        for model in models.list_models():
            speed, sizes = self._speeds.get(_key(model.sha256)), _sizes(list(model.files.values()))
            if speed is not None and sizes is not None and all(one.speed is not speed for one in self.references):
                quantize = model.quantize or quantization(" ".join(model.files))
                name = f"{model.source.rsplit('/', 1)[-1]} {model.quantize or ''}".strip()
                self.references.append(Reference(name, quantize, speed, *sizes))

    def measured(self, files: Mapping[str, str]) -> Speed | None:
        """What was measured of these bytes on this machine."""
        return self._speeds.get(_key(files))

    def speed(self, parameters: float, weights: float, quantize: str) -> tuple[float, float]:
        """(tokens a second read, written), estimated."""
        if self.references:
            return estimated(self.references, parameters, weights, quantize)
        return _READING * PROMPT_FLOPS * usable_cores() / (2 * parameters), _WRITING * bandwidth() / weights

    def checks(self) -> list[Check]:
        """Each measured model by the nearest other one; none with fewer than two."""
        found: list[Check] = []
        for one in self.references:
            others = [other for other in self.references if other is not one]
            if others:
                by = _nearest(others, one.weights, one.quantize)
                reading, writing = estimated(others, one.parameters, one.weights, one.quantize)
                found.append(Check(one.name, by.name, reading / one.speed.reading, writing / one.speed.writing))
        return found


def quantization(name: str) -> str:
    """What a file's name says; empty where it says nothing."""
    return next((kind for kind in sorted(BITS, key=len, reverse=True) if kind in name.lower()), "")


def _nearest(references: Sequence[Reference], weights: float, quantize: str) -> Reference:
    alike = [one for one in references if one.quantize == quantize] or references
    return min(alike, key=lambda one: abs(math.log(one.weights / weights)))


def estimated(references: Sequence[Reference], parameters: float, weights: float, quantize: str) -> tuple[float, float]:
    """(tokens a second read, written), in proportion to the nearest of the measured models; writing by a line of
    seconds over bytes, where two of one quantisation differ in size by a factor of two or more.
    """
    by = _nearest(references, weights, quantize)
    reading, writing = scaled(by, parameters, weights)
    alike = sorted((one for one in references if one.quantize == by.quantize), key=lambda one: one.weights)
    small, large = alike[0], alike[-1]
    slope = 1 / large.speed.writing - 1 / small.speed.writing
    if large.weights < 2 * small.weights or slope <= 0:
        return reading, writing
    slope /= large.weights - small.weights
    beyond = max(0.0, 1 / small.speed.writing - slope * small.weights)
    return reading, 1 / (beyond + slope * weights)


def scaled(by: Reference, parameters: float, weights: float) -> tuple[float, float]:
    """(tokens a second read, written) of a model of another size, in proportion to a measured one."""
    return by.speed.reading * by.parameters / parameters, by.speed.writing * by.weights / weights


def _key(files: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(files.values()))


def _sizes(files: list[Path]) -> tuple[float, float] | None:
    paths = [path for path in files if path.suffix.lower() == ".gguf"]
    if len(paths) != 1:
        return None
    try:
        with paths[0].open("rb") as file:
            return weights_of(read_header(file))
    except (OSError, Unsound):
        return None
