"""What a collector is sent besides, such as a token: in an environment variable, never in the project file."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

from slipway.errors import ConfigError, MissingPrerequisite
from slipway.i18n import t

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2


def read_headers(variable: str) -> dict[str, str]:
    """`name=value,name=value` of an environment variable, values percent-encoded (as `OTEL_EXPORTER_OTLP_HEADERS`).

    Empty without a variable. Raises MissingPrerequisite where it is not set, ConfigError where it cannot be read; no
    message holds a value.
    """
    if not variable:
        return {}
    written = os.environ.get(variable, "").strip()
    if not written:
        raise MissingPrerequisite(
            t(
                "the environment variable {name}, which should hold headers for the collector, is not set",
                name=variable,
            ),
            f"export {variable}=authorization=Bearer%20...",
        )
    found: dict[str, str] = {}
    for part in filter(None, map(str.strip, written.split(","))):
        name, given, value = part.partition("=")
        value = unquote(value.strip())
        if not given or not _NAME.fullmatch(name.strip()) or not value.isascii() or not value.isprintable():
            raise ConfigError(
                t("the environment variable {name} does not hold headers", name=variable),
                t("write them as name=value,name=value; a space is %20, a comma %2C"),
            )
        found[name.strip().lower()] = value
    return found
