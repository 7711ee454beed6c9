"""Labels from a file: one a line, a table, or YAML. Pure functions."""

from __future__ import annotations

import csv
import io
from pathlib import PurePosixPath
from typing import Any, cast

import yaml

from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.text.words import normalize_label


def labels_in(path: str, text: str) -> dict[str, str]:
    """Label -> what it means. `.txt`: a label a line, what it means after a tab; `.csv`: the columns `label` and
    `description`, else the first and the second; `.yaml`: a list, or a mapping. Empty lines are skipped.

    Raises ConfigError that names the line of a label that is there twice, and for a file without labels.
    """
    suffix, text = PurePosixPath(path).suffix.lower(), text.removeprefix("\ufeff")
    if suffix == ".txt":
        rows = [(n, *line.partition("\t")[::2]) for n, line in enumerate(text.splitlines(), 1)]
    elif suffix == ".csv":
        rows = _table(path, text)
    elif suffix in (".yaml", ".yml"):
        rows = _yaml(path, text)
    else:
        raise ConfigError(
            t("{path} is no file of labels", path=path), t("labels are read from .txt, .csv, .yaml and .yml")
        )
    found: dict[str, str] = {}
    lines: dict[str, int] = {}
    for line, name, meaning in rows:
        name = name.strip()
        if not name:
            continue
        before = lines.setdefault(normalize_label(name), line)
        if before != line:
            raise ConfigError(
                t("{path}: the label '{name}' of line {line} is there already, in line {before}", path=path, name=name,
                  line=line, before=before),
                t("labels are compared without case, and without punctuation at their ends; delete one"),
            )  # fmt: skip
        found[name] = meaning.strip()
    if not found:
        raise ConfigError(t("{path} has no labels", path=path), t("write one a line"))
    return found


def _table(path: str, text: str) -> list[tuple[int, str, str]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise ConfigError(t("{path} is no table: {why}", path=path, why=error)) from error
    head = [cell.strip().lower() for cell in rows[0][1]] if rows else []
    name, meaning = (head.index("label") if "label" in head else 0), 1
    if "label" in head:
        rows, meaning = rows[1:], head.index("description") if "description" in head else len(head)
    return [
        (n, row[name] if name < len(row) else "", row[meaning] if meaning < len(row) and meaning != name else "")
        for n, row in rows
    ]


def _yaml(path: str, text: str) -> list[tuple[int, str, str]]:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(t("{path} is not YAML: {why}", path=path, why=error)) from error
    if node is None:
        return []
    # As they are written: `no`, `on` and `1.0` are labels like others.
    pairs: list[tuple[Any, Any]] = (
        list(node.value)
        if isinstance(node, yaml.MappingNode)
        else [(one, None) for one in cast("list[Any]", node.value)]
        if isinstance(node, yaml.SequenceNode)
        else []
    )
    if any(not isinstance(one, yaml.ScalarNode) for pair in pairs for one in pair if one is not None) or not pairs:
        raise ConfigError(
            t("{path} is neither a list of labels nor a mapping of each to what it means", path=path),
            t("for example `- billing`, or `billing: payments and invoices`"),
        )
    return [
        (
            name.start_mark.line + 1,
            name.value,
            "" if meaning is None or meaning.tag.endswith(":null") else meaning.value,
        )
        for name, meaning in pairs
    ]
