"""Chunks: spans are exact, headings are never crossed, sizes hold, and nothing of the text is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.core.material import Chunk, Document
from slipway.data.chunks import chunks_of, make_chunks
from slipway.data.documents import make_documents
from slipway.data.parsing import media
from slipway.data.parsing.parse import Settings, parse_bytes
from slipway.data.spans import cut, weigh
from slipway.project.data import ChunkConfig, DataConfig
from slipway.store.store import Store


def document(text: str, kind: str = media.MARKDOWN) -> Document:
    item = parse_bytes(text.encode(), kind, Settings()).documents[0]
    return Document(
        source="d.md", text=item.text, media_type=kind, raw_sha256="", sections=item.sections, meta=item.meta
    )


def chunks(text: str, **config: int) -> list[Chunk]:
    made = document(text)
    found = list(chunks_of(made, ChunkConfig(**config)))
    for chunk in found:
        assert made.text[chunk.start : chunk.end] == chunk.text
        assert chunk.text == chunk.text.strip()
        assert chunk.text
    return found


def test_each_section_is_its_own_chunk_with_its_path() -> None:
    found = chunks("Before.\n\n# A\n\nIntro.\n\n## B\n\nShort.\n\n## C\n\nShort too.\n\n# D\n\nEnd.")
    assert [(chunk.path, chunk.text) for chunk in found] == [
        ((), "Before."),
        (("A",), "Intro."),
        (("A", "B"), "Short."),
        (("A", "C"), "Short too."),
        (("D",), "End."),
    ]
    assert found[2].passage == "A > B\nShort."


def test_a_heading_with_nothing_under_it_joins_what_follows() -> None:
    found = chunks("# A guide\n\n# B\n\ntext\n\n# C\n\n## D\n\nmore")
    assert [(c.path, c.text) for c in found] == [
        (("B",), "# A guide\n\n# B\n\ntext"),
        (("C", "D"), "more"),  # C has something under it: it stands in the path
    ]


def test_headings_at_the_end_join_the_last_chunk_and_headings_alone_are_one_chunk() -> None:
    assert [(c.path, c.text) for c in chunks("# A\n\ntext\n\n# B\n\n# C")] == [(("A",), "text\n\n# B\n\n# C")]
    assert [(c.path, c.text) for c in chunks("# A\n\n# B")] == [(("A",), "# A\n\n# B")]


def test_a_lone_heading_has_room_made_for_it() -> None:
    code = "```\n" + "\n".join(f"call({n});" for n in range(10)) + "\n```"
    assert len(code) < 110 < len(f"# Interface\n\n# Calls\n\n{code}")
    found = chunks(f"# Interface\n\n# Calls\n\n{code}", max_chars=110, min_chars=0)
    assert found[0].text.startswith("# Interface\n\n# Calls\n\n```\ncall(0);")
    assert all(len(c.text) <= 110 and c.path == ("Calls",) for c in found)


def test_lone_headings_that_do_not_fit_before_a_chunk_are_chunks_of_their_own() -> None:
    names = [f"function_number_{n}()" for n in range(20)]
    text = "\n\n".join(f"# {name}" for name in names) + "\n\n# Last\n\n" + "word " * 15
    found = chunks(text, max_chars=100, min_chars=0)
    assert all(len(c.text) <= 100 for c in found)
    assert [name for name in names if not any(f"# {name}" in c.text for c in found)] == []
    assert len(found) < 10  # several to a chunk
    assert found[-1].path == ("Last",)


def test_long_sections_are_cut_between_paragraphs_into_even_pieces() -> None:
    paragraphs = [f"Paragraph {n} " + "word " * 30 + "ends." for n in range(20)]
    found = chunks("# T\n\n" + "\n\n".join(paragraphs), max_chars=1000)
    assert all(weigh(chunk.text) <= 1000 for chunk in found)
    assert all(chunk.text.startswith("Paragraph") and chunk.text.endswith("ends.") for chunk in found)
    sizes = [len(chunk.text) for chunk in found]
    assert min(sizes) > 0.6 * max(sizes)
    assert "\n\n".join(chunk.text for chunk in found) == "\n\n".join(paragraphs)


def test_sentences_are_not_cut() -> None:
    sentences = [f"Dr. Smith said e.g. that sentence number {n} costs 3.50 euros. " for n in range(60)]
    found = chunks("# T\n\n" + "".join(sentences), max_chars=300)
    assert len(found) > 10
    assert all(chunk.text.startswith("Dr. Smith") and chunk.text.endswith("euros.") for chunk in found)


def test_chinese_counts_for_more_and_is_cut_at_its_full_stops() -> None:
    text = "".join(f"这是第{n}个句子，它讲述船只如何建造和下水。" for n in range(60))
    found = chunks("# 标题\n\n" + text, max_chars=500)
    assert all(len(chunk.text) <= 200 and weigh(chunk.text) <= 500 for chunk in found)
    assert all(chunk.text.endswith("。") for chunk in found)
    assert "".join(chunk.text for chunk in found) == text


def test_code_blocks_and_table_rows_stay_whole() -> None:
    code = "```python\n" + "\n\n".join(f"def f{n}():\n    return {n}" for n in range(12)) + "\n```"
    table = "\n".join(f"| name {n} | a value that is somewhat long {n} |" for n in range(40))
    filler = "Some words in front of it that take room. " * 8
    found = chunks(f"# T\n\n{filler}\n\n{code}\n\n{filler}\n\n{table}", max_chars=600)
    assert sum(code in chunk.text for chunk in found) == 1
    rows = [line for chunk in found for line in chunk.text.split("\n") if line.startswith("|")]
    assert rows == table.split("\n")


def test_code_that_is_too_long_is_cut_between_lines() -> None:
    lines = [f"line_{n} = compute({n}, 'with an argument')" for n in range(100)]
    found = chunks("# T\n\n```\n" + "\n".join(lines) + "\n```", max_chars=500)
    assert all(weigh(chunk.text) <= 500 for chunk in found)
    joined = [line for chunk in found for line in chunk.text.split("\n") if line.startswith("line_")]
    assert joined == lines


def test_overlap_repeats_the_end_of_the_chunk_before() -> None:
    sentences = "".join(f"Sentence number {n} says something about topic {n}. " for n in range(60))
    plain = chunks("# T\n\n" + sentences, max_chars=400)
    found = chunks("# T\n\n" + sentences, max_chars=400, overlap=120)
    assert [c.end for c in found] == [c.end for c in plain]
    for before, after in zip(found, found[1:], strict=False):
        assert 0 < before.end - after.start <= 120
        assert after.text.startswith("Sentence")


def test_pages_of_a_pdf_reach_the_chunks() -> None:
    made = Document(
        source="x.pdf", text="First page text.\n\nSecond page text.", media_type=media.PDF, raw_sha256="",
        meta={"pages": [0, 18], "team": "red"},
    )  # fmt: skip
    found = list(chunks_of(made, ChunkConfig(max_chars=100)))
    assert [chunk.meta for chunk in found] == [{"team": "red", "page": 1}]
    split = [piece.meta["page"] for piece in chunks_of(Document(
        source="x.pdf", text="a" * 90 + "\n\n" + "b" * 90, media_type=media.PDF, raw_sha256="", meta={"pages": [0, 92]}
    ), ChunkConfig(max_chars=100))]  # fmt: skip
    assert split == [1, 2]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["word ", "Sentence end. ", "\n", "\n\n", "```\n", "| a | b |\n", "中文字符，句子。", "x" * 150, "- item\n", "# "]), max_size=60).map("".join),
    st.integers(100, 400),
)  # fmt: skip
def test_any_text_is_cut_without_loss_within_the_limit(text: str, most: int) -> None:
    spans = cut(text, (0, len(text)), most)
    assert all(weigh(text[start:end]) <= most for start, end in spans)
    assert all(a[1] <= b[0] for a, b in zip(spans, spans[1:], strict=False))
    assert "".join("".join(text[s:e] for s, e in spans).split()) == "".join(text.split())


def test_a_line_of_many_megabytes_takes_seconds_not_hours() -> None:
    spans = cut("0123456789" * 300_000, (0, 3_000_000), 1200)
    assert len(spans) == 2500


def test_make_chunks_freezes_them_with_their_lineage(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    (tmp_path / "a.md").write_text("# A\n\nThis is a document in English with some words.\n\n## B\n\nAnd one more.")
    config = DataConfig.model_validate({"documents": [{"path": "a.md"}]})
    documents = make_documents(config, tmp_path, store)
    dataset = make_chunks(config, documents, store)
    found = list(store.blobs.get_lines(dataset.items, Chunk))
    assert [(c.source, c.path, c.language) for c in found] == [("a.md", ("A",), "en"), ("a.md", ("A", "B"), "en")]
    assert dataset.lineage == (documents.ref,)
    assert dataset.counts == {"language/en": 2}
    assert make_chunks(config, documents, store) == dataset


@pytest.mark.parametrize("name", ["en/data.md", "zh/data.md"])
def test_our_own_pages_lose_nothing(name: str) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / name
    made = document(page.read_text())
    found = list(chunks_of(made, ChunkConfig()))
    lost = made.text
    for chunk in reversed(found):
        lost = lost[: chunk.start] + lost[chunk.end :]
    assert all(line.startswith("#") for line in lost.split("\n") if line.strip())


def test_a_term_is_not_left_behind_by_what_explains_it() -> None:
    body = "It waits so long before it looks for a deadlock, which is enough for most. " * 3
    text = "\n\n".join(f"wait_{n} (integer)\n\nalso called pause_{n}\n\n{body.strip()}" for n in range(7))
    for most in range(300, 900, 20):
        pieces = [text[start:end] for start, end in cut(text, (0, len(text)), most)]
        assert "".join("".join(pieces).split()) == "".join(text.split())
        assert all(piece.startswith("wait_") and piece.endswith("most.") for piece in pieces)
    longer = f"wait (integer)\n\n{'word ' * 60}"  # the term does not fit beside what explains it
    start, end = cut(longer, (0, len(longer)), 302)[0]
    assert longer[start:end] == "wait (integer)"
