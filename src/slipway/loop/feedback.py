"""What users said becomes files to train on: mined, without what is held out, written into the project's `feedback/`.

A row of examples that a person has looked at, which then has no `review: open` any more, stays as it is; all others are
made anew each time. `split: train` in `data.examples` keeps such files out of dev and gate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from slipway.core.material import Dataset, Example
from slipway.core.ref import canonical
from slipway.data.heldout import Heldout
from slipway.data.imports.training_files import KIND, written
from slipway.errors import NotFound
from slipway.i18n import t
from slipway.loop.at_work import at_work
from slipway.loop.context import Context
from slipway.loop.mine import KINDS, PER_USER, Mined, Row, Said, left_out, mine
from slipway.loop.model_lock import pin_models
from slipway.loop.row_files import FOLDER, read_rows
from slipway.loop.stages.data import freeze_data
from slipway.loop.state import Loop
from slipway.privacy.redact import Mode
from slipway.runtime.unrelated import unrelated
from slipway.store.blobs import write_aside
from slipway.text.words import answer_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OPEN = "open"
MINED = "mined"  # name of the files of rows that feedback gives
Embed = Callable[[Sequence[str]], "NDArray[np.float32]"]


class Harvest(msgspec.Struct, frozen=True, kw_only=True):
    """What mining made and what it left out. `files`: kind -> where its rows were written. `held_out`: rows that were
    close to an example of dev, gate or reserve, by kind and reason. `compared`: with how many, and `embedder`: whose
    vectors, empty where only words were compared. `kept`: rows that a person has looked at, which stayed.
    """

    files: dict[str, str]
    rows: dict[str, int]
    made: dict[str, int]
    left_out: dict[str, int]
    held_out: dict[str, dict[str, int]]
    repeats: dict[str, int]
    compared: int
    embedder: str
    kept: int = 0


@dataclass(frozen=True)
class Reading:
    """What of the feedback is read: the `limit` newest. `per_user`: how many inputs one key may decide. `shared`: keys,
    by id or name, of applications with many users, whose every trace counts as a user of its own. `redact`: what
    becomes of personal data; None is what serve.redact says, or `mask` where that says `off`.
    """

    limit: int = 100_000
    redact: Mode | None = None
    per_user: int = PER_USER
    shared: Sequence[str] = ()


ALL = Reading()


class Found(msgspec.Struct):
    """Rows, with nothing in them that is held out; `of`: how many examples they were compared with."""

    mined: Mined
    of: int
    embedder: str


def find(context: Context, said: Said, per_user: int, shared: frozenset[str]) -> Found:
    """The rows that feedback gives, without those close to a held out example."""
    return clean(context, mine(context.task, said, per_user, shared))


def clean(context: Context, mined: Mined) -> Found:
    """Rows without those that are close to an example of dev, gate or reserve."""
    compared = Comparison(context)
    texts = list(dict.fromkeys(context.task.text(row) for kind in KINDS for row in mined.rows(kind)))
    close = dict(zip(texts, compared.reasons(texts), strict=True))
    mined.keep(lambda row: close[context.task.text(row)])
    return Found(mined, compared.of, compared.embedder)


class Comparison:
    """With the examples of dev, gate and reserve: `of` how many, and by the vectors of `embedder`, which is empty as
    long as nothing was compared, and where only words are.
    """

    def __init__(self, context: Context) -> None:
        self._context, self.embedder = context, ""
        self._held = heldout(context)
        self.of = len(self._held)
        self._embed: Embed | None = None
        self._known: Heldout | None = None

    def reasons(self, texts: Sequence[str]) -> list[str]:
        """For each text why it is close to one of them; empty where it is not."""
        if not texts or not self._held:
            return [""] * len(texts)
        if self._known is None:
            held = [self._context.task.text(example.input) for example in self._held]
            self.embedder, self._embed, floor = _embedder(self._context)
            vectors = self._embed(held) if self._embed else None
            self._known = Heldout(held, vectors, [str(e.split) for e in self._held], floor)
        vectors = self._embed(texts) if self._embed else None
        found = (self._known.close(text, None if vectors is None else vectors[n]) for n, text in enumerate(texts))
        return [one.reason if one else "" for one in found]


def heldout(context: Context) -> list[Example]:
    """The examples of dev, gate and reserve as they were last frozen; frozen now where they never were."""
    if not context.project.data.examples:
        return []
    store = context.store
    known = [d for _, d in store.catalog.list("dataset", Dataset, "examples") if store.blobs.has(d.items)]
    if not known:
        with at_work(context):
            known = [freeze_data(Loop(context))[2]]
    return [e for e in store.blobs.get_lines(known[0].items, Example) if e.split != "train"]


def _embedder(context: Context) -> tuple[str, Embed | None, float]:
    """The embedder that the project's candidates retrieve with, what gives its vectors, [n, dimension], and the cosine
    up to which texts are unrelated to it.
    """
    project = context.project
    used = {c.retrieve.embedder for c in project.candidates.values() if c.retrieve and c.retrieve.embedder}
    name = min(used & project.models.keys(), default="")
    if not name:
        return "", None, 0.0
    only = project.model_copy(update={"models": {name: project.models[name]}})
    pins = pin_models(only, context.root, context.lock_file, context.listener.progress, context.plugins)
    floor = context.wait(_floor(context, pins[name]))
    return name, lambda texts: context.wait(_embed(context, pins[name], texts)), floor


async def _floor(context: Context, pin: Any) -> float:
    return await unrelated(context.store, pin, await context.session.embedder(pin))


async def _embed(context: Context, pin: Any, texts: Sequence[str]) -> NDArray[np.float32]:
    import numpy as np

    engine = await context.session.embedder(pin)
    parts = [await engine.embed(texts[start : start + 256]) for start in range(0, len(texts), 256)]
    return np.concatenate(parts)


def write(context: Context, found: Found) -> Harvest:
    """Write the rows as `feedback/mined.KIND.jsonl`, each file whole or not at all; kinds without rows make no file."""
    files, counts, kept = dict[str, str](), dict[str, int](), 0
    for kind in KINDS:
        path = context.root / FOLDER / f"{MINED}.{kind}.jsonl"
        made = found.mined.rows(kind)
        if kind == "examples":
            looked_at = [row for row in read_rows(path) if row.get("review") != OPEN] if path.exists() else []
            kept = len(looked_at)
            made = [*looked_at, *_new(context, made, [*looked_at, *labelled(context)])]
        if made or path.exists():
            write_aside(path, b"".join(canonical(row) + b"\n" for row in made))
            files[kind] = str(path.relative_to(context.root))
        counts[kind] = len(made)
    return told(found, files, counts, kept)


def labelled(context: Context) -> list[Row]:
    """Rows that annotators decided, in the files of queues: users' votes do not speak against them."""
    files = sorted((context.root / FOLDER).glob("*.examples.jsonl"))
    return [row for path in files for row in read_rows(path) if "queue:" in str(row.get("lineage", ""))]


