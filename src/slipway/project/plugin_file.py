"""Looks at a project's own plug-in, `./file.py:Class`, without running it: the file is parsed, never imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from slipway import syntax
from slipway.errors import ConfigError, nearest
from slipway.i18n import t
from slipway.project.places import plugin_path, read_text


def inspect(root: Path, name: str, where: str) -> None:
    """Raise ConfigError unless the file is there, is Python, and has the class (or something of its name) on top.

    `where` is the key that names it. What a class does when it is used only running it can tell.
    """
    path, wanted = plugin_path(name) or name, name.rpartition(":")[2]
    text = read_text(root, path, where)
    try:
        names = set(_top_names(syntax.module(text)))
    except SyntaxError as error:
        raise ConfigError(
            t("{where}: {path}:{line}: {what}", where=where, path=path, line=error.lineno or 1, what=error.msg),
            t("it is not Python"),
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(t("{where}: {path} cannot be read as Python", where=where, path=path)) from error
    if wanted not in names:
        near = nearest(wanted, names)
        raise ConfigError(
            t("{where}: {path} defines no '{name}'", where=where, path=path, name=wanted),
            t("did you mean '{near}'?", near=near) if near else t("write it as ./file.py:ClassName"),
        )


def _top_names(tree: ast.AST) -> Iterator[str]:
    """What a module's top level binds, also under `if` and `try`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        else:
            yield from _top_names(node)
