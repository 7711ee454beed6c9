"""No three modules of one name that mean different things: each says what is in it also alone in a tab of an editor."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import slipway

ROOT = Path(slipway.__file__).parent
SAME = {  # folders whose modules of one name are about one thing
    "one thing at each layer": ("api", "cli", "console", "core", "project", "render", "loop/stages"),
    "the parts of an engine": ("builtin/engines",),
    "the parts of a recipe": ("builtin/causal", "builtin/classifiers", "builtin/compressing", "builtin/dense",
                              "builtin/networks", "builtin/preferring", "builtin/seq2seq", "builtin/training"),
}  # fmt: skip


def meaning(folder: str) -> str:
    """What a name in this folder is about: that of its family, else of the folder alone."""
    for words, folders in SAME.items():
        if any(folder == one or folder.startswith(f"{one}/") for one in folders):
            return words
    return folder


def test_no_name_has_three_meanings() -> None:
    meanings: dict[str, set[str]] = defaultdict(set)
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT)
        if name.stem not in ("__init__", "__main__") and "templates" not in name.parts and "testing" not in name.parts:
            meanings[name.stem].add(meaning(name.parent.as_posix()))
    assert {name: sorted(found) for name, found in meanings.items() if len(found) > 2} == {}
