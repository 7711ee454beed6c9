"""What a piece of work is made of: the digest of the modules that it really imports, and the versions of packages.

A module counts by what it does: its syntax tree without comments, docstrings and layout. From a module the closure
follows every import of the same package, those inside functions included, and every text that names a module of it
(what is started as a child process). Knows no steps; keeps what it computed in a `Memory`, if it is given one.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from slipway import syntax
from slipway.core.ref import digest_of

FORMAT = "1"  # of what is remembered
OWN = "slipway"
# What these do is no part of a result: where it lies, how it is told, which names there are. The plug-in that a name
# stands for is counted by itself, and values of the project file are in the configuration.
LEFT_OUT = ("slipway.store", "slipway.errors", "slipway.i18n", "slipway.project", "slipway.plugins", "slipway.code")
# Whose packages count: those that parse and those that plug-ins stand on.
_COUNTED = ("slipway.data", "slipway.builtin")
_CARRIERS = {"msgspec", "pydantic", "typing_extensions"}  # they hold values and compute none
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_ours: dict[tuple[str, ...], str] = {}  # modules of this package -> digest: what a process runs stays what it was


class Memory(Protocol):
    """Where results of pure work are kept between processes: the catalog."""

    def recall(self, kind: str, keys: Iterable[str]) -> dict[str, bytes]:
        """What is remembered of these keys."""
        ...

    def remember(self, kind: str, values: Mapping[str, bytes]) -> None:
        """Remember these."""
        ...


class Module(NamedTuple):
    """One file: the digest of what it does, and what it names; a relative name begins with a dot for each level."""

    digest: str
    names: tuple[str, ...]


class Code:
    """Reads source files, each once. `memory` saves the parsing in the next process."""

    def __init__(self, memory: Memory | None = None) -> None:
        self._memory = memory
        self._modules: dict[Path, Module] = {}
        self._closures: dict[tuple[str, ...], str] = {}
        self._brought: dict[str, list[str]] | None = None

    @property
    def files(self) -> list[Path]:
        """Every file that was read."""
        return list(self._modules)

    def of(self, *modules: str) -> str:
        """The digest of modules of installed packages, by dotted name, with all that they import."""
        known = _ours if all(module.startswith(f"{OWN}.") for module in modules) else self._closures
        if modules not in known:
            found: dict[str, Path] = {}
            for module in modules:
                if (path := _path_of(module)) is not None:
                    found[module] = path
            known[modules] = self._closure(found, {OWN, *(name.partition(".")[0] for name in modules)})
        return known[modules]

    def of_file(self, path: Path, folder: Path) -> str:
        """The digest of a file of a project, with the files of the project that it imports."""
        return self._closure({_project_name(path, folder): path}, {OWN}, folder)

    def _closure(self, start: Mapping[str, Path], own: set[str], folder: Path | None = None) -> str:
        seen: dict[str, Module] = {}
        packages: set[str] = set()
        todo = dict(start)
        while todo:
            modules = self._read(list(todo.values()))
            following: dict[str, Path] = {}
            for name, path in todo.items():
                module = seen[name] = modules[path]
                for wanted in module.names:
                    following.update(_found(wanted, name, path, own, folder))
                    packages.update(_package(wanted, name, own))
            todo = {name: path for name, path in following.items() if name not in seen}
        versions = {name: self._version(name) for name in packages if not _is_project(name, start, folder)}
        return digest_of([FORMAT, {name: module.digest for name, module in seen.items()}, versions])

    def _version(self, package: str) -> str:
        if self._brought is None:
            self._brought = _distributions(self._memory)
        return ", ".join(self._brought.get(package, []))

    def _read(self, paths: list[Path]) -> dict[Path, Module]:
        """These files as modules: from this process, from memory by their content, or parsed now."""
        todo: dict[str, tuple[Path, bytes]] = {}
        for path in paths:
            if path not in self._modules:
                data = _bytes(path)
                todo[hashlib.sha256(data + FORMAT.encode() + _PYTHON).hexdigest()] = (path, data)
        known = self._memory.recall("code", todo) if self._memory and todo else {}
        fresh: dict[str, bytes] = {}
        for key, (path, data) in todo.items():
            if key in known:
                self._modules[path] = msgspec.json.decode(known[key], type=Module)
            else:
                self._modules[path] = parse(data)
                fresh[key] = msgspec.json.encode(self._modules[path])
        if self._memory and fresh:
            self._memory.remember("code", fresh)
        return {path: self._modules[path] if path in self._modules else parse(_bytes(path)) for path in paths}


_PYTHON = bytes(sys.version_info[:2])  # what a syntax tree looks like may change with it


def parse(source: bytes) -> Module:
    """A file as a module. What cannot be parsed counts by its bytes: importing it will say what is wrong."""
    try:
        tree = syntax.module(source)
    except (SyntaxError, ValueError, RecursionError):
        return Module(hashlib.sha256(source).hexdigest(), ())
    tree = _Plain().visit(tree)
    names: dict[str, None] = {}
    for node in ast.walk(tree):
        names.update(dict.fromkeys(_names(node)))
    return Module(hashlib.sha256(ast.dump(tree).encode()).hexdigest(), tuple(names))


class _Plain(ast.NodeTransformer):
    """Takes out what does nothing: docstrings, and what only a type checker reads."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:  # noqa: N802 -- the name that ast calls
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:  # noqa: N802
        self.generic_visit(node)
        name = node.test.attr if isinstance(node.test, ast.Attribute) else getattr(node.test, "id", "")
        return node.orelse if name == "TYPE_CHECKING" else node


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = "." * node.level + (node.module or "")
        yield base
        join = "" if base.endswith(".") else "."
        yield from (f"{base}{join}{alias.name}" for alias in node.names if alias.name != "*")
    elif isinstance(node, ast.Call) and _called(node.func) in ("import_module", "__import__", "find_spec"):
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _NAME.fullmatch(node.value):
        yield f"={node.value}"  # perhaps the name of a module


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _found(wanted: str, by: str, path: Path, own: set[str], folder: Path | None) -> Iterator[tuple[str, Path]]:
    """The module of ours that a name stands for, and the packages it lies in."""
    name = wanted.removeprefix("=")
    if name.startswith("."):
        if folder is not None and _PROJECT in by:
            yield from _beside(name, path, folder)
            return
        name = _absolute(name, by, path)
    top = name.partition(".")[0]
    if top not in own:
        if folder is not None and not wanted.startswith("="):
            yield from _beside(f".{name}", path, folder)
            yield from _beside(f".{name}", folder / "_", folder)
        return
    parts = name.split(".")
    for n in range(2 if top == OWN else 1, len(parts) + 1):
        module = ".".join(parts[:n])
        if module.startswith(LEFT_OUT) and any(module == one or module.startswith(f"{one}.") for one in LEFT_OUT):
            return
        if (place := _path_of(module)) is not None:
            yield module, place


