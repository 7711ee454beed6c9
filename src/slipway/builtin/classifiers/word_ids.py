"""The words that a network trained from scratch knows, as numbers. Knows no network.

Languages that are cut at spaces give words, Chinese, Japanese and Korean give characters: so a filter over three of
them sees three words, or a word of three characters. Words are known by their checksum, so no text is kept.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from slipway.builtin.classifiers.features import FULL_VOCABULARY
from slipway.text.words import words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PADDING, UNKNOWN, FIRST = 0, 1, 2  # numbers of tokens; those of words begin at FIRST
MOST = 30_000  # words that are kept, the most frequent first
_CHARACTERS_A_WORD = 64  # beyond so many for each word that is read nothing is looked at


class WordIds:
    """`codes` [m], uint32, sorted: the checksums of the words that are known."""

    def __init__(self, codes: NDArray[np.uint32]) -> None:
        self.codes = codes

    @classmethod
    def of(cls, texts: Sequence[str], most_tokens: int) -> WordIds:
        """Words of texts: all of them where there are few texts, else those that two texts have."""
        import numpy as np

        seen: Counter[int] = Counter()
        for text in texts:
            seen.update(set(_codes(text, most_tokens)))
        least = 2 if len(texts) > FULL_VOCABULARY else 1
        kept = sorted((code for code, n in seen.items() if n >= least), key=lambda code: (-seen[code], code))[:MOST]
        return cls(np.array(sorted(kept), dtype=np.uint32))

    def read(self, text: str, most_tokens: int) -> list[int]:
        """The numbers of the first words of a text, at most `most_tokens`; nothing for a text without words."""
        import numpy as np

        codes = np.array(_codes(text, most_tokens), dtype=np.uint32)
        if not len(codes) or not len(self.codes):
            return [UNKNOWN] * len(codes)
        at = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        return np.where(self.codes[at] == codes, at + FIRST, UNKNOWN).tolist()

    def __len__(self) -> int:
        """Numbers of tokens that there are, with padding and unknown."""
        return len(self.codes) + FIRST


def _codes(text: str, most_tokens: int) -> list[int]:
    found = words(text[: most_tokens * _CHARACTERS_A_WORD])[:most_tokens]
    return [zlib.crc32(word.encode("utf-8", "replace")) for word in found]
