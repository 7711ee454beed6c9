"""Numbers of a GGUF tensor to and from its blocks. Knows the kinds of block, not files.

The kinds with blocks of 32 are written by the `gguf` package. It reads the k-quants (blocks of 256) and does not write
them: for these, ggml's own quantiser is called, which lies in the library of the `xllamacpp` package (`ggml.h`:
`ggml_quantize_chunk`). It is a pure function over memory that this module owns; no model is loaded and no thread begun.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.errors import ConfigError, MissingPrerequisite
from slipway.gguf import TENSOR_TYPES, Tensor
from slipway.i18n import t

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

F32, F16, Q4_0, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K = 0, 1, 2, 6, 7, 8, 12, 13, 14
K_QUANTS = (Q4_K, Q5_K, Q6_K)
BLOCK, LARGE_BLOCK = 32, 256
INTEGERS = ("I8", "I16", "I32", "I64", "F64")  # kinds that are copied as they are


def require_gguf() -> None:
    """Raise MissingPrerequisite without the `gguf` package."""
    try:
        import gguf.quants  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ModuleNotFoundError as error:
        raise MissingPrerequisite(
            t("quantising needs the package '{package}', which is not installed", package="gguf"),
            "pip install 'slipway-ai[openvino]'",
        ) from error


def row_bytes(width: int, kind: int) -> int:
    """Bytes of a row of `width` numbers."""
    _, block, size = TENSOR_TYPES[kind]
    return width // block * size


def dequantize(raw: bytes, tensor: Tensor) -> NDArray[np.float32]:
    """Whole rows of a tensor as numbers, [rows, tensor.shape[0]]. Raises ConfigError for a kind that cannot be read."""
    import numpy as np
    from gguf import GGMLQuantizationType, quants

    data: NDArray[np.uint8] = np.frombuffer(raw, np.uint8).reshape(-1, row_bytes(tensor.shape[0], tensor.kind))
    try:
        return np.asarray(quants.dequantize(data, GGMLQuantizationType(tensor.kind)), np.float32)
    except (NotImplementedError, ValueError) as error:
        raise unreadable(tensor) from error


def unreadable(tensor: Tensor) -> ConfigError:
    """The error of a kind of block that is not known here."""
    return ConfigError(
        t("tensor '{name}' has a type ({kind}) that cannot be read", name=tensor.name, kind=tensor.kind),
        t("use the model as it is, without quantize"),
    )


def quantize(values: NDArray[np.float32], kind: int, name: str = "") -> bytes:
    """Rows as blocks of `kind`; the width must fill whole blocks. `name`: of the tensor, for errors.

    Raises ConfigError for numbers that are not finite, MissingPrerequisite for a k-quant without `xllamacpp`.
    """
    import numpy as np
    from gguf import GGMLQuantizationType, quants

    values = np.ascontiguousarray(values, np.float32)
    if not np.isfinite(values).all():
        raise ConfigError(
            t("tensor '{name}' holds numbers that are not finite", name=name),
            t("the model is damaged, or its training went wrong: use an earlier one"),
        )
    if kind not in K_QUANTS:
        return quants.quantize(values, GGMLQuantizationType(kind)).tobytes()
    rows, width = values.shape
    out = np.zeros(rows * row_bytes(width, kind), np.uint8)
    written = _quantizer()(kind, values.ctypes.data, out.ctypes.data, 0, rows, width, None)
    if written != out.size:
        raise ConfigError(t("tensor '{name}' could not be quantised", name=name))
    return out.tobytes()


@functools.cache
def _quantizer() -> Any:
    """`ggml_quantize_chunk(kind, src, dst, start, rows, width, importance) -> bytes written`."""
    try:
        spec = importlib.util.find_spec("xllamacpp")
        folder = Path(spec.origin).parent if spec and spec.origin else Path("-")
        (library,) = folder.glob("xllamacpp*.so")
        function = ctypes.CDLL(str(library)).ggml_quantize_chunk
    except (OSError, ValueError, AttributeError) as error:
        raise MissingPrerequisite(
            t("k-quants are written by llama.cpp's own quantiser, which the package 'xllamacpp' brings"),
            t("pip install 'slipway-ai[llama]', or choose {names}", names="q8_0, q4_0"),
        ) from error
    function.restype = ctypes.c_size_t
    numbers = (ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
    function.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *numbers, ctypes.c_void_p]
    return function
