"""Whether bytes are a model that may be used: safetensors and GGUF, checked by their headers, and never a pickle.

Knows nothing of where files come from or where they are kept. A pickle can run any code when it is read, so such files
are refused by name and by content.
"""

from __future__ import annotations

import json
import math
from pathlib import Path, PurePosixPath
from typing import Any

from slipway import gguf
from slipway.errors import ConfigError, IntegrityError
from slipway.i18n import t

WEIGHTS = (".gguf", ".safetensors")
_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")
# Small files that stand beside safetensors weights and say how they are used.
_COMPANIONS = frozenset(
    {
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "vocab.txt",
        "merges.txt",
        "tokenizer.model",
        "spiece.model",
        "sentencepiece.bpe.model",
        "chat_template.jinja",
        "modules.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        "model.safetensors.index.json",
        "adapter_config.json",
    }
)
_MAX_SAFETENSORS_HEADER = 100_000_000  # bytes; the limit of the reference implementation
_MAX_JSON = 200_000_000
# safetensors dtype -> bits
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


def choose(names: list[str], where: str) -> dict[str, str]:
    """Which of the POSIX paths `names` make up the model: name in the cache -> path.

    Weights, and for safetensors the companions in their folder and below, named relative to it. Raises ConfigError
    when there are no weights, or only pickled ones. `where` names the source in messages.
    """
    weights = [name for name in names if name.lower().endswith(WEIGHTS)]
    if not weights:
        pickled = [name for name in names if name.lower().endswith(_PICKLED)]
        if pickled:
            raise ConfigError(
                t("{source} holds only pickled weights ({file})", source=where, file=PurePosixPath(pickled[0]).name),
                t("a pickle can run any code when it is read; ask for safetensors or GGUF"),
            )
        raise ConfigError(
            t("{source} holds no model", source=where), t("a model is a .gguf or .safetensors file and its companions")
        )
    root = _common_folder(weights)
    chosen = {_relative(name, root): name for name in weights}
    if any(name.lower().endswith(".safetensors") for name in weights):
        for name in names:
            path = PurePosixPath(name)
            if path.name in _COMPANIONS and (not root.parts or root in path.parents):
                chosen[_relative(name, root)] = name
    return chosen


def _common_folder(names: list[str]) -> PurePosixPath:
    parents = [PurePosixPath(name).parent for name in names]
    root = parents[0]
    while any(root != parent and root not in parent.parents for parent in parents):
        root = root.parent
    return root


def _relative(name: str, root: PurePosixPath) -> str:
    return str(PurePosixPath(name).relative_to(root))


def check_file(path: Path) -> None:
    """Header sanity of one file by its suffix: GGUF, safetensors, JSON. Raises IntegrityError with the reason."""
    name = path.name.lower()
    if name.endswith(".gguf"):
        read_gguf(path)
    elif name.endswith(".safetensors"):
        check_safetensors(path)
    elif name.endswith(".json"):
        _read_json(path)


def read_gguf(path: Path) -> gguf.Header:
    """The header of a GGUF file; raises IntegrityError with the reason when the file is not sound and whole."""
    with path.open("rb") as file:
        try:
            return gguf.read_header(file)
        except gguf.Unsound as error:
            raise _broken(path, str(error)) from error


def check_safetensors(path: Path) -> None:
    """The safetensors format: a JSON header whose tensors cover the rest of the file exactly, without overlap."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 10 or length > min(size - 8, _MAX_SAFETENSORS_HEADER):
            raise _broken(path, t("its header does not fit in the file"))
        raw = file.read(length)
    try:
        header = json.loads(raw)
        if not isinstance(header, dict):
            raise ValueError(t("its header is no JSON object"))
        _check_tensors(header, size - 8 - length)  # pyright: ignore[reportUnknownArgumentType]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _broken(path, str(error)) from error


def _check_tensors(header: dict[str, Any], size: int) -> None:
    spans: list[tuple[int, int]] = []
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        start, end = tensor["data_offsets"]
        shape = tensor["shape"]
        if not all(isinstance(n, int) and n >= 0 for n in (start, end, *shape)):
            raise ValueError(t("tensor '{name}' has a shape or offsets that make no sense", name=name[:80]))
        if tensor["dtype"] not in _BITS:
            raise ValueError(t("tensor '{name}' has the unknown type {kind}", name=name[:80], kind=tensor["dtype"]))
        if (end - start) * 8 != math.prod(shape) * _BITS[tensor["dtype"]]:
            raise ValueError(t("tensor '{name}' does not have the size of its shape", name=name[:80]))
        spans.append((start, end))
    at = 0
    for start, end in sorted(spans):
        if start != at:
            raise ValueError(t("its tensors overlap or leave gaps"))
        at = end
    if at != size:
        raise ValueError(t("its tensors take {n} bytes, the file has {size}", n=at, size=size))


def _read_json(path: Path) -> None:
    if path.stat().st_size > _MAX_JSON:
        raise _broken(path, t("it is larger than {n} bytes", n=_MAX_JSON))
    try:
        json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _broken(path, t("it is not JSON")) from error


def _broken(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        t("{file} is damaged: {why}", file=path.name, why=why), t("fetch it again; a download may have been cut short")
    )


def license_of(path: Path) -> str:
    """The licence a GGUF file states (`general.license`), or an empty string."""
    if not path.name.lower().endswith(".gguf"):
        return ""
    return str(read_gguf(path).scalars.get("general.license", ""))
