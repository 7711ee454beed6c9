"""Write docs/reference from the code: commands, project file, Python verbs, metrics, plug-ins, errors, HTTP.

python tools/reference.py            write the pages
python tools/reference.py --check    exit 1 when a page is not what the code says
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

os.environ["SLIPWAY_LANG"] = "en"
FOLDER = Path(__file__).parents[1] / "docs" / "reference"
NOTE = "<!-- Written by tools/reference.py from the code; change the code, then run `make docs`. -->\n"


def commands() -> Iterator[str]:
    """Every command with its arguments and options."""
    import click
    import typer.main

    from slipway.cli.app import app

    def walk(command: Any, path: str) -> Iterator[str]:
        if hasattr(command, "commands"):
            for name, inner in command.commands.items():
                yield from walk(inner, f"{path} {name}")
            if path == "slipway" or not command.invoke_without_command:
                return
        context = click.Context(command, info_name=path)
        usage = " ".join(command.collect_usage_pieces(context))
        yield f"## {path}\n\n{command.help or ''}\n\n```\n{path} {usage}\n```\n"
        rows = [r for r in (p.get_help_record(context) for p in command.get_params(context)) if r and r[0] != "--help"]
        if rows:
            yield "| option | meaning |\n|---|---|"
            yield "\n".join(f"| `{a}` | {b} |".replace("|  |", "| |") for a, b in rows) + "\n"

    yield "# Commands\n"
    yield (
        "Before the command: `--lang en|zh`. Exit codes: 0 ok, 1 the gate said no, 2 usage or config, "
        "3 a missing prerequisite, 4 a step failed, 130 interrupted.\n"
    )
    yield from walk(typer.main.get_command(app), "slipway")


def project_file() -> Iterator[str]:
    """Every key of slipway.yaml with its type and default."""
    from pydantic import BaseModel

    from slipway.project import data, fields, monitoring, plugin_config, schema, telemetry

    modules = (schema, data, monitoring, telemetry, fields, plugin_config)
    classes = [
        cls for module in modules for cls in vars(module).values() if getattr(cls, "__module__", "") == module.__name__
    ]
    yield "# The project file, key by key\n\n`slipway schema` prints the JSON schema.\n"
    for cls in classes:
        if isinstance(cls, type) and issubclass(cls, BaseModel) and cls.model_fields and cls.__name__[0] != "_":
            yield f"## {cls.__name__}\n\n{inspect.getdoc(cls) or ''}\n\n| key | type | default |\n|---|---|---|"
            for key, field in cls.model_fields.items():
                yield f"| `{key}` | `{typename(field.annotation)}` | {default_of(field)} |"
            yield ""


def typename(annotation: Any) -> str:
    """A type as it is written, without what checks it."""
    if get_origin(annotation) is Annotated:
        return typename(get_args(annotation)[0])
    if get_origin(annotation) is list:
        return f"list[{typename(get_args(annotation)[0])}]"
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join("None" if one is NoneType else typename(one) for one in get_args(annotation))
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return re.sub(r"typing\.|slipway\.project\.\w+\.", "", text).replace("|", "or").split(", FieldInfo")[0]


def default_of(field: Any) -> str:
    """A field's default as it is written; a part of the file is described in its own section."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, frozenset | set):
        return f"`{sorted(value)!r}`"
    return f"see {type(value).__name__}" if hasattr(type(value), "model_fields") else f"`{value!r}`"


def verbs() -> Iterator[str]:
    """The public Python verbs."""
    from slipway import api

    yield f"# Python verbs\n\n{inspect.getdoc(api)}\n"
    for name in api.__all__:
        thing = getattr(api, name)
        if callable(thing):
            yield f"## api.{name}\n\n```\n{name}{inspect.signature(thing)}\n```\n\n{inspect.getdoc(thing)}\n"


def metrics() -> Iterator[str]:
    """Every metric."""
    from slipway import plugins
    from slipway.core.metrics import METRICS

    yield "# Metrics\n\n| metric | better | unit | how examples become one number | what it is |\n|---|---|---|---|---|"
    for name, info in METRICS.items():
        better = "higher" if info.higher_is_better else "lower"
        doc = ""
        if name in plugins.BUILTIN["scorers"]:
            doc = (inspect.getdoc(plugins.Plugins().load("scorers", name)) or "").splitlines()[0]
        form = f"quantile {info.q}" if info.form == "quantile" else info.form
        yield f"| `{name}` | {better} | {info.unit or '-'} | {form} | {doc} |"
    yield ""


