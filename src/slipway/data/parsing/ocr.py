"""Text from pictures, by the program `tesseract` (Smith 2007) where it is installed.

It is a child of the process that parses, with the same limits of memory and processor time, and the kernel ends it with
that process. Paragraphs that it is not sure of are left out, and a document of which it is unsure is told of.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import msgspec

from slipway.data.parsing.blocks import Block, Draft, Note
from slipway.data.parsing.lines import joined
from slipway.data.reasons import Refused
from slipway.machine import die_with

PROGRAM = "tesseract"
PACKAGES = "apt install tesseract-ocr tesseract-ocr-chi-sim"
MISSING = "ocr-missing"
_LEAST = 30.0  # confidence, 0 to 100, below which a paragraph is no text: a drawing, a stain
_SURE = 70.0  # mean confidence below which a document is told of
_BETWEEN_CJK = re.compile("(?<=[\u2e80-\u9fff\uff00-\uffef]) +(?=[\u2e80-\u9fff\uff00-\uffef])")


class Ocr(msgspec.Struct, frozen=True):
    """`languages` as tesseract takes them: `eng+chi_sim`. `version`: what reads, with its data; empty for none.

    `lacking`: what is not installed.
    """

    languages: str
    version: str = ""
    lacking: str = ""


@cache
def installed(languages: str) -> Ocr:
    """What would read these languages here. A version holds the digests of the data, which decide as much as the code.

    Asked once a process.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        return Ocr(languages, lacking=PROGRAM)
    try:
        version = _asked(program, "--version").split("\n")[0]
        listed = _asked(program, "--list-langs")
    except (OSError, subprocess.SubprocessError) as error:
        return Ocr(languages, lacking=f"{PROGRAM} ({type(error).__name__})")
    folder = re.search(r'"([^"\n]+)"', listed)
    there = set(listed.split("\n")[1:])
    lacking = [one for one in languages.split("+") if one not in there]
    if lacking or folder is None:
        return Ocr(languages, lacking=", ".join(lacking) or "tessdata")
    data = [Path(folder[1], f"{one}.traineddata") for one in languages.split("+")]
    try:
        digests = [hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in data]
    except OSError:
        digests = [f"{path.name}?" for path in data]
    return Ocr(languages, " ".join([version, *digests]))


class Paragraph(msgspec.Struct):
    """What stands together on a page, and how sure tesseract is of it: 0 to 100."""

    text: str
    page: int
    confidence: float


def _asked(program: str, option: str) -> str:
    done = subprocess.run([program, option], capture_output=True, timeout=30, check=True, stdin=subprocess.DEVNULL)
    return (done.stdout or done.stderr).decode("utf-8", "replace")


def read_picture(data: bytes, ocr: Ocr, dpi: int | None = None) -> list[Paragraph]:
    """The paragraphs of a picture (PNG, JPEG, TIFF with pages, PGM), in reading order.

    Raises Refused: `ocr-missing`, or `corrupt` for what tesseract cannot read.
    """
    program = shutil.which(PROGRAM)
    if not ocr.version or program is None:
        raise Refused(MISSING, f"not installed: {ocr.lacking or PROGRAM}")
    command = [program, "stdin", "stdout", "-l", ocr.languages, "-c", "tessedit_create_tsv=1"]
    parent = os.getpid()
    done = subprocess.run(
        [*command, *(["--dpi", str(dpi)] if dpi else [])], input=data, capture_output=True, check=False,
        env={**os.environ, "OMP_THREAD_LIMIT": "1"}, preexec_fn=lambda: die_with(parent),  # noqa: PLW1509
    )  # fmt: skip
    if done.returncode < 0:
        raise Refused("parser-crashed", f"{PROGRAM}: signal {-done.returncode}")
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")
        raise Refused("corrupt", f"{PROGRAM}: {said[0][:160]}")
    return _paragraphs(done.stdout.decode("utf-8", "replace"))


def parse_picture(data: bytes, ocr: Ocr, max_text: int) -> Draft:
    """A picture, or all pages of a TIFF, as a document."""
    paragraphs = read_picture(data, ocr)
    if sum(len(one.text) for one in paragraphs) > max_text:
        raise Refused("too-much-text", f"more than {max_text:,} characters")
    pages: list[int] = []
    for at, one in enumerate(paragraphs):
        pages += [at] * (one.page + 1 - len(pages))
    return Draft([Block("text", one.text) for one in paragraphs], pages=pages, notes=notes_of(paragraphs))


def notes_of(paragraphs: Sequence[Paragraph]) -> list[Note]:
    """What a person should know of text that was read from pictures."""
    size = sum(len(one.text) for one in paragraphs)
    if not size:
        return []
    mean = sum(len(one.text) * one.confidence for one in paragraphs) / size
    if mean >= _SURE:
        return []
    return [Note("parse", "flagged", "ocr-unsure", f"mean confidence {mean:.0f} of 100")]


def _paragraphs(table: str) -> list[Paragraph]:
    """Of tesseract's table of words: level, page, block, paragraph, line, word, box, confidence, text."""
    found: dict[tuple[str, ...], dict[str, list[tuple[str, float]]]] = {}
    for row in table.split("\n"):
        cells = row.split("\t")
        if len(cells) == 12 and cells[0] == "5" and cells[11].strip():
            lines = found.setdefault(tuple(cells[1:4]), {})
            lines.setdefault(cells[4], []).append((cells[11].strip(), float(cells[10])))
    made: list[Paragraph] = []
    for (page, *_), lines in found.items():
        words = [word for line in lines.values() for word in line]
        size = sum(len(word) for word, _ in words)
        confidence = sum(len(word) * sure for word, sure in words) / size
        if confidence < _LEAST:
            continue
        text = ""
        for line in lines.values():
            said = _BETWEEN_CJK.sub("", " ".join(word for word, _ in line))
            text = joined(text, said) if text else said
        made.append(Paragraph(text, int(page) - 1, confidence))
    return made
