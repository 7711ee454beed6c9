"""A file that is handed out: written whole or not at all, for its owner only, and never over one that is there."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from slipway.errors import ConfigError
from slipway.files import why
from slipway.i18n import t
from slipway.store.failing import FULL, full


@contextmanager
def new_file(path: Path) -> Generator[BinaryIO]:
    """What is written inside gets its name at the end, once it is on disk.

    Raises ConfigError where it cannot be, or there is one already; the error for a full disk where that is why.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.link(aside, path)
    except OSError as error:
        if error.errno in FULL:
            raise full(path.parent) from error
        raise ConfigError(
            t("{path} cannot be written: {why}", path=path, why=why(error)),
            t("name a new file in a folder you own"),
        ) from error
    finally:
        with suppress(OSError):
            aside.unlink()
