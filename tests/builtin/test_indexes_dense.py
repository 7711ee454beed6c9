"""The index of vectors: the contract, exact and with inverted lists, and what is its own."""

from __future__ import annotations

import numpy as np
import pytest

from slipway.builtin.indexes.dense import FaissConfig, FaissIndex
from slipway.errors import ConfigError
from slipway.testing.indexes import IndexContract, passage, vectors_of


class TestExact(IndexContract):
    def make_index(self):
        return FaissIndex()


class TestInvertedLists(IndexContract):
    """From the second passage on; filters and ties must be as right as in the exact one."""

    def make_index(self):
        return FaissIndex(FaissConfig(exact_up_to=1))


def clustered(count, dimension=64, seed=3):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(40, dimension))
    rows = centres[random.integers(0, 40, count)] + random.normal(size=(count, dimension)) * 0.6
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def many():
    rows = clustered(6000)
    return [passage(f"passage {n}", source=f"{n}.md", shelf=n % 50) for n in range(6000)], rows


def true_best(chunks, rows, asked, k, keep=lambda chunk: True):
    scored = [(float(row @ asked), chunk.id) for chunk, row in zip(chunks, rows, strict=True) if keep(chunk)]
    return [name for _, name in sorted(scored, key=lambda pair: (-pair[0], pair[1]))[:k]]


def test_exact_is_exact(many):
    chunks, rows = many
    index = FaissIndex()
    index.add(chunks, rows)
    for asked in clustered(20, seed=4):
        assert [name for name, _ in index.search("", asked, 10)] == true_best(chunks, rows, asked, 10)


@pytest.mark.slow
def test_inverted_lists_find_nearly_all_and_filtered_ones_exactly(many):
    chunks, rows = many
    index = FaissIndex(FaissConfig(exact_up_to=2000))
    for start in range(0, 6000, 1500):
        index.add(chunks[start : start + 1500], rows[start : start + 1500])
    assert index._trained_on
    found = 0
    for asked in clustered(50, seed=4):
        found += len(set(true_best(chunks, rows, asked, 10)) & {name for name, _ in index.search("", asked, 10)})
        filtered = [name for name, _ in index.search("", asked, 3, {"shelf": 7})]
        # 8-bit codes may swap near neighbours; what is found must be among the very best that match
        assert set(filtered) <= set(true_best(chunks, rows, asked, 5, lambda chunk: chunk.meta["shelf"] == 7))
    assert found / 500 > 0.95


def test_growing_over_the_limit_and_deleting_keeps_answers_right(many):
    chunks, rows = many
    index = FaissIndex(FaissConfig(exact_up_to=500))
    index.add(chunks[:400], rows[:400])
    index.add(chunks[400:3000], rows[400:3000])
    index.delete([chunk.id for chunk in chunks[:1000]])
    assert len(index) == 2000
    left = {chunk.id for chunk in chunks[1000:3000]}
    for at in (1000, 1500, 2999):
        names = [name for name, _ in index.search("", rows[at], 20)]
        assert names[0] == chunks[at].id
        assert set(names) <= left


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (None, "needs vectors"),
        (np.zeros((1, 4), np.float32), "shape"),
        (np.zeros(8, np.float32), "shape"),
        (np.full((2, 4), np.nan, np.float32), "no numbers"),
    ],
)
def test_bad_vectors_are_refused(vectors, words):
    with pytest.raises(ConfigError, match=words):
        FaissIndex().add([passage("one"), passage("two")], vectors)


def test_another_embedder_is_noticed():
    index = FaissIndex()
    index.add([passage("one")], vectors_of(["one"]))
    with pytest.raises(ConfigError, match="dimensions"):
        index.search("one", np.ones(3, np.float32), 1)
    with pytest.raises(ConfigError, match="dimensions"):
        index.add([passage("two")], np.ones((1, 3), np.float32))
    with pytest.raises(ConfigError, match="needs a vector"):
        index.search("one", None, 1)
    with pytest.raises(ConfigError, match="no numbers"):
        index.search("one", np.full(512, np.inf, np.float32), 1)
