"""How one noun points at another, and how anything gets its digest. Knows nothing of where things are stored."""

from __future__ import annotations

import hashlib
import re
import threading
from typing import Any, Self, TypeVar

import msgspec

from slipway.errors import ConfigError
from slipway.i18n import t

T = TypeVar("T")
_decoders: dict[Any, Any] = {}
_looking = threading.Lock()
_REF = re.compile(r"(?P<kind>[a-z]+):(?P<name>[^@\s]+)@(?P<digest>[0-9a-f]{8,64})")


def canonical(value: Any) -> bytes:
    """JSON bytes that are the same for equal values: keys sorted, no white space, UTF-8.

    The idea of RFC 8785; floats are written as Python's shortest repr.
    """
    return msgspec.json.encode(value, order="sorted")


def decoder_of(type_: type[T]) -> msgspec.json.Decoder[T]:
    """What reads a type from JSON, one for all threads.

    msgspec looks into a struct when it is first decoded, and two threads that do so at once crash the process.
    """
    found = _decoders.get(type_)
    if found is None:
        with _looking:
            found = _decoders.setdefault(type_, msgspec.json.Decoder(type_))
    return found


def digest_bytes(data: bytes) -> str:
    """SHA-256 (FIPS 180-4) of bytes, 64 hex characters."""
    return hashlib.sha256(data).hexdigest()


def digest_of(value: Any) -> str:
    """SHA-256 of the canonical JSON of a noun or of plain data, 64 hex characters."""
    return digest_bytes(canonical(value))


class Noun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every noun is: a frozen value whose digest covers all its fields.

    Fields that hold their default are left out of the JSON, here and in all structs within nouns, so that a field
    added later leaves the digests of older nouns as they were.
    """

    @property
    def digest(self) -> str:
        """64 hex characters; equal exactly when every field is equal."""
        return digest_of(self)


class Ref(msgspec.Struct, frozen=True):
    """`kind:name@digest`, the only way one noun points at another."""

    kind: str
    name: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `kind:name@digest`; raises ConfigError for anything else."""
        found = _REF.fullmatch(text)
        if not found:
            raise ConfigError(
                t("'{text}' is not a reference", text=text),
                t("write it as kind:name@digest, for example {example}", example="release:docs-assistant@1f2e3d4c"),
            )
        return cls(found["kind"], found["name"], found["digest"])

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}@{self.digest}"

    @property
    def short(self) -> str:
        """The reference as people read it: the digest's first 12 characters."""
        return f"{self.kind}:{self.name}@{self.digest[:12]}"
