"""The index of words: the contract, and what is its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.builtin.indexes.lexical import TantivyConfig, TantivyIndex
from slipway.core.material import Chunk
from slipway.errors import IntegrityError
from slipway.testing.indexes import IndexContract, passage


class TestStemmed(IndexContract):
    def make_index(self):
        return TantivyIndex()


class TestUnstemmed(IndexContract):
    def make_index(self):
        return TantivyIndex(TantivyConfig(stem=False))


def found(index, text, k=5):
    return [name for name, _ in index.search(text, None, k)]


def test_english_is_stemmed_and_can_be_left_alone():
    chunk = passage("The deliveries were delayed.")
    for stem, wanted in ((True, [chunk.id]), (False, [])):
        index = TantivyIndex(TantivyConfig(stem=stem))
        index.add([chunk])
        assert found(index, "delivery delays") == wanted


def test_a_lone_chinese_character_finds_the_pairs_it_stands_in():
    chunks = [passage("一只小猫在睡觉"), passage("狗在院子里")]
    index = TantivyIndex()
    index.add(chunks)
    assert found(index, "猫") == [chunks[0].id]
    assert found(index, "狗") == [chunks[1].id]


def test_headings_count_as_words():
    chunk = Chunk(source="a.md", path=("Installing", "On Debian"), start=0, end=4, text="Run the script.")
    index = TantivyIndex()
    index.add([chunk, passage("Run the tests.")])
    assert found(index, "debian installation", 1) == [chunk.id]


def test_rare_words_weigh_more():
    chunks = [passage(f"the common word {n}") for n in range(20)] + [passage("the rarity")]
    index = TantivyIndex()
    index.add(chunks)
    assert found(index, "the rarity common", 1) == [chunks[-1].id]


def test_an_endless_question_is_bounded():
    index = TantivyIndex(TantivyConfig(max_terms=8))
    index.add([passage("needle")])
    assert found(index, " ".join(f"hay{n}" for n in range(8)) + " needle") == []
    assert len(found(index, "needle " + " ".join(f"hay{n}" for n in range(50_000)))) == 1


def test_its_temporary_folder_goes_with_it():
    index = TantivyIndex()
    index.add([passage("one")])
    assert found(index, "one")
    folder = Path(index._own)
    assert folder.is_dir()
    del index
    assert not folder.exists()


def test_another_setting_of_stem_is_another_index(tmp_path):
    index = TantivyIndex()
    index.add([passage("one")])
    index.save(str(tmp_path))
    with pytest.raises(IntegrityError, match="stem"):
        TantivyIndex(TantivyConfig(stem=False)).load(str(tmp_path))


def test_the_saved_folder_is_not_needed_after_loading(tmp_path):
    index = TantivyIndex()
    index.add([passage("one")])
    index.save(str(tmp_path))
    again = TantivyIndex()
    again.load(str(tmp_path))
    for path in tmp_path.iterdir():
        path.unlink()
    assert found(again, "one")
    again.add([passage("two")])
    assert found(again, "two")


def test_each_script_of_chinese_finds_the_other():
    texts = ["發票應在三十天內付清。", "密码在设置里修改。", "貓在睡覺。"]
    index = TantivyIndex()
    chunks = [passage(text) for text in texts]
    index.add(chunks)
    for asked, wanted in (("发票应在三十天内付清", 0), ("發票", 0), ("密碼在設置裡修改", 1), ("猫", 2), ("貓", 2)):
        assert found(index, asked, 1) == [chunks[wanted].id], asked
