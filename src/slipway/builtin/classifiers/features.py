"""What of a text is counted: its words, runs of words and runs of characters, hashed, so that no text is kept.

Languages that are cut at spaces give words, pairs of words and runs of 3 to 5 characters within a word (as fastText's
subwords, Bojanowski et al. 2017); Chinese, Japanese and Korean give characters and runs of 2 and 3 of them. So a text
needs no encoder that reads its language. Counts are damped and weighed by rarity (sublinear tf-idf, Salton and Buckley
1988), rows have unit length.

Vectors of an encoder are read from the middle of those that were learnt from (`centred`).
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from slipway.text.words import fold, is_cjk, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

LONGEST = 20_000  # characters of a text that are read
FULL_VOCABULARY = 1000  # texts up to which a feature that only one of them has is kept
MOST = 100_000  # features that are kept, the most frequent first


def centre_of(vectors: Floats) -> Floats:
    """The mean of unit vectors [n, d], [d]; zeros, which a text has that the encoder cannot read, do not count."""
    import numpy as np

    read = vectors[vectors.any(axis=1)]
    mean = read.mean(axis=0, dtype=np.float64) if len(read) else np.zeros(vectors.shape[1])
    return mean.astype(np.float32)


def centred(vectors: Floats, centre: Floats) -> Floats:
    """Vectors [..., d] as seen from a centre [d], of unit length; zeros stay.

    Encoders differ in how much all texts have in common (anisotropy); what they have tells no label from another
    (Mu and Viswanath 2018, All-but-the-top).
    """
    import numpy as np

    moved = vectors - centre
    length = np.sqrt(np.square(moved).sum(axis=-1, keepdims=True))
    kept = vectors.any(axis=-1, keepdims=True) & (length > 0)
    return np.where(kept, moved / np.where(kept, length, 1), 0).astype(np.float32)


def grams(text: str) -> Counter[int]:
    """How often each feature occurs, by the 32-bit checksum that names it."""
    tokens = words(fold(text[:LONGEST]))
    found: list[str] = []
    for n, token in enumerate(tokens):
        found.append(token)
        if n + 1 < len(tokens):
            found.append(f"{token} {tokens[n + 1]}")
        if is_cjk(token[0]):
            if n + 2 < len(tokens):
                found.append(f"{token} {tokens[n + 1]} {tokens[n + 2]}")
            continue
        marked = f"<{token}>"
        found += [marked[at : at + size] for size in (3, 4, 5) for at in range(len(marked) - size + 1)]
    return Counter(zlib.crc32(name.encode("utf-8", "replace")) for name in found)


class Vocabulary:
    """The features that are known: `codes` [m], sorted, and `idf` [m], how much each weighs."""

    def __init__(self, codes: NDArray[np.uint32], idf: NDArray[np.float32]) -> None:
        self.codes = codes
        self.idf = idf

    @classmethod
    def of(cls, counted: Sequence[Counter[int]], least: int, most: int | None = None) -> Vocabulary:
        """Features that at least `least` texts have, the `most` frequent of them."""
        import numpy as np

        seen: Counter[int] = Counter()
        for counts in counted:
            seen.update(counts.keys())
        kept = [(code, n) for code, n in seen.items() if n >= least]
        kept = sorted(sorted(kept, key=lambda one: (-one[1], one[0]))[: MOST if most is None else min(MOST, most)])
        codes = np.array([code for code, _ in kept], dtype=np.uint32)
        often = np.array([n for _, n in kept], dtype=np.float64)
        idf = np.log((1 + len(counted)) / (1 + often)) + 1
        return cls(codes, idf.astype(np.float32))

    def row(self, counts: Counter[int]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """(places, values) of the known features of one text, a row of unit length; nothing for one without any."""
        import numpy as np

        codes = np.fromiter(counts.keys(), dtype=np.uint32, count=len(counts))
        often = np.fromiter(counts.values(), dtype=np.float32, count=len(counts))
        order = np.argsort(codes)
        codes, often = codes[order], often[order]
        at = np.searchsorted(self.codes, codes)
        known = at < len(self.codes)
        known[known] = self.codes[at[known]] == codes[known]
        at = at[known]
        values = (1 + np.log(often[known])) * self.idf[at]
        length = float(np.sqrt((values * values).sum()))
        return at, (values / length if length else values).astype(np.float32)

    def matrix(self, counted: Sequence[Counter[int]]) -> Any:
        """All texts as a sparse matrix [n, m] (scipy CSR, float32)."""
        import numpy as np
        from scipy.sparse import csr_matrix

        rows = [self.row(counts) for counts in counted]
        starts = np.cumsum([0, *(len(at) for at, _ in rows)])
        places = np.concatenate([at for at, _ in rows]) if rows else np.zeros(0, np.intp)
        values = np.concatenate([found for _, found in rows]) if rows else np.zeros(0, np.float32)
        return csr_matrix((values, places, starts), shape=(len(counted), len(self.codes)), dtype=np.float32)
