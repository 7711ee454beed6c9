"""Classifiers without a language model: fitted, calibrated, saved, read again; and the contracts of their plug-ins."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from slipway.builtin.classifiers import calibrating, fitting
from slipway.builtin.classifiers.classifier import FILE, Classifier, Header, load
from slipway.builtin.classifiers.features import Vocabulary, centre_of, centred, grams
from slipway.builtin.classifiers.preparing import AbstainConfig
from slipway.builtin.tuners.majority import MajorityTuner
from slipway.builtin.tuners.nearest import NearestTuner
from slipway.builtin.tuners.probe import ProbeTuner
from slipway.core.candidate import ModelPin
from slipway.core.material import Example
from slipway.errors import ConfigError, IntegrityError
from slipway.testing.strategies import StrategyContract
from slipway.testing.tuners import Job, TunerContract

BASE = ModelPin(name="embedder", engine="echo", source="")
TEXTS = {
    "billing": ("I was charged twice", "The invoice is wrong", "Send me a receipt for the payment", "账单多扣了钱", "发票不对", "请开收据"),
    "delivery": ("The parcel is late", "Where is my package", "The courier went to the wrong door", "包裹晚到了", "快递在哪里", "送错了地址"),
    "login": ("The password is refused", "My account is locked", "I cannot log in to the account", "密码不对", "账号被锁", "登录不了账号"),
}  # fmt: skip


class Given(Job):
    """A job with examples of its own."""

    given: list[Example]

    def examples(self, split: Any) -> list[Example]:
        return [example for example in self.given if example.split == split]


def job(folder: Path, train: int = 5, times: int = 4, base: ModelPin | None = None, labels: Any = TEXTS) -> Given:
    found = Given(folder, ("train", "dev"), base, {})
    found.given = [
        Example(input={"text": f"{text} {n}"}, expected=(label,), split="train" if at < train else "dev")
        for label, texts in labels.items()
        for at, text in enumerate(texts)
        for n in range(times)
    ]
    return found


class TestProbe(TunerContract):
    def make_tuner(self) -> ProbeTuner:
        return ProbeTuner(ProbeTuner.Config())


class TestProbeWithoutAModel(TunerContract):
    base = None

    def make_tuner(self) -> ProbeTuner:
        return ProbeTuner(ProbeTuner.Config(strength=4))


class TestNearest(TunerContract):
    def make_tuner(self) -> NearestTuner:
        return NearestTuner(NearestTuner.Config())


class TestMajority(TunerContract):
    base = None

    def make_tuner(self) -> MajorityTuner:
        return MajorityTuner(MajorityTuner.Config())


def _ships() -> bytes:
    header = Header(kind="linear", labels=("first", "second"), threshold=0.2)
    counted = [grams("第1号"), grams("What is the number of ship 2?")]
    vocabulary = Vocabulary.of(counted, 1)
    weights = np.random.default_rng(1).standard_normal((len(vocabulary.codes), 2)).astype(np.float16)
    arrays = {"bias": np.zeros(2, np.float32), "codes": vocabulary.codes, "idf": vocabulary.idf, "grams": weights}
    with tempfile.TemporaryDirectory() as folder:
        Classifier(header, arrays).save(Path(folder) / FILE)
        return (Path(folder) / FILE).read_bytes()


class TestClassifier(StrategyContract):
    strategy = "classifier"
    files: ClassVar = {FILE: _ships()}


@pytest.mark.parametrize(("tuner", "base"), [(ProbeTuner, None), (ProbeTuner, BASE), (NearestTuner, None)])
def test_what_is_learned_in_two_languages_without_an_encoder_that_reads_them(
    tmp_path: Path, tuner: Any, base: ModelPin | None
) -> None:
    made = tuner(tuner.Config()).tune(job(tmp_path, base=base))
    assert made.kind == "classifier"
    found = load(made.files[FILE])
    asked = job(tmp_path, base=base)
    texts = ["please send the receipt", "where is the parcel?", "locked account", "发票的账单", "快递包裹", "登录密码"]
    shares = found.probabilities(texts, asked.vectors(texts))
    assert [found.header.labels[n] for n in shares.argmax(axis=1)] == ["billing", "delivery", "login"] * 2
    assert np.allclose(shares.sum(axis=1), 1)
    assert found.header.dimension == (8 if base else 0)
    alone = found.probabilities(texts[2:3], asked.vectors(texts[2:3]))
    assert (alone[0] == shares[2]).all(), "a text gets the same numbers whatever is asked beside it"


class Narrow(Given):
    """Vectors of an encoder to which all texts are near: one direction has three quarters of each."""

    def vectors(self, texts: Any) -> Any:
        given = super().vectors(texts)
        return np.hstack([given * 0.5, np.full((len(given), 1), 0.75**0.5)]).astype(np.float32)


@pytest.mark.parametrize("tuner", [ProbeTuner, NearestTuner])
def test_an_encoder_to_which_all_texts_are_near_tells_labels_apart_as_well(tmp_path: Path, tuner: Any) -> None:
    rng = np.random.default_rng(5)
    words = [f"w{n}" for n in range(400)]
    plain = {"a": words[:200], "b": words[200:]}  # of random vectors nothing can be learnt but what is learnt by heart
    given = job(tmp_path, train=200, times=1, base=BASE, labels=plain)
    narrow = Narrow(tmp_path, ("train", "dev"), BASE, {})
    narrow.given = given.given
    texts = [str(one) for one in rng.choice(words, 50, replace=False)]
    shares = []
    for one in (given, narrow):
        found = load(tuner(tuner.Config(ngrams=False)).tune(one).files[FILE])
        shares.append(found.probabilities(texts, one.vectors(texts))[:, 0])
    assert shares[1] == pytest.approx(shares[0], abs=0.01)


def test_vectors_are_read_from_their_centre() -> None:
    vectors = np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 0, 0]], np.float32)
    centre = centre_of(vectors)
    assert centre == pytest.approx([0.9, 0.3, 0])
    found = centred(vectors, centre)
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 1, 0])  # what the encoder cannot read stays nothing
    assert found[0] == pytest.approx(-found[1])
    assert (centred(vectors[1], centre) == found[1]).all()
    same = np.ones((2, 3), np.float32)
    assert not centred(same, centre_of(same)).any()
    assert centred(np.zeros((2, 0), np.float32), centre_of(np.zeros((2, 0), np.float32))).shape == (2, 0)


def test_a_classifier_that_was_made_without_a_centre_reads_as_it_was_made(tmp_path: Path) -> None:
    weights = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    arrays = {"bias": np.zeros(2, np.float32), "vectors": weights}
    Classifier(Header(kind="linear", labels=("a", "b"), dimension=2), arrays).save(tmp_path / FILE)
    found = load(tmp_path / FILE)
    assert found.scores("", np.array([0.6, 0.8], np.float32)) == pytest.approx([0.6, 0.8])


def test_the_file_holds_no_text_and_no_pickle(tmp_path: Path) -> None:
    made = ProbeTuner(ProbeTuner.Config(strength=1)).tune(job(tmp_path))
    with zipfile.ZipFile(made.files[FILE]) as file:
        held = b"".join(file.read(name) for name in file.namelist())
    assert b"receipt" not in held
    assert "发票".encode() not in held
    bad = tmp_path / "bad.npz"
    with zipfile.ZipFile(bad, "w") as file:
        header = b'{"kind":"linear","labels":["a","b"]}'
        file.writestr("header.json", header)
        array = io.BytesIO()
        np.save(array, np.array([object()]), allow_pickle=True)
        file.writestr("bias.npy", array.getvalue())
    for path in (bad, Path(__file__), tmp_path / "none.npz"):
        with pytest.raises(IntegrityError, match="no classifier"):
            load(path)


def test_the_regression_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(3)
    vectors = draw.standard_normal((200, 10)).astype(np.float32)
    classes = (vectors @ draw.standard_normal((10, 4)) + draw.gumbel(size=(200, 4))).argmax(axis=1).astype(np.int32)
    features = fitting.Features(vectors[:, :6].copy(), csr_matrix(vectors[:, 6:]))
    weights = fitting.fit(features, classes, 4, 2.0)
    theirs = LogisticRegression(C=2.0, max_iter=1000, tol=1e-8).fit(vectors, classes).predict_proba(vectors)
    scores = weights.scores(features)
    ours = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert np.abs(ours - theirs).max() < 0.01


def test_the_strength_that_is_chosen_is_the_one_that_generalises() -> None:
    draw = np.random.default_rng(5)
    vectors = draw.standard_normal((300, 60)).astype(np.float32)
    noisy = ((vectors[:, 0] + 2 * draw.standard_normal(300)) > 0).astype(np.int32)
    features = fitting.Features(vectors, csr_matrix((300, 0), dtype=np.float32))
    told: list[tuple[int, int]] = []
    strength, share = fitting.choose_strength(features, noisy, 2, 1, lambda *one: told.append(one))
    assert strength == min(fitting.STRENGTHS)
    assert 0.5 < share < 0.85
    assert told[-1] == (20, 20)


def test_one_label_or_none_is_nothing_to_learn(tmp_path: Path) -> None:
    for labels in ({}, {"billing": TEXTS["billing"]}):
        for tuner in (ProbeTuner, NearestTuner, MajorityTuner):
            with pytest.raises(ConfigError, match="no example of train has a label|nothing to learn"):
                tuner(tuner.Config()).tune(job(tmp_path, labels=labels))
    with pytest.raises(ConfigError, match="nothing to classify by"):
        ProbeTuner(ProbeTuner.Config(ngrams=False)).tune(job(tmp_path))


def test_a_label_with_one_example_and_spellings(tmp_path: Path) -> None:
    labels = {**TEXTS, "rare": ("The zebra sings", *["zebra"] * 5), "LOGIN": ("password lost", *["account"] * 5)}
    given = job(tmp_path, times=1, labels=labels)
    given.given = [e for e in given.given if e.expected[0] not in ("rare", "LOGIN") or "zebra sings" in e.text
                   or "lost" in e.text]  # fmt: skip
    made = ProbeTuner(ProbeTuner.Config()).tune(given)
    found = load(made.files[FILE])
    assert found.header.labels == ("billing", "delivery", "login", "rare")
    assert found.probabilities(["a zebra sings"], np.zeros((1, 0), np.float32))[0].argmax() == 3


def test_many_labels_are_fitted_with_fewer_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.builtin.tuners.probe.MOST_WEIGHTS", 3000)
    labels = {f"label {n}": (f"word{n} of text", f"text with word{n}") for n in range(60)}
    made = ProbeTuner(ProbeTuner.Config(strength=16)).tune(job(tmp_path, train=1, times=2, labels=labels))
    assert len(load(made.files[FILE]).arrays["codes"]) == 50


def test_a_temperature_makes_the_confidence_a_share() -> None:
    draw = np.random.default_rng(2)
    scores = 8 * draw.standard_normal((4000, 3))
    truth = (scores / 4 + draw.gumbel(size=scores.shape)).argmax(axis=1)

    def confident(at: float) -> Any:
        shares = np.exp((scores - scores.max(axis=1, keepdims=True)) / at)
        shares /= shares.sum(axis=1, keepdims=True)
        return shares.max(axis=1), shares.argmax(axis=1) == truth

    found = calibrating.temperature(confident, 0.05, 20.0)
    assert found == pytest.approx(4, rel=0.1)
    assert calibrating.calibration_error(*confident(found)) < 0.02 < calibrating.calibration_error(*confident(1.0))


def test_a_threshold_for_a_risk_and_for_a_coverage() -> None:
    confidence = np.array([0.9, 0.8, 0.8, 0.7, 0.6, 0.5])
    right = np.array([True, True, False, True, True, False])

    def of(risk: float | None = None, coverage: float | None = None) -> tuple[int, int]:
        answered = confidence >= calibrating.threshold(confidence, right, risk, coverage)
        return int(answered.sum()), int((answered & ~right).sum())

    assert of(risk=0.0) == (1, 0)
    assert of(risk=0.2) == (5, 1)
    assert of(risk=0.5) == (6, 2)
    assert of(coverage=0.3) == (3, 1), "equal confidences go together"
    assert of(coverage=1.0) == (6, 2)
    wrong = np.zeros(6, bool)
    assert (confidence >= calibrating.threshold(confidence, wrong, 0.1, None)).sum() == 0


def test_options_of_abstaining(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give one of"):
        AbstainConfig(risk=0.1, coverage=0.5)
    with pytest.raises(ConfigError, match="10 labelled examples of dev"):
        ProbeTuner(ProbeTuner.Config(risk=0.1)).tune(job(tmp_path, train=6))
    made = ProbeTuner(ProbeTuner.Config(coverage=0.5)).tune(job(tmp_path, train=3))
    assert 0.5 <= made.measured["dev_coverage"] < 1
    assert load(made.files[FILE]).header.threshold == made.measured["threshold"]


def test_features_of_any_text() -> None:
    assert grams("") == grams("!!!") == {}
    assert grams("Straße") == grams("STRASSE")
    assert set(grams("发票不对")) & set(grams("发票"))
    assert len(grams("a" * 1_000_000)) < 100
    vocabulary = Vocabulary.of([grams("known words")], 1)
    at, values = vocabulary.row(grams("unrelated 发票"))
    assert len(at) == len(values) == 0
    assert vocabulary.matrix([]).shape == (0, len(vocabulary.codes))


def test_a_threshold_answers_nothing_that_is_not_sure_at_all_with_the_rest() -> None:
    confidence, right = np.array([0.9, 0.8, 0.0]), np.array([True, True, False])
    answered = confidence >= calibrating.threshold(confidence, right, 0.1, None)
    assert answered.tolist() == [True, True, False]
