"""What was learned, as GGUF files: an adapter beside its base, or the base with other weights.

The adapter's file is what llama.cpp's `convert_lora_to_gguf.py` writes. The architecture `llama` keeps the rows of
queries and keys in another order than transformers: pairs that rotate together lie beside each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.builtin.engines.gguf_model import ModelHeader
from slipway.errors import ConfigError
from slipway.gguf import TENSOR_TYPES, Tensor
from slipway.gguf_blocks import BLOCK, F16, F32, INTEGERS, Q8_0, dequantize, quantize
from slipway.gguf_write import Written, pieces, read_model, rewrite
from slipway.i18n import t

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

_FILE_TYPES = {"f16": 1, "q8_0": 7}  # llama.cpp's LLAMA_FTYPE_MOSTLY_*


class Names:
    """How a GGUF file calls and keeps what transformers calls `model.layers.0.self_attn.q_proj.weight`."""

    def __init__(self, header: ModelHeader) -> None:
        from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

        self._header = header
        (kind,) = [arch for arch, name in MODEL_ARCH_NAMES.items() if name == header.architecture]
        self._map = get_tensor_name_map(kind, self._number("block_count"))
        self._held = {tensor.name for tensor in header.header.tensors}

    def of(self, name: str) -> str:
        """The tensor's name. Raises ConfigError for one that the file does not have."""
        found = self._map.get_name(name, try_suffixes=(".weight", ".bias"))
        if found is None or found not in self._held:
            raise ConfigError(
                t("the base has no tensor '{name}', so what was learned cannot be written", name=found or name),
                t("name other targets, or another base"),
            )
        return found

    def rows(self, name: str, values: Matrix) -> Matrix:
        """Rows in the order of the file. `name`: as the file calls it."""
        if self._header.architecture != "llama" or not name.endswith(("attn_q.weight", "attn_k.weight")):
            return values
        heads = self._number("attention.head_count")
        if name.endswith("attn_k.weight"):
            heads = self._number("attention.head_count_kv") or heads
        halves = values.reshape(heads, 2, len(values) // heads // 2, *values.shape[1:])
        return halves.swapaxes(1, 2).reshape(values.shape)

    def _number(self, key: str) -> int:
        return int(self._header.header.scalars.get(f"{self._header.architecture}.{key}", 0))


def write_adapter(header: ModelHeader, learned: Mapping[str, Any], alpha: float, target: Path) -> None:
    """`learned`: `lora.learned`. In 16 bits, for an engine keeps adapters in memory. Equal pairs make equal files."""
    import gguf

    names = Names(header)
    writer = gguf.GGUFWriter(str(target), header.architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for name, pair in sorted(learned.items()):
        tensor = names.of(f"{name}.weight")
        writer.add_tensor(f"{tensor}.lora_a", _half(pair.a.numpy()))
        writer.add_tensor(f"{tensor}.lora_b", _half(names.rows(tensor, pair.b.numpy())))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _half(values: Matrix) -> NDArray[Any]:
    """In 16 bits, unless a number is too large for them."""
    import numpy as np

    return (values.astype(np.float16) if np.abs(values).max(initial=0.0) <= np.finfo(np.float16).max else values).copy()


def deltas(header: ModelHeader, learned: Mapping[str, Any], scale: float) -> dict[str, Callable[[Matrix], Matrix]]:
    """What an adapter makes of each tensor that it changes."""
    names = Names(header)

    def change(pair: Any, tensor: str) -> Callable[[Matrix], Matrix]:
        def changed(before: Matrix) -> Matrix:
            return before + scale * (names.rows(tensor, pair.b.numpy()) @ pair.a.numpy())

        return changed

    return {(tensor := names.of(f"{name}.weight")): change(pair, tensor) for name, pair in learned.items()}


def weights(header: ModelHeader, model: Any) -> dict[str, Callable[[Matrix], Matrix]]:
    """What a whole model makes of each tensor: all parameters of it, those that are shared once."""
    names = Names(header)

    def change(parameter: Any, tensor: str) -> Callable[[Matrix], Matrix]:
        def changed(before: Matrix) -> Matrix:
            values = parameter.detach().float().cpu().numpy()
            return names.rows(tensor, values).reshape(before.shape)

        return changed

    return {(tensor := names.of(name)): change(one, tensor) for name, one in model.named_parameters()}


def write_merged(base: Path, changes: Mapping[str, Callable[[Matrix], Matrix]], file_type: str, target: Path) -> None:
    """The base with changed tensors, its matrices in `file_type`; everything else of it is copied.

    Not in four bits: they round a small change away. One tensor is in memory at a time.
    """
    header = read_model(base)
    written = [Written(one.name, one.shape, _kind(one, file_type), _content(base, one, changes, file_type))
               for one in header.tensors]  # fmt: skip
    rewrite(base, target, header, {"general.file_type": _FILE_TYPES[file_type]}, written)


def _kind(tensor: Tensor, file_type: str) -> int:
    if TENSOR_TYPES[tensor.kind][0] in INTEGERS:
        return tensor.kind
    if sum(size > 1 for size in tensor.shape) < 2:
        return F32
    return Q8_0 if file_type == "q8_0" and tensor.shape[0] % BLOCK == 0 else F16


def _content(
    base: Path, tensor: Tensor, changes: Mapping[str, Callable[[Matrix], Matrix]], file_type: str
) -> Callable[[], Iterator[bytes]]:
    def content() -> Iterator[bytes]:
        import numpy as np

        kind, change = _kind(tensor, file_type), changes.get(tensor.name)
        if kind == tensor.kind and change is None:
            yield from pieces(base, tensor)
            return
        values = np.concatenate([dequantize(raw, tensor) for raw in pieces(base, tensor)])
        yield quantize(change(values) if change else values, kind, tensor.name)

    return content
