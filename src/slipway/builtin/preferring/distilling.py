"""Losses of distillation, and batches of rows. Imported only where torch is installed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from slipway.builtin.training.placing import derived

IGNORED = -100  # a label that no loss looks at


class Row(NamedTuple):
    """Tokens of a prompt and of the completion that is learned."""

    prompt: list[int]
    completion: list[int]

    @property
    def size(self) -> int:
        """Tokens in all."""
        return len(self.prompt) + len(self.completion)


class Batch(NamedTuple):
    """`ids`, `mask`, `labels`: [rows, tokens]; labels are IGNORED but for the tokens of completions."""

    ids: Tensor
    mask: Tensor
    labels: Tensor


def distillation_loss(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float, weight: float) -> Tensor:
    """Hinton et al. 2015, summed over the labels that are not IGNORED.

    `student`, `teacher`: logits [n, vocabulary]; `labels`: [n]. It is weight * T^2 * KL(teacher_T || student_T) +
    (1 - weight) * cross-entropy: the factor T^2 keeps the gradients of the soft part as large whatever T is.
    """
    seen = labels != IGNORED
    student, teacher, labels = student[seen].float(), teacher[seen].float(), labels[seen]
    soft = functional.kl_div(
        functional.log_softmax(student / temperature, dim=-1),
        functional.log_softmax(teacher / temperature, dim=-1),
        reduction="sum",
        log_target=True,
    )
    hard = functional.cross_entropy(student, labels, reduction="sum")
    return weight * temperature**2 * soft + (1 - weight) * hard


def batches(rows: Sequence[Row], size: int, seed: int, epoch: int) -> list[list[Row]]:
    """An epoch's batches: rows of like length together, in an order that seed and epoch determine."""
    shuffle = random.Random(derived(seed, "epoch", epoch))
    order = sorted(rows, key=lambda row: (row.size, shuffle.random()))
    made = [order[at : at + size] for at in range(0, len(order), size)]
    shuffle.shuffle(made)
    return made


def collated(rows: Sequence[Row], pad: int, device: Any) -> Batch:
    """Rows padded on the right to the longest."""
    width = max(row.size for row in rows)
    ids = torch.full((len(rows), width), pad)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    for at, row in enumerate(rows):
        ids[at, : row.size] = torch.tensor(row.prompt + row.completion)
        mask[at, : row.size] = 1
        labels[at, len(row.prompt) : row.size] = torch.tensor(row.completion)
    return Batch(ids.to(device), mask.to(device), labels.to(device))


def loss_of(
    student: Any, teacher: Any | None, pad: int, temperature: float, weight: float
) -> Callable[[Sequence[Row]], tuple[Tensor, float]]:
    """(sum of losses, tokens) of a batch; without a teacher the cross-entropy alone."""

    def loss(rows: Sequence[Row]) -> tuple[Tensor, float]:
        batch = collated(rows, pad, student.device)
        labels = batch.labels[:, 1:].reshape(-1)
        said = student(input_ids=batch.ids, attention_mask=batch.mask).logits[:, :-1].flatten(0, 1)
        count = float((labels != IGNORED).sum())
        if teacher is None:
            return functional.cross_entropy(said.float(), labels, ignore_index=IGNORED, reduction="sum"), count
        with torch.no_grad():
            wanted = teacher(input_ids=batch.ids, attention_mask=batch.mask).logits[:, :-1].flatten(0, 1)
        both = min(said.shape[-1], wanted.shape[-1])  # one of them may have rows that stand for no token
        return distillation_loss(said[:, :both], wanted[:, :both], labels, temperature, weight), count

    return loss
