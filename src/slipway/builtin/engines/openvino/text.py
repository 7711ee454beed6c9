"""From tokens to text that may be sent: whole characters, nothing that may yet become a stop string. From text to
pieces that may be tokenized one by one. Pure.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping, Sequence

_BETWEEN_WORDS = re.compile(r"(?<=[^\W\d_])(?= [^\W\d_])")  # where byte-level tokenizers always cut


def pieces(text: str, size: int) -> list[str]:
    """The text in pieces of about `size` characters, cut where no token can cross if there is such a place nearby."""
    found, begin = list[str](), 0
    while begin < len(text):
        end = begin + size
        cut = _BETWEEN_WORDS.search(text, end, end + size) if end < len(text) else None
        end = cut.start() if cut else end
        found.append(text[begin:end])
        begin = end
    return found


class Tail:
    """Follows one answer. `pieces`: token -> its bytes, control tokens left out."""

    def __init__(self, pieces: Mapping[int, bytes], stops: Sequence[str]) -> None:
        self._pieces = pieces
        self._stops = stops
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False  # a stop string came; it and all after it are left out

    def push(self, token: int) -> str:
        """The text that `token` completes."""
        return self._let_go(self._decoder.decode(self._pieces.get(token, b"")))

    def end(self) -> str:
        """What was held back; half a character becomes U+FFFD."""
        text = self._let_go(self._decoder.decode(b"", final=True)) + self._held
        self._held = ""
        return text

    def _let_go(self, text: str) -> str:
        if self.stopped or not text:
            return ""
        text = self._held + text
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)
