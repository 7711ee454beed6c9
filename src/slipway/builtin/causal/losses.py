"""The loss of the answers' tokens, and only theirs. Imported only where torch is installed.

The last matrix, the largest of a small model, is applied to the places that predict a token of an answer and to no
other: most of the tokens of a prompt cost nothing there, in time and in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from slipway.builtin.causal.batches import Batch, length
from slipway.builtin.causal.token_rows import Row


class Picked(nn.Module):
    """A `transformers` causal model that says what comes next at some places. A module, for FSDP puts weights together
    where modules are called.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, lines: Tensor, columns: Tensor, **more: Tensor) -> Tensor:
        """`ids` [rows, tokens]; places [n] and [n] -> logits [n, vocabulary]."""
        hidden = self.model.get_decoder()(input_ids=ids, use_cache=False, **more).last_hidden_state
        return self.model.get_output_embeddings()(hidden[lines, columns])


class Answers:
    """`loss(batch)` of a `transformers` causal model over these rows: (sum, number of tokens)."""

    def __init__(self, model: Any, rows: Sequence[Row], device: str) -> None:
        self._picked = model if isinstance(model, Picked) else Picked(model)
        self._rows, self._device = rows, device

    def __call__(self, batch: Batch) -> tuple[Tensor, float]:
        """Cross-entropy in nats, summed over the tokens of the answers."""
        logits, wanted = self.logits(batch)
        return functional.cross_entropy(logits.float(), wanted, reduction="sum"), float(len(wanted))

    def logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """([n, vocabulary], the tokens that stand there [n]), row after row."""
        rows = self._rows
        width = max(length(rows, pack) for pack in batch)
        ids = torch.zeros((len(batch), width), dtype=torch.long)
        places: list[tuple[int, int]] = []
        wanted: list[int] = []
        for line, pack in enumerate(batch):
            at = 0
            for place in pack:
                row = rows[place]
                ids[line, at : at + len(row.ids)] = torch.tensor(row.ids)
                places += [(line, at + token - 1) for token in range(row.start, len(row.ids))]
                wanted += row.ids[row.start :]
                at += len(row.ids)
        more = self._apart(batch, width) if any(len(pack) > 1 for pack in batch) else {}
        lines, columns = torch.tensor(places).to(self._device).T
        logits = self._picked(ids.to(self._device), lines, columns, **more)
        return logits, torch.tensor(wanted).to(self._device)

    def _apart(self, batch: Batch, width: int) -> dict[str, Tensor]:
        """For packs: each row begins at position 0 and sees itself only."""
        numbers = torch.full((len(batch), width), -1)
        positions = torch.zeros((len(batch), width), dtype=torch.long)
        for line, pack in enumerate(batch):
            at = 0
            for number, place in enumerate(pack):
                end = at + len(self._rows[place].ids)
                numbers[line, at:end] = number
                positions[line, at:end] = torch.arange(end - at)
                at = end
        same = numbers[:, None, :, None] == numbers[:, None, None, :]
        seen = same & torch.ones((width, width), dtype=torch.bool).tril()
        return {"attention_mask": seen.to(self._device), "position_ids": positions.to(self._device)}
