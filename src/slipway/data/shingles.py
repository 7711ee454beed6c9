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
_PIECE = 500_000  # characters of a text whose words are held at once, up to the end of a line
_MISS = 1e-3  # a pair just at the threshold is overlooked at most this often


def shingles(text: str) -> set[str]:
    """All runs of five words; a shorter text is one shingle, an empty one none."""
    return _runs(words(text))


def _runs(found: list[str]) -> set[str]:
    if len(found) <= _WIDTH:
        return {" ".join(found)} if found else set()
    return {" ".join(found[i : i + _WIDTH]) for i in range(len(found) - _WIDTH + 1)}


def signature(text: str) -> bytes:
    """MinHash of the shingles: 128 unsigned 32-bit numbers, little-endian; empty for a text without words.

    Of a long text piece by piece: the least of all is the least of the leasts, and its words need not all be held.
    """
    from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue]  # compiled, without stubs

    sketch = RMinHash(PERMUTATIONS, _SEED)
    held: list[str] = []
    some = False
    for piece in _pieces(text):
        held += words(piece)
        if len(held) >= _WIDTH:
            sketch.update(sorted(_runs(held)))
            held, some = held[1 - _WIDTH :], True
    if not some and not held:
        return b""
    if not some:
        sketch.update(sorted(_runs(held)))
    return array("I", sketch.digest()).tobytes()


def _pieces(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        end = text.find("\n", at + _PIECE) + 1 or len(text)
        yield text[at:end]
        at = end


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
