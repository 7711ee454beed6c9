"""Pictures that a command writes beside what it prints: SVG files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from slipway.errors import ConfigError
from slipway.i18n import t
from slipway.render.document import Document

Picture = Annotated[Path | None, typer.Option(help=t("Write a picture, too: a new file that ends in .svg."))]


def check_picture(file: Path | None) -> None:
    """Raise ConfigError for another ending, and where it cannot be written, before any work is done."""
    if file is None:
        return
    if file.suffix.lower() != ".svg":
        raise ConfigError(
            t("{path} does not end in .svg: pictures are written as SVG", path=file),
            t("name the file, for example, {name}", name=f"{file.stem or 'picture'}.svg"),
        )
    from slipway.store.new_file import check_new

    check_new(file)


def with_picture(document: Document, file: Path | None, draw: Callable[[], str]) -> Document:
    """The document, which says that the picture was written. Raises ConfigError where it cannot be."""
    if file is None:
        return document
    from slipway.store.new_file import new_file

    with new_file(file) as opened:
        opened.writelines([draw().encode()])
    return with_files(document, [file])


def with_files(document: Document, files: Sequence[Path]) -> Document:
    """The document with a line for each file that was written."""
    return replace(document, parts=[*document.parts, *(t("written: {path}", path=file) for file in files)])
