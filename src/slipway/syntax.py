"""Python's syntax trees, made by one thread at a time.

Before 3.12 all threads share the counter by which the interpreter checks the depth of a tree it builds, so two that
parse at once may end in `SystemError: AST constructor recursion depth mismatch`.
"""

from __future__ import annotations

import ast
import threading

_lock = threading.Lock()


def module(source: str | bytes) -> ast.Module:
    """A file. Raises what `ast.parse` raises: SyntaxError, ValueError, RecursionError, MemoryError."""
    with _lock:
        return ast.parse(source)


def expression(text: str) -> ast.expr:
    """What stands for a value. Raises as `module`."""
    with _lock:
        return ast.parse(text, mode="eval").body
