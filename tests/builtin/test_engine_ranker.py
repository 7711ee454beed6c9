"""The cross-encoder against an independent forward pass in numpy, and as what orders passages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import erf

from cross_encoder import HEADS, HIDDEN, POSITIONS, made
from slipway.builtin.engines.onnx import engine as engine_module
from slipway.builtin.engines.onnx.engine import OnnxConfig, OnnxEngine
from slipway.builtin.engines.onnx.ranker import RankerConfig, RankerEngine
from slipway.core.answer import Citation
from slipway.errors import EngineError
from slipway.runtime.rerank import by_model
from slipway.testing.engines import EngineContract

pytest.importorskip("onnxruntime")


@pytest.fixture(autouse=True)
def graphs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "cache_folder", tmp_path_factory.getbasetemp)


def forward(weights: dict[str, np.ndarray], kind: str, ids: list[int], types: list[int]) -> float:
    """The score of one pair, straight from Devlin et al. 2019."""

    def norm(x: Any) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)

    def linear(x: Any, name: str) -> Any:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    first = 0 if kind == "bert" else 1
    rows = weights["embeddings.token_type_embeddings.weight"]
    x = norm(
        weights["embeddings.word_embeddings.weight"][ids]
        + weights["embeddings.position_embeddings.weight"][first : first + len(ids)]
        + rows[np.minimum(types, len(rows) - 1)]
    )
    for layer in range(2):
        at = f"encoder.layer.{layer}"
        q, k, v = (
            linear(x, f"{at}.attention.self.{part}").reshape(len(ids), HEADS, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
        weight = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = ((weight / weight.sum(-1, keepdims=True)) @ v).transpose(1, 0, 2).reshape(len(ids), -1)
        x = norm(linear(mixed, f"{at}.attention.output.dense") + x)
        wide = linear(x, f"{at}.intermediate.dense")
        x = norm(linear(wide * 0.5 * (1 + erf(wide / math.sqrt(2))), f"{at}.output.dense") + x)
    inner, outer = ("pooler.dense", "classifier") if kind == "bert" else ("classifier.dense", "classifier.out_proj")
    return float(linear(np.tanh(linear(x[0], inner)), outer)[0])


class TestContract(EngineContract):
    capabilities = frozenset({"rank"})
    can_score = False

    @classmethod
    def make_engine(cls, request: pytest.FixtureRequest) -> RankerEngine:
        folder = request.getfixturevalue("tmp_path_factory").mktemp("ranker")
        return RankerEngine(RankerConfig(), name="judge", files=made(folder / "m", "bert")[0])


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta"])
async def test_scores_equal_an_independent_forward_pass(tmp_path: Path, kind: str) -> None:
    from tokenizers import Tokenizer

    files, weights = made(tmp_path / "m", kind)
    engine = RankerEngine(RankerConfig(precision="fp32"), name="judge", files=files)
    question, texts = "how much does the keel a", ["the keel weighs nine tonnes", "a b c", "", "d " * 200]
    got = await engine.rank(question, texts)
    tokenizer = Tokenizer.from_file(str(files["tokenizer.json"]))
    most = POSITIONS - (0 if kind == "bert" else 1)
    for score, text in zip(got, texts, strict=True):
        pair = tokenizer.encode(question, text)
        ids, types = pair.ids, pair.type_ids
        if len(ids) > most:  # the end of the text is cut, the mark that ends it stays
            ids, types = [*ids[: most - 1], ids[-1]], [*types[: most - 1], types[-1]]
        assert score == pytest.approx(forward(weights, kind, ids, types), abs=1e-4)
    assert await engine.rank(question, []) == []
    assert await engine.rank(question, texts[:1]) == got[:1]  # alone as among others
    await engine.close()


async def test_int8_is_used_where_it_orders_alike_and_else_fp32_and_it_is_said(tmp_path: Path) -> None:
    files, _ = made(tmp_path / "m", "bert")
    told: list[str] = []
    engine = RankerEngine(RankerConfig(), files=files, on_event=lambda event, details: told.append(event))
    await engine.start()
    exact = RankerEngine(RankerConfig(precision="fp32"), files=files)
    texts = ["the keel weighs nine tonnes", "a b c d e", "nine a", "it does the d e f"]
    quick, slow = await engine.rank("how much", texts), await exact.rank("how much", texts)
    if engine.precision == "int8":
        assert told == []
        assert np.corrcoef(quick, slow)[0, 1] > 0.95
    else:
        assert told == ["precision"]
        assert quick == slow


async def test_what_cannot_rank_is_refused_with_what_can(tmp_path: Path) -> None:
    files, _ = made(tmp_path / "three", "bert", labels=3)
    with pytest.raises(EngineError, match="one number"):
        await RankerEngine(RankerConfig(), files=files).start()
    files, _ = made(tmp_path / "one", "bert")
    encoder = OnnxEngine(OnnxConfig(precision="fp32"), files=files)
    assert not hasattr(encoder, "rank")
    assert (await encoder.embed(["a b"])).shape == (1, HIDDEN)  # its encoder is one all the same
    with pytest.raises(EngineError, match=r"safetensors"):
        await RankerEngine(RankerConfig(), files={}).start()


class _Longest:
    """Ranks longer texts higher."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def rank(self, question: str, texts: Sequence[str]) -> list[float]:
        self.seen += texts
        return [float(len(text)) for text in texts]


async def test_passages_come_in_the_order_of_the_model_with_their_headings_read() -> None:
    def passage(chunk: str, text: str, *path: str) -> Citation:
        return Citation(chunk=chunk, source="a.md", path=path, start=0, end=1, text=text, score=1.0)

    model = _Longest()
    given = [passage("1", "aa"), passage("2", "aaaa"), passage("3", "aa"), passage("4", "a", "Keel", "Weight")]
    assert [p.chunk for p in await by_model("how?", given, model)] == ["4", "2", "1", "3"]
    assert model.seen[3] == "Keel > Weight\na"
    assert await by_model("how?", [], model) == ()
