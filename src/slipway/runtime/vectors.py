"""Vectors of passages, remembered in the store: several for a passage that is longer than its encoder reads.

A long passage is as near to a question as the nearest of its parts. On XQuAD (en, dense, 148 chunks of 1,800
characters, 87 of them too long) recall@1 is 0.876 so, 0.824 by the mean of the parts' vectors and 0.793 where the rest
is cut off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from slipway.core.candidate import ModelPin
from slipway.core.material import Chunk
from slipway.core.protocols import Embeds, EmbedsQuestions, OutOfVocabulary, Windows
from slipway.core.ref import digest_bytes, digest_of
from slipway.errors import EngineError
from slipway.i18n import t
from slipway.store.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from slipway.core.protocols import Vectors

MAX_OUT_OF_VOCABULARY = 0.25  # share of unknown tokens above which an encoder cannot read a text
BATCH = 64  # chunks embedded between two commits: what a kill -9 can cost
SAMPLE = 32  # passages, of all lengths, that are embedded first and timed
WORTH_SAYING = 10.0  # seconds below which no estimate is told
_FORMAT = "windows"  # of what is remembered; another one and it is computed again

Progress = Callable[[int, int], None]
Hear = Callable[[str], None]


def embedder_key(pin: ModelPin) -> str:
    """Names the vectors of an embedder: equal for pins that give equal vectors."""
    options = {name: value for name, value in pin.options.items() if name != "question_prefix"}
    return digest_of([pin.engine, pin.files or pin.source, options, _FORMAT])


def numbers(vectors: Vectors) -> NDArray[np.float32]:
    """What an encoder gave. Raises EngineError for values that are not finite: they would be near to nothing, and be
    remembered.
    """
    import numpy as np

    rows = np.asarray(vectors, np.float32)
    if not np.isfinite(rows).all():
        raise EngineError(
            t("the embedder gave a vector with values that are no numbers"),
            t("its weights are damaged: fetch the model again from where it was made, or use another one"),
        )
    return rows


async def embed_question(engine: Embeds, text: str) -> Vectors:
    """The vector of a question, [1, dimension]. Raises EngineError as `numbers`."""
    embed = engine.embed_question(text) if isinstance(engine, EmbedsQuestions) else engine.embed([text])
    return numbers(await embed)


async def embed_chunks(
    store: Store,
    chunks: Sequence[Chunk],
    pin: ModelPin,
    engine: Embeds,
    progress: Progress | None = None,
    hear: Hear | None = None,
) -> list[NDArray[np.float32]]:
    """For each chunk its vectors, [parts, dimension]; only those not yet remembered are computed, equal ones once.

    `hear` is told how long it will take, when that is worth saying: by a timed sample of the passages themselves.
    """
    kind = f"vector:{embedder_key(pin)[:16]}"
    keys = [chunk.vector_key for chunk in chunks]
    known = store.catalog.recall(kind, set(keys))
    missing = {key: chunk for key, chunk in zip(keys, chunks, strict=True) if key not in known}
    todo, sample = _sampled(list(missing.items()))
    began = time.monotonic()
    done = 0
    for part in (sample, *(todo[start : start + BATCH] for start in range(0, len(todo), BATCH))):
        if not part:
            continue
        fresh = await _vectors([chunk for _, chunk in part], engine)
        packed = {key: _packed(vectors) for (key, _), vectors in zip(part, fresh, strict=True)}
        store.catalog.remember(kind, packed)
        known.update(packed)
        done += len(part)
        if progress:
            progress(done, len(missing))
        if part is sample and hear:
            seconds = (time.monotonic() - began) * _size(todo) / max(_size(sample), 1)
            _tell(hear, len(todo), len(known) - done, seconds)
    return [_unpacked(known[key]) for key in keys]


async def embed_texts(
    store: Store, texts: Sequence[str], pin: ModelPin, engine: Embeds, progress: Progress | None = None
) -> NDArray[np.float32]:
    """`text_vectors`, remembered: [len(texts), dimension]; only texts not yet remembered are computed."""
    import numpy as np

    kind = f"text:{embedder_key(pin)[:16]}"
    keys = [digest_bytes(text.encode("utf-8", "replace")) for text in texts]
    known = store.catalog.recall(kind, set(keys))
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
    todo = list(missing.items())
    for start in range(0, len(todo), BATCH):
        part = todo[start : start + BATCH]
        fresh = await text_vectors([text for _, text in part], engine)
        packed = {key: _packed(row[None]) for (key, _), row in zip(part, fresh, strict=True)}
        store.catalog.remember(kind, packed)
        known.update(packed)
        if progress:
            progress(min(start + BATCH, len(todo)), len(todo))
    return np.concatenate([_unpacked(known[key]) for key in keys]) if keys else np.zeros((0, 0), np.float32)


async def text_vectors(texts: Sequence[str], engine: Embeds) -> NDArray[np.float32]:
    """One vector a text, [len(texts), dimension]: the mean of its parts at unit length; zeros for a text of which the
    encoder does not know more than `MAX_OUT_OF_VOCABULARY`.
    """
    import numpy as np

    parts = [[text] for text in texts]
    if isinstance(engine, Windows):
        parts = await engine.windows(list(texts), [""] * len(texts))
    rows = numbers(await engine.embed([part for each in parts for part in each]))
    starts = np.cumsum([0, *map(len, parts)])
    found = np.stack([rows[a:b].mean(axis=0) for a, b in zip(starts, starts[1:], strict=False)]).astype(np.float32)
    if isinstance(engine, OutOfVocabulary):
        for n, text in enumerate(texts):
            if await engine.out_of_vocabulary(text) > MAX_OUT_OF_VOCABULARY:
                found[n] = 0.0
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return found / np.where(lengths > 0, lengths, 1.0).astype(np.float32)


def _sampled(todo: list[tuple[str, Chunk]]) -> tuple[list[tuple[str, Chunk]], list[tuple[str, Chunk]]]:
    """(the rest in order, SAMPLE of them evenly by length); no sample where all are soon done."""
    if len(todo) <= 2 * BATCH:
        return todo, []
    by_length = sorted(range(len(todo)), key=lambda at: len(todo[at][1].passage))
    drawn = {by_length[(2 * n + 1) * len(todo) // (2 * SAMPLE)] for n in range(SAMPLE)}
    return [one for at, one in enumerate(todo) if at not in drawn], [todo[at] for at in sorted(drawn)]


def _size(some: Sequence[tuple[str, Chunk]]) -> int:
    """Bytes, which are nearer than characters to what a text costs, in whatever script it is."""
    return sum(len(chunk.passage.encode()) for _, chunk in some)


def _tell(hear: Hear, count: int, known: int, seconds: float) -> None:
    if seconds < WORTH_SAYING:
        return
    if known:
        hear("  " + t("{n} passages are embedded already", n=f"{known:,}"))
    if seconds < 90:
        hear("  " + t("{n} passages to embed, about {s:.0f} s on this machine", n=f"{count:,}", s=seconds))
    else:
        hear("  " + t("{n} passages to embed, about {m:.0f} min on this machine", n=f"{count:,}", m=seconds / 60))


async def _vectors(chunks: Sequence[Chunk], engine: Embeds) -> list[NDArray[np.float32]]:
    parts = [[chunk.passage] for chunk in chunks]
    if isinstance(engine, Windows):
        parts = await engine.windows([chunk.text for chunk in chunks], [chunk.head for chunk in chunks])
    rows = numbers(await engine.embed([text for texts in parts for text in texts]))
    found: list[NDArray[np.float32]] = []
    at = 0
    for texts in parts:
        found.append(rows[at : at + len(texts)])
        at += len(texts)
    return found


def _packed(vectors: NDArray[np.float32]) -> bytes:
    """How many vectors, in four bytes, then their numbers in float32, all little-endian."""
    return len(vectors).to_bytes(4, "little") + vectors.astype("<f4").tobytes()


def _unpacked(data: bytes) -> NDArray[np.float32]:
    import numpy as np

    return np.frombuffer(data, "<f4", offset=4).reshape(int.from_bytes(data[:4], "little"), -1)
