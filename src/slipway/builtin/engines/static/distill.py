"""Makes a table of token vectors from a sentence encoder, once, and keeps it in the user's cache. Embeds no text.

The method is Model2Vec's (Tulkens and van Dongen 2024): every token of the vocabulary goes through the encoder alone,
the vectors are brought to their principal components, and each is weighted by how rare the token is. Two things differ.
Components are not cut off but damped: a direction of variance v is multiplied by v^-1/4, and what comes out stays in
the encoder's own coordinates. So the table does not depend on the signs and the order in which a machine finds
components, and vectors that were remembered fit a table that was made again elsewhere. And ranks are counted
without the reserved tokens and single characters that a vocabulary lists before its words.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.builtin.engines.cached import content_key, keep, kept
from slipway.builtin.engines.onnx.engine import Loaded, OnnxConfig, load
from slipway.core.protocols import OnEvent
from slipway.files import cache_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REVISION = 1  # goes into the cache's key: raise it when the same model would give another table
_RARE = 1e-3  # a of a / (a + p), the weight of a token of probability p (Arora et al. 2017)
_LEAST_VARIANCE = 0.01  # of the largest: a direction with less is not raised further
_TOKENS_IN_A_RUN = 128
_WORD_BEGINS, _WORD_GOES_ON = "▁", "##"  # how SentencePiece and WordPiece write it


def table(name: str, files: Mapping[str, Path], tell: OnEvent) -> NDArray[np.float32]:
    """Token vectors, [vocabulary, hidden]; zero for tokens that are no text. Made where the cache has none to trust."""
    import numpy as np

    path = cache_folder() / "static" / _key(files) / "table.npy"
    if content := kept(path):
        return np.load(io.BytesIO(content), allow_pickle=False)
    made = distilled(name, files, tell)
    buffer = io.BytesIO()
    np.save(buffer, made)
    keep(path, buffer.getvalue())
    return made


def distilled(name: str, files: Mapping[str, Path], tell: OnEvent, threads: int = 0) -> NDArray[np.float32]:
    """Run the vocabulary through the encoder in fp32: about 20 processor seconds for MiniLM's 30,522 tokens."""
    import numpy as np

    encoder = load(OnnxConfig(precision="fp32", threads=threads), name, files, tell)
    tokens = _written(encoder.tokenizer)
    tell("distilling", {"model": name, "tokens": len(tokens)})
    alone = _vectors(encoder, len(tokens))
    share = probabilities(tokens)
    text = share > 0
    found = np.zeros_like(alone)
    found[text] = (damped(alone[text]) * (_RARE / (_RARE + share[text]))[:, None]).astype(np.float32)
    return found


def _key(files: Mapping[str, Path]) -> str:
    of = [(name, path) for name, path in sorted(files.items()) if name.endswith((".json", ".safetensors"))]
    return content_key(f"{REVISION} {_RARE} {_LEAST_VARIANCE}", of)


def _written(tokenizer: Any) -> list[str]:
    """How each token is written, by its number; empty for one that is no text."""
    special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    tokens = [""] * tokenizer.get_vocab_size()
    for token, number in tokenizer.get_vocab().items():
        reserved = len(token) > 2 and (token[0], token[-1]) in {("[", "]"), ("<", ">")}
        if number < len(tokens) and number not in special and not reserved:
            tokens[number] = token
    return tokens


def probabilities(tokens: list[str]) -> NDArray[np.float64]:
    """How likely each token is, [vocabulary], by Zipf's law: 1/rank, in the order of the vocabulary; 0 for no text.

    A single character is as likely as the first word if it is ASCII, and else as a word a tenth of the way down.
    """
    import numpy as np

    bare = [token.removeprefix(_WORD_GOES_ON).removeprefix(_WORD_BEGINS) or token for token in tokens]
    text = np.array([bool(token) for token in tokens])
    single = np.array([len(token) == 1 for token in bare])
    words = text & ~single
    rank = np.cumsum(words)
    rank[single] = [1 if token.isascii() else max(1, int(words.sum()) // 10) for token in bare if len(token) == 1]
    share = np.where(text, 1 / np.maximum(rank, 1), 0.0)
    return share / max(share[words].sum(), 1.0)


def damped(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Vectors about their mean, [n, hidden], a direction of variance v multiplied by v^-1/4."""
    import numpy as np

    centred = vectors.astype(np.float64) - vectors.mean(0, dtype=np.float64)
    variance, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    least = max(float(variance[-1]) * _LEAST_VARIANCE, 1e-12)
    return centred @ (directions * np.maximum(variance, least) ** -0.25) @ directions.T


def _vectors(encoder: Loaded, count: int) -> NDArray[np.float32]:
    """Each token alone between the special ones that surround a text, [count, hidden]."""
    import numpy as np

    around: list[int] = encoder.tokenizer.encode("").ids
    before, after = around[:-1], around[-1:]

    def run(start: int) -> NDArray[np.float32]:
        last = min(start + _TOKENS_IN_A_RUN, count)
        return encoder.run([[*before, token, *after] for token in range(start, last)])

    return np.concatenate(list(encoder.pool.map(run, range(0, count, _TOKENS_IN_A_RUN))))
