"""A file that is handed out: written whole or not at all, for its owner only, and never over one that is there."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from slipway.errors import ConfigError
from slipway.files import why
from slipway.i18n import t
from slipway.store.failing import FULL, full


def check_new(path: Path) -> None:
    """Raise ConfigError where there is one already, or no folder: before the work whose result would be refused."""
    if not path.parent.is_dir():
        raise _refused(path, FileNotFoundError(errno.ENOENT, "", str(path)))
    if os.path.lexists(path):
        raise _refused(path, FileExistsError(errno.EEXIST, "", str(path)))


@contextmanager
def new_file(path: Path) -> Generator[BinaryIO]:
    """What is written inside gets its name at the end, once it is on disk.

    Raises ConfigError where it cannot be, or there is one already; the error for a full disk where that is why.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    check_new(path)
    try:
        with os.fdopen(os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.link(aside, path)
    except OSError as error:
        if error.errno in FULL:
            raise full(path.parent) from error
        raise _refused(path, error) from error
    finally:
        with suppress(OSError):
            aside.unlink()


def _refused(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        t("{path} cannot be written: {why}", path=path, why=why(error)), t("name a new file in a folder you own")
    )
