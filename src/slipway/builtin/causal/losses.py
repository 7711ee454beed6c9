"""The loss of the answers' tokens, and only theirs. Imported only where torch is installed.

The last matrix, the largest of a small model, is applied to the places that predict a token of an answer and to no
other: most of the tokens of a prompt cost nothing there, in time and in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from slipway.builtin.causal.batches import Batch, length
from slipway.builtin.causal.rows import Row


def answers_of(model: Any, rows: Sequence[Row], device: str) -> Answers:
    """Of a causal model, or of one that reads the prompt with an encoder."""
    kind = AnswersAside if model.config.is_encoder_decoder else Answers
    return kind(model, rows, device)


class Answers:
    """`loss(batch)` of a `transformers` causal model over these rows: (sum, number of tokens)."""

    def __init__(self, model: Any, rows: Sequence[Row], device: str) -> None:
        self._model, self._rows, self._device = model, rows, device

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
        decoder = self._model.get_decoder()
        hidden = decoder(input_ids=ids.to(self._device), use_cache=False, **more).last_hidden_state
        lines, columns = torch.tensor(places).T
        picked = hidden[lines.to(self._device), columns.to(self._device)]
        return self._model.get_output_embeddings()(picked), torch.tensor(wanted).to(self._device)

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


class AnswersAside(Answers):
    """Of an encoder-decoder: the prompt is read by the encoder, the answer written by the decoder. Each row is alone in
    its pack; rows are filled up on the right, which the encoder is told.
    """

    def logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """As of `Answers`."""
        model, rows = self._model, [self._rows[place] for (place,) in batch]
        read, seen = _filled([row.ids[: row.start] for row in rows])
        said, asked = _filled([(model.config.decoder_start_token_id, *row.ids[row.start : -1]) for row in rows])
        seen, asked = seen.to(self._device), asked.to(self._device)
        known = model.get_encoder()(input_ids=read.to(self._device), attention_mask=seen.long()).last_hidden_state
        hidden = model.get_decoder()(
            input_ids=said.to(self._device), encoder_hidden_states=known, encoder_attention_mask=seen.long(),
            use_cache=False,
        ).last_hidden_state[asked]  # fmt: skip
        if getattr(model.config, "scale_decoder_outputs", False):
            hidden = hidden * model.config.d_model**-0.5
        wanted = torch.tensor([token for row in rows for token in row.ids[row.start :]])
        return model.get_output_embeddings()(hidden), wanted.to(self._device)


def _filled(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """(rows filled up to the longest, where their tokens are)."""
    lengths = torch.tensor([len(row) for row in rows])
    ids = torch.zeros((len(rows), int(lengths.max())), dtype=torch.long)
    there = torch.arange(ids.shape[1])[None, :] < lengths[:, None]
    ids[there] = torch.tensor([token for row in rows for token in row])
    return ids, there
