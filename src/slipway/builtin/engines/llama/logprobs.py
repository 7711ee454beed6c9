"""Log-probabilities of every token, those that llama.cpp leaves out included. Opens no connection.

llama.cpp reports a token when its text can be sent. Tokens that end inside a character (most Chinese characters and
emoji of a small vocabulary), or inside what might become a stop string, are sent with the last of them, and only that
one is reported. From the first such gap on, log-probabilities are held back; at the end the missing tokens are known
from the text, each is looked up again, and the last delta carries what was held.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from slipway.core.message import Delta, TokenLogprob

Tokenize = Callable[[str], Awaitable[list[int]]]
LookUp = Callable[[list[int], int], Awaitable[TokenLogprob]]


@dataclass
class _Piece:
    ids: list[int]  # as reported: without the missing ones
    made: int  # tokens made since the piece before
    text: str
    logprobs: tuple[TokenLogprob, ...]


class Gaps:
    """Follows one streamed answer."""

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []
        self._made = 0
        self._found = False

    def take(self, chunk: dict[str, Any], delta: Delta) -> Delta:
        """The delta to pass on: without its log-probabilities once there has been a gap."""
        made, self._made = chunk["tokens_predicted"] - self._made, chunk["tokens_predicted"]
        piece = _Piece(list(chunk.get("tokens") or ()), made, delta.text, delta.logprobs)
        self._found = self._found or (bool(piece.text) and piece.made > len(piece.ids))
        self._pieces.append(piece)
        return msgspec.structs.replace(delta, logprobs=()) if self._found else delta

    @property
    def found(self) -> bool:
        """Whether anything is held back."""
        return self._found

    async def fill(self, prompt: list[int], tokenize: Tokenize, look_up: LookUp) -> tuple[TokenLogprob, ...]:
        """Everything held back, with the gaps filled; a token that its text does not give away stays out."""
        ids, held, holding = list(prompt), list[TokenLogprob](), False
        for piece in self._pieces:
            gap = bool(piece.text) and piece.made > len(piece.ids)
            holding = holding or gap
            if gap:
                whole = await tokenize(piece.text)
                if len(whole) == piece.made and whole[-1:] == piece.ids[-1:]:
                    for at, token in enumerate(whole[:-1]):
                        held.append(await look_up([*ids, *whole[:at]], token))
                    piece.ids = whole
            if holding:
                held.extend(piece.logprobs)
            ids.extend(piece.ids)
        return tuple(held)
