"""An encoder-decoder in memory: tokenizer and sessions, and the state of an answer that is being written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.builtin.engines.onnx.engine import inference_session, read_tokenizer, require_packages
from slipway.builtin.engines.onnx.graph import read_weights
from slipway.builtin.engines.seq2seq import graphs
from slipway.builtin.engines.seq2seq.shape import read_shape
from slipway.errors import EngineError
from slipway.i18n import t

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_LARGEST = 2_000_000_000  # bytes of weights in float32: a graph may have 2 GB


class Writing:
    """An answer under way: what was read, and the keys and values of the tokens so far."""

    def __init__(self, read: Mapping[str, Floats], past: Mapping[str, Floats]) -> None:
        self.read, self.past = dict(read), dict(past)


class Loaded:
    """Methods compute, and are called in `pool`. Equal calls give equal numbers, whatever is asked beside them."""

    def __init__(self, name: str, files: Mapping[str, Path], threads: int) -> None:
        """Raises EngineError for what cannot be loaded, MissingPrerequisite without the extra `onnx`."""
        require_packages()
        self.name, self.shape = name, read_shape(name, files)
        self.tokenizer = read_tokenizer(files)
        self.tokenizer.encode_special_tokens = True  # what a text spells out is text
        weights = weights_of(name, files)
        if self.tokenizer.get_vocab_size() > len(weights["shared.weight"]):
            raise _unusable(name, t("its tokenizer has more tokens than its weights"))
        try:
            self._encoder = inference_session(graphs.encoder(self.shape, weights))
            self._decoder = inference_session(graphs.decoder(self.shape, weights))
        except Exception as error:  # onnxruntime raises its own types, derived from Exception only
            raise _unusable(name, str(error)[:300]) from error
        self._outputs = [one.name for one in self._decoder.get_outputs()]
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="slipway-seq2seq")

    def tokens(self, text: str) -> list[int]:
        """Without special ones."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def text(self, ids: Sequence[int]) -> str:
        """Special tokens left out."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True)

    def encode(self, ids: Sequence[int]) -> Writing:
        """Read a prompt."""
        import numpy as np

        names = [one.name for one in self._encoder.get_outputs()]
        found = self._run(self._encoder, names, {"input_ids": np.array([ids], np.int64)})
        nothing = np.zeros((1, self.shape.heads, 0, self.shape.head_size), np.float32)
        past = {f"past_{kind}.{n}": nothing for n in range(self.shape.decoder_layers) for kind in ("key", "value")}
        return Writing(dict(zip(names, found, strict=True)), past)

    def step(self, writing: Writing, ids: Sequence[int]) -> Floats:
        """The logits after each of these tokens, [len(ids), vocabulary]; they are part of the answer from now on."""
        import numpy as np

        given = {"token_ids": np.array([ids], np.int64), **writing.past, **writing.read}
        logits, *past = self._run(self._decoder, self._outputs, given)
        writing.past = {f"past_{name}": one for name, one in zip(self._outputs[1:], past, strict=True)}
        return logits[0]

    def logprobs(self, writing: Writing, ids: Sequence[int]) -> list[float]:
        """Of an answer's tokens, each after those before it. `writing` stays as it is."""
        import numpy as np

        if not ids:
            return []
        fresh = Writing(writing.read, writing.past)
        logits = self.step(fresh, [self.shape.start, *ids[:-1]]).astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        found = logits[np.arange(len(ids)), ids] - np.log(np.exp(logits).sum(axis=1))
        return [float(one) for one in found]

    def _run(self, session: Any, names: list[str], given: Mapping[str, Any]) -> list[Floats]:
        try:
            return session.run(names, dict(given))
        except Exception as error:  # onnxruntime raises its own types, derived from Exception only
            raise EngineError(
                t("the model '{name}' failed: {why}", name=self.name, why=str(error)[:300]), status=500
            ) from error


def weights_of(name: str, files: Mapping[str, Path]) -> dict[str, Floats]:
    """Every tensor, by its name in transformers. Raises EngineError where there are none, or too many."""
    paths = sorted(path for key, path in files.items() if key.endswith(".safetensors"))
    if not paths:
        raise _unusable(name, t("it has no safetensors"))
    if (size := sum(path.stat().st_size for path in paths)) > _LARGEST:
        raise _unusable(name, t("its weights have {size:.1f} GB; a graph takes 2", size=size / 1e9))
    found = read_weights(paths)
    for alias in ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"):
        if alias in found:
            found.setdefault("shared.weight", found[alias])
    if "shared.weight" not in found:
        raise _unusable(name, t("it has no tensor '{name}'", name="shared.weight"))
    return found


def _unusable(name: str, why: str) -> EngineError:
    return EngineError(
        t("'{name}' is no encoder-decoder that can be run: {why}", name=name, why=why),
        t("fetch it again, or use another model of the T5 family"),
        status=500,
    )
