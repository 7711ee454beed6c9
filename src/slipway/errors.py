"""Every error a person may meet. Owns messages, hints and exit codes; does not know who shows them.

SlipwayError            exit 4  a step failed
├── ConfigError         exit 2  the project file, an argument or an input is wrong
├── NotFound            exit 2  a name, ref or file that does not exist (the message names near ones)
├── MissingPrerequisite exit 3  an extra, a model, memory or a port is missing (the hint brings it)
├── GateFailed          exit 1  the gate said no, or could not decide
├── IntegrityError      exit 4  bytes differ from the digest that pins them
├── EngineError         exit 4  a model could not be loaded or could not answer (`retryable` says try again)
└── Busy                exit 4  someone else holds what is needed; nothing was changed
    └── Overtaken       exit 4  someone else did it in the meantime; theirs stands
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from slipway.i18n import said_of, t


class SlipwayError(Exception):
    """What happened (`message`), and what to do next (`hint`). Shown without a traceback."""

    exit_code = 4

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = str(message)
        self.hint = str(hint)
        self.said = said_of(message)  # for the caller that stores it

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class ConfigError(SlipwayError):
    """The project file, an option or an input is not what Slipway can work with."""

    exit_code = 2


class NotFound(ConfigError):
    """A name or reference that nothing answers to."""


class MissingPrerequisite(SlipwayError):
    """Something that must be installed, fetched or freed first; the hint is the command."""

    exit_code = 3


class GateFailed(SlipwayError):
    """No candidate passed the gate."""

    exit_code = 1


class IntegrityError(SlipwayError):
    """Stored bytes do not match their digest."""


class EngineError(SlipwayError):
    """An engine failed. `retryable`: the same request may succeed later. `status`: HTTP status it maps to."""

    def __init__(self, message: str, hint: str = "", *, retryable: bool = False, status: int = 502) -> None:
        super().__init__(message, hint)
        self.retryable = retryable
        self.status = status


class Busy(SlipwayError):
    """Another process holds the lock."""


class Overtaken(Busy):
    """It was done otherwise since it was looked at: waiting does not help, looking again does."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name most like `name` (difflib ratio of at least 0.6), or an empty string."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return found[0] if found else ""


def instead(name: str, known: Iterable[str]) -> str:
    """The hint for a name that is none of `known`: the nearest one, where there is one, and all of them in order."""
    names = list(known)
    near = nearest(name, names)
    return (t("did you mean '{near}'?", near=near) + " " if near else "") + t(
        "known: {names}", names=", ".join(names) or "-"
    )
