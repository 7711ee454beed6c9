"""`slipway data forget`: what came from one trace or user, or holds a text, is taken out; what it went into is told.

Traces, feedback, rows of files and frozen examples that were made of them, and the answers and scores measured on
these. A model that was trained on it cannot be mended by deleting: it is named. Nothing goes without `yes`.
"""

from __future__ import annotations

import codecs
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import msgspec

from slipway.core.artifact import Artifact
from slipway.core.candidate import Candidate
from slipway.core.erasure import Erasure
from slipway.core.material import Dataset, Example
from slipway.core.ref import canonical
from slipway.core.release import Release, Verdict
from slipway.core.report import Report, Score
from slipway.core.trace import Feedback, Trace
from slipway.errors import ConfigError, NotFound
from slipway.files import UNDECODABLE
from slipway.i18n import t
from slipway.loop.at_work import clear
from slipway.loop.context import Context, whoami
from slipway.loop.feedback import key_ids
from slipway.loop.row_files import FOLDER
from slipway.loop.state import WORK
from slipway.store import erase
from slipway.store.blobs import write_aside
from slipway.store.catalog import now
from slipway.store.failing import reporting

ROWS = ".jsonl"  # how the name of a file of rows ends; what an interrupted write left has more behind it
SHORTEST = 3  # characters of a text that is looked for
_TRACE = re.compile(r"trace:([0-9a-f]{32})")
_ANNOTATOR = re.compile(r"annotator:(\S+)")


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where what is forgotten came from; one of them. `trace`: an id; `user`: id or name of a key; `matching`: a text
    that it holds.
    """

    trace: str = ""
    user: str = ""
    matching: str = ""


class Affected(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was made with what is forgotten. `done`: what happens to it; `how`: what a person has to do."""

    kind: str
    name: str
    digest: str
    done: str
    how: str = ""


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """What goes, or with `dry_run` would go: traces, feedback, rows of files (file -> how many), remembered answers,
    items of queues and what annotators said (`labels`); and what it went into. `elsewhere`: lines of examples that hold
    the text and were made of no trace; they stay.
    """

    dry_run: bool
    traces: list[str]
    feedback: int
    rows: dict[str, int]
    answers: int
    affected: list[Affected]
    elsewhere: list[str]
    labels: int = 0


