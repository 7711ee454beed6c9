"""Read `slipway.yaml` into a `Project`: strict, every error at once, each with its line and column.

Knows YAML and the schema; whether models exist and files are there is `loop.check`'s to find out.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml
from pydantic import BaseModel, ValidationError

from slipway.core.protocols import ReadsFiles
from slipway.errors import ConfigError, nearest
from slipway.files import open_regular, printable, read, why
from slipway.i18n import t
from slipway.plugins import Plugins, is_file
from slipway.project.improved import Improved
from slipway.project.places import leaving, read_text
from slipway.project.plugin_config import PluginConfig
from slipway.project.schema import Project
from slipway.project.yaml import Unreadable, compose, construct

FILE = "slipway.yaml"
IMPROVED = "improved.yaml"  # what `slipway improve` released: candidates beside those of the project file
Path_ = tuple[str | int, ...]
MAX_BYTES = 256_000
_MOST_ERRORS = 50
_LONGEST = 500  # characters of one error
_DEEPEST = 20  # names in the key of an override


def find(start: Path) -> Path:
    """The project file in `start` or the nearest folder above it. Raises ConfigError when there is none, and for a
    folder that is not there: its name may be a slip, and the project around it another one.
    """
    here = start.resolve()
    if here.is_file():
        return here
    if not here.exists():
        raise ConfigError(
            t("there is no folder {folder}", folder=here),
            t("`slipway init DIR` makes a project; or name its folder with --project"),
        )
    for folder in (here, *here.parents):
        if (folder / FILE).is_file():
            return folder / FILE
    raise ConfigError(
        t("no {file} here or in any folder above {folder}", file=FILE, folder=here),
        t("`slipway init DIR` makes a project; or name its folder with --project"),
    )


def load(path: Path, overrides: Sequence[str] = ()) -> Project:
    """Read and check a project file; `overrides` are `key.path=value`, the value read as YAML.

    Raises ConfigError with one line for each thing that is wrong.
    """
    try:
        data = read(open_regular(path), MAX_BYTES)
    except OSError as error:
        raise ConfigError(
            t("{path} cannot be read: {why}", path=path, why=why(error)),
            t("a project file is short; keep data in files of its own")
            if error.errno == errno.EFBIG
            else t("`slipway init DIR` makes a project"),
        ) from error
    node = _compose(data, path)
    problems = [_line(path, mark, what) for mark, what in _repeated(node)]
    try:
        value = construct(node)
    except Unreadable as error:
        raise ConfigError(_line(path, error.mark, str(error))) from error
    if problems or not isinstance(value, dict):
        raise ConfigError(_lines(problems) or t("{path} is not a mapping of keys", path=path))
    plain = cast("dict[str, Any]", value)
    _add_improved(plain, path.parent / IMPROVED)
    for override in overrides:
        _override(plain, override)
    hint = t("docs: project-file; `slipway schema` prints the JSON schema")
    try:
        project = Project.model_validate(plain)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        found = [_explain(path, node, dict(e)) for e in errors[:_MOST_ERRORS]]
        raise ConfigError(_lines(found, len(errors)), hint) from error
    project = _with_files(project, path.parent)
    places = [(loc, f"{'.'.join(map(str, loc))}: {what}") for loc, what in leaving(project, path.parent)]
    wrong = [_line(path, _mark(node, loc), what) for loc, what in [*_dangling(project), *places]]
    if wrong:
        raise ConfigError(_lines(wrong), hint)
    return project


def _with_files(project: Project, root: Path) -> Project:
    """The project with what the files say that options of its task name. A task in a file of the project reads none:
    nothing of a project is run to read its file.
    """
    name, plugins = project.task.name, Plugins()
    if is_file(name) or name not in plugins.known("tasks"):
        return project
    task = plugins.load("tasks", name)
    if not isinstance(task, ReadsFiles):
        return project
    with_files = task.read(project.task.options, lambda key, path: read_text(root, path, f"task.{name}.{key}"))
    return project.model_copy(update={"task": PluginConfig(name=name, options=with_files)})


def _add_improved(plain: dict[str, Any], path: Path) -> None:
    """The candidates of `improved.yaml` beside those of the project file, and its files of examples to learn from."""
    if not path.is_file():
        return
    hint = t("`slipway improve` writes it; delete it, and the project has only the candidates of {file}", file=FILE)
    try:
        found = Improved.model_validate(construct(_compose(read(open_regular(path), MAX_BYTES), path)))
    except (OSError, Unreadable, ValidationError) as error:
        why = str(error).partition("\n")[0]
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False)[0]
            why = f"{'.'.join(map(str, first['loc']))}: {in_words(dict(first))}"
        raise ConfigError(t("{path}: {why}", path=path.name, why=why), hint) from error
    candidates = plain.setdefault("candidates", {})
    if not isinstance(candidates, dict):
        return  # the schema says what is wrong
    for name, config in found.candidates.items():
        if name in candidates:
            raise ConfigError(
                t("{path}: a candidate '{name}' is in {file}, too", path=path.name, name=name, file=FILE), hint
            )
        candidates[name] = config.model_dump(mode="json", exclude_unset=True)
    add_learnt(plain, [source for source in found.examples if any(path.parent.glob(source))])


def add_learnt(plain: dict[str, Any], sources: Sequence[str]) -> None:
    """List files to learn from (globs, relative to the project) under `data.examples`, unless they are there."""
    data = plain.setdefault("data", {})
    listed = data.setdefault("examples", []) if isinstance(data, dict) else None
    if isinstance(listed, list):
        known = {str(one.get("path")) for one in listed if isinstance(one, dict)}
        listed += [{"path": one, "split": "train"} for one in sources if one not in known]


class Problem(NamedTuple):
    """One thing that is wrong at a place of the file: in words, or as pydantic's error about the `model` there."""

    at: Path_
    what: str
    model: type[BaseModel] | None = None
    error: Mapping[str, Any] = {}


