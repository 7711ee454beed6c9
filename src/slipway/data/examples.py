"""`make_examples`: files of inputs and references become a frozen set, validated, grouped and split.

What an input and a reference are is the task's to say. Rows without an input are dropped; an example without a
reference is kept and flagged (retrieval can still be measured with it). The same input with the same reference is
dropped; with another one both stay, flagged, in one group, so that a contradiction is never divided between two splits.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from slipway.core.material import Change, Dataset, Example
from slipway.core.protocols import Labelled, Task
from slipway.data.clean import clean_text
from slipway.data.collect import Found, matching
from slipway.data.documents import parse_files
from slipway.data.freeze import freeze
from slipway.data.groups import Entry, folded, with_groups
from slipway.data.heldout import Heldout
from slipway.data.label_splits import label_problems, labels_of
from slipway.data.leaks import find_leaks
from slipway.data.parsing import media
from slipway.data.parsing.blocks import Note, Row
from slipway.data.parsing.parse import Settings
from slipway.data.parsing.tabular import missing, plain, shown
from slipway.data.reasons import explain
from slipway.data.references import Corpus
from slipway.data.split import assign, missing_slices
from slipway.errors import ConfigError, nearest
from slipway.files import printable
from slipway.i18n import t
from slipway.project.data import DataConfig, DocumentSource, ExampleSource
from slipway.store.store import Store
from slipway.text.words import normalize_label

FIELDS = ("source", "language", "group")  # of every example, in addition to those of the task
_LONGEST = 100_000  # characters of one field of an input


def make_examples(
    config: DataConfig, root: Path, store: Store, task: Task, corpus: Corpus | None = None, rotation: int = 0
) -> Dataset:
    """The examples of a project in file order, each with its split.

    `relevant` comes from the field `source`, `group` from `data.split.group_by`; columns that are no field become
    meta. What is only to learn from (`split: train` of a file) moves no other example to another split, and is dropped
    where it is close to one that is held out. With a `corpus`, each `source` is looked up in it: a dropped duplicate is
    followed to what was kept, and what is not there is flagged. `counts` has `train`, `train/en`, ...

    Raises ConfigError: an entry that matches nothing, a file that cannot be read, a mapped field or group that is
    nowhere, no example at all, or a split that stays empty.
    """
    changes: list[Change] = []
    entries = read_entries(config, root, store, task, changes)
    entries = _without_repeats(entries, task, changes)
    if not entries:
        raise _no_example(task, changes)
    if corpus is not None:
        entries = [_placed(entry, corpus, changes) for entry in entries]
    measured = [entry for entry in entries if not entry.train]
    if not measured:
        raise ConfigError(
            t("data.examples: every file has split: train, and nothing is left to measure with"),
            t("list a file without it: what is released must be measured on examples that nobody learnt from"),
        )
    texts = [task.text(entry.example.input) for entry in measured]
    grouped = with_groups(measured, texts, config.split.group_by, changes)
    labels = labels_of(grouped) if isinstance(task, Labelled) else ()
    try:
        splits, _ = assign(grouped, config.split, rotation, labels)
    except ConfigError as error:
        raise _for_lack_of_headings(error, changes) from error
    examples = [msgspec.structs.replace(e, split=split) for e, split in zip(grouped, splits, strict=True)]
    changes += missing_slices(examples)
    learnt = _away_from(examples, [entry for entry in entries if entry.train], task, changes)
    entries = [*measured, *learnt]
    examples += [msgspec.structs.replace(entry.example, group=entry.group, split="train") for entry in learnt]
    texts += [task.text(entry.example.input) for entry in learnt]
    if isinstance(task, Labelled):
        changes += label_problems(examples, task.labels)
    sections = [[name for place in entry.places for name in place.sections] for entry in entries]
    changes += find_leaks(examples, texts, sections)
    counts = Counter(str(example.split) for example in examples)
    counts.update(f"{example.split}/{example.language}" for example in examples)
    return freeze("examples", examples, changes, dict(sorted(counts.items())), store)


def _away_from(examples: Sequence[Example], entries: Sequence[Entry], task: Task, changes: list[Change]) -> list[Entry]:
    """Of entries to learn from those that are close to no example of dev, gate or reserve."""
    held = [example for example in examples if example.split != "train"]
    texts, parts = [task.text(one.input) for one in held], [str(one.split) for one in held]
    known, kept = Heldout(texts, parts=parts) if entries else None, list[Entry]()
    for entry in entries:
        close = known.close(task.text(entry.example.input)) if known is not None else None
        if close is None:
            kept.append(entry)
            continue
        example = held[close.number]
        detail = f"{example.split}; {example.source}; {close.reason} {close.similarity:.2f}"
        changes.append(
            Change(item=entry.example.source, step="split", action="dropped", reason="held-out", detail=detail)
        )
    return kept


def read_entries(config: DataConfig, root: Path, store: Store, task: Task, changes: list[Change]) -> list[Entry]:
    """The valid rows of all files of examples, in order, those to learn from after those to measure with; what was
    dropped or flagged is added to `changes`.
    """
    sources = sorted(config.examples, key=lambda source: source.split is not None)
    return [entry for source in sources for entry in _read(source, config, root, store, task, changes)]


def _placed(entry: Entry, corpus: Corpus, changes: list[Change]) -> Entry:
    """The entry with its sources as the corpus has them; what had to be followed or is not there is told."""
    example = entry.example
    places = tuple(corpus.place(name) for name in example.relevant)
    for name, place in zip(example.relevant, places, strict=True):
        if place.problem:
            detail = f"{name}; nearest: {place.detail}" if place.detail else name
            if place.problem == "source-dropped":
                detail = f"{name}: {place.detail}"
            changes.append(
                Change(item=example.source, step="validate", action="flagged", reason=place.problem, detail=detail)
            )
        if place.name != name:
            detail = f"{name} is {place.name}"
            changes.append(
                Change(item=example.source, step="validate", action="changed", reason="source-followed", detail=detail)
            )
    relevant = tuple(dict.fromkeys(place.name for place in places))
    return Entry(msgspec.structs.replace(example, relevant=relevant), entry.group, places, entry.train)


def _read(
    source: ExampleSource, config: DataConfig, root: Path, store: Store, task: Task, changes: list[Change]
) -> Iterator[Entry]:
    files = example_files(source, config.roots, root)
    settings = Settings(
        want="rows", max_text=int(config.limits.max_text), max_file=int(config.limits.max_file)
    )  # fmt: skip
    for file, outcome in zip(files, parse_files(files, settings, config.limits, store, None), strict=True):
        if outcome.refused is not None:
            raise ConfigError(
                t(
                    "{path} cannot be read: {why}",
                    path=file.source,
                    why=outcome.refused.detail or outcome.refused.reason,
                ),
                t("examples are JSON objects, one a line (.jsonl), or tables with a header (.csv, .tsv, .parquet)"),
            )
        changes += [_change(f"{file.source}{note.item}", note) for note in outcome.notes]
        columns = list(dict.fromkeys(name for row in outcome.rows for name in row.values))
        names = _columns(source, file.source, columns, task) if outcome.rows else {}
        for row in outcome.rows:
            entry = _entry(row, names, f"{file.source}:{row.number}", task, changes)
            if entry is not None:
                entry.train = source.split is not None
                yield entry


def _for_lack_of_headings(error: ConfigError, changes: list[Change]) -> ConfigError:
    """An example whose heading is not there counts for its whole document, and ties all of its examples together."""
    wrong = [change for change in changes if change.reason == "heading-missing"]
    if not wrong:
        return error
    told = t(
        "correct the field source of {item} first ({detail}): a heading that is not there stands for the whole "
        "document",
        item=wrong[0].item,
        detail=wrong[0].detail,
    )
    return ConfigError(error.message, f"{told}; {error.hint}")


def _no_example(task: Task, changes: list[Change]) -> ConfigError:
    keys = ", ".join((*task.inputs, task.reference))
    hint = t("write one a line into a .jsonl file, with the keys {keys}", keys=keys)
    if changes:
        hint = t(
            "every row was dropped; the first: {item}: {why}", item=changes[0].item, why=explain(changes[0].reason)
        )
    return ConfigError(t("data.examples: no example was found"), hint)


def example_files(source: ExampleSource, roots: Sequence[str], root: Path) -> list[Found]:
    """The files of an entry, sorted by name. Raises ConfigError when one is no table or may not be read."""
    matched = matching(DocumentSource(path=source.path), root, roots, "data.examples")
    for path, note in matched.refused.items():
        name = printable(os.path.relpath(path, root))
        raise ConfigError(
            t("data.examples: {path} cannot be read: {why}", path=name, why=explain(note.reason)), note.detail
        )
    return [_found(path, place, root) for path, place in sorted(matched.files.items())]


def _found(path: Path, place: Path, root: Path) -> Found:
    name = printable(Path(os.path.relpath(path, root)).as_posix())
    kind = media.media_type(path.name)
    if kind is None or kind not in media.TABLES:
        raise ConfigError(
            t("data.examples: {path} is not a file of examples", path=name),
            t("examples are JSON objects, one a line (.jsonl), or tables with a header (.csv, .tsv, .parquet)"),
        )
    return Found(name, place, kind)


def _columns(source: ExampleSource, file: str, columns: list[str], task: Task) -> dict[str, str]:
    """Field -> column. A mapped column must exist; unmapped fields are looked for under their own names."""
    fields = (*task.inputs, task.reference, *FIELDS)
    for field, column in source.fields.items():
        if field not in fields:
            near = nearest(field, fields)
            raise ConfigError(
                t("data.examples: fields: the task has no field '{field}'", field=field),
                (t("did you mean '{near}'?", near=near) + " " if near else "")
                + t("known: {names}", names=", ".join(fields)),
            )
        if column not in columns:
            near = nearest(column, columns)
            hint = t("did you mean '{near}'?", near=near) + " " if near else ""
            raise ConfigError(
                t(
                    "{file} has no column '{column}', which data.examples names as {field}",
                    file=file,
                    column=column,
                    field=field,
                ),
                hint + t("it has: {columns}", columns=", ".join(columns[:20])),
            )
    found = {field: source.fields.get(field, field) for field in fields}
    if found[task.inputs[0]] not in columns:
        which = ", ".join(f"{name}: COLUMN" for name in (task.inputs[0], task.reference))
        raise ConfigError(
            t("{file} has no column '{name}'", file=file, name=found[task.inputs[0]]),
            t(
                "it has: {columns}; say which is which: fields: {fields}",
                columns=", ".join(columns[:20]),
                fields=f"{{{which}}}",
            ),
        )
    return found


def _entry(row: Row, names: Mapping[str, str], place: str, task: Task, changes: list[Change]) -> Entry | None:
    from slipway.data.document_language import identify

    counts: Counter[str] = Counter()
    values = row.values
    given = {name: _plain(values[names[name]], counts) for name in task.inputs if not missing(values.get(names[name]))}
    if not given.get(task.inputs[0]):
        changes.append(_dropped(place, "missing-input", names[task.inputs[0]]))
        return None
    too_long = next((n for v in given.values() if isinstance(v, str) and (n := len(v)) > _LONGEST), 0)
    if too_long:
        changes.append(_dropped(place, "too-long", f"an input of {too_long:,} characters"))
        return None
    try:
        input = task.input(given)
        expected = _expected(row, names[task.reference], task, counts)
    except ConfigError as error:
        changes.append(_dropped(place, "invalid", str(error.message)))
        return None
    if not expected:
        said = row.absent.get(names[task.reference], "").strip()
        detail = f"the cell says '{said}', which stands for nothing in a table" if said else ""
        changes.append(Change(item=place, step="validate", action="flagged", reason="missing-answer", detail=detail))
    changes += [
        Change(item=place, step="clean", action="changed", reason=reason, detail=f"{n} times")
        for reason, n in sorted(counts.items())
    ]
    taken = set(names.values())
    example = Example(
        input=input,
        expected=expected,
        relevant=_several(values.get(names["source"]), Counter()),
        language=_text(values.get(names["language"]), Counter()) or identify(task.text(input)),
        source=place,
        meta={name: plain(value) for name, value in values.items() if name not in taken and not missing(value)},
    )
    return Entry(example, _text(values.get(names["group"]), Counter()))


def _expected(row: Row, column: str, task: Task, counts: Counter[str]) -> tuple[str, ...]:
    """The references of a row; a cell that says "none" is one where that is a label that the project names."""
    value = row.values.get(column)
    said = row.absent.get(column, "")
    if said and isinstance(task, Labelled) and normalize_label(said) in map(normalize_label, task.labels):
        value = said
    return tuple(task.expected(text) for text in _several(value, counts))


def _plain(value: Any, counts: Counter[str]) -> Any:
    """A value of an input: text is cleaned, anything else stays as the file has it."""
    return _text(value, counts) if not isinstance(value, (list, dict)) else plain(value)


def _text(value: Any, counts: Counter[str]) -> str:
    return "" if missing(value) else clean_text(shown(value), counts)


def _several(value: Any, counts: Counter[str]) -> tuple[str, ...]:
    """One text or several: a list, or (from a table) a JSON list of texts; without repeats."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        with contextlib.suppress(msgspec.DecodeError):  # then it is a text that starts with a bracket
            value = msgspec.json.decode(value, type=list[str])
    values: list[Any] = list(value) if isinstance(value, (list, tuple)) else [value]  # pyright: ignore[reportUnknownArgumentType]
    return tuple(dict.fromkeys(text for each in values if (text := _text(each, counts))))


def _without_repeats(entries: list[Entry], task: Task, changes: list[Change]) -> list[Entry]:
    """Drop the same input with the same references; flag and tie together the same input with others."""
    seen: dict[str, list[Entry]] = {}
    kept: list[Entry] = []
    for entry in entries:
        example = entry.example
        same = seen.setdefault(folded(task.text(example.input)), [])
        answers = sorted(map(folded, example.expected))
        twin = next((e for e in same if sorted(map(folded, e.example.expected)) == answers), None)
        if twin is not None:
            changes.append(_dropped(example.source, "exact-duplicate", f"the same as {twin.example.source}"))
            continue
        if same:
            detail = f"{same[0].example.source} asks the same and answers: {'; '.join(same[0].example.expected)[:200]}"
            changes.append(
                Change(item=example.source, step="validate", action="flagged", reason="contradiction", detail=detail)
            )
        same.append(entry)
        kept.append(entry)
    return kept


def _dropped(place: str, reason: str, detail: str = "") -> Change:
    return Change(item=place, step="validate", action="dropped", reason=reason, detail=detail)


def _change(place: str, note: Note) -> Change:
    return Change(item=place, step=note.step, action=note.action, reason=note.reason, detail=note.detail)
