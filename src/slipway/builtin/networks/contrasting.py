"""How an encoder learns from questions and passages, and the files it becomes. Imported only where torch is installed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from slipway.builtin.classifiers.network import TOKENIZER, Reader, Reading
from slipway.builtin.engines.onnx import graph
from slipway.builtin.engines.onnx.engine import inference_session, read_tokenizer
from slipway.builtin.networks import modules, training
from slipway.builtin.networks.classifying import in_batches
from slipway.builtin.networks.encoders import Rates, base_files, groups, prefix_of
from slipway.builtin.networks.pairs import Pair
from slipway.core.material import Chunk
from slipway.core.protocols import Job
from slipway.errors import ConfigError, SlipwayError
from slipway.i18n import t

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_COMPARED = 300  # questions that the exported encoder and the trained one are asked
MOST_JUDGED = 200  # pairs of dev that the loss is taken from after each epoch


class Recipe(Rates, Protocol):
    """What of the tuner's options is needed here."""

    epochs: int
    batch_size: int
    patience: int
    threads: int
    temperature: float
    cosine: float


class Contrast:
    """Questions and passages as rows of numbers, and the loss over them."""

    def __init__(self, module: modules.Encoder, passages: Sequence[Chunk], recipe: Any, job: Job, most: int) -> None:
        self.module, self.passages, self.recipe, self.job = module, passages, recipe, job
        tokenizer = read_tokenizer(base_files(job))
        prefix = str(job.base.options.get("prefix", "")) if job.base else ""
        self.asked = Reader(Reading(by="tokens", max_tokens=most, prefix=prefix_of(job)), None, tokenizer)
        self.told = Reader(Reading(by="tokens", max_tokens=most, prefix=prefix), None, tokenizer)
        self._rows: dict[int, list[int] | None] = {}
        self.compared: list[list[int]] = []

    def passage(self, place: int) -> list[int] | None:
        """A passage's numbers; None for one that the encoder cannot read."""
        if place not in self._rows:
            self._rows[place] = self.told.read(self.passages[place].passage)
        return self._rows[place]

    def readable(self, found: Sequence[Pair]) -> list[tuple[list[int], Pair]]:
        """Pairs whose question and passage the encoder can read, each with the question's numbers."""
        kept: list[tuple[list[int], Pair]] = []
        for pair in found:
            row = self.asked.read(pair.question)
            if row is not None and self.passage(pair.positive) is not None:
                hard = tuple(place for place in pair.negatives if self.passage(place) is not None)
                kept.append((row, pair._replace(negatives=hard)))
        return kept

    def learn(self, train: Sequence[Pair], dev: Sequence[Pair]) -> dict[str, float]:
        """Train in place. Raises ConfigError where the encoder can read no pair of train."""
        given, judged = self.readable(train), self.readable(dev)[:MOST_JUDGED]
        if not given:
            raise ConfigError(
                t("the encoder can read none of the {n} questions of train that name a passage", n=len(train)),
                t("use an encoder that reads your languages"),
            )
        self.compared = [row for row, _ in (judged or given)][:MOST_COMPARED]

        def rows(place: int) -> list[int]:
            return self.passage(place) or []

        def loss(places: Sequence[int]) -> Tensor:
            batch = [given[place] for place in places]
            told = _told([pair for _, pair in batch])
            asked = self.module.embed(*modules.batch([row for row, _ in batch], self.module.padding))
            seen = self.module.embed(*modules.batch([rows(place) for place in told], self.module.padding))
            return self._loss(asked, seen, [pair for _, pair in batch], told)

        def vectors() -> tuple[Tensor, Tensor, list[int]]:
            told = _told([pair for _, pair in judged])
            asked = in_batches(self.module, [row for row, _ in judged], self.module.embed)
            seen = in_batches(self.module, [rows(place) for place in told], self.module.embed)
            return torch.from_numpy(asked), torch.from_numpy(seen), told

        def judge() -> float:
            asked, seen, told = vectors()
            return float(self._loss(asked, seen, [pair for _, pair in judged], told))

        def first() -> float:
            """Mean reciprocal rank of the passages that answer among all that dev's pairs name."""
            asked, seen, told = vectors()
            scores = asked @ seen.T
            found = [torch.tensor([place in pair.relevant for place in told]) for _, pair in judged]
            ranks = [1 + int((row > row[own].max()).sum()) for row, own in zip(scores, found, strict=True)]
            return float(np.mean([1 / rank for rank in ranks]))

        measured = {"pairs": float(len(given)), "dev_pairs": float(len(judged))}
        if judged:
            measured["dev_mrr_before"] = first()
        course = training.Course(
            self.module, groups(self.module, self.recipe), [len(row) for row, _ in given], loss,
            judge if judged else None, self.recipe.epochs, self.recipe.batch_size, self.recipe.patience,
            self.recipe.threads, better_than_untrained=True,
        )  # fmt: skip
        measured |= training.run(course, self.job)
        if judged:
            measured["dev_mrr"] = first()
        return measured

    def _loss(self, asked: Tensor, seen: Tensor, batch: Sequence[Pair], told: Sequence[int]) -> Tensor:
        """Cross-entropy of each question's passage among all; others that may answer it, too, are left out."""
        scores = asked @ seen.T / self.recipe.temperature
        also = [[place in pair.relevant and place != pair.positive for place in told] for pair in batch]
        places = {place: n for n, place in enumerate(told)}
        truth = torch.tensor([places[pair.positive] for pair in batch])
        return functional.cross_entropy(scores.masked_fill(torch.tensor(also), float("-inf")), truth)


def export(
    job: Job, module: modules.Encoder, shape: graph.Encoder, contrast: Contrast
) -> tuple[dict[str, Path], dict[str, float]]:
    """(the files of the encoder, what the comparison measured). Raises SlipwayError where they differ too much."""
    from safetensors.numpy import save_file

    files = base_files(job)
    weights = modules.arrays(module.encoder)
    made = {name: job.folder / name for name in ("config.json", TOKENIZER, "model.safetensors")}
    config = json.loads(files["config.json"].read_text("utf-8"))
    made["config.json"].write_text(json.dumps({**config, graph.POOLING: shape.pooling}, indent=1), "utf-8")
    shutil.copyfile(files[TOKENIZER], made[TOKENIZER])
    save_file({name: np.ascontiguousarray(value) for name, value in weights.items()}, made["model.safetensors"])
    kept = graph.build(graph.read_config(made), graph.read_weights([made["model.safetensors"]]))
    session = inference_session(kept.SerializeToString())
    trained = in_batches(module, contrast.compared, module.embed)
    cosines = [float(_served(session, row) @ own) for row, own in zip(contrast.compared, trained, strict=True)]
    found = float(np.mean(cosines))
    if not found >= contrast.recipe.cosine:
        raise SlipwayError(
            t("the exported encoder and the trained one differ: their mean cosine is {cosine:.4f}", cosine=found),
            t("that is a defect of the export; report it with the model's config.json"),
        )
    return made, {"parity_examples": float(len(cosines)), "parity_cosine": found}


def _served(session: Any, row: Sequence[int]) -> NDArray[np.float32]:
    given = {"input_ids": np.array([row], np.int64), "attention_mask": np.ones((1, len(row)), np.int32)}
    return session.run(["embedding"], given)[0][0]


def _told(batch: Sequence[Pair]) -> list[int]:
    """The places of all passages of a batch, each once: those that answer first."""
    return list(dict.fromkeys([*(pair.positive for pair in batch), *(at for pair in batch for at in pair.negatives)]))