def lines(path: Path, problems: Iterable[Problem]) -> list[str]:
    """Each problem with its line and column, as `load` tells its own."""
    node = _compose(read(open_regular(path), MAX_BYTES), path)
    found: list[str] = []
    for problem in problems:
        if problem.model is None:
            what = f"{'.'.join(map(str, problem.at))}: {problem.what}"
            found.append(_line(path, _mark(node, problem.at), what))
        else:
            found.append(_explain(path, node, dict(problem.error), problem.model, problem.at))
    return found


def json_schema() -> dict[str, Any]:
    """The published JSON schema (draft 2020-12) of the project file."""
    schema = Project.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": FILE, **schema}


def _compose(data: bytes, path: Path) -> yaml.Node:
    try:
        node = compose(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError(t("{path} is not UTF-8 text", path=path), t("save it as UTF-8")) from error
    except Unreadable as error:
        raise ConfigError(
            _line(path, error.mark, str(error)), t("check the indentation, and quote text with ':' in it")
        ) from error
    if node is None:
        raise ConfigError(t("{path} is empty", path=path), t("`slipway init DIR` makes a project to start from"))
    return node


def _lines(problems: Sequence[str], count: int = 0) -> str:
    """Problems, one a line, and how many more there are."""
    more = max(count, len(problems)) - _MOST_ERRORS
    shown = [*problems[:_MOST_ERRORS], *([t("and {n} more", n=more)] if more > 0 else [])]
    return "\n".join(shown)


def _line(path: Path, mark: Any, what: str) -> str:
    where = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
    return f"{path.name}{where}: {what if len(what) <= _LONGEST else what[:_LONGEST] + ' ...'}"


def _repeated(node: yaml.Node) -> Iterator[tuple[Any, str]]:
    """Keys written twice: YAML would silently keep the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.start_mark, t("'{key}' is written twice", key=key.value)
            seen.add(str(key.value))
            yield from _repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated(item)


def _override(value: dict[str, Any], override: str) -> None:
    key, found, text = override.partition("=")
    shown = printable(override[:100])
    if not found or not re.fullmatch(r"[\w-]+(\.[\w-]+)*", key) or key.count(".") > _DEEPEST:
        raise ConfigError(
            t("--set {override}: not key=value", override=shown),
            t("for example --set candidates.grounded.retrieve.top_k=5"),
        )
    try:
        node = compose(text)
        new = None if node is None else construct(node)
        twice = next(_repeated(node), None) if node is not None else None
        if twice is not None:
            raise Unreadable(twice[1])
    except Unreadable as error:
        raise ConfigError(
            t("--set {override}: the value is not YAML: {why}", override=shown, why=error),
            t("for example --set candidates.grounded.retrieve.top_k=5"),
        ) from error
    *folders, last = key.split(".")
    here: Any = value
    for name in folders:
        here = _into(here, name, override, create=True)
    if isinstance(here, list):
        _into(here, last, override, create=False)
        here[int(last)] = new
    else:
        here[last] = new


def _into(here: Any, name: str, override: str, *, create: bool) -> Any:
    if isinstance(here, list):
        items = cast("list[Any]", here)
        if re.fullmatch(r"[0-9]{1,6}", name) and int(name) < len(items):
            return items[int(name)]
    elif isinstance(here, dict):
        mapping = cast("dict[str, Any]", here)
        if create and mapping.get(name) is None:
            mapping[name] = {}
        if isinstance(mapping.get(name), dict | list):
            return mapping[name]
    raise ConfigError(
        t("--set {override}: '{name}' is not there to be set", override=printable(override[:100]), name=name)
    )


def _explain(
    path: Path, root: yaml.Node, error: dict[str, Any], model: type[BaseModel] = Project, under: Path_ = ()
) -> str:
    """One pydantic error as `slipway.yaml:12:5: gate.token_f1.mim: unknown key; did you mean 'min'?`."""
    loc: Path_ = tuple(p for p in error["loc"] if not (isinstance(p, str) and p.startswith("function-")))
    whole = (*under, *loc)
    dotted = ".".join(str(p) for p in whole)
    kind = error["type"]
    if kind == "extra_forbidden":
        near = nearest(str(loc[-1]), _keys_at(model, loc[:-1]))
        what = t("unknown key") + (t("; did you mean '{near}'?", near=near) if near else "")
    elif kind == "string_pattern_mismatch":
        what = t("'{value}' is not a name: use lower-case letters, digits, '-', '_' and '.'", value=error["input"])
    else:
        what = in_words(error)
    return _line(path, _mark(root, whole), f"{dotted}: {what}")


def in_words(error: dict[str, Any]) -> str:
    """What one pydantic error asks for, in the language in force where it is one of the usual things."""
    said = str(error["msg"]).removeprefix("Value error, ")
    return _expected(error["type"], error.get("ctx", {}), error.get("input")) or said


def _expected(kind: str, context: dict[str, Any], given: Any = None) -> str:
    """What a kind of pydantic error asks for, in the language in force; empty for one that says it itself."""
    by_kind = {
        "missing": t("is missing"),
        "float_type": t("must be a number"),
        "float_parsing": t("must be a number"),
        "finite_number": t("must be a finite number"),
        "int_type": t("must be a whole number"),
        "int_parsing": t("must be a whole number"),
        "int_from_float": t("must be a whole number"),
        "bool_type": t("must be true or false"),
        "bool_parsing": t("must be true or false"),
        "string_type": t("must be text"),
        "list_type": t("must be a list"),
        "dict_type": t("must be a mapping of keys"),
        "model_type": t("must be a mapping of keys"),
        "model_attributes_type": t("must be a mapping of keys"),
    }
    if kind in by_kind:
        return by_kind[kind]
    if kind == "literal_error":
        names = str(context.get("expected", "")).replace(" or ", ", ")
        near = nearest(given, re.findall(r"'([^']*)'", names)) if isinstance(given, str) else ""
        return t("must be one of {names}", names=names) + (t("; did you mean '{near}'?", near=near) if near else "")
    limits = {"greater_than_equal": ("ge", ">="), "less_than_equal": ("le", "<="), "greater_than": ("gt", ">"),
              "less_than": ("lt", "<")}  # fmt: skip
    if kind in limits:
        name, sign = limits[kind]
        return t("must be {sign} {bound}", sign=sign, bound=context.get(name, ""))
    return ""


def _dangling(project: Project) -> Iterator[tuple[Path_, str]]:
    """Names that nothing in the file answers to."""

    def model(loc: Path_, name: str | None) -> Iterator[tuple[Path_, str]]:
        if name is not None and name not in project.models:
            yield loc, _no_such(loc, name, t("model"), project.models)

    yield from model(("improve", "writer"), project.improve.writer)
    for name, candidate in project.candidates.items():
        at: Path_ = ("candidates", name)
        yield from model((*at, "model"), candidate.model)
        if candidate.retrieve:
            yield from model((*at, "retrieve", "embedder"), candidate.retrieve.embedder)
            yield from model((*at, "retrieve", "reranker"), candidate.retrieve.reranker)
        if candidate.few_shot:
            yield from model((*at, "few_shot", "embedder"), candidate.few_shot.embedder)
        seen, here = {name}, candidate
        while here.extends is not None:
            if here.extends not in project.candidates:
                yield (*at, "extends"), _no_such((*at, "extends"), here.extends, t("candidate"), project.candidates)
                break
            if here.extends in seen:
                yield (*at, "extends"), t("{key}: candidates extend each other in a circle", key=".".join(map(str, at)))
                break
            seen.add(here.extends)
            here = project.candidates[here.extends]


def _no_such(loc: Path_, name: str, what: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    text = t("{key}: no {what} is called '{name}'", key=".".join(map(str, loc)), what=what, name=name)
    return text + (t("; did you mean '{near}'?", near=near) if near else "")


def _mark(node: yaml.Node, loc: Path_) -> Any:
    """Where a key stands: the key itself for mappings, the item for lists; the deepest that exists."""
    mark = node.start_mark
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            found = [(k, v) for k, v in node.value if str(k.value) == str(part)]
            if not found:
                break
            mark, node = found[0][0].start_mark, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            mark = node.start_mark
        else:
            break
    return mark


def _keys_at(model: type[BaseModel], loc: Path_) -> list[str]:
    """The keys known at a place of the schema, for near misses."""
    from typing import get_args

    here: Any = model
    for part in loc:
        if isinstance(here, type) and issubclass(here, BaseModel) and part in here.model_fields:
            here = here.model_fields[str(part)].annotation
        inner = [a for a in get_args(here) if a is not type(None)]
        while inner and not (isinstance(here, type) and issubclass(here, BaseModel)):
            here = inner[-1]
            inner = [a for a in get_args(here) if a is not type(None)]
    return list(here.model_fields) if isinstance(here, type) and issubclass(here, BaseModel) else []
