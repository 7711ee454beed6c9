"""Models: those of a project, pinned, and those in the cache folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slipway.core.candidate import ModelPin
from slipway.i18n import t
from slipway.render.document import Column, Document, Table, listed
from slipway.store.models import Model


def pins(found: Mapping[str, ModelPin]) -> Document:
    """The project's models, a row for each file."""
    rows = [
        [name, pin.engine, pin.source, file, sha256]
        for name, pin in found.items()
        for file, sha256 in (pin.files or {"": ""}).items()
    ]
    columns = [Column(t("name")), Column(t("engine")), Column(t("source")), Column(t("file")),
               Column("sha256", "digest")]  # fmt: skip
    return listed(found, Table(t("Models"), columns, rows))


def models(found: Sequence[Model]) -> Document:
    """Models in the cache folder."""
    columns = [Column(t("source")), Column(t("quantised")), Column(t("size"), "bytes"), Column(t("licence")),
               Column(t("files"), "count")]  # fmt: skip
    rows = [[m.source, m.quantize, m.size, m.license, len(m.files)] for m in found]
    return listed(found, Table(t("Models"), columns, rows))


def model_files(found: Sequence[Model]) -> Document:
    """Files of models, as they were verified."""
    columns = [Column(t("source")), Column(t("quantised")), Column(t("file")), Column("sha256", "digest"),
               Column(t("path"))]  # fmt: skip
    rows = [[m.source, m.quantize, name, m.sha256[name], path] for m in found for name, path in m.files.items()]
    return listed(found, Table(t("Models"), columns, rows))
