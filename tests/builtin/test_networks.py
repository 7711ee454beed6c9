"""Networks that are trained here: what is served is what was trained."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import cross_encoder
from slipway.builtin.classifiers.classifier import FILE, Classifier, Header, load
from slipway.builtin.classifiers.network import GRAPH, Network, Reader, Reading
from slipway.builtin.classifiers.word_ids import FIRST, UNKNOWN, WordIds
from slipway.builtin.engines.onnx import graph
from slipway.builtin.engines.onnx.engine import read_tokenizer
from slipway.builtin.networks import graphs, parity
from slipway.builtin.networks.pairs import pairs
from slipway.builtin.tuners.bilstm import BiLstmTuner
from slipway.builtin.tuners.contrastive import ContrastiveTuner
from slipway.builtin.tuners.encoder import EncoderTuner
from slipway.builtin.tuners.textcnn import TextCnnTuner
from slipway.core.candidate import ModelPin
from slipway.core.material import Chunk, Example
from slipway.errors import ConfigError, IntegrityError, SlipwayError
from slipway.testing.strategies import StrategyContract
from slipway.testing.tuners import EXAMPLES, PASSAGES, Job, TunerContract

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


@pytest.mark.slow
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
    assert [network.scores(text) for text in ("", "账单多扣了钱", "\ud800")] == [None] * 3
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


@pytest.mark.slow
class TestBiLstm(TunerContract):
    base = None

    def make_tuner(self) -> BiLstmTuner:
        return BiLstmTuner(BiLstmTuner.Config(hidden=4, ngrams=True, **SMALL))


@pytest.mark.slow
class TestEncoder(TunerContract):
    base = ENCODER

    @pytest.fixture
    def files(self, tmp_path: Path) -> dict[str, Path]:
        return cross_encoder.made(tmp_path / "model", "bert", more=SHIPS)[0]

    def make_tuner(self) -> EncoderTuner:
        return EncoderTuner(EncoderTuner.Config(epochs=2, batch_size=8, threads=1))


@pytest.mark.slow
class TestContrastive(TunerContract):
    base = ENCODER

    @pytest.fixture
    def files(self, tmp_path: Path) -> dict[str, Path]:
        return cross_encoder.made(tmp_path / "model", "bert", more=SHIPS)[0]

    def make_tuner(self) -> ContrastiveTuner:
        return ContrastiveTuner(ContrastiveTuner.Config(batch_size=8, learning_rate=1e-3, threads=1))


def words_job(folder: Path, labels: dict[str, tuple[str, ...]], dev: bool = True) -> Any:
    job = Job(folder, ("train", "dev"), None, {})
    job.examples = lambda split: [  # type: ignore[method-assign]
        Example(input={"text": f"{text} {n}"}, expected=(label,), split=split)
        for label, texts in labels.items()
        for text in texts
        for n in range(6 if split == "train" else 4 if dev else 0)
    ]
    return job


PLACES = {"billing": ("the invoice is wrong", "账单多扣了钱"), "delivery": ("where is my parcel", "快递在哪里")}


def tuned(folder: Path, labels: Any, tuner: Any = TextCnnTuner, dev: bool = True, **more: Any) -> Any:
    config = tuner.Config(**{"epochs": 6, "batch_size": 4, "size": 16, "learning_rate": 0.02, "threads": 1, **more})
    return tuner(config).tune(words_job(folder, labels, dev))


@pytest.mark.parametrize("tuner", [TextCnnTuner, BiLstmTuner])
def test_english_and_chinese_are_learned_alike(tmp_path: Path, tuner: Any) -> None:
    made = tuned(tmp_path, PLACES, tuner)
    found = load(made.files[FILE], made.files)
    nothing = np.zeros((1, 0), np.float32)
    for text, label in (("invoice", 0), ("parcel", 1), ("账单", 0), ("快递", 1)):
        assert found.probabilities([text], nothing)[0].argmax() == label, text
    assert set(found.probabilities(["Покажите мой баланс"], nothing)[0]) == {0.5}
    assert made.measured["dev_accuracy"] == 1


def test_a_rare_label_and_no_dev(tmp_path: Path) -> None:
    made = tuned(tmp_path, {**PLACES, "rare": ("zebras sing",)}, dev=False, balanced=True)
    assert "dev_loss" not in made.measured
    assert load(made.files[FILE], made.files).header.labels == ("billing", "delivery", "rare")
    with pytest.raises(ConfigError, match="10 labelled examples of dev"):
        tuned(tmp_path / "risk", PLACES, dev=False, risk=0.1)
    with pytest.raises(ConfigError, match="nothing to learn"):
        tuned(tmp_path / "one", {"billing": PLACES["billing"]})


def test_a_base_that_is_no_encoder_and_a_script_that_it_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no sentence encoder"):
        EncoderTuner(EncoderTuner.Config()).tune(words_job(tmp_path / "none", PLACES))
    job = words_job(tmp_path / "job", PLACES)
    job.base, job.files = ENCODER, cross_encoder.made(tmp_path / "model", "bert")[0]
    with pytest.raises(ConfigError, match="can read no example of train"):
        EncoderTuner(EncoderTuner.Config()).tune(job)


def test_what_the_encoder_cannot_read_is_judged_by_counted_words(tmp_path: Path) -> None:
    job = words_job(tmp_path / "job", PLACES)
    known = ["the", "invoice", "is", "wrong", "where", "my", "parcel", "0", "1", "2", "3", "4", "5"]
    job.base, job.files = ENCODER, cross_encoder.made(tmp_path / "model", "bert", more=tuple(known))[0]
    made = EncoderTuner(EncoderTuner.Config(precision="int8", disagreement=0.5, threads=1, batch_size=4)).tune(job)
    found = load(made.files[FILE], made.files)
    assert made.measured["unread"] == 0.5
    assert made.measured["parity_cosine"] > 0.9
    shares = found.probabilities(["账单", "快递", "发生了什么"], np.zeros((3, 0), np.float32))
    assert shares[:2].argmax(axis=1).tolist() == [0, 1]
    assert shares[2].max() < shares[:2].max()


def test_a_network_that_says_something_else_than_the_trained_one_is_refused() -> None:
    class Turned:
        def scores(self, text: str) -> Any:
            return np.array([0.0, 1.0]) if text == "turned\x1b" else np.array([1.0, 0.0])

    trained = np.tile(np.array([1.0, 0.0], np.float32), (4, 1))
    texts, labels = ["a", "turned\x1b", "b", "c"], ["left", "right"]
    assert parity.compare(texts, trained, Turned(), labels, 0.25).differences == 0.25
    with pytest.raises(SlipwayError, match=r"1 of 4 .*'turned\\x1b': left / right"):
        parity.compare(texts, trained, Turned(), labels, 0.2)


def test_negatives_are_no_answers() -> None:
    class Small(Job):
        def passages(self) -> Any:
            said = ("The keel weighs nine tonnes.", "Nine tonnes is what the mast weighs.", "The keel is red.", "Fog.")
            return [Chunk(source=f"{n}.md", path=(), start=0, end=9, text=text) for n, text in enumerate(said)]

        def examples(self, split: Any) -> Any:
            asked = {"question": "How much does the keel weigh?"}
            return [Example(input=asked, expected=("nine tonnes",), relevant=("0.md",), split=split)]

    job = Small(Path("/tmp"), ("train", "dev"), ENCODER, {})
    (pair,) = pairs(job, job.passages(), "train", 3)
    assert (pair.positive, pair.relevant) == (0, {0})
    assert set(pair.negatives) == {2, 3}, "the second passage holds the answer"


def _network() -> dict[str, bytes]:
    """A network over the words of the contract's questions, with random weights."""
    draw = np.random.default_rng(4)
    words = WordIds.of([f"What is the number of ship {n}? 第{n}号" for n in range(12)], 32)
    weights = {"words.weight": draw.standard_normal((len(words), 4)).astype(np.float32)}
    for name, shape in {"filters.0": (6, 4, 2), "head": (2, 6)}.items():
        weights[f"{name}.weight"] = draw.standard_normal(shape).astype(np.float32)
        weights[f"{name}.bias"] = draw.standard_normal(shape[0]).astype(np.float32)
    header = Header(kind="network", labels=("first", "second"), reading=Reading(by="words", max_tokens=32))
    with tempfile.TemporaryDirectory() as folder:
        Classifier(header, {"words": words.codes}).save(Path(folder) / FILE)
        return {FILE: (Path(folder) / FILE).read_bytes(), GRAPH: graphs.textcnn(weights).SerializeToString()}


class TestNetwork(StrategyContract):
    strategy = "classifier"
    files: ClassVar = _network()


@pytest.mark.parametrize("damage", [{GRAPH: b"no graph"}, {}])
def test_a_damaged_network_is_told(tmp_path: Path, damage: dict[str, bytes]) -> None:
    files = {name: tmp_path / name for name in (FILE, *damage)}
    for name, path in files.items():
        path.write_bytes({**_network(), **damage}[name])
    with pytest.raises(IntegrityError, match="no network|lacks a part"):
        load(files[FILE], files)
