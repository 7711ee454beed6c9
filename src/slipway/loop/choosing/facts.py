"""What is known of models that can be had: a small table, `facts.json`, kept by hand.

Only what a model's own card and configuration file say, with the address and the day it was entered. How good a model
is at your task stands nowhere: it is to be measured. Sizes are computed from the counts here.
"""

from __future__ import annotations

import functools
from importlib.resources import files

import msgspec

from slipway.loop.model_size import BITS


class Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`embedding`: parameters of the token table; `tied`: the output layer is the same table. `kv_heads`, `head`: heads
    of keys and values in each layer, and numbers in each. `languages`: those that the card names first; `more`: it
    claims others, too. `obtain`: quantisation -> source.
    """

    name: str
    parameters: float
    embedding: float
    tied: bool
    layers: int
    kv_heads: int
    head: int
    context: int
    languages: tuple[str, ...]
    more: bool = False
    licence: str
    obtain: dict[str, str]
    source: str
    date: str

    def weights(self, quantize: str) -> float:
        """Bytes of the weights in a quantisation. Token tables are kept in 6.6 bits at least, as llama.cpp does."""
        table = self.embedding * (1 if self.tied else 2)
        return ((self.parameters - table) * BITS[quantize] + table * max(BITS[quantize], BITS["q6_k"])) / 8

    def cache(self, context: int) -> float:
        """Bytes of keys and values of so many tokens, in 16 bits."""
        return 2 * 2 * self.layers * self.kv_heads * self.head * context


@functools.cache
def known() -> tuple[Facts, ...]:
    """Every model of the table."""
    raw = (files("slipway.loop.choosing") / "facts.json").read_bytes()
    return msgspec.json.decode(raw, type=tuple[Facts, ...])
