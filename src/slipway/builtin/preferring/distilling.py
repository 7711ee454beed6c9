"""Losses of distillation. Imported only where torch is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, no_grad
from torch.nn import functional

from slipway.builtin.causal.batches import Batch
from slipway.builtin.causal.losses import Answers


def distillation_loss(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float, weight: float) -> Tensor:
    """Hinton et al. 2015, summed over the tokens.

    `student`, `teacher`: logits [n, vocabulary]; `labels`: [n]. It is weight * T^2 * KL(teacher_T || student_T) +
    (1 - weight) * cross-entropy: the factor T^2 keeps the gradients of the soft part as large whatever T is.
    """
    student, teacher = student.float(), teacher.float()
    soft = functional.kl_div(
        functional.log_softmax(student / temperature, dim=-1),
        functional.log_softmax(teacher / temperature, dim=-1),
        reduction="sum",
        log_target=True,
    )
    hard = functional.cross_entropy(student, labels, reduction="sum")
    return weight * temperature**2 * soft + (1 - weight) * hard


def taught(student: Answers, teacher: Answers, temperature: float, weight: float) -> Callable[[Batch], Any]:
    """The loss of a batch: (sum over the tokens of answers, how many they are)."""

    def loss(batch: Batch) -> tuple[Tensor, float]:
        said, labels = student.logits(batch)
        with no_grad():
            wanted, _ = teacher.logits(batch)
        both = min(said.shape[-1], wanted.shape[-1])  # one of them may have rows that stand for no token
        return distillation_loss(said[:, :both], wanted[:, :both], labels, temperature, weight), float(len(labels))

    return loss
