"""What a passage can be filtered by: its source, its language and its metadata. Knows no index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.core.material import Chunk
from slipway.core.ref import canonical
from slipway.errors import ConfigError
from slipway.i18n import t


def facets_of(chunk: Chunk) -> list[str]:
    """One string for each field and value of a passage; equal exactly when both are. Metadata cannot shadow a field."""
    fields = {**chunk.meta, "source": chunk.source, "language": chunk.language}
    return [facet(name, value) for name, value in sorted(fields.items())]


def facet(name: str, value: Any) -> str:
    """A field and its value as one string. Raises ConfigError for a value that is no JSON."""
    try:
        return f"{name}\x1f{canonical(value).decode()}"
    except (TypeError, ValueError) as error:
        raise ConfigError(
            t("the field '{name}' has a value that cannot be compared: {error}", name=name, error=error),
            t("use text, numbers, true or false"),
        ) from error


def wanted(filters: Mapping[str, Any] | None) -> list[str]:
    """The facets that a passage must have, all of them."""
    return [facet(name, value) for name, value in sorted((filters or {}).items())]
