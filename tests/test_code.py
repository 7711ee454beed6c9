"""What counts as the code of a piece of work, and what does not."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from slipway.code import Code, parse

_names = (f"apackage{n}" for n in itertools.count())  # each test its own: modules are found once a process

FILES = {
    "__init__.py": "",
    "work.py": "from NAME.near import help\nimport NAME.far\n\ndef work():\n    from NAME import late\n    return help() + late.late()\n",
    "near.py": '"""Near."""\n\ndef help():\n    return 1\n',
    "far.py": "from . import farther\n",
    "farther.py": "HERE = 1\n",
    "late.py": "CHILD = 'NAME.child'\n\ndef late():\n    return 2\n",
    "child.py": "from importlib import import_module\nimport_module('yaml')\n",
    "typed.py": "HERE = 1\n",
    "other.py": "HERE = 1\n",
}  # fmt: skip


class Package:
    def __init__(self, folder: Path) -> None:
        self.name = next(_names)
        self.folder = folder / self.name
        self.folder.mkdir()
        for file, text in FILES.items():
            self.write(file, text)

    def write(self, file: str, text: str) -> None:
        (self.folder / file).write_text(text.replace("NAME", self.name), "utf-8")

    def digest(self, module: str = "work") -> str:
        return Code().of(f"{self.name}.{module}")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    monkeypatch.syspath_prepend(str(tmp_path))
    return Package(tmp_path)


@pytest.mark.parametrize("file", ["work.py", "near.py", "far.py", "farther.py", "late.py", "child.py", "__init__.py"])
def test_what_is_imported_counts_wherever_the_import_stands(package: Package, file: str) -> None:
    before = package.digest()
    package.write(file, FILES[file] + "\nMORE = 1\n")
    assert package.digest() != before
    package.write(file, FILES[file])
    assert package.digest() == before


@pytest.mark.parametrize("file", ["typed.py", "other.py"])
def test_what_is_not_imported_does_not_count(package: Package, file: str) -> None:
    only_typed = "\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from NAME.typed import HERE\n"
    package.write("near.py", FILES["near.py"] + only_typed)
    before = package.digest()
    package.write(file, "HERE = 2\n")
    assert package.digest() == before


def test_comments_docstrings_and_layout_do_not_count(package: Package) -> None:
    before = package.digest()
    package.write(
        "near.py", '"""Other words."""\n\n\n# why\ndef help():\n    """It helps."""\n    # here\n    return (1)\n'
    )
    assert package.digest() == before
    package.write("near.py", FILES["near.py"].replace("return 1", "return 2"))
    assert package.digest() != before


def test_a_file_that_is_no_python_counts_by_its_bytes() -> None:
    assert parse(b"def (").digest != parse(b"def (:").digest
    assert parse(b"\xff").names == ()


@pytest.mark.parametrize("line", ["import theirs", 'import importlib.util\nimportlib.util.find_spec("theirs")'])
def test_the_version_of_a_package_that_is_imported_counts(package: Package, tmp_path: Path, line: str) -> None:
    (tmp_path / "theirs.py").write_text("")
    info = tmp_path / f"{package.name}_dist-0.dist-info"
    info.mkdir()

    def install(version: str) -> None:
        nonlocal info
        info = info.rename(tmp_path / f"{package.name}_dist-{version}.dist-info")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package.name}-dist\nVersion: {version}\n")
        (info / "RECORD").write_text("theirs.py,,\n")

    package.write("far.py", f"{line}\n")
    install("1.0")
    before = package.digest()
    install("1.1")
    assert package.digest() != before


class Memory:
    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], bytes] = {}

    def recall(self, kind: str, keys: Iterable[str]) -> dict[str, bytes]:
        return {key: self.kept[kind, key] for key in keys if (kind, key) in self.kept}

    def remember(self, kind: str, values: Mapping[str, bytes]) -> None:
        self.kept.update({(kind, key): value for key, value in values.items()})


def test_what_was_parsed_is_remembered_by_its_content(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory()
    first = Code(memory).of(f"{package.name}.work")
    assert memory.kept

    def unwanted(source: bytes) -> None:
        raise AssertionError("parsed again")

    monkeypatch.setattr("slipway.code.parse", unwanted)
    assert Code(memory).of(f"{package.name}.work") == first


def test_a_projects_file_counts_with_the_files_that_it_imports(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    files = {"my.py": "from . import beside\nfrom .lib.deep import x\nimport absolute\n", "beside.py": "X = 1\n",
             "absolute.py": "X = 1\n", "unused.py": "X = 1\n", "lib/deep.py": "x = 1\n"}  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    before = Code().of_file(tmp_path / "my.py", tmp_path)
    for name, counts in (("beside.py", True), ("absolute.py", True), ("lib/deep.py", True), ("unused.py", False)):
        (tmp_path / name).write_text("X = 2\nx = 2\n")
        assert (Code().of_file(tmp_path / "my.py", tmp_path) != before) == counts, name
        (tmp_path / name).write_text(files[name])
        assert Code().of_file(tmp_path / "my.py", tmp_path) == before


MADE_OF = {
    "slipway.data.parsing.parse": (
        {f"data/parsing/{name}.py" for name in ("docx", "html", "markdown", "pdf", "tabular", "decode", "boilerplate")}
        | {"data/clean.py", "data/document_language.py", "data/shingles.py", "text/words.py"},
        {"data/chunks.py", "data/collect/paths.py", "data/documents.py", "data/parsing/pool.py"},
    ),
    "slipway.data.documents": ({"data/parsing/pdf.py", "data/parsing/worker.py", "text/words.py"}, {"builtin/", "release/", "evaluate/"}),
    "slipway.data.chunks": ({"data/spans.py", "text/words.py"}, {"data/parsing/pdf.py", "builtin/", "runtime/fusion.py"}),
    "slipway.runtime.respond": ({"runtime/retrieve.py", "runtime/fusion.py"}, {"builtin/", "data/", "store/"}),
    "slipway.builtin.engines.llama.engine": ({"builtin/engines/llama/child.py"}, {"builtin/engines/openvino/", "builtin/indexes/"}),
    "slipway.builtin.scorers.overlap": ({"text/words.py"}, {"builtin/scorers/retrieval.py", "runtime/"}),
    "slipway.release.gate": ({"stats/gaffke.py", "stats/samples.py", "text/words.py"}, {"runtime/", "builtin/"}),
}  # fmt: skip


@pytest.mark.parametrize(("module", "parts"), MADE_OF.items(), ids=MADE_OF.keys())
def test_what_our_own_steps_are_made_of(module: str, parts: tuple[set[str], set[str]]) -> None:
    import slipway.code

    slipway.code._ours.clear()
    code = Code()
    code.of(module)
    root = Path(slipway.__file__).parent
    read = {path.relative_to(root).as_posix() for path in code.files}
    assert parts[0] <= read
    assert not [path for path in read for other in parts[1] if path.startswith(other) and path != f"{other}__init__.py"]
