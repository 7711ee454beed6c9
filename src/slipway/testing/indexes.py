"""The contract that every index passes. Subclass it in a test file:

    class TestMyIndex(IndexContract):
        def make_index(self):
            return MyIndex(MyIndex.Config())

Passages get vectors made of their words, so that the same expectations hold for dense and lexical indexes. The suite
owns no index.
"""

# ruff: noqa: D102 -- the name of a test says what it tests

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from slipway.core.material import Chunk
from slipway.errors import IntegrityError
from slipway.text.words import cjk_bigrams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slipway.core.protocols import Index, Vectors

DIMENSION = 512
TEXTS = (
    "The harbour master keeps a log of every ship that enters.",
    "Apples and pears are harvested in September.",
    "A gate compares the challenger with the champion.",
    "如何重置我的密码？请打开设置页面。",
    "发票应在三十天内付清，逾期加收费用。",
    "每六个月更换一次滤芯。",
)


def passage(text: str, source: str = "a.md", language: str = "en", **meta: Any) -> Chunk:
    """A passage that holds all of its source."""
    return Chunk(source=source, path=(), start=0, end=len(text), text=text, language=language, meta=meta)


def vectors_of(texts: Sequence[str]) -> Vectors:
    """Unit vectors of hashed words, [len(texts), DIMENSION]: texts that share words are near."""
    rows = np.zeros((len(texts), DIMENSION), np.float32)
    for row, text in zip(rows, texts, strict=True):
        row[0] = 1e-3
        for word in cjk_bigrams(text):
            row[1 + int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") % (DIMENSION - 1)] += 1
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class IndexContract:
    """What every index does alike. Override `make_index`."""

    def make_index(self) -> Index:
        """A new, empty index."""
        raise NotImplementedError

    def filled(self, chunks: Sequence[Chunk]) -> Index:
        index = self.make_index()
        index.add(chunks, vectors_of([chunk.text for chunk in chunks]))
        return index

    def ids(self, index: Index, text: str, k: int = 3, **filters: Any) -> list[str]:
        return [name for name, _ in index.search(text, vectors_of([text])[0], k, filters or None)]

    @pytest.mark.parametrize("text", TEXTS)
    def test_a_passage_is_found_by_its_words(self, text: str) -> None:
        chunks = [passage(one) for one in TEXTS]
        wanted = chunks[TEXTS.index(text)].id
        assert self.ids(self.filled(chunks), text, 1) == [wanted]
        assert self.ids(self.filled(chunks), text[: len(text) // 2], 1) == [wanted]

    def test_best_first_and_no_more_than_k(self) -> None:
        index = self.filled([passage(text) for text in TEXTS])
        found = index.search("the ship and the gate", vectors_of(["the ship and the gate"]), 2)
        assert len(found) == 2
        assert found[0][1] >= found[1][1]
        assert all(isinstance(score, float) for _, score in found)

    def test_empty_index(self) -> None:
        index = self.make_index()
        assert self.ids(index, "anything") == []
        index.delete(["0123456789abcdef"])
        index.add([], vectors_of([]))
        assert self.ids(index, "anything") == []

    def test_k_beyond_the_size_and_k_zero(self) -> None:
        chunks = [passage(f"common word number{n}") for n in range(3)]
        index = self.filled(chunks)
        assert sorted(self.ids(index, "common word", 100)) == sorted(chunk.id for chunk in chunks)
        assert self.ids(index, "common word", 0) == []

    def test_ties_are_broken_by_id(self) -> None:
        chunks = [passage("the very same words", source=f"{n}.md") for n in range(60)]
        chunks += [passage(f"the other words of passage {n}", source=f"x{n}.md") for n in range(10)]
        best = sorted(chunk.id for chunk in chunks[:60])
        for order in (chunks, chunks[::-1]):
            index = self.filled(order)
            for k in (1, 5, 59):
                assert self.ids(index, "the very same words", k) == best[:k]

    def test_adding_again_replaces(self) -> None:
        chunks = [passage(text) for text in TEXTS]
        index = self.filled(chunks)
        index.add(chunks[:2], vectors_of(TEXTS[:2]))
        index.add([chunks[2], chunks[2]], vectors_of([TEXTS[2], TEXTS[2]]))
        for chunk in chunks:
            assert self.ids(index, chunk.text, 10).count(chunk.id) == 1

    def test_delete(self) -> None:
        chunks = [passage(text) for text in TEXTS]
        index = self.filled(chunks)
        index.delete([chunks[0].id, chunks[0].id, "ffffffffffffffff"])
        assert chunks[0].id not in self.ids(index, TEXTS[0], 10)
        assert self.ids(index, TEXTS[1], 1) == [chunks[1].id]
        index.add([chunks[0]], vectors_of([TEXTS[0]]))
        assert self.ids(index, TEXTS[0], 1) == [chunks[0].id]
        index.delete([chunk.id for chunk in chunks])
        assert self.ids(index, TEXTS[1], 10) == []

    def test_filters_are_equalities(self) -> None:
        chunks = [
            passage("shared words one", source="a.md", language="en", team="blue", year=2024, draft=False),
            passage("shared words two", source="b.md", language="en", team="red", year=2024),
            passage("shared words three", source="b.md", language="zh", team="red", year=2025, draft=True),
        ]
        index = self.filled(chunks)
        one, two, three = (chunk.id for chunk in chunks)
        for filters, wanted in (
            ({"source": "b.md"}, {two, three}),
            ({"language": "en"}, {one, two}),
            ({"team": "red", "year": 2024}, {two}),
            ({"year": "2024"}, set[str]()),
            ({"draft": False}, {one}),
            ({"draft": 0}, set[str]()),
            ({"team": "red\x1f"}, set[str]()),
            ({"unknown": "x"}, set[str]()),
            ({"team": "bl*"}, set[str]()),
            ({}, {one, two, three}),
        ):
            assert set(self.ids(index, "shared words", 10, **filters)) == wanted, filters

    def test_metadata_cannot_pass_for_a_field(self) -> None:
        index = self.filled([passage("shared words", source="a.md", language="en", language_="zh")])
        assert self.ids(index, "shared words", 3, language="zh") == []

    def test_a_selective_filter_gets_all_that_match(self) -> None:
        """Exactly the best of those that match, however bad they are among all."""
        chunks = [passage(f"needle needle needle {n}", source=f"{n}.md", rare=False) for n in range(300)]
        rare = [passage(f"needle in hay of many other words {n}", source=f"r{n}.md", rare=True) for n in range(4)]
        index = self.filled(chunks + rare)
        assert set(self.ids(index, "needle", 4, rare=True)) == {chunk.id for chunk in rare}
        assert self.ids(index, "needle", 3, source="r2.md") == [rare[2].id]

    def test_filters_follow_changes(self) -> None:
        chunk = passage("some words", team="blue")
        index = self.filled([chunk])
        index.delete([chunk.id])
        assert self.ids(index, "some words", 3, team="blue") == []
        index.add([chunk], vectors_of(["some words"]))
        assert self.ids(index, "some words", 3, team="blue") == [chunk.id]

    @pytest.mark.parametrize(
        "text",
        [
            '"',
            "a AND",
            "words:(",
            "+-!^~*?",
            "\\",
            "NOT",
            "[a TO b]",
            "",
            "   ",
            "\x00",
            "👍🏽",
            "a" * 20_000,
            "猫",
            "'; --",
        ],
    )
    def test_a_question_is_never_a_query_language(self, text: str) -> None:
        index = self.filled([passage(one) for one in TEXTS])
        assert len(self.ids(index, text)) <= 3

    def test_unicode_survives(self) -> None:
        chunk = passage("Ünïcode ﬁle 全角ＡＢＣ 👍🏽 \u0000 end", source="päth/文件.md", title="标题\x1f\n")
        index = self.filled([chunk, passage("something else")])
        assert self.ids(index, "全角ABC file", 1, title="标题\x1f\n") == [chunk.id]
        assert self.ids(index, "全角ABC file", 1, source="päth/文件.md") == [chunk.id]

    def test_saved_and_loaded_it_answers_the_same(self, tmp_path: Path) -> None:
        chunks = [passage(text, source=f"{n}.md", even=n % 2 == 0) for n, text in enumerate(TEXTS)]
        index = self.filled(chunks)
        index.delete([chunks[5].id])
        index.save(self.folder(tmp_path, "one"))
        again = self.make_index()
        again.load(str(tmp_path / "one"))
        for text in (*TEXTS, "the ships", "密码"):
            asked = vectors_of([text])
            assert again.search(text, asked, 4) == index.search(text, asked, 4)
            assert again.search(text, asked, 4, {"even": True}) == index.search(text, asked, 4, {"even": True})

    def test_what_was_loaded_can_be_changed_and_stays_as_saved(self, tmp_path: Path) -> None:
        chunks = [passage(text) for text in TEXTS]
        self.filled(chunks[:4]).save(self.folder(tmp_path, "one"))
        before = _bytes(tmp_path / "one")
        index = self.make_index()
        index.load(str(tmp_path / "one"))
        index.delete([chunks[0].id])
        index.add(chunks[4:], vectors_of(TEXTS[4:]))
        assert self.ids(index, TEXTS[4], 1) == [chunks[4].id]
        assert chunks[0].id not in self.ids(index, TEXTS[0], 9)
        assert _bytes(tmp_path / "one") == before
        index.save(self.folder(tmp_path, "two"))
        again = self.make_index()
        again.load(str(tmp_path / "two"))
        assert self.ids(again, TEXTS[4], 1) == [chunks[4].id]
        assert chunks[0].id not in self.ids(again, TEXTS[0], 9)

    def test_changed_then_saved_it_scores_like_one_made_new(self, tmp_path: Path) -> None:
        """An index is a cache: how it came about must not show."""
        chunks = [passage(f"{text} {n}") for n in range(6) for text in TEXTS]
        changed = self.filled(chunks)
        changed.delete([chunk.id for chunk in chunks[:20]])
        changed.save(self.folder(tmp_path, "one"))
        fresh = self.filled(chunks[20:])
        for text in TEXTS:
            got, wanted = (index.search(text, vectors_of([text]), 8) for index in (changed, fresh))
            assert [name for name, _ in got] == [name for name, _ in wanted]
            assert np.allclose([score for _, score in got], [score for _, score in wanted], atol=1e-4)

    def test_an_empty_index_can_be_saved(self, tmp_path: Path) -> None:
        self.make_index().save(self.folder(tmp_path, "one"))
        index = self.make_index()
        index.load(str(tmp_path / "one"))
        assert self.ids(index, "anything") == []
        index.add([passage(TEXTS[0])], vectors_of(TEXTS[:1]))
        assert self.ids(index, TEXTS[0], 1) == [passage(TEXTS[0]).id]

    def test_a_flipped_bit_or_a_lost_file_is_noticed(self, tmp_path: Path) -> None:
        self.filled([passage(text) for text in TEXTS]).save(self.folder(tmp_path, "one"))
        saved = _bytes(tmp_path / "one")
        for name, content in saved.items():
            path = tmp_path / "one" / name
            for damaged in (content[:-1], bytes([content[0] ^ 1]) + content[1:], None):
                path.unlink() if damaged is None else path.write_bytes(damaged)
                with pytest.raises(IntegrityError) as caught:
                    self.make_index().load(str(tmp_path / "one"))
                assert caught.value.hint
            path.write_bytes(content)
        self.make_index().load(str(tmp_path / "one"))

    def test_no_index_there(self, tmp_path: Path) -> None:
        for folder in (tmp_path, tmp_path / "nothing"):
            with pytest.raises(IntegrityError):
                self.make_index().load(str(folder))

    def folder(self, tmp_path: Path, name: str) -> str:
        (tmp_path / name).mkdir()
        return str(tmp_path / name)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
