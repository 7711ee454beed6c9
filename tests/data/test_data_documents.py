"""make_documents as a whole: what is collected, what stays, what is remembered, and that it is repeatable."""

from __future__ import annotations

import os
import random
import unicodedata
from pathlib import Path

import pytest

from slipway.core.material import Change, Dataset, Document
from slipway.data import documents as stage
from slipway.data.documents import make_documents
from slipway.data.shingles import jaccard, shingles, signature
from slipway.errors import ConfigError
from slipway.project.data import DataConfig
from slipway.store.store import Store

WORDS = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "omicron",
    "pi",
    "rho",
    "sigma",
    "tau",
]


def prose(seed: int, length: int = 200) -> str:
    chosen = random.Random(seed)
    return " ".join(chosen.choice(WORDS) + str(chosen.randrange(99)) for _ in range(length)) + "."


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "project" / "docs" / "deep" / "deeper").mkdir(parents=True)
    root = tmp_path / "project"
    (root / "docs/a.md").write_text("# A\n\nThe first document tells about ships and how they are built.\n")
    (root / "docs/deep/b.md").write_text("# B\n\nThe second document tells about harbours and their cranes.\n")
    (root / "docs/deep/deeper/c.html").write_text("<h1>C</h1><p>The third document tells about ropes and knots.</p>")
    (root / "docs/.hidden.md").write_text("# Hidden\n\nNo one should see this text at all.\n")
    return root


def make(root: Path, store: Store, *paths: object, **config: object) -> Dataset:
    entries = [path if isinstance(path, dict) else {"path": path} for path in paths]
    return make_documents(DataConfig.model_validate({"documents": entries, **config}), root, store)


def sources(store: Store, dataset: Dataset) -> list[str]:
    return [document.source for document in store.blobs.get_lines(dataset.items, Document)]


def changes(store: Store, dataset: Dataset, action: str = "dropped") -> list[tuple[str, str]]:
    every = store.blobs.get_lines(dataset.changes, Change) if dataset.changes else []
    return [(change.item, change.reason) for change in every if change.action == action]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("docs", ["docs/a.md", "docs/deep/b.md", "docs/deep/deeper/c.html"]),
        ("docs/**/*.md", ["docs/a.md", "docs/deep/b.md"]),
        ("docs/*.md", ["docs/a.md"]),
        ("docs/**", ["docs/a.md", "docs/deep/b.md", "docs/deep/deeper/c.html"]),
        ("**/*.html", ["docs/deep/deeper/c.html"]),
        ("docs/deep/?.md", ["docs/deep/b.md"]),
        ("docs/[ab].md", ["docs/a.md"]),
        ("docs/.*.md", ["docs/.hidden.md"]),
        ({"path": "docs", "exclude": ["deeper", "a.*"]}, ["docs/deep/b.md"]),
        ({"path": "docs", "exclude": ["docs/deep/**"]}, ["docs/a.md"]),
        ({"path": "docs/**/*.md", "base": "docs"}, ["a.md", "deep/b.md"]),
        ("./docs/../docs/a.md", ["docs/a.md"]),
    ],
)
def test_paths_folders_and_globs(root: Path, store: Store, entry: object, expected: list[str]) -> None:
    assert sources(store, make(root, store, entry)) == expected


