"""Malicious files: each is refused with its reason, the children hold their limits, and the rest goes on."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from processes import stop
from slipway.core.material import Change, Document
from slipway.data.documents import make_documents
from slipway.data.parsing.blocks import Outcome
from slipway.data.parsing.parse import Settings
from slipway.data.parsing.pool import parse_many
from slipway.data.parsing.worker import Task
from slipway.errors import ConfigError
from slipway.project.data import DataConfig
from slipway.store.store import Store

GOOD = "# Good\n\nThis document is perfectly fine and must survive its neighbours.\n"
CONTENT_TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    'wordprocessingml.document.main+xml"/></Types>'
)
RELATIONS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="word/document.xml"/></Relationships>'
)


def docx(document: str | bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", CONTENT_TYPES)
        archive.writestr("_rels/.rels", RELATIONS)
        archive.writestr("word/document.xml", document)
    return buffer.getvalue()


def billion_laughs() -> bytes:
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    return docx(
        f'<?xml version="1.0"?><!DOCTYPE w:document [{entities}]><w:document xmlns:w="http://schemas.openxmlformats.org/'
        'wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>&a11;</w:t></w:r></w:p></w:body></w:document>'
    )


def nested_pdf(depth: int) -> bytes:
    """Pages within pages within pages, the innermost pointing back at the outermost."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>"]
    objects += [f"<< /Type /Pages /Kids [{n + 1} 0 R] /Count 1 /Parent {max(2, n - 1)} 0 R >>" for n in range(2, depth)]
    objects.append("<< /Type /Pages /Kids [2 0 R] /Count 1 >>")
    out, offsets = "%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n" + "".join(f"{n:010d} 00000 n \n" for n in offsets)
    return (out + f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n").encode()


def parquet_bomb() -> bytes:
    """A million rows of one text of a megabyte, which the file holds once."""
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    column = arrow.DictionaryArray.from_arrays(
        arrow.array([0] * 1_000_000, arrow.int32()), arrow.array(["x" * 1_000_000])
    )
    parquet.write_table(arrow.table({"text": column}), buffer := io.BytesIO(), compression="gzip")
    return buffer.getvalue()


def wide_table(cells: int) -> bytes:
    span = f'<w:tc><w:tcPr><w:gridSpan w:val="{cells}"/></w:tcPr><w:p><w:r><w:t>wide</w:t></w:r></w:p></w:tc>'
    return docx(
        '<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        f"<w:body><w:tbl><w:tblGrid/><w:tr>{span}</w:tr></w:tbl></w:body></w:document>"
    )


HOSTILE: dict[str, tuple[bytes, set[str]]] = {
    "bomb.docx": (docx(b"\0" * 60_000_000), {"zip-bomb"}),
    "laughs.docx": (billion_laughs(), {"corrupt"}),
    "broken.docx": (docx("<not xml"), {"corrupt"}),
    "cut.docx": (docx("<a/>")[:200], {"corrupt"}),
    "empty.docx": (b"", {"corrupt", "empty"}),
    "nested.pdf": (nested_pdf(2000), {"corrupt", "empty"}),
    "deep-array.pdf": (b"%PDF-1.4\n1 0 obj\n" + b"[" * 200_000 + b"]" * 200_000 + b"\nendobj\n", {"corrupt"}),
    "deep.html": (b"<div>" * 50_000 + b"bottom", {"too-deep"}),
    "program.md": (b"\x7fELF" + os.urandom(1000), {"wrong-type"}),
    "noise.txt": (bytes(range(256)) * 50, {"binary"}),
    "deep.jsonl": (b'{"text":' + b"[" * 100_000 + b"]" * 100_000 + b"}", {"corrupt"}),
    "empty.md": (b"", {"empty"}),
    "empty.html": (b"", {"empty"}),
    "blank.txt": (b" \n\n \t", {"empty"}),
    "comment.html": (b"<!-- nothing -->", {"empty"}),
    "header.csv": (b"text,other\n", {"empty"}),
    "empty.pdf": (b"", {"corrupt", "empty"}),
    "picture.pdf": (b"\x89PNG\r\n\x1a\n" + b"0" * 100, {"wrong-type"}),
    "bomb.parquet": (parquet_bomb(), {"too-much-text", "too-much-memory", "corrupt"}),
    "wide.docx": (wide_table(999_999_999), {"too-short"}),  # read in no time: a cell over columns is one cell
    "header-twice.csv": (",".join([*map(str, range(200_000)), "0"]).encode() + b"\n1\n", {"corrupt"}),
    "mark-only.csv": ("text,other\n".encode("utf-16"), {"empty"}),  # decoding it is noted, and that is no row
    "not.parquet": (b"PAR1" + b"x" * 1000 + b"PAR1", {"corrupt"}),
}  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state")


def changes_of(store: Store, digest: str) -> dict[str, Change]:
    return {change.item: change for change in store.blobs.get_lines(digest, Change) if change.action == "dropped"}


@pytest.mark.slow
def test_hostile_files_are_refused_and_the_rest_goes_on(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, (data, _) in HOSTILE.items():
        (folder / name).write_bytes(data)
    (folder / "a-good.md").write_text(GOOD)
    (folder / "z-good.md").write_text(GOOD.replace("fine", "well"))
    (folder / "data.bin").write_bytes(b"1")
    with (folder / "one-line.txt").open("wb") as file:  # 100 MB, one line, sparse
        file.truncate(100_000_000)
    started = time.monotonic()
    dataset = make_documents(DataConfig.model_validate({"documents": [{"path": "in"}]}), tmp_path, store)
    assert time.monotonic() - started < 60
    kept = [document.source for document in store.blobs.get_lines(dataset.items, Document)]
    assert kept == ["in/a-good.md", "in/z-good.md"]
    found = changes_of(store, dataset.changes)
    for name, (_, reasons) in HOSTILE.items():
        assert found[f"in/{name}"].reason in reasons, found[f"in/{name}"]
    assert found["in/one-line.txt"].reason == "too-large"
    assert "100,000,000 bytes" in found["in/one-line.txt"].detail
    assert found["in/data.bin"].reason == "unsupported-type"
    assert dataset.counts["dropped/too-large"] == 1


def tasks(paths: list[Path], seconds: float = 60, memory: int = 1_500_000_000, **settings: int) -> list[Task]:
    return [Task(bytes(p), "text/markdown", Settings(**settings), (memory, seconds)) for p in paths]


def outcomes(made: list[Task], workers: int = 1) -> dict[int, Outcome]:
    return dict(parse_many(made, len(made), workers))


def test_a_long_line_that_is_allowed_is_refused_for_its_text(tmp_path: Path) -> None:
    line = tmp_path / "line.md"
    line.write_bytes(b"word " * 1_000_000)
    (good := tmp_path / "good.md").write_text(GOOD)
    found = outcomes(tasks([line, good], max_text=1_000_000))
    assert found[0].refused is not None
    assert found[0].refused.reason == "too-much-text"
    assert found[1].documents[0].text == GOOD.strip()


def test_memory_is_limited_in_the_child(tmp_path: Path) -> None:
    big = tmp_path / "big.md"
    big.write_bytes(b"word another \n\n" * 3_000_000)
    (good := tmp_path / "good.md").write_text(GOOD)
    found = outcomes(tasks([big, good], memory=300_000_000, max_text=100_000_000))
    assert found[0].refused is not None
    assert found[0].refused.reason in ("too-much-memory", "parser-crashed")
    assert found[1].documents[0].text == GOOD.strip()


def documents(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{number}.md" for number in range(count)]
    for path in paths:
        path.write_text(GOOD)
    return paths


@pytest.mark.slow
def test_a_child_that_hangs_is_replaced(tmp_path: Path) -> None:
    work = parse_many(tasks(documents(tmp_path, 3), seconds=1), 3, 1)
    found = dict([next(work)])
    (child,) = children_of(os.getpid())
    stop(child)  # it will get the second task, and never answer
    found.update(work)
    assert found[1].refused is not None
    assert found[1].refused.reason == "timeout"
    assert found[0].documents[0].text == found[2].documents[0].text == GOOD.strip()


@pytest.mark.slow
def test_a_child_that_dies_is_replaced(tmp_path: Path) -> None:
    work = parse_many(tasks(documents(tmp_path, 7), seconds=120), 7, 1)
    found = dict([next(work)])
    (child,) = children_of(os.getpid())
    stop(child)
    killer = threading.Timer(1.0, os.kill, (child, signal.SIGKILL))  # while it has the second task
    killer.start()
    found.update(work)
    killer.join()
    assert found[1].refused is not None
    assert found[1].refused.reason == "parser-crashed"
    assert sum(bool(outcome.documents) for outcome in found.values()) == 6
    assert not children_of(os.getpid())


def children_of(pid: int) -> list[int]:
    """Parsing children of a process, by what the kernel says."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            if b"parsing.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))  # noqa: PERF401
    return found


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_no_child_outlives_a_killed_parent(tmp_path: Path) -> None:
    (path,) = documents(tmp_path, 1)
    code = (
        "import time; from slipway.data.parsing.parse import Settings; from slipway.data.parsing.worker import Task\n"
        "from slipway.data.parsing.pool import parse_many\n"
        f"work = parse_many([Task({bytes(path)!r}, 'text/markdown', Settings(), (10**9, 300.0))] * 2, 2, 1)\n"
        "next(work); print('ready', flush=True); time.sleep(300)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    (child,) = children_of(parent.pid)
    stop(child)  # it does not see that stdin has ended
    parent.kill()
    parent.communicate()
    wait_for(lambda: not Path(f"/proc/{child}").exists() or " Z " in Path(f"/proc/{child}/stat").read_text())


@pytest.mark.slow
def test_no_markdown_takes_the_square_of_its_length(tmp_path: Path) -> None:
    parts = ["`", "[](", "{#", "<!--", "- ", "> ", "a `b", "|", "*a ", "[a]: b\n", "1. a\n\n", "<h1>", "<script>", "<style x>",
             "[](data:", "![](data:a)", " ", "\t", "&amp", "<a ", "é`", "\u00c3", "{", "**", "](", "x ``` "]  # fmt: skip
    paths: list[Path] = []
    for first in ("", "a ", "# a "):
        for part in parts:
            paths.append(tmp_path / f"{len(paths)}.md")
            paths[-1].write_text(first + part * 60_000)
    work = parse_many(tasks(paths, seconds=15), len(paths), 2)
    late = [
        paths[at].read_text()[:10] for at, outcome in work if outcome.refused and outcome.refused.reason == "timeout"
    ]
    assert not late, "a backtick sixty thousand times took minutes"


def wait_for(condition, seconds: float = 60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := condition():
                return found
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def test_when_nothing_is_left_the_error_says_why(tmp_path: Path, store: Store) -> None:
    (tmp_path / "x.md").write_bytes(b"\x7fELF" + b"\0" * 100)
    with pytest.raises(ConfigError) as found:
        make_documents(DataConfig.model_validate({"documents": [{"path": "x.md"}]}), tmp_path, store)
    assert "wrong-type 1" in found.value.message
    assert "x.md" in found.value.hint
