"""A passage shows the title of its document where its headings do not say it."""

from __future__ import annotations

from pathlib import Path

from slipway.core.material import Chunk
from slipway.data.chunks import make_chunks
from slipway.data.documents import make_documents
from slipway.data.titles import added, under
from slipway.project.data import DataConfig
from slipway.store.store import Store


def paths(tmp_path: Path, pages: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """The path of the first passage of each page."""
    for name, text in pages.items():
        (tmp_path / name).write_text(text, "utf-8")
    config = DataConfig.model_validate({"documents": [{"path": "*.html"}]})
    store = Store(tmp_path / "state")
    made = make_chunks(config, make_documents(config, tmp_path, store), store)
    chunks = list(store.blobs.get_lines(made.items, Chunk))
    return {chunk.source: chunk.path for chunk in reversed(chunks)}


def page(title: str, body: str) -> str:
    return f"<html><head><title>{title}</title></head><body>{body}</body></html>"


def test_pages_that_say_in_their_title_only_what_they_are_about(tmp_path: Path) -> None:
    text = "<p>Restarts the pump after the pressure has fallen below the limit.</p>"
    found = paths(
        tmp_path,
        {
            "a.html": page("RESTART", f"<h2>Description</h2>{text}"),
            "b.html": page("Stopping a pump", text.replace("Restarts", "Stops")),
            "c.html": page("Pressure", f"<h1>3.1. Pressure</h1>{text.replace('Restarts', 'Measures')}"),
        },
    )
    assert found == {
        "a.html": ("RESTART", "Description"),
        "b.html": ("Stopping a pump",),
        "c.html": ("3.1. Pressure",),
    }


def test_the_name_of_the_site_is_no_part_of_a_title(tmp_path: Path) -> None:
    pages = {
        f"{n}.html": page(f"Pump {n} - parts | Acme Help", f"<p>The pump number {n} is oiled every {n} weeks.</p>")
        for n in range(1, 7)
    }
    found = paths(tmp_path, pages)
    assert found["1.html"] == ("Pump 1 - parts",)
    assert len(set(found.values())) == 6


def test_a_title_that_most_pages_share_says_nothing(tmp_path: Path) -> None:
    pages = {
        f"{n}.html": page("文档中心", f"<h2>第 {n} 章</h2><p>水泵 {n} 每 {n} 周加一次油，不要忘记。</p>")
        for n in range(1, 7)
    }
    assert paths(tmp_path, pages)["3.html"] == ("第 3 章",)


def test_titles_that_are_texts_and_headings_that_hold_the_title() -> None:
    assert added({"a": "word " * 40}) == {}
    assert added({"a": "  "}) == {} or under("  ", ("A",)) == ("A",)
    assert under("git-log(1)", ("git-log(1) Manual Page", "OPTIONS")) == ("git-log(1) Manual Page", "OPTIONS")
    assert under("Overview of the log", ("Overview",)) == ("Overview of the log", "Overview")
    assert under("Locks - Manual", ("1. Locks",)) == ("Locks - Manual", "1. Locks")
    assert under("Locks", ()) == ("Locks",)
    assert under("", ("A",)) == ("A",)
    assert under("3.2. 锁", ("锁",)) == ("锁",)


def test_the_name_of_the_site_is_what_stands_behind_the_last_mark_of_a_title() -> None:
    titles = {f"{n}": f"Pump {n} - parts - Acme Help" for n in range(6)} | {"long": "a" + " " * 200_000 + "- b"}
    assert added(titles) == {f"{n}": f"Pump {n} - parts" for n in range(6)} | {"long": "a - b"}


def test_what_a_program_writes_as_a_title_is_none() -> None:
    junk = [
        "about:blank",
        "Untitled 3",
        "无标题",
        "Microsoft Word - Offer final.docx",
        "C:\\x\\Report v3.pdf",
        "https://a.example/b",
    ]
    assert added({f"{n}.pdf": title for n, title in enumerate(junk)}) == {}
    assert added({"a": "The untitled book", "b": "How to write a .docx file"}) == {
        "a": "The untitled book", "b": "How to write a .docx file",
    }  # fmt: skip
