"""What a local model needs of this machine, told before it is fetched: memory, and about how fast it will be.

Known from the header of a GGUF file that is here, else guessed from the name of the source, which says parameters and
quantisation. Generating a token reads every weight once, so its time is that of reading them from memory; a prompt is
bound by arithmetic. Both as ranges: other work on the machine, and kernels, decide within them.
"""

from __future__ import annotations

import functools
import re
import time
from pathlib import Path

import msgspec

from slipway.gguf import TENSOR_TYPES, Header, Unsound, read_header
from slipway.machine import usable_cores
from slipway.store import models

# Bits for a weight, scales of its block included (llama.cpp's table of quantisations).
BITS = {
    "q2_k": 3.0, "q3_k_s": 3.5, "q3_k_m": 3.9, "q3_k_l": 4.3, "iq4_xs": 4.3, "iq4_nl": 4.5, "q4_0": 4.6, "q4_1": 5.0,
    "q4_k_s": 4.6, "q4_k_m": 4.85, "q5_0": 5.5, "q5_1": 6.0, "q5_k_s": 5.5, "q5_k_m": 5.7, "q6_k": 6.6, "q8_0": 8.5,
    "f16": 16.0, "bf16": 16.0, "f32": 32.0,
}  # fmt: skip
_PARAMETERS = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)(b|m)(?![a-z0-9])")
_QUANTISED = re.compile(rf"(?<![a-z0-9])({'|'.join(sorted(BITS, key=len, reverse=True))})(?![a-z0-9])")
_CONTEXT = 4096  # tokens, where the model's options name none
_CACHE_SHARE = 0.15  # memory of 4,096 tokens beside the weights, where no header tells it
_UNSAID = 1.2  # names round parameters down, and embeddings are often kept in more bits
_OVERHEAD = 0.2e9  # bytes of the engine itself
PROMPT_FLOPS = 40e9  # of a core on prompts: SmolLM2-135M as q8_0 reads 300 tokens a second on two (docs: models)
_PROBE = 128 << 20  # bytes that are read to measure the memory


class Need(msgspec.Struct, frozen=True):
    """Bytes of the weights and of all memory, tokens a second that are generated and read (low, high)."""

    weights: float
    memory: float
    generated: tuple[float, float]
    read: tuple[float, float]
    guessed: bool  # from the name alone


def need(source: str, quantize: str | None = None, context: int | None = None) -> Need | None:
    """What a source needs; None where neither its file nor its name tells."""
    context = context or _CONTEXT
    header = _header(source)
    if header is not None:
        count, size = weights_of(header)
        cache = cache_of(header, context)
    else:
        found = named(source)
        if found is None:
            return None
        count, bits = found
        size, cache = count * bits / 8 * _UNSAID, 0.0
    if quantize:
        size = count * BITS[quantize] / 8
    cache = cache or size * _CACHE_SHARE * context / _CONTEXT
    speed, compute = bandwidth(), PROMPT_FLOPS * usable_cores() / (2 * count)
    return Need(
        size, memory_of(size, cache), (0.4 * speed / size, speed / size), (0.5 * compute, 1.2 * compute),
        header is None,
    )  # fmt: skip


def memory_of(weights: float, cache: float) -> float:
    """Bytes that an engine holds with a model loaded: weights, keys and values, and what it needs for itself."""
    return weights * 1.05 + cache + _OVERHEAD


def named(source: str) -> tuple[float, float] | None:
    """(parameters, bits for each) as the name of a source says; without a quantisation, 16 bits."""
    counts, kinds = _PARAMETERS.findall(source.lower()), _QUANTISED.findall(source.lower())
    if not counts:
        return None
    number, unit = counts[-1]
    return float(number) * (1e9 if unit == "b" else 1e6), BITS[kinds[-1]] if kinds else 16.0


@functools.cache
def bandwidth() -> float:
    """Bytes a second that one thread reads from memory, measured once: the best of three, some tens of milliseconds."""
    import numpy as np

    block, best = np.ones(_PROBE // 8, np.float64), float("inf")
    for _ in range(3):
        started = time.perf_counter()
        block.max()
        best = min(best, time.perf_counter() - started)
    return _PROBE / best


def _header(source: str) -> Header | None:
    """Of the one GGUF file of a source that is here."""
    paths = [Path(source.removeprefix("file:"))] if source.startswith("file:") else []
    here = models.find(source)
    paths += here.files.values() if here else []
    for path in paths:
        if path.suffix.lower() == ".gguf" and path.is_file():
            try:
                with path.open("rb") as file:
                    return read_header(file)
            except (OSError, Unsound):
                return None
    return None


def weights_of(header: Header) -> tuple[float, float]:
    """(parameters, bytes)."""
    counts = [_product(tensor.shape) for tensor in header.tensors if tensor.kind in TENSOR_TYPES]
    return max(1.0, sum(counts)), max(1.0, float(sum(tensor.size for tensor in header.tensors)))


def _product(shape: tuple[int, ...]) -> float:
    count = 1.0
    for size in shape:
        count *= size
    return count


def cache_of(header: Header, context: int) -> float:
    """Bytes of keys and values of a whole context, in 16 bits; 0 where the header does not say."""
    kind = str(header.scalars.get("general.architecture", ""))

    def number(key: str) -> float:
        value = header.scalars.get(f"{kind}.{key}", 0)
        return float(value) if isinstance(value, int | float) else 0.0

    heads, width = number("attention.head_count"), number("embedding_length")
    groups = number("attention.head_count_kv") or heads
    head = number("attention.key_length") or (width / heads if heads else 0.0)
    return 2 * 2 * number("block_count") * groups * head * context
