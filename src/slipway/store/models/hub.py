"""Models in a Hugging Face repository, or a mirror that speaks the same (HF_ENDPOINT). Knows two of its addresses.

`GET /api/models/{repo}/revision/{revision}?blobs=true` lists the files with the commit and the digests of large ones;
`GET /{repo}/resolve/{commit}/{file}` gives one. A revision is resolved to its commit first, so that all files belong
together even when the branch moves meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from slipway.errors import ConfigError, NotFound, nearest
from slipway.i18n import t
from slipway.store.models.check import choose
from slipway.store.models.download import download, get_json
from slipway.store.models.sources import Fetched, Source, check_url, require_space

Progress = Callable[[str, int, "int | None"], None]


def fetch_hub(source: Source, into: Path, progress: Progress | None) -> Fetched:
    """Fetch a repository's safetensors and their companions, or the one file that the source names.

    Raises NotFound for an unknown repository, revision or file, ConfigError when several GGUF files are there and none
    is named, and what `download` raises.
    """
    endpoint = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
    check_url(endpoint)
    token = os.environ.get("HF_TOKEN", "")
    repo = quote(source.name)
    listing = get_json(f"{endpoint}/api/models/{repo}/revision/{quote(source.version, safe='')}?blobs=true", token)
    entries = {str(entry["rfilename"]): entry for entry in listing.get("siblings") or [] if "rfilename" in entry}
    chosen = _choose(source, entries)
    commit = str(listing.get("sha") or source.version)
    folder = into / quote(commit, safe="")
    require_space(into, sum(int(entries[path].get("size") or 0) for path in chosen.values()))
    files: dict[str, Path] = {}
    expected: dict[str, str] = {}
    for name, path in chosen.items():
        files[name] = folder / name
        if not files[name].exists():
            download(
                f"{endpoint}/{repo}/resolve/{quote(commit, safe='')}/{quote(path)}", files[name], name, progress, token
            )
        if digest := (entries[path].get("lfs") or {}).get("sha256"):
            expected[name] = str(digest)
    card: dict[str, Any] = listing.get("cardData") or {}
    return Fetched(files, license=str(card.get("license") or ""), expected=expected)


def _choose(source: Source, entries: dict[str, Any]) -> dict[str, str]:
    """Which files to fetch: name in the cache -> path in the repository."""
    safe = sorted(path for path in entries if ".." not in PurePosixPath(path).parts and not path.startswith("/"))
    if source.file:
        if source.file not in safe:
            near = nearest(source.file, safe)
            raise NotFound(
                t("{repo} has no file '{name}'", repo=source.name, name=source.file),
                t("did you mean '{near}'?", near=near) if near else "",
            )
        return choose([source.file], source.text)
    tensors = [path for path in safe if not path.lower().endswith(".gguf")]
    if any(path.lower().endswith(".safetensors") for path in tensors):
        return choose(tensors, source.text)
    chosen = choose(safe, source.text)
    if len(chosen) > 1:
        raise ConfigError(
            t("{repo} has {n} GGUF files", repo=source.name, n=len(chosen)),
            t("name one of them: hf:{repo}/{file}", repo=source.name, file=next(iter(chosen))),
        )
    return chosen
