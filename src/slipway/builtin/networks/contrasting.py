"""How an encoder learns from questions and passages, and the files it becomes. Imported only where torch is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from slipway.builtin.classifiers.network import TOKENIZER, Reader, Reading
from slipway.builtin.engines.onnx import graph
from slipway.builtin.engines.onnx.engine import inference_session, read_tokenizer
from slipway.builtin.networks import modules
from slipway.builtin.networks.encoders import base_files, groups, prefix_of
from slipway.builtin.networks.modules import in_batches
from slipway.builtin.networks.pairs import Pair
from slipway.builtin.training.loop import Course, train
from slipway.builtin.training.placing import place_of
from slipway.core.material import Chunk
from slipway.core.protocols import Job
from slipway.errors import ConfigError, SlipwayError
from slipway.i18n import t

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_COMPARED = 300  # questions that the exported encoder and the trained one are asked
MOST_JUDGED = 200  # pairs of dev that the loss is taken from after each epoch


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
            row = self.asked.read(pair.text)
            if row is not None and self.passage(pair.positive) is not None:
                hard = tuple(place for place in pair.negatives if self.passage(place) is not None)
                kept.append((row, pair._replace(negatives=hard)))
        return kept

    def learn(self, train_pairs: Sequence[Pair], dev_pairs: Sequence[Pair]) -> dict[str, float]:
        """Train in place. What makes the loss on dev no smaller is undone.

        Raises ConfigError where the encoder can read no pair of train.
        """
        given, judged = self.readable(train_pairs), self.readable(dev_pairs)[:MOST_JUDGED]
        if not given:
            raise ConfigError(
                t("the encoder can read none of the {n} questions of train that name a passage", n=len(train_pairs)),
                t("use an encoder that reads your languages"),
            )
        self.compared = [row for row, _ in (judged or given)][:MOST_COMPARED]
        recipe, lengths = self.recipe, [len(row) for row, _ in given]
        seed = self.job.seed + recipe.seed
        dev = modules.alike([len(row) for row, _ in judged], recipe.batch_size)
        course = Course(
            self.module, lambda epoch: modules.shuffled(lengths, recipe.batch_size, seed, epoch),
            lambda places: self._lost([given[at] for at in places]), dev,
            lambda places: self._lost([judged[at] for at in places]), groups=groups(self.module, recipe, recipe.decay),
        )  # fmt: skip
        measured = {"pairs": float(len(given)), "dev_pairs": float(len(judged))}
        before = {name: value.clone() for name, value in self.module.state_dict().items()}
        loss = self._judged(judged, dev)
        first = self._first(judged)
        measured |= train(course, recipe, place_of(recipe), self.job.folder, self.job.progress, seed)
        if judged:
            measured |= {"dev_loss_before": loss, "dev_mrr_before": first}
            if measured["dev_loss"] >= loss:
                self.module.load_state_dict(before)
                measured["undone"] = 1.0
            measured["dev_mrr"] = self._first(judged)
        return measured

    def _judged(self, judged: Sequence[tuple[list[int], Pair]], batches: Sequence[Sequence[int]]) -> float:
        """The loss on dev as the loop computes it."""
        self.module.eval()
        with torch.no_grad():
            found = [self._lost([judged[at] for at in places]) for places in batches]
        return sum(float(lost) for lost, _ in found) / max(1.0, sum(n for _, n in found))

    def _first(self, judged: Sequence[tuple[list[int], Pair]]) -> float:
        """Mean reciprocal rank of the passages that answer among all that the pairs name; 0 without pairs."""
        if not judged:
            return 0.0
        told = _told([pair for _, pair in judged])
        asked = in_batches(self.module, [row for row, _ in judged], self.module.embed)
        seen = in_batches(self.module, [self.passage(place) or [] for place in told], self.module.embed)
        ranks: list[int] = []
        for row, (_, pair) in zip(asked @ seen.T, judged, strict=True):
            own = np.array([place in pair.relevant for place in told])
            ranks.append(1 + int((row > row[own].max()).sum()))
        return float(np.mean([1 / rank for rank in ranks]))

    def _lost(self, batch: Sequence[tuple[list[int], Pair]]) -> tuple[Tensor, float]:
        """Cross-entropy of each question's passage among all; others that may answer it, too, are left out."""
        found = [pair for _, pair in batch]
        told = _told(found)
        asked = self.module.embed(*modules.batch([row for row, _ in batch], self.module))
        seen = self.module.embed(*modules.batch([self.passage(place) or [] for place in told], self.module))
        scores = asked @ seen.T / self.recipe.temperature
        also = [[place in pair.relevant and place != pair.positive for place in told] for pair in found]
        places = {place: n for n, place in enumerate(told)}
        truth = torch.tensor([places[pair.positive] for pair in found], device=scores.device)
        left = scores.masked_fill(torch.tensor(also, device=scores.device), float("-inf"))
        return functional.cross_entropy(left, truth, reduction="sum"), float(len(found))


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
    found = round(float(np.mean(cosines)), 9)  # of a sum, whose last digits depend on threads
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
