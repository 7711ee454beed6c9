"""Documentation that others wrote, through the data stage: what is kept, lost and why, and what it costs.

    python bench/corpora.py [--at FOLDER] [--refused] [PACKAGE ...]

For each Debian package (by default sqlite3, PostgreSQL, Python and Git in English, LibreOffice's help and the Debian
reference in Chinese): fetched by `apt-get download`, unpacked with `dpkg-deb -x` (not installed) into FOLDER, kept
there for the next time. Its HTML pages go through `make_documents` and `make_chunks` with the defaults.

A row a package: pages in, kept, each reason for which pages were dropped, chunks and how many are a lone heading, what
was removed as repeated, processor seconds (children included), peak memory of the main process and of the largest
child. `--refused` lists every page that was dropped for another reason than being a duplicate.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PACKAGES = (
    "sqlite3-doc", "postgresql-doc-15", "python3.11-doc", "git-doc", "libreoffice-help-zh-cn", "debian-reference-zh-cn"
)  # fmt: skip


def fetch(package: str, folder: Path) -> Path:
    """The unpacked package."""
    there = folder / package
    if not there.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", package], cwd=folder, check=True, capture_output=True)
        subprocess.run(["dpkg-deb", "-x", str(next(folder.glob(f"{package}_*.deb"))), str(there)], check=True)
    return there


def measure(folder: Path) -> dict[str, Any]:
    """One corpus, in this process: peak memory is then its own."""
    from slipway.core.material import Chunk
    from slipway.data.chunks import make_chunks
    from slipway.data.documents import make_documents
    from slipway.data.inspection import changes
    from slipway.project.data import DataConfig
    from slipway.store.store import Store

    config = DataConfig.model_validate({"documents": [{"path": "**/*.html"}]})
    with tempfile.TemporaryDirectory() as state:
        store = Store(Path(state))
        wall = time.monotonic()
        documents = make_documents(config, folder, store)
        chunks = make_chunks(config, documents, store)
        held = list(store.blobs.get_lines(chunks.items, Chunk))
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        dropped = [c for c in changes(documents, store) if c.action == "dropped"]
        return {
            "kept": documents.size,
            "counts": {k: n for k, n in documents.counts.items() if not k.startswith("media_type")},
            "chunks": chunks.size,
            "bare": sum(chunk.text.startswith("#") and "\n" not in chunk.text for chunk in held),
            "cpu": sum(u.ru_utime + u.ru_stime for u in used),
            "wall": time.monotonic() - wall,
            "memory": [u.ru_maxrss // 1024 for u in used],
            "refused": [[c.item, c.reason, c.detail] for c in dropped if "duplicate" not in c.reason],
            "pages": len({c.item for c in dropped}) + documents.size,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", default=PACKAGES)
    parser.add_argument("--at", type=Path, default=Path(tempfile.gettempdir()) / "debs")
    parser.add_argument("--refused", action="store_true")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure)))
        return
    for package in args.packages:
        folder = fetch(package, args.at)
        done = subprocess.run(
            [sys.executable, __file__, "--measure", str(folder)], check=True, capture_output=True, text=True
        )
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{package}: {found['pages']} pages, {found['kept']} kept, {found['chunks']} chunks "
            f"({found['bare']} a lone heading), {found['cpu']:.1f} CPU-s, {found['wall']:.1f} s, "
            f"{found['memory'][0]} MB and {found['memory'][1]} MB in a child",
            flush=True,
        )
        print(f"    {found['counts']}", flush=True)
        for item, reason, detail in found["refused"] if args.refused else []:
            print(f"    {reason:15} {item}  {detail}")


if __name__ == "__main__":
    main()
