"""Work that begins at the same instant in several threads, and values that databases have got wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

TEXTS = ("", "plain", "日本語 😀 ünï", "%_\\'\"; DROP TABLE nouns; --", "x" * 100_000)
AT = "2026-01-02T03:04:05.000000Z"


def at_once(*works: Callable[[], Any]) -> None:
    """Run all of these in threads that start together; the first error is raised."""
    ready, errors = threading.Barrier(len(works)), list[BaseException]()

    def run(work: Callable[[], Any]) -> None:
        try:
            ready.wait()
            work()
        except BaseException as error:  # noqa: BLE001 -- told below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
