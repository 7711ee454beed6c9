"""What is in the model cache: find, list, show, remove, verify. Reaches no network."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from slipway.errors import IntegrityError, NotFound, nearest
from slipway.i18n import t
from slipway.store.failing import reporting
from slipway.store.models.content import hash_file
from slipway.store.models.shelf import (
    Model,
    cache_folder,
    damaged,
    discard,
    locked,
    manifest_of,
    model_of,
    quantized_key,
    read,
    source_key,
)


def find(source: str, quantize: str | None = None, cache: Path | None = None) -> Model | None:
    """The cached model for a source, or None when it must be pulled. Reaches no network and hashes nothing again.

    Sizes, inodes and times of files are compared with those at the last hashing; only where they differ is the digest
    taken again: enough to list and to plan, while what is loaded is always read (`content`). A local source (`file:`)
    that was edited since counts as not pulled. Raises IntegrityError for changed bytes.
    """
    root = cache_folder(cache)
    model = read(root, source_key(source))
    if model is None or quantize is None:
        return model
    for sha256 in model.sha256.values():
        made = read(root, quantized_key(sha256, quantize))
        if made is not None:
            return replace(made, source=source)
    return None


def list_models(cache: Path | None = None) -> list[Model]:
    """Every model in the cache, quantised ones after what they were made from. A damaged manifest is left out."""
    root = cache_folder(cache)
    models: list[Model] = []
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        try:
            manifest = None if folder.name.startswith(".") else manifest_of(folder)
        except IntegrityError:
            continue
        if manifest is not None:
            models.append(model_of(folder, manifest))
    return sorted(models, key=lambda model: (model.source, model.quantize or ""))


def show(source_or_name: str, cache: Path | None = None) -> list[Model]:
    """The cached models that a source, a part of one or a folder name stands for: the model and what was made from it.

    Raises NotFound, with the nearest source, when there is none.
    """
    known = list_models(cache)
    exact = [model for model in known if source_or_name in (model.source, model.folder.name)]
    found = exact or [model for model in known if source_or_name and source_or_name in model.source]
    if not found:
        near = nearest(source_or_name, [model.source for model in known])
        raise NotFound(
            t("no model in the cache is called '{name}'", name=source_or_name),
            t("did you mean '{near}'?", near=near) if near else t("slipway models list shows what is there"),
        )
    return found


def remove(source_or_name: str, quantize: str | None = None, cache: Path | None = None) -> list[Model]:
    """Forget models and free their space; returns what was removed. `quantize`: only that quantised copy.

    Raises NotFound when nothing matches or more than one source does.
    """
    root = cache_folder(cache)
    found = show(source_or_name, cache)
    sources = sorted({model.source for model in found})
    if len(sources) > 1:
        raise NotFound(
            t("'{name}' stands for several models: {sources}", name=source_or_name, sources=", ".join(sources)),
            t("name one of them in full"),
        )
    if quantize is not None:
        found = [model for model in found if model.quantize == quantize]
        if not found:
            raise NotFound(t("{source} is not in the cache as {kind}", source=sources[0], kind=quantize))
    for model in found:
        with reporting(root), locked(root, model.folder.name):
            discard(root, model.folder)
            shutil.rmtree(root / ".partial" / model.folder.name, ignore_errors=True)
    return found


def verify(model: Model) -> None:
    """Hash every file again. Raises IntegrityError when one differs from the digest taken when it was fetched."""
    for name, path in model.files.items():
        if not path.is_file():
            raise damaged(model.source, name, t("the file is gone"))
        if hash_file(path) != model.sha256[name]:
            raise damaged(model.source, name, t("its bytes are not those that were fetched"))