def told(found: Found, files: Mapping[str, str], counts: Mapping[str, int], kept: int = 0) -> Harvest:
    """What was made of feedback."""
    dropped = {kind: Counter(reasons) for kind, reasons in found.mined.dropped.items()}
    repeats = {kind: reasons.pop("near-repeat", 0) for kind, reasons in dropped.items()}
    return Harvest(
        files=dict(files), rows=dict(counts), made=dict(found.mined.made), left_out=left_out(found.mined),
        held_out={kind: dict(reasons) for kind, reasons in dropped.items() if reasons},
        repeats={kind: n for kind, n in repeats.items() if n}, compared=found.of, embedder=found.embedder, kept=kept,
    )  # fmt: skip


def _new(context: Context, made: Sequence[Row], looked_at: Sequence[Row]) -> list[Row]:
    """Rows of inputs, and of traces, that no row says which a person has looked at."""
    first = context.task.inputs[0]
    inputs = {answer_key(str(row.get(first, ""))) for row in looked_at}
    traces = {trace for row in looked_at for trace in str(row.get("lineage", "")).split()}
    return [
        r for r in made if answer_key(str(r[first])) not in inputs and not traces.intersection(r["lineage"].split())
    ]


def key_ids(context: Context, names: Sequence[str]) -> frozenset[str]:
    """Ids of keys by id or name. Raises NotFound for one that there never was."""
    found: set[str] = set()
    for name in names:
        ids = {key["id"] for key in context.store.catalog.api_keys() if name in (key["id"], key["name"])}
        if not ids:
            raise NotFound(t("no key is called '{name}'", name=name), t("`slipway keys list` shows them"))
        found |= ids
    return frozenset(found)


def export(context: Context, found: Found, format: str) -> list[dict[str, Any]]:
    """The rows of the kind that a format holds, in that format."""
    task = context.task
    return [written(format, row, task.inputs, task.reference) for row in found.mined.rows(KIND[format])]
