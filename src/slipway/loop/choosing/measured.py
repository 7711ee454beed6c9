"""How fast local models were on this machine: kept in the user's cache folder, by the model's bytes and its engine.

A memory, not a record: it may be deleted at any time, and what is damaged counts as empty.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import msgspec

from slipway.core.candidate import ModelPin
from slipway.core.ref import digest_of
from slipway.files import UNDECODABLE, cache_folder, open_regular, read, replace_file
from slipway.loop.rates import machine
from slipway.store.catalog import now

_FILE = "speeds.json"
_LARGEST = 4_000_000
_MOST = 500  # models that are remembered


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """One model on one machine: tokens a second, bytes of memory at its peak. `files`: name -> sha256."""

    source: str
    quantize: str
    engine: str
    files: dict[str, str]
    reading: float
    writing: float
    memory: int | None
    machine: str
    at: str


def remember(pin: ModelPin, reading: float, writing: float, memory: int | None) -> None:
    """Write down what was measured; a cache folder that cannot be written loses it."""
    speed = Speed(
        source=pin.source, quantize=pin.quantize, engine=pin.engine, files=pin.files, reading=reading, writing=writing,
        memory=memory, machine=machine(), at=now(),
    )  # fmt: skip
    known = _load()
    known.pop(_key(speed), None)
    kept = dict([*known.items(), (_key(speed), speed)][-_MOST:])
    with contextlib.suppress(OSError):
        cache_folder().mkdir(parents=True, exist_ok=True)
        replace_file(cache_folder() / _FILE, msgspec.json.format(msgspec.json.encode(kept)))


def speeds() -> list[Speed]:
    """Everything that was measured on a machine like this one, the newest first."""
    return [speed for speed in reversed(_load().values()) if speed.machine == machine()]


def _load() -> dict[str, Speed]:
    try:
        return msgspec.json.decode(read(open_regular(cache_folder() / _FILE), _LARGEST), type=dict[str, Speed])
    except (OSError, *UNDECODABLE):
        return {}


def _key(speed: Speed) -> str:
    named: Mapping[str, object] = {"files": speed.files, "engine": speed.engine, "machine": speed.machine}
    return digest_of(named)[:16]
