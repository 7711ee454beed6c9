"""Prunes a GGUF model: smallest weights, feed-forward neurons, or groups of attention heads. Trains and runs nothing.

What is removed is removed in every layer alike, because the metadata has one `feed_forward_length` and one
`attention.head_count` for all layers, and engines read them so. Heads that share keys and values go together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from slipway.errors import ConfigError
from slipway.gguf import Tensor
from slipway.gguf_blocks import BLOCK, dequantize, quantize, require_gguf
from slipway.gguf_quantize import AnyQuantization, Progress, file_type, new_type
from slipway.gguf_write import Written, pieces, read_model, rewrite
from slipway.i18n import t

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Kept = Mapping[str, tuple[NDArray[np.intp] | None, NDArray[np.intp] | None]]  # tensor -> (rows, columns)

Method = Literal["neurons", "heads", "magnitude"]
_FEED_FORWARD = ("ffn_gate", "ffn_up", "ffn_down")
_ATTENTION = ("attn_q", "attn_k", "attn_v", "attn_output")


class GgufModel:
    """A model file whose tensors are read by name."""

    def __init__(self, path: Path) -> None:
        require_gguf()
        self.path, self.header = path, read_model(path)
        self.tensors = {tensor.name: tensor for tensor in self.header.tensors}
        self.architecture = str(self.header.scalars.get("general.architecture", ""))
        self.layers = self.number("block_count")

    def number(self, key: str) -> int:
        """A whole number of the architecture's. Raises ConfigError where there is none, or one for each layer."""
        found = self.header.scalars.get(f"{self.architecture}.{key}")
        if isinstance(found, bool) or not isinstance(found, int) or found < 1:
            raise self.unfit(t("it does not say its {key}, or has one for each layer", key=key))
        return found

    def unfit(self, why: str) -> ConfigError:
        """The error of a model that cannot be pruned so."""
        return ConfigError(
            t("{file} cannot be pruned: {why}", file=self.path.name, why=why),
            t("neurons and heads are removed from models like Llama and Qwen; `method: magnitude` takes any"),
        )

    def numbers(self, name: str) -> NDArray[np.float32]:
        """A tensor as float32, [rows, columns]."""
        tensor = self.tensors[name]
        return dequantize(b"".join(pieces(self.path, tensor)), tensor)

    def norms(self, name: str, axis: int) -> NDArray[np.float64]:
        """Lengths of a matrix's rows (axis 1) or columns (axis 0)."""
        import numpy as np

        return np.sqrt(np.square(self.numbers(name), dtype=np.float64).sum(axis=axis))

    def check_shapes(self, wanted: Mapping[str, tuple[int | None, int | None]]) -> None:
        """Raise ConfigError unless each tensor is a matrix of so many (columns, rows); None: any."""
        for name, shape in wanted.items():
            found = self.tensors[name].shape
            if len(found) != 2 or any(a is not None and a != b for a, b in zip(shape, found, strict=True)):
                raise self.unfit(t("the tensor '{name}' has not the shape that its metadata tells", name=name))

    def required(self, layer: int, parts: tuple[str, ...]) -> list[str]:
        """Names of the matrices of a layer. Raises ConfigError where one is missing."""
        names = [f"blk.{layer}.{part}.weight" for part in parts]
        missing = [name for name in names if name not in self.tensors]
        if missing:
            raise self.unfit(t("it has no tensor '{name}'", name=missing[0]))
        return names


