"""Rewrites a GGUF file with its matrices in 8 to 4 bits. Knows which matrix becomes what, not where models are kept.

Why: llama.cpp has repacked kernels for Q8_0 and Q4_0, so that a prompt is read about twice as fast as with Q4_1. The
k-quants (q6_k, q5_k_m, q4_k_m) keep more of the model in as many bits; their mixtures follow llama.cpp's quantiser:
values and the second feed-forward matrix in more bits in the first and last eighth of the layers and every third one
between. Metadata is copied byte for byte; only the file type is changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from slipway.errors import ConfigError
from slipway.gguf import TENSOR_TYPES, Header, Tensor
from slipway.gguf_blocks import (
    BLOCK,
    F16,
    F32,
    INTEGERS,
    K_QUANTS,
    LARGE_BLOCK,
    Q4_0,
    Q4_K,
    Q5_0,
    Q5_1,
    Q5_K,
    Q6_K,
    Q8_0,
    dequantize,
    quantize,
    require_gguf,
    unreadable,
)
from slipway.gguf_write import Written, pieces, read_model, rewrite
from slipway.i18n import t

Quantization = Literal["q8_0", "q4_0"]
AnyQuantization = Literal["q8_0", "q4_0", "q6_k", "q5_k_m", "q4_k_m"]
QUANTIZATIONS: tuple[Quantization, ...] = ("q8_0", "q4_0")  # that a model may have under `models`
REVISION = 1  # goes into the cache's keys: raise it when the same input would give other bytes
# Read by lookup or by kernels that want plain floats, as in llama.cpp's own quantiser.
_KEPT = ("_norm.weight", "ffn_gate_inp.weight", "position_embd.weight", "token_types.weight", "ssm_conv1d.weight")
# The first and the last matrix decide more than their share: 4 bits there cost quality, 8 bits cost little.
_SENSITIVE = ("token_embd.weight", "output.weight")
_RICHER = re.compile(r"blk\.(\d+)\.(attn_v|ffn_down)\.weight")
_FALLBACK = {Q4_K: Q5_0, Q5_K: Q5_1, Q6_K: Q8_0}  # llama.cpp's, for rows that do not fill blocks of 256

Progress = Callable[[str, int, "int | None"], None]


@dataclass(frozen=True)
class _Kind:
    """`file_type`: llama.cpp's LLAMA_FTYPE_MOSTLY_*. `most`, `sensitive`, `richer`: what matrices become."""

    file_type: int
    most: int
    sensitive: int
    richer: int


_KINDS = {
    "q8_0": _Kind(7, Q8_0, Q8_0, Q8_0),
    "q4_0": _Kind(2, Q4_0, Q8_0, Q4_0),
    "q6_k": _Kind(18, Q6_K, Q6_K, Q6_K),
    "q5_k_m": _Kind(17, Q5_K, Q6_K, Q6_K),
    "q4_k_m": _Kind(15, Q4_K, Q6_K, Q6_K),
}


def quantize_gguf(src: Path, dst: Path, kind: AnyQuantization, progress: Progress | None = None) -> None:
    """Write `src` to `dst` with its matrices in `kind`; vectors and norms become float32.

    `dst` appears whole or not at all. A matrix whose rows do not fill blocks becomes the next richer kind with smaller
    blocks, at last float16. `progress` is called with (file name, bytes read, bytes in all). Raises ConfigError for a
    kind or file that cannot be done, MissingPrerequisite without the package that does it, IntegrityError for a damaged
    file.
    """
    if kind not in _KINDS:
        raise ConfigError(
            t("'{kind}' is not a quantisation Slipway can make", kind=kind),
            t("known: {names}", names=", ".join(_KINDS)),
        )
    require_gguf()
    header = read_model(src)
    kinds = [new_type(tensor, kind, header) for tensor in header.tensors]
    if _KINDS[kind].most in K_QUANTS and not any(found in K_QUANTS for found in kinds):
        raise ConfigError(
            t("no matrix of {file} has rows of a multiple of {n}, which k-quants need", file=src.name, n=LARGE_BLOCK),
            t("choose {names}", names="q8_0, q4_0"),
        )
    total, done = sum(tensor.size for tensor in header.tensors), 0

    def content(tensor: Tensor, new: int) -> Iterator[bytes]:
        nonlocal done
        for raw in pieces(src, tensor):
            yield raw if tensor.kind == new else quantize(dequantize(raw, tensor), new, tensor.name)
            done += len(raw)
            if progress:
                progress(src.name, done, total)

    def written(tensor: Tensor, new: int) -> Written:
        return Written(tensor.name, tensor.shape, new, lambda: content(tensor, new))

    tensors = [written(tensor, new) for tensor, new in zip(header.tensors, kinds, strict=True)]
    rewrite(src, dst, header, file_type(kind), tensors)


def file_type(kind: AnyQuantization) -> dict[str, int]:
    """Keys of the metadata that say how the matrices are kept."""
    return {"general.file_type": _KINDS[kind].file_type, "general.quantization_version": 2}


def new_type(tensor: Tensor, kind: AnyQuantization, header: Header) -> int:
    """The type a tensor is written in. Raises ConfigError for one that cannot be read."""
    if tensor.kind not in TENSOR_TYPES:
        raise unreadable(tensor)
    if TENSOR_TYPES[tensor.kind][0] in INTEGERS:
        return tensor.kind
    if sum(size > 1 for size in tensor.shape) < 2 or tensor.name.endswith(_KEPT):
        return F32
    wanted = _wanted(tensor.name, _KINDS[kind], header)
    if wanted in K_QUANTS and tensor.shape[0] % LARGE_BLOCK:
        wanted = _FALLBACK[wanted]
    return F16 if tensor.shape[0] % BLOCK else wanted


def _wanted(name: str, kind: _Kind, header: Header) -> int:
    if name in _SENSITIVE:
        return kind.sensitive
    found = _RICHER.fullmatch(name)
    if found is None:
        return kind.most
    layers = header.scalars.get(f"{header.scalars.get('general.architecture', '')}.block_count")
    return kind.richer if isinstance(layers, int) and _more_bits(int(found[1]), layers) else kind.most


def _more_bits(layer: int, layers: int) -> bool:
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2