class _Plan:
    """What is to be forgotten of one project."""

    def __init__(self, context: Context) -> None:
        self.context, self.store = context, context.store
        self.traces: set[str] = set()  # which go
        self.tainted: set[str] = set()  # and those of which feedback goes: rows made of them go too
        self.feedback: set[str] = set()
        self.annotators: set[str] = set()  # keys, and names of people without one
        self.items: set[str] = set()
        self.judgements: set[str] = set()
        self.holds: Callable[[str], bool] = lambda text: False
        self.rows: dict[str, tuple[int, bytes]] = {}
        self.elsewhere: list[str] = []
        self.blobs: set[str] = set()
        self.candidates: set[str] = set()
        self.texts: set[bytes] = set()  # inputs of forgotten examples, as JSON has them
        self.given: set[bytes] = set()  # forgotten inputs with their references
        self.affected: list[Affected] = []

    # what is wanted --------------------------------------------------------------------------------------------
    def by_trace(self, id: str) -> None:
        try:
            self._take(self.store.catalog.trace(id))
        except NotFound:
            if not re.fullmatch(r"[0-9a-f]{32}", id):
                raise
            self.traces.add(id)  # its record is gone already; what was made of it may be there

    def by_user(self, names: Iterable[str]) -> None:
        wanted = list(names)
        self.annotators = {one.who for one in self.store.catalog.labels.judgements() if one.by in wanted}
        keys = key_ids(self.context, [name for name in wanted if not self.annotators & {name}])
        self.annotators |= keys
        for trace in erase.every_trace(self.store):
            if trace.key in keys:
                self._take(trace)
        for said in erase.every_feedback(self.store):
            if said.by in keys:
                self._hear(said)

    def matching(self, text: str) -> None:
        wanted = _folded(text)
        if len(wanted) < SHORTEST:
            raise ConfigError(
                t("--matching needs {n} characters or more", n=SHORTEST), t("give the whole name, address or number")
            )
        self.holds = lambda other: wanted in _folded(other)
        for trace in erase.every_trace(self.store):
            if self._said_in(msgspec.to_builtins(trace)):
                self._take(trace)
        for said in erase.every_feedback(self.store):
            if self.holds(said.correction or "") or self.holds(said.comment or ""):
                self._hear(said)

    def _said_in(self, value: Any) -> bool:
        if isinstance(value, str):
            return self.holds(value)
        if isinstance(value, dict):
            return any(map(self._said_in, cast("dict[str, Any]", value).values()))
        return isinstance(value, list | tuple) and any(map(self._said_in, cast("list[Any]", value)))

    def _take(self, trace: Trace) -> None:
        self.traces.add(trace.id)

    def _hear(self, said: Feedback) -> None:
        self.feedback.add(said.id)
        self.tainted.add(said.trace)

    # what it went into -----------------------------------------------------------------------------------------
    def _from(self, lineage: object, row: dict[str, Any]) -> bool:
        of, who = set(_TRACE.findall(str(lineage))), set(_ANNOTATOR.findall(str(lineage)))
        if who & {name.replace(" ", "_") for name in self.annotators}:
            return True
        return bool((of and of & (self.traces | self.tainted)) or ((of or who) and self._said_in(row)))

    def look(self) -> None:
        self.feedback |= {f.id for f in erase.every_feedback(self.store) if f.trace in self.traces}
        self._labels()
        for path in self._files():
            self._file(path, str(path.relative_to(self.context.root)))
        for path in sorted((self.context.root / FOLDER).glob(".*.jsonl.*")):
            if path.suffix != ROWS:
                self._left(path)
        reports = [report for _, report in self.store.catalog.list("report", Report)]
        tainted = {dataset.digest: ids for dataset, ids in self._datasets()}
        for report in reports:
            if report.dataset.digest in tainted:
                self._report(report, tainted[report.dataset.digest])
        self._candidates(set(tainted))

    def _labels(self) -> None:
        """Items made of what is forgotten, with all that was said of them; and what a forgotten person said."""
        labels = self.store.catalog.labels
        for _, item in labels.every_item():
            if set(_TRACE.findall(item.lineage)) & self.traces or self._said_in(msgspec.to_builtins(item)):
                self.items.add(item.id)
        for one in labels.judgements():
            said = self._said_in(one.value) or self._said_in(one.guess)
            if one.item in self.items or one.who in self.annotators or said:
                self.judgements.add(one.id)

    def _files(self) -> list[Path]:
        """Files of rows in the project: what was mined, and what its examples are read from."""
        root = self.context.root.resolve()
        patterns = [f"{FOLDER}/*.jsonl", *(source.path for source in self.context.project.data.examples)]
        found = {path for one in patterns if not Path(one).is_absolute() for path in root.glob(one)}
        return sorted(p for p in found if p.suffix == ROWS and p.is_file() and p.resolve().is_relative_to(root))

    def _file(self, path: Path, name: str) -> None:
        """Take the lines made of what is forgotten out of a file; the others stay as they are, byte for byte."""
        kept: list[bytes] = []
        lines = path.read_bytes().splitlines(keepends=True)
        for number, line in enumerate(lines, 1):
            told = line.removeprefix(codecs.BOM_UTF8)
            try:
                row = msgspec.json.decode(told, type=dict[str, Any]) if told.strip() else {}
            except UNDECODABLE:  # broken by hand: it stays, as whoever broke it may mend it, and is told
                text = told.decode("utf-8", "replace")
                row = {"lineage": "", "text": text}
                if set(_TRACE.findall(text)) & (self.traces | self.tainted):
                    self.elsewhere.append(f"{name}:{number}")
            if self._from(row.get("lineage"), row):
                continue
            kept.append(line)
            if self._said_in(row) and f"{name}:{number}" not in self.elsewhere:
                self.elsewhere.append(f"{name}:{number}")
        if len(kept) < len(lines):
            self.rows[name] = (len(lines) - len(kept), b"".join(kept))

    def _left(self, path: Path) -> None:
        """What an interrupted write left beside a file goes whole where it holds anything of what is forgotten."""
        lines = path.read_bytes().decode("utf-8", "replace").splitlines()
        if n := sum(self._from(line, {"line": line}) for line in lines):
            self.rows[str(path.relative_to(self.context.root))] = (n, b"")

    def _datasets(self) -> Iterable[tuple[Dataset, set[str]]]:
        for _, dataset in self.store.catalog.list("dataset", Dataset):
            if dataset.kind != "examples" or not self.store.blobs.has(dataset.items):
                continue
            ids: set[str] = set()
            for example in self.store.blobs.get_lines(dataset.items, Example):
                lineage = f"{example.meta.get('lineage', '')} {example.source}"
                if self._from(lineage, {"input": example.input, "expected": list(example.expected)}):
                    ids.add(example.id)
                    self.texts |= {
                        canonical(v)[1:-1] for v in example.input.values() if isinstance(v, str) and len(v) > 7
                    }
                    self.given |= {
                        canonical(example.input | {self.context.task.reference: e}) for e in example.expected
                    }
            if ids:
                self.blobs |= {blob for blob in (dataset.items, dataset.changes) if blob}
                self.affected.append(
                    _told(
                        "dataset",
                        dataset.name,
                        dataset,
                        t("its items are deleted"),
                        t("`slipway run data` makes a clean one"),
                    )
                )
                yield dataset, ids

    def _report(self, report: Report, ids: set[str]) -> None:
        if self.store.blobs.has(report.scores) and any(
            score.example in ids for score in self.store.blobs.get_lines(report.scores, Score)
        ):
            self.blobs.add(report.scores)
            done = t("its answers are deleted; the numbers stay")
        else:
            done = t("stays: it was not measured on it")
        self.affected.append(_told("report", report.ref.name, report, done))

    def _candidates(self, datasets: set[str]) -> None:
        catalog = self.store.catalog
        artifacts = {a.digest for _, a in catalog.list("artifact", Artifact) if datasets & {r.digest for r in a.data}}
        for _, artifact in catalog.list("artifact", Artifact):
            if artifact.digest in artifacts:
                how = t("train it again: `slipway run`; then `slipway store gc`")
                self.affected.append(_told("artifact", artifact.name, artifact, t("stays: it was trained on it"), how))
        serving = {catalog.release(digest).candidate.digest: ch for ch, digest in catalog.channels().items()}
        shown: set[str] = set()
        for _, candidate in catalog.list("candidate", Candidate):
            shows = candidate.few_shot is not None and any(map(self._shown, candidate.few_shot.examples))
            made = (candidate.artifact, candidate.retrieve.artifact if candidate.retrieve else None)
            if shows or any(ref is not None and ref.digest in artifacts for ref in made):
                shown.add(candidate.digest)
                self.affected.append(self._candidate(candidate, serving.get(candidate.digest, ""), shows=shows))
        for _, release in catalog.list("release", Release):
            verdict = catalog.get("verdict", release.verdict.digest, Verdict) if catalog.has(
                "verdict", release.verdict.digest) else None  # fmt: skip
            measured = verdict is not None and any(a.digest == verdict.report.digest for a in self.affected)
            if release.candidate.digest in shown or measured:
                self.affected.append(self._release(release, release.candidate.digest in shown))

    def _release(self, release: Release, made_of_it: bool) -> Affected:
        """`made_of_it`: its candidate shows it or was trained on it, and was not only measured on it."""
        channels = [name for name, digest in self.store.catalog.channels().items() if digest == release.digest]
        if not channels or not made_of_it:
            return _told("release", release.name, release, t("stays in the history"))
        return _told("release", release.name, release, t("goes on serving {channel}", channel=", ".join(channels)),
                     t("`slipway run` releases one without it, where the gate lets it pass"))  # fmt: skip

    def _shown(self, row: dict[str, Any]) -> bool:
        kept = {name: row[name] for name in (*self.context.task.inputs, self.context.task.reference) if name in row}
        return canonical(kept) in self.given

    def _candidate(self, candidate: Candidate, channel: str, *, shows: bool) -> Affected:
        if shows and not channel:
            self.candidates.add(candidate.digest)
            return _told("candidate", candidate.name, candidate, t("is deleted: it shows it as a worked example"),
                         t("`slipway run adapt` makes it without"))  # fmt: skip
        if shows:
            return _told("candidate", candidate.name, candidate,
                         t("stays: it shows it as a worked example, and serves on {channel}", channel=channel),
                         t("`slipway run` releases one without it; then run this command again"))  # fmt: skip
        return _told("candidate", candidate.name, candidate, t("stays: its model was trained on it"),
                     t("train it again: `slipway run`"))  # fmt: skip

    # the deed --------------------------------------------------------------------------------------------------
    def memo(self) -> list[tuple[str, str]]:
        return erase.remembered_with(self.store, self.texts)

    def carry_out(self, traces: int, by: str, why: str) -> None:
        held = [digest for digest in sorted(self.blobs) if self.store.blobs.has(digest)]
        erasure = Erasure(
            at=now(), by=by or whoami(), why=why, blobs=tuple(held), candidates=tuple(sorted(self.candidates)),
            traces=traces, feedback=len(self.feedback),
        )  # fmt: skip
        memo = self.memo()
        clear(self.store.folder)
        erase.note(self.store, erasure)
        if self.rows or self.blobs:  # what stopped trainings were given lies in their folders
            with reporting(self.store.folder / WORK), suppress(FileNotFoundError):
                shutil.rmtree(self.store.folder / WORK)
        for name, (_, kept) in self.rows.items():
            path = self.context.root / name
            if path.suffix == ROWS:
                write_aside(path, kept)
            else:
                path.unlink(missing_ok=True)
        self.store.catalog.labels.erase(items=self.items, judgements=self.judgements)
        erase.erase_rows(self.store, (), (), memo, self.candidates)
        erase.erase_blobs(self.store, held)  # last but one: the examples are what remembered answers are found by
        erase.erase_rows(self.store, self.traces, self.feedback, (), ())
        erase.empty_log(self.store)


