"""Networks that are trained here: what is served is what was trained."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cross_encoder
from slipway.builtin.classifiers.network import Network, Reader, Reading
from slipway.builtin.classifiers.word_ids import FIRST, UNKNOWN, WordIds
from slipway.builtin.engines.onnx import graph
from slipway.builtin.engines.onnx.engine import read_tokenizer
from slipway.builtin.networks import graphs
from slipway.builtin.tuners.bilstm import BiLstmTuner
from slipway.builtin.tuners.contrastive import ContrastiveTuner
from slipway.builtin.tuners.encoder import EncoderTuner
from slipway.builtin.tuners.textcnn import TextCnnTuner
from slipway.core.candidate import ModelPin
from slipway.testing.tuners import EXAMPLES, PASSAGES, TunerContract

torch: Any = pytest.importorskip("torch", reason="torch is not installed: pip install 'slipway-ai[train]'")
pytest.importorskip("transformers", reason="transformers is not installed: pip install 'slipway-ai[train]'")

from slipway.builtin.networks import modules  # noqa: E402 -- only where torch is

torch.set_num_threads(1)
SMALL: Any = {"epochs": 2, "batch_size": 8, "size": 8, "threads": 1, "checkpoint_seconds": 0}
SAID = [*(example.text for example in EXAMPLES), *(passage.passage for passage in PASSAGES)]
SHIPS = tuple(word for text in SAID for word in re.findall(r"\w+|[^\w\s]+", text))
ENCODER = ModelPin(name="small", engine="onnx", source="")
TEXTS = ["one", "where is the parcel", "快递在哪里", "the invoice was charged twice 发票", "a b"]


@pytest.mark.parametrize("kind", ["textcnn", "bilstm"])
def test_what_is_served_is_what_was_trained_whatever_stands_beside_it(kind: str) -> None:
    torch.manual_seed(1)
    words = WordIds.of(TEXTS, 16)
    if kind == "textcnn":
        made: Any = modules.TextCnn(len(words), 3, 8, 5, (2, 3, 4), 0.5, 0.1)
    else:
        made = modules.BiLstm(len(words), 3, 8, 6, 0.5, 0.1)
    made.eval()
    content = getattr(graphs, kind)(modules.arrays(made)).SerializeToString()
    network = Network(Reader(Reading(by="words", max_tokens=16), words), content)
    with torch.no_grad():
        together = made(*modules.batch([words.read(text, 16) for text in TEXTS], made)).numpy()
    for text, row in zip(TEXTS, together, strict=True):
        alone = network.scores(text)
        assert alone is not None
        assert np.abs(alone - row).max() < 1e-5


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta"])
def test_an_encoder_of_transformers_and_our_graph_give_the_same_scores(tmp_path: Path, kind: str) -> None:
    files, weights = cross_encoder.made(tmp_path / "model", kind)
    config = json.loads(files["config.json"].read_text())
    torch.manual_seed(1)
    shape = graph.read_config(files)
    read = graph.read_weights([files["model.safetensors"]])
    made: Any = modules.Encoder(modules.pretrained(config, read, 0.1), 3, shape.hidden, "mean", shape.pad, 0.1)
    made.eval()
    content = graph.build(shape, modules.arrays(made), labels=True).SerializeToString()
    tokenizer = read_tokenizer(files)
    network = Network(Reader(Reading(by="tokens", max_tokens=12), None, tokenizer), content)
    texts = ["the keel weighs nine tonnes", "how much does it", "a " * 40]
    rows = [network.reader.read(text) for text in texts]
    assert [len(row or ()) for row in rows] == [7, 6, 12]
    with torch.no_grad():
        together = made(*modules.batch(rows, made)).numpy()
    for text, row in zip(texts, together, strict=True):
        alone = network.scores(text)
        assert alone is not None
        assert np.abs(alone - row).max() < 1e-4


def test_words_and_characters_are_known_alike() -> None:
    words = WordIds.of(["the parcel", "快递晚了"], 16)
    assert len(words) == FIRST + 2 + 4
    assert words.read("The PARCEL 快 zebra!", 16)[-1] == UNKNOWN
    assert words.read("The PARCEL 快", 16).count(UNKNOWN) == 0
    assert words.read("the " * 1000, 16) == words.read("the", 16) * 16
    assert words.read("...", 16) == []
    reader = Reader(Reading(by="words", max_tokens=16), words)
    assert [reader.read(text) for text in ("", "!!!", "Покажите мой баланс", "\ud800")] == [None] * 4
    assert reader.read("the баланс parcel") is not None


class TestTextCnn(TunerContract):
    base = None

    def make_tuner(self) -> TextCnnTuner:
        return TextCnnTuner(TextCnnTuner.Config(filters=4, **SMALL))


class TestBiLstm(TunerContract):
    base = None

    def make_tuner(self) -> BiLstmTuner:
        return BiLstmTuner(BiLstmTuner.Config(hidden=4, ngrams=True, **SMALL))


class TestEncoder(TunerContract):
    base = ENCODER

    @pytest.fixture
    def files(self, tmp_path: Path) -> dict[str, Path]:
        return cross_encoder.made(tmp_path / "model", "bert", more=SHIPS)[0]

    def make_tuner(self) -> EncoderTuner:
        return EncoderTuner(EncoderTuner.Config(epochs=2, batch_size=8, threads=1))


class TestContrastive(TunerContract):
    base = ENCODER

    @pytest.fixture
    def files(self, tmp_path: Path) -> dict[str, Path]:
        return cross_encoder.made(tmp_path / "model", "bert", more=SHIPS)[0]

    def make_tuner(self) -> ContrastiveTuner:
        return ContrastiveTuner(ContrastiveTuner.Config(batch_size=8, learning_rate=1e-3, threads=1))
