"""The engine of cross-encoders: a question and a text read together, one number for how well they fit.

Nogueira and Cho 2019, "Passage Re-ranking with BERT". Takes BERT and XLM-RoBERTa models with a classification head of
one output in safetensors, such as ms-marco-MiniLM and bge-reranker. Generates nothing and makes no vectors.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from slipway.builtin.engines.checks import check_text
from slipway.builtin.engines.lazy import Encoder
from slipway.builtin.engines.onnx.engine import PROBES, read
from slipway.core.protocols import Capability
from slipway.errors import EngineError
from slipway.i18n import t
from slipway.machine import usable_cores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LEAST_CORRELATION = 0.99  # of int8 with fp32 scores of pairs of PROBES, below which int8 is not used
_CHARACTERS_A_TOKEN = 64


class RankerConfig(BaseModel):
    """How it runs. `threads` 0: one for each processor; `max_tokens`: of question and text; a longer text is cut."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    precision: Literal["fp32", "int8"] = "int8"
    max_tokens: int = Field(default=512, ge=16, le=8192)
    threads: int = Field(default=0, ge=0, le=256)


class RankerEngine(Encoder[RankerConfig, "_Loaded"]):
    """Scores pairs of texts, one run for each, side by side on the processors."""

    Config: ClassVar[type[RankerConfig]] = RankerConfig
    engine: ClassVar[str] = "cross-encoder"
    capabilities: frozenset[Capability] = frozenset(("rank",))

    def prepare(self) -> None:
        """Nothing is loaded yet."""
        super().prepare()
        self.precision = self.config.precision  # what is in force after `start`

    def load(self) -> _Loaded:
        """Build or find the graph, and load it with its tokenizer; in int8 only where it ranks nearly alike."""
        import numpy as np

        encoder, tokenizer, graphs = read(self.name, self.files, pairs=True)
        exact = _Loaded(self.config, encoder.max_tokens, graphs.session("fp32"), tokenizer, "fp32")
        if self.config.precision == "fp32":
            return exact
        quick = _Loaded(self.config, encoder.max_tokens, graphs.session("int8"), tokenizer, "int8")
        pairs = [(one, other) for one in PROBES[:4] for other in PROBES]
        found = np.array([[loaded.score(*pair) for pair in pairs] for loaded in (quick, exact)])
        near = float(np.corrcoef(found)[0, 1])
        if near >= _LEAST_CORRELATION:
            return quick
        self.precision = "fp32"
        self.tell("precision", {"model": self.name, "wanted": "int8", "used": "fp32", "correlation": near})
        return exact

    async def rank(self, question: str, texts: Sequence[str]) -> list[float]:
        """The score of each text, as the model's head gives it. Cancelling stops it after the runs in progress."""
        for text in (question, *texts):
            check_text(text)
        loaded = await self.loaded()
        loop = asyncio.get_running_loop()
        runs = [loop.run_in_executor(loaded.pool, loaded.score, question, text) for text in texts]
        try:
            return list(await asyncio.gather(*runs))
        finally:
            for run in runs:
                run.cancel()


class _Loaded:
    """A model in memory: session, tokenizer and threads."""

    def __init__(self, config: RankerConfig, most: int, session: Any, tokenizer: Any, precision: str) -> None:
        self.session, self.tokenizer = session, tokenizer
        self.precision: Literal["fp32", "int8"] = "int8" if precision == "int8" else "fp32"
        self.max_tokens = min(config.max_tokens, most)
        self.pool = ThreadPoolExecutor(config.threads or usable_cores(), thread_name_prefix="slipway-rank")
        weakref.finalize(self, self.pool.shutdown, wait=False)

    def score(self, question: str, text: str) -> float:
        """Of one pair; of a pair that is too long the end of the text is cut."""
        import numpy as np

        limit = self.max_tokens * _CHARACTERS_A_TOKEN
        pair = self.tokenizer.encode(question[:limit], text[:limit])

        def row(values: list[int]) -> NDArray[np.int64]:
            kept = values if len(values) <= self.max_tokens else [*values[: self.max_tokens - 1], values[-1]]
            return np.array([kept], np.int64)

        ids = row(pair.ids)
        feed = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids, np.int32),
            "token_type_ids": np.minimum(row(pair.type_ids), 1),
        }
        try:
            return float(self.session.run(["score"], feed)[0][0, 0])
        except Exception as error:  # onnxruntime raises its own types, derived from Exception only
            raise EngineError(t("the cross-encoder failed: {error}", error=str(error)[:300]), status=500) from error
