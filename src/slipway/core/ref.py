"""How one noun points at another, and how anything gets its digest. Knows nothing of where things are stored."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Self

import msgspec

from slipway.errors import ConfigError
from slipway.i18n import t

_REF = re.compile(r"(?P<kind>[a-z]+):(?P<name>[^@\s]+)@(?P<digest>[0-9a-f]{8,64})")


def canonical(value: Any) -> bytes:
    """JSON bytes that are the same for equal values: keys sorted, no white space, UTF-8.

    The idea of RFC 8785; floats are written as Python's shortest repr.
    """
    return msgspec.json.encode(value, order="sorted")


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
