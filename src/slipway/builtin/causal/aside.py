"""The loss of the answers of an encoder-decoder: the prompt is read by the encoder, the answer written by the decoder.

Imported only where torch is installed. Rows are filled up on the right, which the encoder is told; the decoder never
looks ahead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from slipway.builtin.causal.batches import Batch
from slipway.builtin.causal.losses import Answers
from slipway.builtin.causal.token_rows import Row


class AnswersAside(Answers):
    """Of a `transformers` encoder-decoder over these rows; each row is alone in its pack."""

    def __init__(self, model: Any, rows: Sequence[Row], device: str) -> None:
        self._model, self._rows, self._device = model, rows, device

    def logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """As of `Answers`."""
        model, rows = self._model, [self._rows[place] for (place,) in batch]
        read, seen = _filled([row.ids[: row.start] for row in rows])
        said, asked = _filled([(model.config.decoder_start_token_id, *row.ids[row.start : -1]) for row in rows])
        mask = seen.long().to(self._device)
        known = model.get_encoder()(input_ids=read.to(self._device), attention_mask=mask).last_hidden_state
        hidden = model.get_decoder()(
            input_ids=said.to(self._device), encoder_hidden_states=known, encoder_attention_mask=mask, use_cache=False
        ).last_hidden_state[asked.to(self._device)]
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
