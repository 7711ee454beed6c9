"""Lines that occur on many pages of a site go; headings, code, tables and what a page has to itself stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.core.material import Chunk, Dataset, Document
from slipway.data.chunks import make_chunks
from slipway.data.documents import make_documents
from slipway.data.inspection import changes
from slipway.data.parsing import media
from slipway.data.parsing.blocks import Block, put_together
from slipway.data.repeated import drop_repeated
from slipway.project.data import DataConfig
from slipway.store.store import Store

SLOGAN = "Small. Fast.<br>Choose any three."


def write(root: Path, count: int, folder: str = "site", top: str = SLOGAN, extra: str = "") -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for n in range(count):
        own = "".join(f"<p>Sentence {m} of page {n} is about topic {n * 7 + m} and nothing else.</p>" for m in range(9))
        (root / folder / f"{n:03}.html").write_text(
            f"<title>Page {n}</title><body><p>{top}</p>{extra}<h2>Overview</h2>{own}<h2>See also</h2><p>Back to it.</p>"
        )


def make(root: Path, **clean: object) -> tuple[Store, Dataset, list[Document]]:
    store = Store(root / "state")
    config = DataConfig.model_validate({"documents": [{"path": "in", "base": "in"}], "clean": clean})
    made = make_documents(config, root, store)
    chunks = list(store.blobs.get_lines(make_chunks(config, made, store).items, Chunk))
    documents = list(store.blobs.get_lines(made.items, Document))
    by_source = {document.source: document for document in documents}
    for chunk in chunks:
        assert by_source[chunk.source].text[chunk.start : chunk.end] == chunk.text
    for document in documents:
        for section in document.sections:
            shown = document.text[section.start : section.end]
            assert shown == shown.strip()
            assert not section.path or shown.split("\n")[0].lstrip("# ") == section.path[-1]
    return store, made, documents


def test_what_every_page_says_goes_and_is_counted(tmp_path: Path) -> None:
    write(tmp_path / "in", 20)
    store, made, documents = make(tmp_path)
    assert made.counts["changed/repeated"] == 20
    for n, document in enumerate(documents):
        assert "Choose any three" not in document.text
        assert "Back to it" not in document.text
        assert document.text.count(f"of page {n} is about") == 9
        assert [s.path for s in document.sections] == [("Overview",), ("See also",)]  # headings stay
    (change, *_) = changes(made, store, "repeated")
    assert change.detail == "3 lines; 'Small. Fast.' stands on 20 pages"


@pytest.mark.parametrize("count", [2, 9])
def test_few_pages_are_no_evidence(tmp_path: Path, count: int) -> None:
    write(tmp_path / "in", count)
    _, made, documents = make(tmp_path)
    assert "changed/repeated" not in made.counts
    assert all("Choose any three" in document.text for document in documents)


def test_a_part_of_the_pages_counts_within_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "in", 12, "shop")
    for n in range(100):
        write(tmp_path / "in", 1, f"other{n}", top=f"This is site number {n}.", extra=f"<p>And its owner is {n}.</p>")
    _, made, documents = make(tmp_path)
    assert made.counts["changed/repeated"] == 112  # "Back to it." stands everywhere
    assert not any("Choose any three" in d.text for d in documents)
    assert all(f"This is site number {n}." in "".join(d.text for d in documents) for n in (0, 50, 99))


def test_it_is_part_of_removing_boilerplate(tmp_path: Path) -> None:
    write(tmp_path / "in", 20)
    _, made, documents = make(tmp_path, boilerplate=False)
    assert "changed/repeated" not in made.counts
    assert all("Choose any three" in document.text for document in documents)


def document(name: str, blocks: list[Block], kind: str = media.HTML) -> Document:
    text, sections, starts = put_together(blocks)
    return Document(source=name, text=text, media_type=kind, raw_sha256="", sections=sections, meta={"pages": starts})


def test_code_tables_headings_rows_and_the_middle_of_pages_stay() -> None:
    same = [
        Block("code", "```\nmake\n\nmake install\n```"),
        Block("table", "| a | b |\n| 1 | 2 |"),
        Block("heading", "Notes", 2),
    ]
    own = [[Block("text", f"Text {n} {m}.") for m in range(5)] for n in range(30)]
    warning = Block("text", "Stop the machine first.")
    pages = [document(f"{n}.html", [*same, *o, warning, *o, *same]) for n, o in enumerate(own)]
    assert drop_repeated(pages) == (pages, [])
    rows = [
        document(f"faq.csv/{n}", [Block("text", f"q {n}"), Block("text", "Ask support.")], media.CSV) for n in range(30)
    ]
    assert drop_repeated(rows) == (rows, [])


def test_a_page_that_says_nothing_else_stays_as_it_is_and_offsets_move_along() -> None:
    line = Block("text", "Part of the suite\nsince 1999")
    pages = [
        document(f"{n}.html", [line, Block("heading", "A", 1), Block("text", f"only {n}"), Block("heading", "B", 1)])
        for n in range(12)
    ]
    stub = document("stub.html", [Block("heading", "Nothing", 1), line])
    made, told = drop_repeated([*pages, stub])
    assert made[-1] == stub
    assert len(told) == 12
    assert made[0].text == "# A\n\nonly 0\n\n# B"
    assert [(s.path, made[0].text[s.start : s.end]) for s in made[0].sections] == [
        (("A",), "# A\n\nonly 0"), (("B",), "# B")
    ]  # fmt: skip
    assert made[0].meta["pages"] == [0, 0, 5, 13]