def test_loops_of_links_end_and_links_inside_the_project_are_followed(root: Path, store: Store) -> None:
    os.symlink(root / "docs", root / "docs/deep/loop")
    (root / "more").mkdir()
    (root / "more/d.md").write_text("# D\n\nA document from elsewhere, reached by a link.\n")
    os.symlink(root / "more", root / "docs/linked")
    assert sources(store, make(root, store, "docs")) == [
        "docs/a.md", "docs/deep/b.md", "docs/deep/deeper/c.html", "docs/linked/d.md",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "message", "hint"),
    [
        ("docs/**/*.pdf", "'docs/**/*.pdf' matches no file", ".html, .md"),
        ("dcos/*.md", "matches no file", "did you mean 'docs'?"),
        ("docs/deep/bb.md", "matches no file", "did you mean 'b.md'?"),
        ("nothing/at/all.md", "matches no file", "there is no folder"),
        ({"path": "docs", "exclude": ["*"]}, "'exclude' leaves nothing", "remove"),
    ],
)
def test_what_matches_nothing_is_an_error_that_helps(
    root: Path, store: Store, entry: object, message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as found:
        make(root, store, entry)
    assert message in found.value.message
    assert hint in found.value.hint


def test_two_files_of_one_name_are_an_error(root: Path, store: Store) -> None:
    (root / "other").mkdir()
    (root / "other/a.md").write_text("# Another\n\nThis is another document of the same name.")
    with pytest.raises(ConfigError, match="would both be called 'a.md'"):
        make(root, store, {"path": "docs/a.md", "base": "docs"}, {"path": "other/a.md", "base": "other"})


def test_the_same_file_by_two_entries_is_one_document(root: Path, store: Store) -> None:
    assert sources(store, make(root, store, "docs/a.md", "docs/*.md")) == ["docs/a.md"]


def test_only_a_changed_document_is_parsed_again(root: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    real = stage.parse_many

    def counting(tasks, count, workers=None):
        return real([parsed.append(os.path.basename(task.path).decode()) or task for task in tasks], count, workers)

    monkeypatch.setattr(stage, "parse_many", counting)
    first = make(root, store, "docs")
    assert parsed == ["a.md", "b.md", "c.html"]
    again = make(root, store, "docs")
    assert parsed == ["a.md", "b.md", "c.html"]
    assert again == first
    (root / "docs/deep/b.md").write_text("# B\n\nThe second document has changed a little since yesterday.\n")
    (root / "docs/deep").rename(root / "docs/moved")
    changed = make(root, store, "docs")
    assert parsed == ["a.md", "b.md", "c.html", "b.md"]
    assert changed.digest != first.digest
    make(root, store, "docs", clean={"boilerplate": False})  # another way of parsing
    assert parsed[4:] == ["a.md", "b.md", "c.html"]


def test_progress_counts_files(root: Path, store: Store) -> None:
    seen: list[tuple[int, int]] = []
    config = DataConfig.model_validate({"documents": [{"path": "docs"}]})
    make_documents(config, root, store, lambda done, total: seen.append((done, total)))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    seen.clear()
    make_documents(config, root, store, lambda done, total: seen.append((done, total)))
    assert seen == [(3, 3)]


def test_exact_and_near_duplicates_keep_the_first(tmp_path: Path, store: Store) -> None:
    text = prose(1, 400)
    near = text.replace(text.split()[200], "replaced")
    half = " ".join(text.split()[:200]) + " " + prose(2, 200)
    for name, content in {"1": text, "2": text + "\u200b\n", "3": near, "4": half, "5": prose(3)}.items():
        (tmp_path / f"{name}.txt").write_text(content)
    dataset = make(tmp_path, store, "*.txt")
    assert sources(store, dataset) == ["1.txt", "4.txt", "5.txt"]
    assert changes(store, dataset) == [("2.txt", "exact-duplicate"), ("3.txt", "near-duplicate")]
    kept = make(tmp_path, store, "*.txt", clean={"near_duplicates": None})
    assert sources(store, kept) == ["1.txt", "3.txt", "4.txt", "5.txt"]
    strict = make(tmp_path, store, "*.txt", clean={"near_duplicates": 0.3})
    assert sources(store, strict) == ["1.txt", "5.txt"]


def test_near_duplicates_are_found_in_chinese(tmp_path: Path, store: Store) -> None:
    chosen = random.Random(5)
    text = "".join(chr(chosen.randrange(0x4E00, 0x9FA0)) for _ in range(600))
    (tmp_path / "1.txt").write_text(text)
    (tmp_path / "2.txt").write_text(text[:300] + "改" + text[301:])
    assert changes(store, make(tmp_path, store, "*.txt")) == [("2.txt", "near-duplicate")]


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.9])
def test_signatures_propose_what_exact_similarity_would_find(tmp_path: Path, store: Store, threshold: float) -> None:
    """On pairs of known similarity around the threshold, none at or above it is missed."""
    from slipway.data.shingles import bands

    missed, shared = 0, 0
    for seed in range(60):
        base = prose(seed, 300).split()
        changed = random.Random(seed).sample(range(300), random.Random(seed).randrange(1, 30))
        other = [f"new{n}" if n in changed else word for n, word in enumerate(base)]
        one, two = " ".join(base), " ".join(other)
        if jaccard(shingles(one), shingles(two)) < threshold:
            continue
        shared += 1
        missed += not set(bands(signature(one), threshold)) & set(bands(signature(two), threshold))
    assert shared >= 5
    assert missed == 0


def test_languages_short_texts_and_encodings(tmp_path: Path, store: Store) -> None:
    zh = "数据阶段把文件变成冻结的数据集，它清理读到的内容，从不悄悄丢掉任何东西。每次改动都会被计数。"
    (tmp_path / "en.md").write_text("# English\n\nThis text is written in plain English, as anyone can see.")
    (tmp_path / "zh.txt").write_bytes(zh.encode("gb18030"))
    (tmp_path / "de.txt").write_text("Dieser Text ist auf Deutsch geschrieben, wie man leicht erkennen kann.")
    (tmp_path / "short.txt").write_text("too short")
    (tmp_path / "codes.txt").write_text("12 34 56 78 90 12 34 56 78 90 12 34 56")
    dataset = make(tmp_path, store, "*.*", clean={"languages": ["en", "zh"]})
    assert sources(store, dataset) == ["codes.txt", "en.md", "zh.txt"]
    assert changes(store, dataset) == [("de.txt", "language"), ("short.txt", "too-short")]
    assert ("zh.txt", "bad-encoding") in changes(store, dataset, "changed")
    assert changes(store, dataset, "flagged") == [("codes.txt", "language-unknown")]
    assert dataset.counts["language/zh"] == 1
    given = make(tmp_path, store, {"path": "de.txt", "language": "en"}, clean={"languages": ["en"]})
    assert sources(store, given) == ["de.txt"]