def plug_ins() -> Iterator[str]:
    """Every kind of plug-in: what it must have, and what is built in with its options."""
    from slipway import plugins
    from slipway.core import protocols

    registry = plugins.Plugins()
    yield (
        "# Plug-ins\n\n[Plug-ins](../en/plug-ins.md) says how a project names one; `slipway.testing` has a contract "
        "suite for each kind.\n"
    )
    for kind, protocol in plugins.KINDS.items():
        yield f"## Protocol of {kind}\n\n{inspect.getdoc(protocol)}\n"
        yield from members(protocol)
        for given in GIVEN.get(kind, ()):
            yield f"### {given}\n\n{inspect.getdoc(getattr(protocols, given))}\n"
            yield from members(getattr(protocols, given))
        for name, (target, extra) in plugins.BUILTIN.get(kind, {}).items():
            yield from built_in(protocol.__name__.lower(), name, target, extra, registry.load(kind, name))
        if protocol is protocols.Engine:
            yield from besides(protocols)


GIVEN = {"strategies": ("Work",), "tuners": ("Job",)}  # what a plug-in of the kind is called with


def built_in(kind: str, name: str, target: str, extra: str, cls: Any) -> Iterator[str]:
    """One plug-in and its options."""
    brings = f" (`pip install 'slipway-ai[{extra}]'`)" if extra else ""
    yield f"### {kind} {name}\n\n`{target}`{brings}\n\n{inspect.getdoc(cls) or ''}\n"
    fields = cls.Config.model_fields
    if fields:
        yield f"{inspect.getdoc(cls.Config)}\n\n| option | type | default |\n|---|---|---|"
        for key, field in fields.items():
            yield f"| `{key}` | `{typename(field.annotation)}` | {default_of(field)} |"
        yield ""


def members(protocol: Any) -> Iterator[str]:
    """What a class of a protocol must have: attributes, properties, methods."""
    yield "| it has | meaning |\n|---|---|"
    for name, annotation in inspect.get_annotations(protocol).items():
        kind_of = str(annotation).removeprefix("ClassVar[").removesuffix("]")
        comment = re.search(rf"^    {name}: .*?  # (.+)$", inspect.getsource(protocol), re.MULTILINE)
        said = comment[1] if comment else "a pydantic model of its options" if name == "Config" else "class attribute"
        yield f"| `{name}: {kind_of}` | {said} |"
    for name, found in vars(protocol).items():
        if name.startswith("_"):
            continue
        if isinstance(found, property):
            yield f"| `{name}: {inspect.get_annotations(found.fget)['return']}` | {one_line(found)} |"
        elif inspect.isfunction(found):
            wait = "await " if inspect.iscoroutinefunction(found) else ""
            yield f"| `{wait}{name}{signature(found)}` | {one_line(found)} |"
    yield ""


def one_line(found: Any) -> str:
    """A docstring in a cell of a table."""
    return " ".join((inspect.getdoc(found) or "").split()).replace("|", "\\|")


def signature(function: Any) -> str:
    """How a method is called, without `self`, annotations as they are written."""
    found = inspect.signature(function)
    given = [p.replace(annotation=AsWritten(p.annotation)) for name, p in found.parameters.items() if name != "self"]
    return str(found.replace(parameters=given, return_annotation=AsWritten(found.return_annotation))).replace("|", "or")


class AsWritten(str):
    """An annotation that is shown without quotes around it."""

    __slots__ = ()
    __repr__ = str.__str__


def besides(protocols: Any) -> Iterator[str]:
    """What an engine may have beyond its protocol."""
    yield "### What else an engine can do\n\n| protocol | method | meaning |\n|---|---|---|"
    for name, found in vars(protocols).items():
        if getattr(found, "_is_runtime_protocol", False):
            for method, function in vars(found).items():
                if inspect.iscoroutinefunction(function):
                    said = f"{one_line(found)} {one_line(function)}"
                    yield f"| `{name}` | `{method}{signature(function)}` | {said} |"
    yield ""


def errors() -> Iterator[str]:
    """The error tree."""
    from slipway import errors as module

    yield f"# Errors\n\n```\n{inspect.getdoc(module)}\n```\n"


PAGES = {
    "commands.md": commands,
    "project-file.md": project_file,
    "python.md": verbs,
    "metrics.md": metrics,
    "plugins.md": plug_ins,
    "errors.md": errors,
}


def main() -> int:
    """Write or check every page."""
    import json

    from slipway.project.load import json_schema

    texts = {name: NOTE + "\n" + "\n".join(page()).rstrip() + "\n" for name, page in PAGES.items()}
    texts["slipway.schema.json"] = json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
    FOLDER.mkdir(parents=True, exist_ok=True)
    stale = [n for n, text in texts.items() if not (FOLDER / n).exists() or (FOLDER / n).read_text("utf-8") != text]
    if "--check" in sys.argv:
        print(
            "\n".join(f"docs/reference/{n} is not what the code says: make docs" for n in stale)
            or "reference: up to date"
        )
        return 1 if stale else 0
    for name in stale:
        (FOLDER / name).write_text(texts[name], "utf-8")
    print(f"{len(stale)} pages written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
