"""Drafts of a project: proposed from its documents, decided by a person, written into its file of examples."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from slipway.core.material import Change, Document, readings
from slipway.core.protocols import Labelled
from slipway.data.collect import Found
from slipway.data.drafts import accepted, file, sheet
from slipway.data.drafts.by_rule import LANGUAGES, drafts_of
from slipway.data.drafts.choose import Asked, choose, unambiguous
from slipway.data.drafts.draft import Draft
from slipway.data.examples import example_files, read_entries
from slipway.data.references import corpus_of
from slipway.errors import ConfigError, instead
from slipway.files import inside, real
from slipway.i18n import t
from slipway.loop.at_work import at_work
from slipway.loop.context import Context
from slipway.loop.stages.data import freeze_documents
from slipway.loop.state import Loop
from slipway.store.new_file import new_file

FILE = "drafts/questions.jsonl"
EXAMPLES = "evals/drafted.jsonl"


class Drafted(msgspec.Struct, frozen=True, kw_only=True):
    """What drafting found. `found`: how many questions the rules see; `new` are those that were added to `file`.

    `open`: drafts in the file that wait for a decision, new ones included. `withdrawn`: undecided ones whose answer the
    documents no longer hold.
    """

    file: str
    found: int
    new: list[Draft]
    open: int
    withdrawn: int


def draft(context: Context, count: int, languages: Sequence[str], seed: int) -> Drafted:
    """Add at most `count` drafts to the project's file of drafts; what is decided there stays as it is.

    Raises ConfigError for a project without documents, or a language that there are no rules for.
    """
    for language in languages:
        if language not in LANGUAGES:
            raise ConfigError(t("no questions are drafted in '{name}'", name=language), instead(language, LANGUAGES))
    if isinstance(context.task, Labelled):
        raise ConfigError(
            t("drafts are questions with answers from documents; the task has labels"),
            t("write texts with their labels into a file of data.examples"),
        )
    path = _path(context)
    with at_work(context):
        documents = freeze_documents(Loop(context))
        if documents is None:
            raise ConfigError(
                t("the project has no documents: nothing can be drafted"), t("list them under data.documents")
            )
        corpus = corpus_of(documents, context.store)
        assert corpus is not None
        held = list(context.store.blobs.get_lines(documents.items, Document))
        every = unambiguous(draft for document in held for draft in drafts_of(document, corpus))
        if languages:
            every = [draft for draft in every if draft.language in languages]
        known, withdrawn = _still_true(file.load(path), held)
        asked = _asked(context)
        for draft in known:
            asked.add(draft.question, draft.answer, draft.source)
        new = choose(every, count, seed, asked)
        drafts = [*known, *new]
        file.save(path, drafts)
        waiting = sum(draft.status == "proposed" for draft in drafts)
        return Drafted(file=FILE, found=len(every), new=new, open=waiting, withdrawn=withdrawn)


class Review:
    """The drafts of a project while a person decides: each decision is on disk before the next one is asked for."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._path = _path(context)
        self.drafts = file.load(self._path)
        self._before: list[tuple[int, Draft]] = []

    @property
    def waiting(self) -> list[int]:
        """Numbers of the drafts without a decision, in their order."""
        return [number for number, draft in enumerate(self.drafts) if draft.status == "proposed"]

    def decide(self, number: int, draft: Draft) -> None:
        """Put a draft with its decision in the place of the one it was."""
        self._before.append((number, self.drafts[number]))
        self.drafts[number] = draft
        file.save(self._path, self.drafts)

    def undo(self) -> int | None:
        """Take the last decision of this review back; its number, None when there is none left."""
        if not self._before:
            return None
        number, draft = self._before.pop()
        self.drafts[number] = draft
        file.save(self._path, self.drafts)
        return number

    def export(self, path: Path) -> str:
        """Write all drafts into a new CSV for a spreadsheet; returns its path."""
        with new_file(path) as out:
            out.write(sheet.write(self.drafts))
        return str(path)

    def take(self, path: Path) -> list[sheet.Problem]:
        """Read the decisions of a CSV; returns its rows that were not taken."""
        self.drafts, problems = sheet.read_back(self.drafts, path)
        file.save(self._path, self.drafts)
        return problems

    def settle(self) -> tuple[str, bool]:
        """Bring the file of examples up to date; returns its name and whether `data.examples` reads it."""
        context = self._context
        name, fields, listed = _examples(context)
        self.drafts = accepted.settle(self.drafts, context.root / name, name, fields)
        file.save(self._path, self.drafts)
        return name, listed


def _path(context: Context) -> Path:
    """The file of drafts. Raises ConfigError when `data.examples` would take drafts for examples."""
    path = context.root / FILE
    if not inside(real(path), [real(context.root)]):
        raise ConfigError(t("{path} is a link that leads out of the project", path=FILE), t("remove the link"))
    if path.exists() and real(path) in {real(found.path) for found in _example_files(context)}:
        raise ConfigError(
            t("data.examples reads {path}, where drafts wait for a person", path=FILE),
            t("name the files of examples so that {path} is not among them", path=FILE),
        )
    return path


def _example_files(context: Context) -> list[Found]:
    data = context.project.data
    entries = [entry for entry in data.examples if _there(context, entry.path)]
    return [found for entry in entries for found in example_files(entry, data.roots, context.root)]


def _there(context: Context, path: str) -> bool:
    """Whether an entry can match anything: a file that a person is still to write is no mistake here."""
    return any(mark in path for mark in "*?[") or (context.root / path).exists()


def _still_true(drafts: list[Draft], documents: list[Document]) -> tuple[list[Draft], int]:
    """Without undecided drafts whose document changed so that it no longer says the answer."""
    digests = {document.digest for document in documents}
    texts = {document.source: " ".join(document.text.split()) for document in documents}

    def holds(draft: Draft) -> bool:
        if draft.status != "proposed" or draft.document in digests:
            return True
        text = next((texts[source] for source, _ in readings(draft.source) if source in texts), "")
        return " ".join(draft.answer.split()) in text

    kept = [draft for draft in drafts if holds(draft)]
    return kept, len(drafts) - len(kept)


def _asked(context: Context) -> Asked:
    """The questions of the project's examples."""
    asked = Asked()
    data, task = context.project.data, context.task
    present = data.model_copy(update={"examples": [entry for entry in data.examples if _there(context, entry.path)]})
    changes: list[Change] = []
    for entry in read_entries(present, context.root, context.store, task, changes) if present.examples else ():
        example = entry.example
        question = task.text(example.input)
        asked.add(question)
        for source in example.relevant:
            for answer in example.expected:
                asked.add(question, answer, source)
    return asked


def _examples(context: Context) -> tuple[str, dict[str, str], bool]:
    """The file that accepted drafts go to, field -> column there, and whether the project reads it.

    The first entry of `data.examples` that is one JSONL file inside the project; else one of our own.
    """
    task = context.task
    plain = {"question": task.inputs[0], "answer": task.reference}
    root = real(context.root)
    for entry in context.project.data.examples:
        path = context.root / entry.path
        if not any(mark in entry.path for mark in "*?[") and path.suffix == ".jsonl" and inside(real(path), [root]):
            named = {field: entry.fields.get(plain.get(field, field), plain.get(field, field))
                     for field in ("question", "answer", "source", "language")}  # fmt: skip
            return os.path.relpath(path, context.root), named, True
    listed = any(real(found.path) == real(context.root / EXAMPLES) for found in _example_files(context))
    return EXAMPLES, plain, listed