def test_outliers_are_flagged_and_kept(tmp_path: Path, store: Store) -> None:
    for n in range(12):
        (tmp_path / f"{n:02}.txt").write_text("The words of this text are quite ordinary. " * (20 + n) + f"Number {n}.")
    (tmp_path / "long.txt").write_text("Ordinary words, but so many of them that they stand out. " * 3000)
    (tmp_path / "odd.txt").write_text("=-=-=-=-#@!%^&*()[]{};: 0101 2323 " * 30)
    dataset = make(tmp_path, store, "*.txt", clean={"near_duplicates": None})
    assert dataset.size == 14
    flagged = changes(store, dataset, "flagged")
    assert ("long.txt", "outlier-length") in flagged
    assert ("odd.txt", "outlier-characters") in flagged
    assert len(flagged) == 2
    assert not changes(store, make(tmp_path, store, "*.txt", clean={"outliers": False}), "flagged")


def test_the_dataset_is_the_same_in_any_store_and_language(root: Path, tmp_path: Path) -> None:
    from slipway.i18n import set_language

    one = make(root, Store(tmp_path / "one"), "docs")
    try:
        set_language("zh")
        other = make(root, Store(tmp_path / "two"), "docs")
    finally:
        set_language(None)
    assert one == other
    assert one.ref.kind == "dataset"


def test_the_noun_is_in_the_catalog(root: Path, store: Store) -> None:
    dataset = make(root, store, "docs")
    assert store.catalog.get("dataset", dataset.digest, Dataset) == dataset


def test_pages_made_from_one_pattern_are_no_near_duplicates(tmp_path: Path, store: Store) -> None:
    """LTrim and RTrim, 3.38.4 and 3.38.5: one word differs, and it is the one that is asked for."""
    body = " ".join(f"word{n}" for n in range(200))
    for name in ("LTrim", "RTrim"):
        (tmp_path / f"{name}.md").write_text(f"# {name}\n\nThe function {name} removes spaces. {body}")
    (tmp_path / "again.md").write_text(f"# RTrim\n\nThe function RTrim removes spaces. {body}, and more")
    for number in (4, 5):
        (tmp_path / f"{number}.html").write_text(
            f"<title>Release notes</title><h1>Release 3.38.{number}</h1><p>In 3.38.{number}: {body}</p>"
        )
    made = make(tmp_path, store, "*.md", "*.html")
    kept = [d.source for d in store.blobs.get_lines(made.items, Document)]
    assert kept == ["LTrim.md", "RTrim.md", "4.html", "5.html"]


def test_when_no_document_is_left_the_hint_says_what_to_do(tmp_path: Path, store: Store) -> None:
    (tmp_path / "log.txt").write_text("A line of the log.\n" * 200)
    with pytest.raises(ConfigError) as caught:
        make(tmp_path, store, "*.txt", limits={"max_text": 1000})
    assert caught.value.hint == (
        "for example log.txt: 3,800 characters, the limit is 1,000; raise the limit under data.limits, or split the file"
    )


@pytest.mark.parametrize("piece", [1, 7, 50])
def test_a_signature_made_in_pieces_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    texts = [" \n".join(f"w{n * n % 11} 中" for n in range(size)) for size in (0, 1, 2, 3, 4, 40)]
    whole = [signature(text) for text in texts]
    monkeypatch.setattr("slipway.data.shingles._PIECE", piece)
    assert [signature(text) for text in texts] == whole


@pytest.mark.parametrize(
    "entry", ["Prüfung/Übersicht.md", "Prüfung", "Prüfung/*.md", "Pr?fung/Ü*.md", "**/Übersicht.md"]
)
def test_names_of_an_archive_from_a_mac_are_found_and_excluded(tmp_path: Path, store: Store, entry: str) -> None:
    folder = tmp_path / unicodedata.normalize("NFD", "Prüfung")
    folder.mkdir()
    for name in ("Übersicht.md", "Kündigung.md"):
        (folder / unicodedata.normalize("NFD", name)).write_text(f"# {name}\n\n{prose(len(name))}")
    source = {"path": entry, "exclude": ["Prüfung/Kündigung.md"]}
    dataset = make(tmp_path, store, source)
    assert [one.source for one in store.blobs.get_lines(dataset.items, Document)] == ["Prüfung/Übersicht.md"]