def forget(context: Context, origin: Origin, *, yes: bool = False, by: str = "", why: str = "") -> Forgotten:
    """Find, and with `yes` delete, what came from an origin. Raises Busy while a run is at work.

    `by` and `why` are kept with the note of what was deleted: they must not name whoever is forgotten.
    """
    if sum(map(bool, (origin.trace, origin.user, origin.matching))) != 1:
        raise ConfigError(
            t("say what to forget: one of --trace, --user and --matching"), t("for example --trace 4bf92f3577b34da6")
        )
    with context.store.lock(), context.store.sweeping():
        plan = _Plan(context)
        if origin.trace:
            plan.by_trace(origin.trace)
        elif origin.user:
            plan.by_user([origin.user])
        else:
            plan.matching(origin.matching)
        plan.look()
        known = {t.id for t in erase.every_trace(context.store) if t.id in plan.traces}
        found = Forgotten(
            dry_run=not yes, traces=sorted(known), feedback=len(plan.feedback),
            rows={name: n for name, (n, _) in plan.rows.items()}, answers=len(plan.memo()),
            affected=plan.affected, elsewhere=plan.elsewhere, labels=len(plan.items) + len(plan.judgements),
        )  # fmt: skip
        if yes:
            plan.carry_out(len(known), by, why)
        return found


def _told(kind: str, name: str, noun: Any, done: str, how: str = "") -> Affected:
    return Affected(kind=kind, name=name, digest=noun.digest, done=done, how=how)


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
