"""The server's log: one JSON object a line on stderr, without secrets."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from slipway.core.spans import at_work
from slipway.privacy.redact import Redactor
from slipway.privacy.secrets import Own
from slipway.text import visible

_NOISE = frozenset(("Invalid HTTP request received.", "Unsupported upgrade request."))
"""What anybody can make uvicorn say as often as they like."""
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}


LONGEST = 8_000
"""Characters of one value; what is longer is cut, so that a line can be read and is written at once."""
_FREE = frozenset(("why", "traceback"))  # what others said, which may hold what a person wrote


class JsonFormatter(logging.Formatter):
    """One JSON object a line: at (UTC, RFC 3339), level, logger, message, trace and span where the line is of a
    request, and the record's `extra` fields. Headers, questions and answers never get here.

    Secrets are taken out, personal data is masked in what others said (`why`, `traceback`), and nothing in a line can
    end it or act on the terminal of who reads it. A record that cannot be written becomes a line that says so.
    """

    def __init__(self, own: Own | None = None) -> None:
        super().__init__()
        self._redactor = Redactor(own=own)
        self._masking = Redactor("mask", own=own)

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        try:
            return self._line(self._fields(record))
        except Exception as error:  # noqa: BLE001 -- a log that fails would take what it tells of along
            told = {"message": "a log record could not be written", "why": type(error).__name__}
            return self._line({**self._own(record), **told})

    def _own(self, record: logging.LogRecord) -> dict[str, Any]:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"at": at, "level": record.levelname.lower(), "logger": record.name}

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        found = {**self._own(record), "message": record.getMessage()}
        trace, span = at_work()
        found |= {name: id for name, id in (("trace", trace), ("span", span)) if id}
        for key, value in record.__dict__.items():
            if key not in _STANDARD and (key not in found or key == "trace"):
                found[key] = value
        if record.exc_info:
            found["traceback"] = self.formatException(record.exc_info)
        return found

    def _line(self, found: dict[str, Any]) -> str:
        plain = json.loads(json.dumps(found, default=str), parse_constant=str)  # NaN is no JSON
        cleaned = {key: (self._masking if key in _FREE else self._redactor).value(_cut(plain[key])) for key in plain}
        return visible.json_text(json.dumps(cleaned, ensure_ascii=False))


def _cut(value: Any) -> Any:
    return f"{value[:LONGEST]}…" if isinstance(value, str) and len(value) > LONGEST else value


def log_as_json(own: Own | None = None) -> None:
    """Send every log to stderr as JSON lines, without the secrets in `own`; calling it again changes nothing."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(own))
    logging.captureWarnings(True)
    handler.addFilter(lambda record: record.msg not in _NOISE)
    for name, level in (("slipway", logging.INFO), ("uvicorn", logging.WARNING), ("", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
