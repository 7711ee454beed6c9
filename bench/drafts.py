"""Questions drafted from documentation that others wrote: how many are usable as they are, judged by hand.

    python bench/drafts.py [--at FOLDER] [-n 50] [--language en] PACKAGE ... > drafts.jsonl
    python bench/drafts.py --marks drafts.jsonl

The first form fetches Debian packages as `corpora.py` does and writes drafts, one JSON object a line, with an empty
`usable`. A person writes true or false there: true when the question is grammatical, can be understood without its
passage, has this one answer in the document, and would be kept without a change. The second form prints the shares by
language and rule, with Wilson's 95% interval.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from corpora import fetch


def drafted(folders: list[Path], count: int, language: str) -> list[dict[str, object]]:
    """The first `count` drafts of these folders, as `slipway data draft` chooses them."""
    import msgspec

    from slipway.core.material import Document
    from slipway.data.documents import make_documents
    from slipway.data.drafts.by_rule import drafts_of
    from slipway.data.drafts.choose import Asked, choose, unambiguous
    from slipway.data.references import Corpus
    from slipway.project.data import DataConfig
    from slipway.store.store import Store

    documents: list[Document] = []
    config = DataConfig.model_validate({"documents": [{"path": "**/*.html"}]})
    for folder in folders:
        with tempfile.TemporaryDirectory() as state:
            store = Store(Path(state))
            documents += store.blobs.get_lines(make_documents(config, folder, store).items, Document)
    corpus = Corpus(documents)
    every = unambiguous(draft for document in documents for draft in drafts_of(document, corpus))
    every = [draft for draft in every if draft.language == language]
    print(f"{len(documents)} documents, {len(every)} questions found", file=sys.stderr)
    return [{**msgspec.to_builtins(draft), "usable": None} for draft in choose(every, count, 7, Asked())]


def wilson(good: int, of: int) -> tuple[float, float]:
    """Wilson's score interval at 95% (Wilson 1927)."""
    z, share = 1.959964, good / of
    middle, width = share + z * z / (2 * of), z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return (middle - width) / (1 + z * z / of), (middle + width) / (1 + z * z / of)


def shares(path: Path) -> None:
    """Print the share of usable drafts."""
    marks: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        for rule in ("all", row["rule"]):
            marks[row["language"], rule].append(bool(row["usable"]))
    for (language, rule), found in sorted(marks.items()):
        good, of = sum(found), len(found)
        low, high = wilson(good, of)
        print(f"{language} {rule:14} {good:3} of {of:3}  {good / of:.2f} ({low:.2f}-{high:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*")
    parser.add_argument("--at", type=Path, default=Path(tempfile.gettempdir()) / "slipway-corpora")
    parser.add_argument("-n", type=int, default=50)
    parser.add_argument("--language", default="en")
    parser.add_argument("--marks", type=Path)
    args = parser.parse_args()
    if args.marks:
        shares(args.marks)
        return
    folders = [fetch(package, args.at) for package in args.packages]
    for row in drafted(folders, args.n, args.language):
        print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    main()