def prune_gguf(
    src: Path,
    dst: Path,
    method: Method,
    share: float,
    kind: AnyQuantization,
    importance: Mapping[int, NDArray[np.float64]] | None = None,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Write `src` to `dst` without a `share` (0 to 1) of what `method` names; returns what was removed.

    `importance`: layer -> how much each feed-forward neuron says, [neurons], instead of its weights' lengths. `dst`
    appears whole or not at all. Raises ConfigError for a model or share that cannot be done.
    """  # fmt: skip
    model = GgufModel(src)
    kept: Kept = {}
    changed: dict[str, int] = {}
    found: dict[str, float] = {}
    if method == "neurons":
        kept, changed, found = _without_neurons(model, share, importance)
    elif method == "heads":
        kept, changed, found = _without_heads(model, share)
    total, done = sum(tensor.size for tensor in model.header.tensors), 0
    zeros, weights = 0, 0

    def content(tensor: Tensor, new: Tensor, to: int) -> Iterator[bytes]:
        nonlocal done, zeros, weights
        if method == "magnitude" and _is_matrix(tensor):
            numbers = _without_small(model.numbers(tensor.name), share)
            zeros, weights = zeros + int((numbers == 0).sum()), weights + numbers.size
            yield quantize(numbers, to, tensor.name)
        elif tensor.name in kept:
            numbers = _cut(model.numbers(tensor.name), *kept[tensor.name])
            yield quantize(numbers, to, tensor.name)
        else:
            for raw in pieces(src, tensor):
                yield raw if tensor.kind == to else quantize(dequantize(raw, tensor), to, tensor.name)
        done += tensor.size
        if progress:
            progress(src.name, done, total)

    def written(tensor: Tensor) -> Written:
        new = dataclasses.replace(tensor, shape=_shape(tensor, kept))
        to = new_type(new, kind, model.header)
        return Written(tensor.name, new.shape, to, lambda: content(tensor, new, to))

    rewrite(src, dst, model.header, {**changed, **file_type(kind)}, [written(one) for one in model.header.tensors])
    return found or {"zero_share": zeros / max(1, weights)}


def _without_neurons(
    model: GgufModel, share: float, importance: Mapping[int, NDArray[np.float64]] | None
) -> tuple[Kept, dict[str, int], dict[str, float]]:
    """By the product of the lengths of their weights, or by `importance`; as many in each layer."""
    width = model.number("feed_forward_length")
    step = BLOCK if width % BLOCK == 0 else 1
    count = max(step, -(-round((1 - share) * width) // step) * step)
    if count >= width:
        raise _too_little(share, t("of {n} neurons none would go: they go {step} at a time", n=width, step=step))
    kept: dict[str, Any] = {}
    for layer in range(model.layers):
        gate, up, down = model.required(layer, _FEED_FORWARD)
        model.check_shapes({gate: (None, width), up: (None, width), down: (width, None)})
        if importance is None:
            scores = model.norms(gate, 1) * model.norms(up, 1) * model.norms(down, 0)
        else:
            scores = importance[layer]
        best = _best(scores, count)
        kept |= {gate: (best, None), up: (best, None), down: (None, best)}
        kept |= {name: (best, None) for name in _biases(gate, up) if name in model.tensors}
    prefix = model.architecture
    return kept, {f"{prefix}.feed_forward_length": count}, {"neurons": float(count), "parent_neurons": float(width)}


def _without_heads(model: GgufModel, share: float) -> tuple[Kept, dict[str, int], dict[str, float]]:
    """Groups of heads by the lengths of their values' and outputs' weights; as many in each layer."""
    import numpy as np

    heads = model.number("attention.head_count")
    groups = int(model.header.scalars.get(f"{model.architecture}.attention.head_count_kv", heads))
    size = model.tensors[model.required(0, _ATTENTION)[0]].shape[1] // heads
    together = heads // max(1, groups)
    count = max(1, round((1 - share) * groups))
    if count >= groups:
        raise _too_little(share, t("of {n} groups of heads none would go: heads that share keys go together", n=groups))
    if size * together * count % BLOCK:
        raise model.unfit(t("{n} numbers of the heads that stay do not fill blocks", n=size * together * count))
    kept: dict[str, Any] = {}
    for layer in range(model.layers):
        q, k, v, out = model.required(layer, _ATTENTION)
        whole, common = size * together * groups, size * groups
        model.check_shapes({q: (None, whole), k: (None, common), v: (None, common), out: (whole, None)})
        values = np.square(model.norms(v, 1)).reshape(groups, -1).sum(axis=1)
        outputs = np.square(model.norms(out, 0)).reshape(groups, -1).sum(axis=1)
        best = _best(values * outputs, count)
        shared, own = _members(best, size), _members(best, size * together)
        kept |= {q: (own, None), k: (shared, None), v: (shared, None), out: (None, own)}
        kept |= {f"{q.removesuffix('weight')}bias": (own, None)}
        kept |= dict.fromkeys(_biases(k, v), (shared, None))
    kept = {name: cut for name, cut in kept.items() if name in model.tensors}
    prefix = model.architecture
    changed = {
        f"{prefix}.attention.head_count": count * together, f"{prefix}.attention.head_count_kv": count,
        f"{prefix}.attention.key_length": size, f"{prefix}.attention.value_length": size,
        f"{prefix}.rope.dimension_count": int(model.header.scalars.get(f"{prefix}.rope.dimension_count", size)),
    }  # fmt: skip
    return kept, changed, {"heads": float(count * together), "parent_heads": float(heads)}


def _without_small(numbers: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """A matrix whose smallest `share` of numbers is zero (Han et al. 2015)."""
    import numpy as np

    smallest = int(share * numbers.size)
    made = numbers.copy()
    if smallest:
        made.reshape(-1)[np.argpartition(np.abs(numbers), smallest - 1, axis=None)[:smallest]] = 0
    return made


def _is_matrix(tensor: Tensor) -> bool:
    return tensor.name.startswith("blk.") and sum(size > 1 for size in tensor.shape) > 1 and "norm" not in tensor.name


def _best(scores: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Indices of the highest, in order; the first of equals."""
    import numpy as np

    return np.sort(np.argsort(-scores, kind="stable")[:count])


def _members(groups: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Rows of groups that are `size` rows each."""
    import numpy as np

    return (groups[:, None] * size + np.arange(size)).reshape(-1)


def _biases(*names: str) -> list[str]:
    return [f"{name.removesuffix('weight')}bias" for name in names]


def _cut(numbers: NDArray[np.float32], rows: Any, columns: Any) -> NDArray[np.float32]:
    if rows is not None:
        return numbers[rows] if numbers.shape[0] > 1 else numbers[:, rows]  # a bias is one row
    return numbers[:, columns]


def _shape(tensor: Tensor, kept: Kept) -> tuple[int, ...]:
    rows, columns = kept.get(tensor.name, (None, None))
    if rows is not None:
        return (tensor.shape[0], len(rows)) if len(tensor.shape) > 1 else (len(rows),)
    return tensor.shape if columns is None else (len(columns), *tensor.shape[1:])


def _too_little(share: float, why: str) -> ConfigError:
    return ConfigError(t("a share of {share} removes nothing: {why}", share=share, why=why), t("name a larger share"))
