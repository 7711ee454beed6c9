"""Files of other tools, written here after their documentation, become examples; what cannot is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from slipway.data.imports.importing import Import, import_file
from slipway.errors import ConfigError

XQUAD = Path(__file__).parents[3] / "shared/data/xquad"

PROMPTFOO = """\
description: about the shop
prompts: [prompt.txt]
tests:
  - description: exact
    vars: {question: "What is {{thing}}?", thing: a keel}
    assert: [{type: equals, value: a beam}]
  - vars: {question: Where is it?}
    assert: [{type: contains-any, value: [below, under]}, {type: llm-rubric, value: is polite}]
  - vars: {question: Is it nice?}
    assert: [{type: llm-rubric, value: is polite}]
  - vars: {thing: no question}
    assert: [{type: icontains, value: "{{ other.thing | upper }}"}]
  - file://more.yaml
"""
LANGFUSE = [
    {"id": "1", "datasetId": "d", "datasetName": "shop", "status": "ACTIVE", "input": {"question": "What is a keel?"},
     "expectedOutput": {"answer": "a beam"}, "metadata": {"topic": "hull"}, "sourceTraceId": None},
    {"id": "2", "datasetId": "d", "input": [{"role": "user", "content": "Where is it?"}], "expectedOutput": "below"},
    {"id": "3", "datasetId": "d", "status": "ARCHIVED", "input": "Old?", "expectedOutput": "yes"},
    {"id": "4", "datasetId": "d", "input": "No answer?", "expectedOutput": None},
]  # fmt: skip
RAGAS_OLD = [
    {"question": "What is a keel?", "answer": "said by a system", "contexts": ["x" * 9000], "ground_truth": "a beam"}
]
RAGAS_NEW = [
    {
        "user_input": "What is a keel?",
        "response": "said by a system",
        "retrieved_contexts": ["c"],
        "reference": "a beam",
    },
    {"user_input": [{"content": "Hi", "type": "human"}, {"content": "Hello", "type": "ai"}], "reference": "x"},
]
SQUAD = {
    "version": "v2.0",
    "data": [
        {"title": "Keel", "paragraphs": [
            {"context": "A keel is a beam.", "qas": [
                {"id": "a", "question": "What is a keel?", "is_impossible": False,
                 "answers": [{"text": "a beam", "answer_start": 10}, {"text": "a beam", "answer_start": 10}]},
                {"id": "b", "question": "Who built it?", "is_impossible": True, "answers": [],
                 "plausible_answers": [{"text": "A keel", "answer_start": 0}]},
            ]},
            {"context": "broken"},
        ]},
    ],
}  # fmt: skip
OPENAI = [
    {"input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is a keel?"}], "ideal": "a beam"},
    {"input": "Where is it?", "ideal": ["below", "under"]},
    {"input": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
     "ideal": "d"},
]  # fmt: skip


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def done(
    tmp_path: Path, name: str, text: str | bytes, format: str = "auto", **names: str
) -> tuple[Import, list[dict[str, Any]]]:
    path, out = tmp_path / name, tmp_path / "out" / "x.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = import_file(path, format, names, ("question", "answer"), out)
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()] if out.exists() else []
    return found, rows


@pytest.mark.parametrize(
    ("name", "text", "format", "answers", "skipped"),
    [
        ("p.yaml", PROMPTFOO, "promptfoo", ["a beam", ["below", "under"]], ["row 3", "row 4", "row 5"]),
        ("p.csv", "question,__expected\nWhat is a keel?,a beam\nIs it nice?,llm-rubric: polite\n", "promptfoo", ["a beam"],
         ["row 3"]),
        ("l.jsonl", lines(LANGFUSE), "langfuse", ["a beam", "below"], ["line 3", "line 4"]),
        ("l.json", json.dumps({"data": LANGFUSE, "meta": {"page": 1}}), "langfuse", ["a beam", "below"],
         ["row 3", "row 4"]),
        ("r.jsonl", lines(RAGAS_OLD), "ragas", ["a beam"], []),
        ("r.json", json.dumps(RAGAS_NEW), "ragas", ["a beam"], ["row 2"]),
        ("rc.json", json.dumps({"question": ["What is a keel?"], "ground_truth": ["a beam"], "contexts": [["c"]]}), "ragas",
         ["a beam"], []),
        ("s.json", json.dumps(SQUAD), "squad", ["a beam"], ["row 1.1.2", "row 1.2"]),
        ("o.jsonl", "\ufeff" + lines(OPENAI), "openai-evals", ["a beam", ["below", "under"]], ["line 3"]),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value and len(value) < 12 else "",
)  # fmt: skip
def test_each_format_is_guessed_and_read_and_what_cannot_be_is_named(
    tmp_path: Path, name: str, text: str, format: str, answers: list[Any], skipped: list[str]
) -> None:
    found, rows = done(tmp_path, name, text)
    assert found.format == format
    assert [row["answer"] for row in rows] == answers
    assert rows[0]["question"] == "What is a keel?"
    assert [one.row for one in found.skipped] == skipped
    assert all(str(one.why) for one in found.skipped)
    assert found.imported == len(answers)
    assert "said by a system" not in json.dumps(rows)
    assert len(json.dumps(rows)) < 3000


def test_parquet_columns_are_guessed_or_mapped(tmp_path: Path) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    path = tmp_path / "t.parquet"
    table = arrow.table({"query": ["What is a keel?"], "gold": ["a beam"], "topic": ["hull"], "doc": ["a.md"]})
    parquet.write_table(table, path)
    found, rows = done(tmp_path, "u.parquet", path.read_bytes())
    assert (found.imported, len(found.skipped)) == (0, 1)
    assert "--map answer=" in str(found.skipped[0].why)
    found, rows = done(tmp_path, "u.parquet", path.read_bytes(), answer="gold", source="doc")
    assert rows == [
        {"question": "What is a keel?", "answer": "a beam", "topic": "hull", "source": "a.md", "doc": "a.md"}
    ]


def test_the_flat_squad_of_a_hub_is_read(tmp_path: Path) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    rows = [{"id": "a", "title": "K", "context": "c", "question": "What is a keel?",
             "answers": {"text": ["a beam"], "answer_start": [1]}},
            {"id": "b", "title": "K", "context": "c", "question": "Who?", "answers": {"text": [], "answer_start": []}}]  # fmt: skip
    path = tmp_path / "s.parquet"
    parquet.write_table(arrow.Table.from_pylist(rows), path)
    found, rows = done(tmp_path, "s.parquet", path.read_bytes())
    assert (found.format, [row["answer"] for row in rows], found.skipped[0].row) == ("squad", ["a beam"], "row 2")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", "{not json"), ("a.json", "[1, 2"), ("a.json", '"text"'), ("a.yaml", "a: [b"), ("a.json", ""),
        ("a.yaml", "a: &a [*a]"), ("a.json", "[" * 100_000), ("a.csv", "one,two\n1,2\n"), ("a.json", '{"a": 1}'),
        ("a.parquet", b"PAR1 and no more"), ("a.yaml", "x: !!python/object/apply:os.system [ls]"),
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_refused_and_nothing_is_written(tmp_path: Path, name: str, text: str | bytes) -> None:
    with pytest.raises(ConfigError):
        done(tmp_path, name, text)
    assert not (tmp_path / "out" / "x.jsonl").exists()


def test_broken_lines_are_counted_and_the_rest_is_taken(tmp_path: Path) -> None:
    text = lines(OPENAI[:1]) + "{half\n[1]\n\n" + '{"input": "a", "ideal": null}\n' + '{"input": 3, "ideal": 4}\n'
    found, rows = done(tmp_path, "o.jsonl", text)
    assert [one.row for one in found.skipped] == ["line 2", "line 3", "line 5"]
    assert [row["answer"] for row in rows] == ["a beam", "4"]


GOOD = '{"input": "a", "ideal": "b"}'


@pytest.mark.parametrize(
    "first",
    [
        '{"input": "a", "ideal": "b",}',
        '{"input": NaN}',
        '{"input": ' + "9" * 5000 + "}",
        '{"input": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"input": "\\ud800"}',
        b'{"input": "\xff", "ideal": "b"}',
        '{"another": 1}',
    ],
    ids=["comma", "nan", "huge", "deep", "half", "bytes", "keys"],
)
def test_a_broken_first_line_costs_only_itself(tmp_path: Path, first: str | bytes) -> None:
    text = (first if isinstance(first, bytes) else first.encode()) + b"\n" + GOOD.encode() + b"\r\n\r\n" + GOOD.encode()
    found, rows = done(tmp_path, "o.jsonl", text)
    assert [one.row for one in found.skipped] == ["line 1"]
    assert len(rows) == 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gbk"])
def test_lines_in_other_encodings(tmp_path: Path, encoding: str) -> None:
    text = '{"input": "缆绳哪种最好，请说明理由", "ideal": "尼龙绳最结实"}\r\n{"input": "船漆用什么颜色", "ideal": "白色的最好"}\r\n'
    found, rows = done(tmp_path, "o.jsonl", text.encode(encoding))
    assert (found.imported, [row["answer"] for row in rows]) == (2, ["尼龙绳最结实", "白色的最好"])


def test_what_is_called_lines_and_is_a_list_or_one_object_is_read_so(tmp_path: Path) -> None:
    long = json.dumps({"input": "long " * 40_000, "ideal": "b"})
    for name, text in (
        ("a", f"[{GOOD},\n {GOOD}]"),
        ("b", json.dumps([json.loads(GOOD)] * 2, indent=1)),
        ("c", f"{long}\n{GOOD}\n"),
    ):
        (tmp_path / name).mkdir()
        assert done(tmp_path / name, "x.jsonl", text)[0].imported == 2
    for text in ("", "\ufeff\n \r\n"):
        with pytest.raises(ConfigError, match="is empty"):
            done(tmp_path, "x.jsonl", text)


def test_nothing_is_written_when_nothing_could_be_read(tmp_path: Path) -> None:
    found, rows = done(tmp_path, "o.jsonl", '{"input": "", "ideal": "x"}\n', "openai-evals")
    assert (found.imported, rows, list((tmp_path / "out").iterdir())) == (0, [], [])


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    done(tmp_path, "o.jsonl", lines(OPENAI))
    before = (tmp_path / "out" / "x.jsonl").read_bytes()
    with pytest.raises(ConfigError):
        done(tmp_path, "o.jsonl", lines(OPENAI[:1]))
    assert (tmp_path / "out" / "x.jsonl").read_bytes() == before


@pytest.mark.slow
def test_a_large_file_of_lines_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "big.jsonl"
    with path.open("w", encoding="utf-8") as out:
        for n in range(60_000):
            out.write(json.dumps({"input": f"What is {n}?", "ideal": f"number {n}", "pad": "x" * 1500}) + "\n")
        out.write('{"input": "' + "y" * 30_000_000 + '"}\n')
    script = (
        "import sys, resource; from pathlib import Path\n"
        "from slipway.data.imports.importing import import_file\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "found = import_file(Path(sys.argv[1]), 'auto', {}, ('question', 'answer'), Path(sys.argv[2]))\n"
        "print(found.imported, len(found.skipped), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path), str(tmp_path / "o.jsonl")], capture_output=True, text=True, check=True
    )
    imported, skipped, megabytes = map(int, done.stdout.split())
    assert (imported, skipped) == (60_000, 1)
    assert megabytes < 60  # of a file of 120 MB


@pytest.mark.skipif(not XQUAD.is_dir(), reason="needs shared/data/xquad beside the checkout")
def test_a_published_file_is_read_whole(tmp_path: Path) -> None:
    path = next(XQUAD.rglob("*zh*.json"))
    found = import_file(path, "auto", {}, ("question", "answer"), tmp_path / "x.jsonl")
    assert (found.format, found.imported, found.skipped) == ("squad", 1190, [])
