"""How alike two texts are: word 5-shingles, their MinHash signature, and their exact Jaccard similarity.

Words as in `text.words`: a CJK character is a word. Signatures by rensa's R-MinHash; they only propose pairs, the exact
similarity decides, so the result does not depend on luck.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from slipway.text.words import words

PERMUTATIONS = 128
_SEED = 7
_WIDTH = 5
_MISS = 1e-3  # a pair just at the threshold is overlooked at most this often


def shingles(text: str) -> set[str]:
    """All runs of five words; a shorter text is one shingle, an empty one none."""
    found = words(text)
    if len(found) <= _WIDTH:
        return {" ".join(found)} if found else set()
    return {" ".join(found[i : i + _WIDTH]) for i in range(len(found) - _WIDTH + 1)}


def signature(text: str) -> bytes:
    """MinHash of the shingles: 128 unsigned 32-bit numbers, little-endian; empty for a text without words."""
    from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue]  # compiled, without stubs

    found = shingles(text)
    if not found:
        return b""
    sketch = RMinHash(PERMUTATIONS, _SEED)
    sketch.update(sorted(found))
    return array("I", sketch.digest()).tobytes()


def jaccard(one: set[str], other: set[str]) -> float:
    """|A and B| / |A or B|; 0 when both are empty."""
    common = len(one & other)
    return common / (len(one) + len(other) - common) if common else 0.0


def bands(signature: bytes, threshold: float) -> Iterator[bytes]:
    """The parts of a signature of which similar texts share at least one (locality-sensitive hashing).

    As many rows to a band as still find a pair at the threshold with probability 0.999: 1 - (1 - t^r)^(128/r).
    """
    rows = max((r for r in (1, 2, 4, 8, 16, 32) if (1 - threshold**r) ** (PERMUTATIONS // r) <= _MISS), default=1)
    step = rows * 4
    return (bytes([at // step]) + signature[at : at + step] for at in range(0, len(signature), step))
