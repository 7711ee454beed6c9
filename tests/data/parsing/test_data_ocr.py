"""Pictures of text: drawn here, read by the real tesseract in the limited child."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from slipway.core.material import Change, Document
from slipway.data.documents import make_documents
from slipway.data.losses import losses
from slipway.data.parsing import ocr as reading
from slipway.loop.stages.data import freeze_documents
from slipway.project.data import DataConfig
from slipway.store.store import Store

pytestmark = pytest.mark.slow  # servers, child processes and programs of others

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
from PIL import ImageDraw, ImageFont  # noqa: E402

ENGLISH = "The harbour master keeps a log of every ship\nthat enters the basin after sun-\nset in 1987.\n\nA lamp burns at the pier until the morning."
CHINESE = "港口管理员记录每一艘\n进入港湾的船只。"
NOTO = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")


def languages() -> set[str]:
    if shutil.which("tesseract") is None:
        return set()
    done = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")[1:])


needs = pytest.mark.skipif("eng" not in languages(), reason="tesseract is not installed (Debian: tesseract-ocr)")


def drawn(text: str, font: str | None = None) -> Image.Image:
    picture = Image.new("L", (1700, 900), 255)
    chosen = ImageFont.truetype(font, 44) if font else ImageFont.load_default(size=44)
    ImageDraw.Draw(picture).multiline_text((80, 60), text, fill=0, font=chosen, spacing=14)
    return picture


def saved(picture: Image.Image, kind: str, **more) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **more)
    return out.getvalue()


def made(folder: Path, ocr: str = "eng", **limits) -> tuple[dict[str, Document], list[Change], Store]:
    config = DataConfig.model_validate(
        {"documents": [{"path": "scans/*", "ocr": ocr, "base": "scans"}], "limits": limits}
    )
    store = Store(folder / ".slipway")
    dataset = make_documents(config, folder, store)
    documents = {one.source: one for one in store.blobs.get_lines(dataset.items, Document)}
    return documents, list(store.blobs.get_lines(dataset.changes, Change)) if dataset.changes else [], store


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "typed.md").write_text("# A page\n\nThis one was typed by a person at a desk.\n", "utf-8")
    return tmp_path / "scans"


@needs
@pytest.mark.parametrize(("name", "kind"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.tif", "TIFF")])
def test_a_picture_becomes_paragraphs(scans: Path, name: str, kind: str) -> None:
    (scans / name).write_bytes(saved(drawn(ENGLISH), kind))
    documents, changes, _ = made(scans.parent)
    assert documents[name].text == (
        "The harbour master keeps a log of every ship that enters the basin after sunset in 1987.\n\n"
        "A lamp burns at the pier until the morning."
    )
    assert documents[name].language == "en"
    assert changes == []


@needs
def test_scanned_pages_of_a_pdf_are_read_and_typed_ones_are_not_touched(scans: Path) -> None:
    pages = [drawn(ENGLISH), drawn("The second page tells of the crane and its chain.")]
    (scans / "scan.pdf").write_bytes(saved(pages[0], "PDF", save_all=True, append_images=pages[1:], resolution=200))
    documents, changes, _ = made(scans.parent)
    found = documents["scan.pdf"]
    assert found.text.startswith(
        "The harbour master keeps a log of every ship that enters the basin after sunset in 1987."
    )
    start = found.meta["pages"][1]
    assert found.text[start:].strip() == "The second page tells of the crane and its chain."
    assert not [change for change in changes if change.reason != "outlier-length"]


@needs
def test_a_tiff_with_pages(scans: Path) -> None:
    pages = [drawn(f"The page number {n} of this fax is easy to read.") for n in (1, 2, 3)]
    (scans / "fax.tiff").write_bytes(saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    documents, _, _ = made(scans.parent)
    assert documents["fax.tiff"].text.count("of this fax is easy to read.") == 3
    assert len(documents["fax.tiff"].meta["pages"]) == 3


@pytest.mark.skipif(
    "chi_sim" not in languages() or not NOTO.is_file(), reason="no Chinese font, or no tesseract-ocr-chi-sim"
)
def test_chinese_has_no_spaces_between_its_characters(scans: Path) -> None:
    (scans / "港.png").write_bytes(saved(drawn(CHINESE, str(NOTO)), "PNG"))
    documents, _, _ = made(scans.parent, "chi_sim+eng")
    assert documents["港.png"].text.startswith("港口管理员记录每一")  # the rest it may misread
    assert "进入港湾的船只" in documents["港.png"].text
    assert documents["港.png"].language == "zh"


def test_without_being_asked_for_pictures_are_skipped_and_scans_told_of(scans: Path) -> None:
    (scans / "a.png").write_bytes(saved(drawn(ENGLISH), "PNG"))
    (scans / "scan.pdf").write_bytes(saved(drawn(ENGLISH), "PDF"))
    documents, changes, _ = made(scans.parent, "")
    assert set(documents) == {"typed.md"}
    assert {change.item: change.reason for change in changes} == {"a.png": "unsupported-type", "scan.pdf": "scanned"}


def test_what_is_not_installed_is_told_with_what_to_install(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (scans / "a.png").write_bytes(saved(drawn(ENGLISH), "PNG"))
    (scans / "scan.pdf").write_bytes(saved(drawn(ENGLISH), "PDF"))
    folder = scans.parent / "empty"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    reading.installed.cache_clear()
    try:
        documents, changes, store = made(scans.parent)
    finally:
        reading.installed.cache_clear()
    assert set(documents) == {"typed.md"}
    assert {change.reason for change in changes} == {"ocr-missing"}
    (_, dataset), *_ = store.catalog.list("dataset", type_of_dataset(), "documents") or [(None, None)]
    del dataset
    monkeypatch.undo()
    reading.installed.cache_clear()


def type_of_dataset():
    from slipway.core.material import Dataset

    return Dataset


@needs
def test_a_language_that_is_not_installed_is_named(scans: Path) -> None:
    (scans / "a.png").write_bytes(saved(drawn(ENGLISH), "PNG"))
    _, changes, _ = made(scans.parent, "eng+xyz")
    assert [(change.reason, change.detail) for change in changes] == [("ocr-missing", "not installed: xyz")]


@needs
def test_noise_is_no_text_and_guesses_are_told_of(scans: Path) -> None:
    (scans / "noise.png").write_bytes(saved(Image.effect_noise((800, 800), 120), "PNG"))
    small = drawn(ENGLISH).resize((220, 116)).resize((1700, 900))
    (scans / "blurred.png").write_bytes(saved(small, "PNG"))
    documents, changes, _ = made(scans.parent)
    assert "noise.png" not in documents
    assert {change.reason for change in changes if change.item == "noise.png"} <= {"empty", "too-short"}
    assert [c.reason for c in changes if c.item == "blurred.png"] == ["ocr-unsure"]
    assert "blurred.png" in documents


@needs
@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("broken.png", b"\x89PNG\r\n\x1a\nbroken", "corrupt"),
        ("text.png", b"this is no picture at all", "wrong-type"),
        ("web.jpg", b"GIF89a" + bytes(100), "wrong-type"),
        ("empty.tif", b"II*\x00" + bytes(40), "empty"),
        ("program.png", b"\x7fELF" + bytes(100), "wrong-type"),
    ],
)
def test_hostile_pictures_are_refused(scans: Path, name: str, data: bytes, reason: str) -> None:
    (scans / name).write_bytes(data)
    documents, changes, _ = made(scans.parent)
    assert set(documents) == {"typed.md"}
    assert [(change.item, change.reason) for change in changes] == [(name, reason)]


@needs
def test_a_picture_that_unpacks_to_gigabytes_is_refused(scans: Path) -> None:
    (scans / "bomb.png").write_bytes(saved(Image.new("1", (30_000, 30_000), 1), "PNG"))
    began = time.monotonic()
    documents, changes, _ = made(scans.parent, max_memory=700e6, ocr_timeout=20)
    assert set(documents) == {"typed.md"}
    assert {change.reason for change in changes} <= {"corrupt", "parser-crashed", "too-much-memory", "timeout", "empty"}
    assert time.monotonic() - began < 120


@needs
def test_one_that_takes_too_long_is_ended_with_its_child(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tesseract that never ends, in the place of the real one."""
    folder = scans.parent / "bin"
    folder.mkdir()
    real = shutil.which("tesseract")
    (folder / "tesseract").write_text(
        f'#!/bin/sh\ncase "$1" in --*) exec {real} "$@";; esac\necho $$ > {folder}/pid\nexec sleep 600\n'
    )
    (folder / "tesseract").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr("slipway.data.parsing.pool._START_SECONDS", 5.0)
    reading.installed.cache_clear()
    (scans / "a.png").write_bytes(saved(drawn(ENGLISH), "PNG"))
    try:
        documents, changes, _ = made(scans.parent, ocr_timeout=1)
    finally:
        reading.installed.cache_clear()
    assert set(documents) == {"typed.md"}
    assert [change.reason for change in changes] == ["timeout"]
    pid = int((folder / "pid").read_text())
    end = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


