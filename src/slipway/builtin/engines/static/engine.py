"""The engine of static vectors: the sum of a text's token vectors, in numpy. Generates nothing.

Much faster than the encoder that they were distilled from, and less exact: word order and context are not seen.
Takes the same model as the `onnx` engine. A text is read whole, however long it is, and its vector does not depend on
what it is embedded together with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from slipway.builtin.engines.checks import check_text
from slipway.builtin.engines.lazy import Encoder
from slipway.builtin.engines.onnx.engine import read_tokenizer, require_packages, unknown_share
from slipway.builtin.engines.static import distill
from slipway.core.protocols import Capability

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from slipway.core.protocols import Vectors

_TOGETHER = 256  # texts between two moments at which a cancelled call ends


class StaticConfig(BaseModel):
    """What the project file may set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prefix: str = Field(default="", max_length=200)  # put before each text


class StaticEngine(Encoder[StaticConfig, "tuple[Any, NDArray[np.float32]]"]):
    """Embeds texts by a table of token vectors, and counts their tokens."""

    Config: ClassVar[type[StaticConfig]] = StaticConfig
    engine: ClassVar[str] = "static"
    capabilities: frozenset[Capability] = frozenset(("embed", "tokenize"))

    def load(self) -> tuple[Any, NDArray[np.float32]]:
        """Tokenizer and table. The first time the table is made: seconds to a minute, told as `distilling`."""
        require_packages()
        found = distill.table(self.name, self.files, self.tell)
        return read_tokenizer(self.files), found

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, [len(texts), hidden size], float32. All texts without a known token have one and the same."""
        import numpy as np

        for text in texts:
            check_text(text)
        tokenizer, table = await self.loaded()
        vectors = np.zeros((len(texts), table.shape[1]), np.float32)
        for start in range(0, len(texts), _TOGETHER):
            part = [self.config.prefix + text for text in texts[start : start + _TOGETHER]]
            vectors[start : start + len(part)] = await asyncio.to_thread(_sums, tokenizer, table, part)
        return vectors

    async def count_tokens(self, text: str) -> int:
        """Tokens of `text`, without special ones."""
        check_text(text)
        tokenizer, _ = await self.loaded()
        return await asyncio.to_thread(lambda: len(tokenizer.encode(text, add_special_tokens=False).ids))

    async def out_of_vocabulary(self, text: str) -> float:
        """The part of a text's tokens that the vocabulary does not know, 0 to 1."""
        check_text(text)
        tokenizer, _ = await self.loaded()
        return await asyncio.to_thread(unknown_share, tokenizer, text)


def _sums(tokenizer: Any, table: NDArray[np.float32], texts: list[str]) -> NDArray[np.float32]:
    """For each text the sum of its tokens' vectors, of unit length: [len(texts), hidden]."""
    import numpy as np

    ids: list[list[int]] = [found.ids for found in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    sums = np.stack([np.ones(len(row), np.float32) @ table[row] if row else np.zeros_like(table[0]) for row in ids])
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    known = length > 0
    return np.where(known, sums / np.where(known, length, 1), table.shape[1] ** -0.5).astype(np.float32)
