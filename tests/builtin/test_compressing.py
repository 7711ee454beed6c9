"""Models made smaller: what is written loads in the engine, says the same where nothing of weight went, and is compared."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import msgspec
import numpy as np
import pytest
from gguf.quants import dequantize as read_blocks
from pydantic import ValidationError
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from slipway import gguf_blocks
from slipway.builtin.compressing import activations, beside
from slipway.builtin.engines.llama.engine import LlamaConfig, LlamaEngine
from slipway.builtin.engines.onnx import engine as onnx_engine
from slipway.builtin.engines.onnx.engine import OnnxConfig, OnnxEngine
from slipway.builtin.tuners.prune import PruneTuner
from slipway.builtin.tuners.quantize import QuantizeTuner
from slipway.core.artifact import Made
from slipway.core.candidate import ModelPin
from slipway.errors import ConfigError, EngineError, MissingPrerequisite
from slipway.gguf_quantize import quantize_gguf
from slipway.testing.tuners import Job, TunerContract
from tiny_llama import write_llama

WRITER = ModelPin(name="writer", engine="llama", source="", files={"tiny.gguf": "0" * 64})
EMBEDDER = ModelPin(name="embedder", engine="onnx", source="", options={"precision": "fp32", "max_tokens": 32})


class TestPrune(TunerContract):
    base = WRITER

    @pytest.fixture
    def files(self, tmp_path: Path) -> Mapping[str, Path]:
        return {"tiny.gguf": write_llama(tmp_path / "tiny.gguf")}

    def make_tuner(self) -> PruneTuner:
        return PruneTuner(PruneTuner.Config(share=0.3, measure=False))


class TestStaticInt8(TunerContract):
    base = EMBEDDER

    @pytest.fixture
    def files(self, tmp_path: Path) -> Mapping[str, Path]:
        return write_encoder(tmp_path)

    def make_tuner(self) -> QuantizeTuner:
        return QuantizeTuner(QuantizeTuner.Config(type="int8_static", calibrate=4))


def write_encoder(folder: Path, pooling: str = "mean", **changed: np.ndarray) -> dict[str, Path]:
    """A tiny BERT: two layers of 32 numbers, four heads, 64 neurons. `changed`: weights, with `__` for dots."""
    rng = np.random.default_rng(2)
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *["which", "ship", "is", "number", "?", "第", "号"],
        *map(str, range(40)),
    ]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(words), 32), "embeddings.position_embeddings.weight": (64, 32),
        "embeddings.token_type_embeddings.weight": (2, 32),
    }  # fmt: skip
    for layer in range(2):
        at = f"encoder.layer.{layer}."
        linear = {**dict.fromkeys(("attention.self.query", "attention.self.key", "attention.self.value"), (32, 32))}
        linear |= {"attention.output.dense": (32, 32), "intermediate.dense": (64, 32), "output.dense": (32, 64)}
        for name, (rows, columns) in linear.items():
            shapes |= {f"{at}{name}.weight": (rows, columns), f"{at}{name}.bias": (rows,)}
    norms = ["embeddings", *(f"encoder.layer.{n}.{part}" for n in range(2) for part in ("attention.output", "output"))]
    weights = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    for norm in norms:
        weights |= {
            f"{norm}.LayerNorm.weight": np.ones(32, np.float32),
            f"{norm}.LayerNorm.bias": np.zeros(32, np.float32),
        }
    weights |= {name.replace("__", "."): value for name, value in changed.items()}
    folder.mkdir(exist_ok=True)
    save_file(weights, folder / "model.safetensors")
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "model_type": "bert", "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32,
        "intermediate_size": 64, "max_position_embeddings": 64, "hidden_act": "gelu", "pad_token_id": 0,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    files = {name: folder / name for name in ("model.safetensors", "tokenizer.json", "config.json")}
    if pooling == "cls":
        (folder / "pooling.json").write_text('{"pooling_mode_cls_token": true}')
        files["1_Pooling/config.json"] = folder / "pooling.json"
    return files


def tuned(tuner: Any, folder: Path, base: ModelPin, files: Mapping[str, Path]) -> Made:
    return tuner.tune(Job(folder, ("train",), base, files))


@pytest.fixture(autouse=True)
def graphs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_engine, "cache_folder", lambda: tmp_path / "cache")


class Nothing(Job):
    """A job without examples."""

    def examples(self, split: Any) -> list[Any]:
        return []


# -- GGUF --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["q6_k", "q5_k_m", "q4_k_m"])
def test_k_quants_are_those_of_llama_cpp(tmp_path: Path, kind: str) -> None:
    """Rows of 256 in blocks of 256, by the mixture of llama.cpp; rows of 64 in the kind that it falls back to."""
    source = write_llama(tmp_path / "a.gguf", inner=256)
    quantize_gguf(source, tmp_path / "b.gguf", kind)  # type: ignore[arg-type]
    before, after = (gguf.GGUFReader(tmp_path / name) for name in ("a.gguf", "b.gguf"))
    types = {tensor.name: tensor.tensor_type.name for tensor in after.tensors}
    wide, narrow = {"q6_k": ("Q6_K", "Q8_0"), "q5_k_m": ("Q5_K", "Q5_1"), "q4_k_m": ("Q4_K", "Q5_0")}[kind]
    assert types["blk.0.ffn_down.weight"] in (wide, "Q6_K")
    assert types["blk.0.ffn_up.weight"] == narrow
    assert types["token_embd.weight"] == "Q8_0"
    assert types["blk.0.attn_norm.weight"] == "F32"
    for old, new in zip(before.tensors, after.tensors, strict=True):
        wanted, got = np.asarray(old.data), read_blocks(new.data, new.tensor_type)
        assert np.linalg.norm(got - wanted) < 0.09 * np.linalg.norm(wanted), new.name


def test_k_quants_that_fit_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no matrix of tiny.gguf has rows of a multiple of 256") as caught:
        quantize_gguf(write_llama(tmp_path / "tiny.gguf"), tmp_path / "b.gguf", "q4_k_m")
    assert "q8_0" in caught.value.hint
    openvino = ModelPin(name="writer", engine="openvino", source="")
    tuner = QuantizeTuner(QuantizeTuner.Config(type="q4_k_m"))
    with pytest.raises(ConfigError, match="the engine 'openvino' does not load every block"):
        tuned(tuner, tmp_path / "job", openvino, {"tiny.gguf": tmp_path / "tiny.gguf"})


def test_k_quants_without_their_package_or_of_numbers_that_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="holds numbers that are not finite"):
        gguf_blocks.quantize(np.full((1, 256), np.nan, np.float32), gguf_blocks.Q4_K, "blk.0.ffn_up.weight")
    gguf_blocks._quantizer.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPrerequisite, match="xllamacpp"):
        gguf_blocks.quantize(np.ones((1, 256), np.float32), gguf_blocks.Q4_K)
    gguf_blocks._quantizer.cache_clear()


def scores(*paths: Path) -> list[list[float]]:
    """Log-probabilities of texts by the engine, for each model."""
    config = LlamaConfig(context=256, parallel=1, measure=False, second_child=False, cache_mb=0)

    async def of(path: Path) -> list[float]:
        engine = LlamaEngine(config, files={path.name: path})
        await engine.start()
        try:
            return await engine.score("which ship\n", ["the third", "号"])
        finally:
            await engine.close()

    async def all() -> list[list[float]]:
        return list(await asyncio.gather(*(of(path) for path in paths)))

    return asyncio.run(all())


def test_what_says_nothing_is_what_goes(tmp_path: Path) -> None:
    """Neurons and a group of heads whose output weighs nothing are found, and the rest says what the whole said."""
    rng = np.random.default_rng(5)
    changed: dict[str, np.ndarray] = {}
    for layer in range(2):
        down = rng.normal(0, 0.08, (64, 128))
        down[:, rng.permutation(128)[:64]] *= 1e-4
        changed[f"blk__{layer}__ffn_down__weight"] = down
        out = rng.normal(0, 0.08, (64, 64))
        out[:, 32 * layer : 32 * layer + 32] *= 1e-4
        changed[f"blk__{layer}__attn_output__weight"] = out
    source = write_llama(tmp_path / "tiny.gguf", scale=0.2, **changed)
    files, made = {"tiny.gguf": source}, {}
    for method in ("neurons", "heads"):
        tuner = PruneTuner(PruneTuner.Config(method=method, share=0.5, measure=False))
        made[method] = tuned(tuner, tmp_path / method, WRITER, files)
    assert (made["neurons"].measured["neurons"], made["heads"].measured["heads"]) == (64, 2)
    paths = [path for one in made.values() for path in one.files.values()]
    other = write_llama(tmp_path / "other.gguf", scale=0.2)  # here every neuron says something
    (cut,) = tuned(tuner, tmp_path / "other", WRITER, {"other.gguf": other}).files.values()
    whole, *others, intact, less = scores(source, *paths, other, cut)
    for found in others:
        assert found == pytest.approx(whole, abs=0.3)
    assert less != pytest.approx(intact, abs=0.9)
    header = gguf.GGUFReader(paths[0])
    assert header.fields["llama.feed_forward_length"].contents() == 64
    assert made["neurons"].measured["bytes"] < source.stat().st_size


@pytest.mark.slow
def test_neurons_are_judged_by_what_they_say(tmp_path: Path) -> None:
    """Half of the neurons never say anything, though their weights are the longest: what opens them is always shut."""
    pytest.importorskip("torch", reason="needs the extra train: pip install 'slipway-ai[train]'")
    rng, changed, silent = np.random.default_rng(5), dict[str, np.ndarray](), list[set[int]]()
    words = rng.normal(0, 0.2, (261, 64))
    words[:, 0] = 1.0  # so every neuron reads the same large number first
    changed["token_embd__weight"] = words
    for layer in range(2):
        gate = rng.normal(0, 0.2, (128, 64))
        silent.append(set(rng.permutation(128)[:64].tolist()))
        gate[sorted(silent[-1]), 0] = -40.0
        changed[f"blk__{layer}__ffn_gate__weight"] = gate
    files = {"tiny.gguf": write_llama(tmp_path / "tiny.gguf", scale=0.02, **changed)}
    options = {"context": 256, "parallel": 1, "measure": False, "second_child": False, "threads": 1}
    job = Job(tmp_path / "job", ("train",), msgspec.structs.replace(WRITER, options=options), files)
    found = activations.importance(job, files["tiny.gguf"], 8)
    assert [set(np.argsort(scores)[:64].tolist()) for scores in found.values()] == silent
    tuner = PruneTuner(PruneTuner.Config(share=0.5, by="activations", measure=False))
    (path,) = tuner.tune(job).files.values()
    kept = next(t for t in gguf.GGUFReader(path).tensors if t.name == "blk.0.ffn_gate.weight")
    assert np.abs(read_blocks(kept.data, kept.tensor_type)).max() < 2, "those that are shut are gone"


def test_small_weights_become_zero_and_the_model_no_smaller(tmp_path: Path) -> None:
    source = write_llama(tmp_path / "tiny.gguf")
    quantize_gguf(source, tmp_path / "q.gguf", "q8_0")
    tuner = PruneTuner(PruneTuner.Config(method="magnitude", share=0.4, measure=False))
    made = tuned(tuner, tmp_path / "job", WRITER, {"tiny.gguf": source})
    (path,) = made.files.values()
    assert made.measured["zero_share"] == pytest.approx(0.4, abs=0.001)
    assert path.stat().st_size == (tmp_path / "q.gguf").stat().st_size
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    value = read_blocks(tensors["blk.0.ffn_up.weight"].data, tensors["blk.0.ffn_up.weight"].tensor_type)
    original = next(t.data for t in gguf.GGUFReader(source).tensors if t.name == "blk.0.ffn_up.weight")
    gone = np.abs(original) < np.quantile(np.abs(original), 0.39)
    assert (value[gone] == 0).all()
    kept = np.abs(original) > np.quantile(np.abs(original), 0.41)
    assert np.abs(value - original)[kept].max() < 0.01


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"share": 0.01}, "of 128 neurons none would go"),
        ({"method": "heads", "share": 0.2}, "of 2 groups of heads none would go"),
        ({"method": "heads", "by": "activations"}, "judges neurons only"),
    ],
)
def test_what_cannot_be_pruned_is_told(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    source = write_llama(tmp_path / "tiny.gguf")
    with pytest.raises(ConfigError, match=said) as caught:
        tuned(PruneTuner(PruneTuner.Config(**options)), tmp_path / "job", WRITER, {"tiny.gguf": source})
    assert caught.value.hint


@pytest.mark.parametrize("method", ["neurons", "heads"])
@pytest.mark.parametrize(
    "key", ["attention.head_count", "attention.head_count_kv", "feed_forward_length", "block_count"]
)
def test_a_header_that_lies_is_told(tmp_path: Path, key: str, method: Any) -> None:
    raw = write_llama(tmp_path / "tiny.gguf").read_bytes()
    at = raw.index(f"llama.{key}".encode() + b"\x04") + len(f"llama.{key}") + 4
    for value in (0, 3, 2**31):
        (tmp_path / "lies.gguf").write_bytes(raw[:at] + value.to_bytes(4, "little") + raw[at + 4 :])
        tuner = PruneTuner(PruneTuner.Config(method=method, share=0.5, measure=False))
        if method == ("heads" if "feed" in key else "neurons") and "block" not in key:
            continue  # it is not looked at
        with pytest.raises(ConfigError, match="cannot be pruned|removes nothing"):
            tuned(tuner, tmp_path / "job", WRITER, {"lies.gguf": tmp_path / "lies.gguf"})


@pytest.mark.parametrize("share", [0, 1.0, -0.1, 2])
def test_shares_are_between_nothing_and_all(share: float) -> None:
    with pytest.raises(ValidationError):
        PruneTuner.Config(share=share)


@pytest.mark.slow
def test_it_stands_beside_its_parent(tmp_path: Path) -> None:
    source = write_llama(tmp_path / "tiny.gguf")
    made = tuned(QuantizeTuner(QuantizeTuner.Config(type="q8_0")), tmp_path / "job", WRITER, {"tiny.gguf": source})
    found = {**made.measured, **made.observed}
    assert found["parent_bytes"] == source.stat().st_size
    assert found["bytes"] / found["parent_bytes"] == pytest.approx(found["share"], rel=1e-3)
    assert found["perplexity"] == pytest.approx(found["parent_perplexity"], rel=0.02)
    assert found["tokens_per_second"] > 0
    assert found["agreement"] > 0.5


@pytest.mark.slow
def test_weights_that_are_no_numbers_are_called_damaged(tmp_path: Path) -> None:
    made = write_llama(tmp_path / "made.gguf", output_norm__weight=np.full(64, np.nan))
    with pytest.raises(EngineError, match="its weights are damaged"):
        beside.compare_gguf(made, made, beside.asked_of(Nothing(tmp_path, (), None, {}), ()))


def test_without_room_for_the_parent_the_made_one_is_measured_alone(tmp_path: Path) -> None:
    made = write_llama(tmp_path / "made.gguf")
    (tmp_path / "parent.gguf").write_bytes(b"GGUF")  # whatever keeps it from loading
    found = beside.compare_gguf(tmp_path / "parent.gguf", made, beside.asked_of(Nothing(tmp_path, (), None, {}), ()))
    assert found.keys() == {"perplexity", "tokens_per_second"}
    with pytest.raises(EngineError):
        beside.compare_gguf(made, tmp_path / "parent.gguf", [])


# -- encoders ----------------------------------------------------------------------------------------------------------


def vectors(files: Mapping[str, Path], texts: list[str], **options: Any) -> np.ndarray:
    async def embed() -> np.ndarray:
        engine = OnnxEngine(OnnxConfig(**{**EMBEDDER.options, **options}), files=files)
        try:
            return await engine.embed(texts)
        finally:
            await engine.close()

    return asyncio.run(embed())


TEXTS = ["which ship is number 7 ?", "第 3 号", "ship ship ship"]


@pytest.mark.parametrize("kind", ["int8", "int8_static"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_int8_graphs_are_loaded_and_say_nearly_the_same(tmp_path: Path, kind: Any, pooling: str) -> None:
    files = write_encoder(tmp_path / "encoder", pooling)
    made = tuned(QuantizeTuner(QuantizeTuner.Config(type=kind)), tmp_path / "job", EMBEDDER, files)
    assert set(made.files) == {"model.onnx", "config.json", "tokenizer.json"}
    assert (made.kind, made.engine) == ("model", "onnx")
    cosines = (vectors(files, TEXTS) * vectors(made.files, TEXTS)).sum(axis=1)
    assert cosines.min() > 0.97
    assert made.observed["cosine"] > 0.97
    assert made.measured.keys() == {"bytes", "parent_bytes", "share"}, "what is the same wherever it is made"
    assert made.observed.keys() == {"cosine", "least_cosine", "texts_per_second", "parent_texts_per_second"}


def test_an_encoder_without_what_says_nothing_says_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    changed: dict[str, np.ndarray] = {}
    for layer in range(2):
        down = rng.normal(0, 0.3, (32, 64)).astype(np.float32)
        down[:, rng.permutation(64)[:32]] *= 1e-5
        changed[f"encoder__layer__{layer}__output__dense__weight"] = down
        out = rng.normal(0, 0.3, (32, 32)).astype(np.float32)
        out[:, 8:16] *= 1e-5
        changed[f"encoder__layer__{layer}__attention__output__dense__weight"] = out
    files = write_encoder(tmp_path / "encoder", "cls", **changed)
    for options in ({"share": 0.5}, {"share": 0.5, "by": "activations"}, {"method": "heads", "share": 0.25}):
        made = tuned(
            PruneTuner(PruneTuner.Config(**options)), tmp_path / "-".join(map(str, options.values())), EMBEDDER, files
        )
        assert (vectors(files, TEXTS) * vectors(made.files, TEXTS)).sum(axis=1).min() > 0.9999, options
        assert made.measured["share"] < 0.95
        assert made.observed["cosine"] > 0.999
    weights = load_file(made.files["model.safetensors"])
    assert weights["encoder.layer.0.attention.self.query.weight"].shape == (24, 32)


def test_small_weights_of_an_encoder(tmp_path: Path) -> None:
    files = write_encoder(tmp_path / "encoder")
    made = tuned(PruneTuner(PruneTuner.Config(method="magnitude", share=0.25)), tmp_path / "job", EMBEDDER, files)
    assert made.measured["zero_share"] == pytest.approx(0.25, abs=0.01)
    assert 0.8 < made.observed["cosine"] < 0.9999


@pytest.mark.parametrize(
    ("tuner", "said"),
    [
        (QuantizeTuner(QuantizeTuner.Config(type="int8_static")), "calibrated on texts of train, and there are none"),
        (PruneTuner(PruneTuner.Config(by="activations")), "seen on texts of train, and there are none"),
        (QuantizeTuner(QuantizeTuner.Config(type="q8_0")), "is not one GGUF file"),
    ],
)
def test_encoders_that_cannot_be_made_smaller_so(tmp_path: Path, tuner: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        tuner.tune(Nothing(tmp_path / "job", ("train",), EMBEDDER, write_encoder(tmp_path / "encoder")))
    assert caught.value.hint


def test_int8_is_of_encoders_only(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no sentence encoder"):
        tuned(
            QuantizeTuner(QuantizeTuner.Config(type="int8")), tmp_path / "job", WRITER,
            {"tiny.gguf": write_llama(tmp_path / "tiny.gguf")},
        )  # fmt: skip


def test_a_graph_that_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    files = write_encoder(tmp_path / "encoder")
    del files["model.safetensors"]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])])  # fmt: skip
    onnx.save(helper.make_model(graph, ir_version=9), str(tmp_path / "model.onnx"))
    files["model.onnx"] = tmp_path / "model.onnx"
    with pytest.raises(EngineError, match="is no graph of a sentence encoder made by Slipway"):
        vectors(files, TEXTS)
    (tmp_path / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(EngineError, match="could not be loaded"):
        vectors(files, TEXTS)
