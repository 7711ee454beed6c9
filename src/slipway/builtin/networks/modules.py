"""The networks in torch, as they are trained. Imported only where torch is installed; writes and reads no file.

Each takes `ids` (int64, [texts, tokens], padded with `padding`) and `lengths` (int64, [texts]), and gives scores
[texts, labels], which do not depend on how far a text was padded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from slipway.builtin.classifiers.word_ids import PADDING, UNKNOWN
from slipway.builtin.training.placing import derived

TOGETHER = 64  # texts that are asked about at once, where nothing is trained
_SORTED = 32  # batches among which texts of like length are put together


class TextCnn(nn.Module):
    """Filters over neighbouring words, and the most that each finds anywhere (Kim 2014)."""

    padding = PADDING

    def __init__(self, known: int, labels: int, size: int, filters: int, widths: Sequence[int], dropout: float,
                 forget: float) -> None:  # fmt: skip
        super().__init__()
        self.words = _words(known, size)
        self.filters = nn.ModuleList([nn.Conv1d(size, filters, width, padding=width - 1) for width in widths])
        self.head = nn.Linear(filters * len(widths), labels)
        self.dropout, self.forget = dropout, forget

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """What is seen beyond the end of a text counts as nothing."""
        columns = functional.dropout(self.words(_forgotten(self, ids)), self.dropout, self.training).transpose(1, 2)
        found: list[Tensor] = []
        for one in self.filters:
            seen = functional.relu(one(columns))
            beyond = columns.shape[2] - lengths[:, None, None]  # [texts, 1, 1] tokens of padding
            kept = torch.arange(seen.shape[2], device=ids.device)[None, None] < seen.shape[2] - beyond
            found.append((seen * kept).amax(dim=2))
        return self.head(functional.dropout(torch.cat(found, 1), self.dropout, self.training))


class BiLstm(nn.Module):
    """One layer of LSTM cells in both directions, and the most that each says (Conneau et al. 2017)."""

    padding = PADDING

    def __init__(self, known: int, labels: int, size: int, hidden: int, dropout: float, forget: float) -> None:
        super().__init__()
        self.words = _words(known, size)
        self.lstm = nn.LSTM(size, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, labels)
        self.dropout, self.forget = dropout, forget

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """The cells never see padding."""
        vectors = functional.dropout(self.words(_forgotten(self, ids)), self.dropout, self.training)
        packed = nn.utils.rnn.pack_padded_sequence(vectors, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = nn.utils.rnn.pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, padding_value=float("-inf")
        )
        return self.head(functional.dropout(states.amax(dim=1), self.dropout, self.training))


class Encoder(nn.Module):
    """A sentence encoder and a head over its embedding of unit length."""

    head: nn.Module

    def __init__(
        self, encoder: nn.Module, labels: int, hidden: int, pooling: str, padding: int, dropout: float
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(hidden, labels) if labels else nn.Identity()
        self.pooling, self.padding, self.dropout = pooling, padding, dropout

    def embed(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """[texts, hidden], each of unit length, as the graph of `engines.onnx` makes them."""
        mask = (torch.arange(ids.shape[1], device=ids.device)[None] < lengths[:, None]).long()
        hidden: Tensor = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        pooled = hidden[:, 0] if self.pooling == "cls" else (hidden * mask[:, :, None]).sum(1)
        return functional.normalize(pooled, dim=-1)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """The head's scores."""
        return self.head(functional.dropout(self.embed(ids, lengths), self.dropout, self.training))


def batch(rows: Sequence[Sequence[int]], module: Any) -> tuple[Tensor, Tensor]:
    """(ids [texts, longest], lengths [texts]) where the module is, padded as it wants them."""
    lengths = torch.tensor([len(row) for row in rows])
    ids = torch.full((len(rows), int(lengths.max())), module.padding)
    for n, row in enumerate(rows):
        ids[n, : len(row)] = torch.tensor(row)
    device = next(module.parameters()).device
    return ids.to(device), lengths.to(device)


def in_batches(module: Any, rows: Sequence[Sequence[int]], call: Any) -> NDArray[np.float32]:
    """What `call(ids, lengths)` gives for rows, in their order, without gradients and without dropout."""
    module.eval()
    found: dict[int, NDArray[np.float32]] = {}
    with torch.no_grad():
        for places in alike([len(row) for row in rows], TOGETHER):
            said = call(*batch([rows[place] for place in places], module)).float().cpu().numpy()
            found.update(zip(places, said, strict=True))
    return np.stack([found[place] for place in range(len(rows))])


def alike(lengths: Sequence[int], size: int) -> list[list[int]]:
    """All places in batches of like length."""
    order = sorted(range(len(lengths)), key=lambda place: lengths[place])
    return [order[start : start + size] for start in range(0, len(order), size)]


def shuffled(lengths: Sequence[int], size: int, seed: int, epoch: int) -> list[list[int]]:
    """All places in batches of about like length, in an order that seed and epoch determine."""
    draw = torch.Generator().manual_seed(derived(seed, "order", epoch))
    order: list[int] = torch.randperm(len(lengths), generator=draw).tolist()
    made: list[list[int]] = []
    for start in range(0, len(order), size * _SORTED):
        part = order[start : start + size * _SORTED]
        made += [[part[place] for place in places] for places in alike([lengths[place] for place in part], size)]
    turned: list[int] = torch.randperm(len(made), generator=draw).tolist()
    return [made[place] for place in turned]


def arrays(module: nn.Module) -> dict[str, NDArray[np.float32]]:
    """All weights by name, float32."""
    return {name: value.detach().float().cpu().numpy() for name, value in module.state_dict().items()}


def pretrained(config: Mapping[str, Any], weights: Mapping[str, NDArray[np.float32]], dropout: float) -> nn.Module:
    """The encoder of transformers that a `config.json` describes, with these weights."""
    from transformers import AutoConfig, AutoModel

    ending = "embeddings.word_embeddings.weight"
    root = next(name for name in weights if name.endswith(ending)).removesuffix(ending)
    own = {name.removeprefix(root): torch.from_numpy(value.copy()) for name, value in weights.items()}
    sizes = {key: len(own[f"embeddings.{name}_embeddings.weight"]) for key, name in _TABLES.items()}
    known = {key: value for key, value in config.items() if key in _SHAPE}
    described = AutoConfig.for_model(
        str(config["model_type"]), hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout, **known, **sizes
    )
    model = AutoModel.from_config(described, add_pooling_layer=False)
    model.load_state_dict({name: own[name] for name in model.state_dict()})
    return model


_TABLES = {"vocab_size": "word", "type_vocab_size": "token_type", "max_position_embeddings": "position"}
_SHAPE = (
    "num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size", "layer_norm_eps", "hidden_act",
    "pad_token_id",
)  # fmt: skip


def _words(known: int, size: int) -> nn.Embedding:
    words = nn.Embedding(known, size, padding_idx=PADDING)
    with torch.no_grad():
        words.weight.mul_(0.3)
        words.weight[PADDING] = 0
    return words


def _forgotten(module: Any, ids: Tensor) -> Tensor:
    """Some words taken for unknown ones, so that the vector of the unknown is trained, too."""
    if not module.training or not module.forget:
        return ids
    gone = (torch.rand(ids.shape, device=ids.device) < module.forget) & (ids != PADDING)
    return torch.where(gone, UNKNOWN, ids)
