"""The server's log: one JSON object a line on stderr, without secrets."""

from __future__ import annotations

import json
import logging
import sys

from slipway.privacy.redact import Redactor
from slipway.privacy.secrets import Own
from slipway.text import visible

_NOISE = frozenset(("Invalid HTTP request received.", "Unsupported upgrade request."))
"""What anybody can make uvicorn say as often as they like."""
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the record's `extra` fields. Headers never get here.

    Secrets are taken out, and nothing in a line can end it or act on the terminal of who reads it.
    """

    def __init__(self, own: Own | None = None) -> None:
        super().__init__()
        self._redactor = Redactor(own=own)

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{key: value for key, value in record.__dict__.items() if key not in _STANDARD | {"color_message"}},
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        made = json.dumps(self._redactor.value(json.loads(json.dumps(line, default=str))), ensure_ascii=False)
        return visible.json_text(made)


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
