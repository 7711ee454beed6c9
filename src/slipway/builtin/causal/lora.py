"""LoRA on the linear maps of a transformer (Hu et al. 2021). Imported only where torch is installed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_HF = {
    "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "o": "self_attn.o_proj",
    "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj",
}  # fmt: skip


class Lora(nn.Module):
    """A linear map that stays as it is, and beside it one of rank r that begins as zero."""

    def __init__(self, base: nn.Linear, r: int, alpha: float, dropout: float) -> None:
        super().__init__()
        self.base, self.scale = base, alpha / r
        self.a = nn.Parameter(torch.empty(r, base.in_features))
        self.b = nn.Parameter(torch.zeros(base.out_features, r))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))
        self.dropout = nn.Dropout(dropout) if dropout else None

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        dropped = self.dropout(x) if self.dropout is not None else x
        return self.base(x) + nn.functional.linear(nn.functional.linear(dropped, self.a), self.b) * self.scale


class Pair(NamedTuple):
    """What was learned for a map: `a` [r, in], `b` [out, r]."""

    a: Tensor
    b: Tensor


def add(model: Any, targets: Sequence[str], r: int, alpha: float, dropout: float) -> None:
    """Put an adapter beside every map that `targets` names; all other weights are frozen."""
    model.requires_grad_(False)
    endings = tuple(_HF[target] for target in targets)
    for name, module in list(model.named_modules()):
        if name.endswith(endings) and isinstance(module, nn.Linear):
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, Lora(module, r, alpha, dropout))


def learned(model: Any) -> dict[str, Pair]:
    """Name of each adapted map, as transformers calls it -> its pair, in float32 on the CPU."""
    return {
        name: Pair(module.a.detach().float().cpu(), module.b.detach().float().cpu())
        for name, module in model.named_modules()
        if isinstance(module, Lora)
    }