@needs
def test_the_version_and_the_data_of_tesseract_are_part_of_the_key() -> None:
    found = reading.installed("eng")
    program, data = found.version.rsplit(" ", 1)
    assert program.startswith("tesseract ")
    assert len(data) == 16
    if "chi_sim" in languages():
        assert len(reading.installed("eng+chi_sim").version) == len(found.version) + 17


@needs
def test_a_run_reads_again_only_when_what_reads_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from slipway import api
    from slipway.loop.stages import data as stage
    from slipway.testing.projects import FILE, write_project

    file = write_project(
        tmp_path, FILE.replace('[{path: "docs/*.md"}]', '[{path: "docs/*.md"}, {path: "scans/*", ocr: eng}]')
    )
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.png").write_bytes(saved(drawn(ENGLISH), "PNG"))
    with api.open_project(file) as project:
        assert "documents" in api.run(project, "data").ran
        assert api.run(project, "data").ran == []
        newer = reading.Ocr("eng", "tesseract 99.0 abc")
        monkeypatch.setattr(stage, "installed", lambda languages: newer)
        assert "documents" in api.run(project, "data").ran
    assert freeze_documents is stage.freeze_documents


def test_the_list_of_losses_says_what_to_install_and_check_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from slipway import api
    from slipway.testing.projects import FILE, write_project

    file = write_project(
        tmp_path, FILE.replace('[{path: "docs/*.md"}]', '[{path: "docs/*.md"}, {path: "scans/*", ocr: eng}]')
    )
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.png").write_bytes(saved(drawn(ENGLISH), "PNG"))
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    reading.installed.cache_clear()
    try:
        assert any("tesseract" in one.what and "apt install" in one.how for one in api.check(file))
        with api.open_project(file) as project:
            outcome = api.run(project, "data")
            (loss,) = [one for one in losses(outcome.datasets, project.store) if one.reason == "ocr-missing"]
    finally:
        reading.installed.cache_clear()
    assert "apt install tesseract-ocr" in loss.how
    assert loss.items == ["scans/a.png"]