def _absolute(name: str, by: str, path: Path) -> str:
    level = len(name) - len(name.lstrip("."))
    package = by.split(".") if path.name == "__init__.py" else by.split(".")[:-1]
    package = package[: len(package) - level + 1]
    return ".".join([*package, *filter(None, [name.lstrip(".")])])


_PROJECT = "project:"


def _project_name(path: Path, folder: Path) -> str:
    try:
        return _PROJECT + path.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        return _PROJECT + str(path)


def _beside(name: str, path: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """The project's file that an import names, seen from the file at `path`."""
    base = path.parent
    for _ in range(len(name) - len(name.lstrip(".")) - 1):
        base = base.parent
    parts = [part for part in name.lstrip(".").split(".") if part]
    for n in range(1, len(parts) + 1):
        place = base.joinpath(*parts[:n])
        for file in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if file.is_file():
                yield _project_name(file, folder), file


def _package(wanted: str, by: str, own: set[str]) -> Iterator[str]:
    """The package of somebody else that a name stands for, when the module that names it counts."""
    if wanted[0] in ".=":
        return
    top = wanted.partition(".")[0]
    counted = by.startswith(_COUNTED) or not by.startswith(f"{OWN}.")
    if counted and top not in own and top not in _CARRIERS and top not in sys.stdlib_module_names:
        yield top


def _is_project(package: str, start: Mapping[str, Path], folder: Path | None) -> bool:
    """Whether a name that looks like a package is a file beside the project's plug-in."""
    if folder is None:
        return False
    places = {folder, *(path.parent for path in start.values())}
    return any((place / f"{package}.py").is_file() or (place / package).is_dir() for place in places)


@cache
def _path_of(module: str) -> Path | None:
    """The source file of a module of an installed package; its package is found, nothing is imported."""
    top, _, rest = module.partition(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for folder in spec.submodule_search_locations or ():
        place = Path(folder, *rest.split("."))
        for file in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if file.is_file():
                return file
    return None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        return (error.strerror or "unreadable").encode()


# versions --------------------------------------------------------------------------------------------------------
_by_installed: dict[str, dict[str, list[str]]] = {}


def _distributions(memory: Memory | None) -> dict[str, list[str]]:
    """Package -> `name version` of distributions. Looking into all takes half a second: once an installation."""
    key = _installed()
    if key not in _by_installed:
        known = memory.recall("distributions", [key]).get(key) if memory else None
        if known is not None:
            _by_installed[key] = msgspec.json.decode(known, type=dict[str, list[str]])
        else:
            found = metadata.packages_distributions()
            versions = {name: f"{name} {_version(name)}" for names in found.values() for name in names}
            _by_installed[key] = {package: sorted({versions[name] for name in found[package]}) for package in found}
            if memory:
                memory.remember("distributions", {key: msgspec.json.encode(_by_installed[key])})
    return _by_installed[key]


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _installed() -> str:
    """Digest of the names of what is installed; they hold the versions."""
    found: list[str] = []
    for folder in sys.path:
        place = Path(folder or ".")
        if place.is_dir():
            found += sorted(entry.name for entry in place.iterdir() if entry.name.endswith((".dist-info", ".egg-info")))
    return digest_of(found)
