"""How a smaller model stands beside the one it was made from: bytes, speed, and how much of its answers is left.

Both models run at the same time and are asked in turn, so that a busy machine slows both. What is told here is for
orientation, of a dozen texts; whether the smaller one is good enough, dev and gate decide. Bytes are the same wherever
a model is made; speeds are those of this machine at this moment, and what models say depends on how its processor adds
up. So only bytes are `measured` of the artifact, and comparisons are `observed`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import math
import os.path
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.builtin.engines.gguf_model import read_header
from slipway.builtin.engines.llama.engine import LlamaConfig, LlamaEngine
from slipway.core.message import GenerateRequest, Message, Sampling
from slipway.core.protocols import Job
from slipway.errors import EngineError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TEXTS = 8
ANSWER_TOKENS = 16
_CONTEXT = 1024
_SCORED, _BEFORE = 96, 128  # bytes of a reference that are scored, and of what stands before it
_ROOM = 128  # tokens of a chat's frame and of the answer; bytes are at least as many as tokens
# Asked where there are no examples to ask.
PROBES = (
    ("What is the capital of Australia?", "The capital of Australia is Canberra."),
    ("How do I reset my password?", "Open the settings, choose security, and follow the link to reset the password."),
    ("Why is the sky blue?", "Air scatters the short waves of sunlight more than the long ones."),
    ("如何重置我的密码？", "打开设置，选择安全，然后按照提示重置密码。"),
)
Asked = tuple[tuple[Message, ...], str]  # what is sent, and a good answer


def sizes(parent: Path, made: Path) -> dict[str, float]:
    """Bytes of both, and their ratio."""
    before, after = parent.stat().st_size, made.stat().st_size
    return {"bytes": float(after), "parent_bytes": float(before), "share": after / before}


def asked_of(job: Job, reads: Sequence[str]) -> list[Asked]:
    """What a candidate would ask for examples of train, spread over all of them; PROBES without any."""
    found = list(job.examples("train")) if "train" in reads else []
    found = [example for example in found if example.expected]
    step = max(1, len(found) // TEXTS)
    asked = [(job.messages(example), example.expected[0]) for example in found[::step][:TEXTS]]
    return asked or [((Message("user", question),), answer) for question, answer in PROBES]


def compare_gguf(parent: Path, made: Path, asked: Sequence[Asked]) -> dict[str, float]:
    """Of both models: perplexity of good answers, tokens a second; and how far their own answers agree.

    `agreement`: the mean share of the parent's likeliest answer that the made one begins with, too. Empty where the
    engine `llama` is not installed; without the parent's numbers where there is no memory for both. Raises EngineError
    for what was made and cannot be loaded: it would not serve either.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        return {}
    with ThreadPoolExecutor(1) as apart:  # where we are called from, a loop may be running
        return apart.submit(asyncio.run, _compare(parent, made, asked)).result()


async def _compare(parent: Path, made: Path, asked: Sequence[Asked]) -> dict[str, float]:
    context = min(read_header(made).context or _CONTEXT, _CONTEXT)
    config = LlamaConfig(context=context, parallel=1, measure=False, second_child=False, cache_mb=0)
    engines = [LlamaEngine(config, name=path.stem, files={path.name: path}) for path in (made, parent)]
    told = [_Told(), _Told()]
    agreed = 0.0
    try:
        await engines[0].start()
        if not await _starts(engines[1]):
            told.pop()
        for messages, reference in asked:
            sent = _end(messages[-1].text, max(_BEFORE, context - _ROOM))
            answers = [await one.ask(engine, sent, reference) for one, engine in zip(told, engines, strict=False)]
            agreed += _agreement(answers[-1], answers[0])
    finally:
        for engine in engines:
            await engine.close()
    after, *before = (one.numbers() for one in told)
    if not before:
        return after
    return {**after, **{f"parent_{key}": value for key, value in before[0].items()}, "agreement": agreed / len(asked)}


async def _starts(engine: LlamaEngine) -> bool:
    try:
        await engine.start()
    except EngineError:
        return False
    return True


class _Told:
    """What one model showed."""

    def __init__(self) -> None:
        self.logprob, self.scored, self.tokens, self.seconds = 0.0, 0, 0, 0.0

    async def ask(self, engine: LlamaEngine, question: str, reference: str) -> str:
        """Its likeliest answer; the time of it and the probability of the reference are kept."""
        sampling = Sampling(max_tokens=ANSWER_TOKENS, temperature=0.0)
        begun = time.perf_counter()
        request = GenerateRequest(messages=(Message("user", question),), sampling=sampling)
        answer = await engine.complete(request)
        self.seconds += time.perf_counter() - begun
        self.tokens += answer.usage.completion_tokens
        prompt, wanted = _end(question, _BEFORE) + "\n", reference.encode()[:_SCORED].decode(errors="ignore")
        (score,) = await engine.score(prompt, [wanted])
        self.logprob += score
        self.scored += await engine.count_tokens(wanted)
        return answer.text

    def numbers(self) -> dict[str, float]:
        """Perplexity, and tokens a second of whole answers."""
        perplexity = math.exp(min(50.0, -self.logprob / max(1, self.scored)))
        return {"perplexity": perplexity, "tokens_per_second": self.tokens / max(1e-9, self.seconds)}


def _end(text: str, size: int) -> str:
    """The last so many bytes of a text."""
    return text.encode()[-size:].decode(errors="ignore")


def _agreement(parent: str, made: str) -> float:
    """The share of the parent's answer that both begin with; 1 for two empty ones."""
    return len(os.path.commonprefix([parent, made])) / len(parent) if parent else float(not made)


def compare_encoders(parent: Any, made: Any, texts: Sequence[str]) -> dict[str, float]:
    """Of two loaded encoders (`builtin.engines.onnx`): cosines of the made one's vectors, texts a second of both."""
    import numpy as np

    rows = [parent.tokens([text], parent.config.prefix)[0][0] for text in texts]
    vectors: list[list[NDArray[np.float32]]] = [[], []]
    seconds = [0.0, 0.0]
    for row in rows:
        for at, loaded in enumerate((parent, made)):
            begun = time.perf_counter()
            vectors[at].append(loaded.run([row])[0])
            seconds[at] += time.perf_counter() - begun
    cosines = [float(a @ b) for a, b in zip(*vectors, strict=True)]
    speeds = [len(rows) / max(1e-9, one) for one in seconds]
    return {
        "cosine": float(np.mean(cosines)), "least_cosine": min(cosines),
        "texts_per_second": speeds[1], "parent_texts_per_second": speeds[0],
    }  # fmt: skip


def rounded(numbers: Mapping[str, float]) -> dict[str, float]:
    """With four significant digits: more would be noise."""
    return {
        key: float(f"{value:.4g}") if key not in ("bytes", "parent_bytes") else value for key, value in numbers.items()
    }
