"""What an outcome of parsing is remembered under: the file's bytes, the settings, and the code that parses."""

from __future__ import annotations

from slipway.code import Code, Memory
from slipway.core.ref import digest_of
from slipway.data.parsing.parse import Settings


def code_version(memory: Memory | None = None) -> str:
    """Digest of the code that parses, and of the versions of the packages that it stands on."""
    return Code(memory).of("slipway.data.parsing.parse")


def outcome_key(sha256: str, media_type: str, settings: Settings, code: str) -> str:
    """Names the outcome of parsing: equal keys, equal outcomes, also across versions of this code."""
    return digest_of([sha256, media_type, settings, code])
