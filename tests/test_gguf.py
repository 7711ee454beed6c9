"""The reader of GGUF headers: what it keeps, and that nothing but Unsound comes of bad bytes."""

from __future__ import annotations

import io
import random
import struct

import pytest

from slipway import gguf


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def entry(key: str, kind: int, body: bytes) -> bytes:
    return text(key.encode()) + struct.pack("<I", kind) + body


def array(key: str, kind: int, length: int, body: bytes) -> bytes:
    return entry(key, 9, struct.pack("<IQ", kind, length) + body)


def file_of(*entries: bytes, tensors: tuple[bytes, ...] = (), weights: bytes = b"", version: int = 3) -> io.BytesIO:
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries)) + b"".join((*entries, *tensors))
    return io.BytesIO(head + b"\0" * (-len(head) % 32) + weights)


MATRIX = text(b"a") + struct.pack("<I2QIQ", 2, 32, 2, 8, 0)  # two rows of one Q8_0 block each: 68 bytes


def test_what_stands_in_a_header() -> None:
    model = entry("general.architecture", 8, text(b"llama"))
    layers = array("llama.attention.head_count_kv", 4, 3, struct.pack("<3I", 1, 2, 3))
    header = gguf.read_header(file_of(model, layers, tensors=(MATRIX,), weights=b"\1" * 68))
    assert header.scalars == {"general.architecture": "llama"}
    assert header.arrays == {"llama.attention.head_count_kv": [1, 2, 3]}
    assert header.tensors == (gguf.Tensor("a", (32, 2), 8, 192, 68),)
    assert header.spans["general.architecture"] == (24, 24 + len(model))


@pytest.mark.parametrize("kind", [4, 8], ids=["numbers", "texts"])
def test_a_long_array_is_kept_only_where_it_is_asked_for(kind: int) -> None:
    body = struct.pack("<2000I", *range(2000)) if kind == 4 else text(b"x") * 2000
    file = file_of(array("long", kind, 2000, body), entry("after", 4, struct.pack("<I", 7)))
    skipped, kept = gguf.read_header(file), gguf.read_header(file, ["long"])
    assert skipped.arrays == {}
    assert kept.arrays == {"long": list(range(2000)) if kind == 4 else ["x"] * 2000}
    assert skipped.scalars == kept.scalars == {"after": 7}


def test_a_token_that_is_part_of_a_character_is_no_damage() -> None:
    header = gguf.read_header(file_of(array("tokens", 8, 2, text(b"\xe6\x96") + text(b"ok"))))
    assert header.arrays == {"tokens": ["\ufffd", "ok"]}


@pytest.mark.parametrize(
    ("file", "why"),
    [
        (io.BytesIO(), r"not a GGUF file \(it begins with b''\)"),
        (io.BytesIO(b"<html>"), r"not a GGUF file \(it begins with b'<htm'\)"),
        (file_of(version=1), "version 1 is not known"),
        (io.BytesIO(b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0)), f"it claims {2**60} entries"),
        (io.BytesIO(file_of(entry("k", 4, b"\1" * 4)).getvalue()[:39]), "ends within its header"),
        (file_of(entry("k", 13, b"")), "metadata type 13"),
        (file_of(array("k", 9, 1, b"\0" * 99)), "metadata type 9"),
        (file_of(array("k", 9, 5000, b"\0" * 9999)), "metadata type 9"),
        (file_of(array("k", 4, 2**62, b"\0" * 99)), "ends within its header"),
        (file_of(array("k", 8, 2**62, b"\0" * 99)), "ends within its header"),
        (file_of(array("wanted", 8, 2**62, b"\0" * 99)), f"it claims {2**62} entries"),
        (file_of(entry("k", 8, struct.pack("<Q", 2**63))), "a text of"),
        (file_of(entry("k", 8, text(b"\xe6\x96"))), "not UTF-8"),
        (file_of(entry("general.alignment", 4, struct.pack("<I", 0))), "alignment 0"),
        (file_of(tensors=(text(b"a") + struct.pack("<I", 5),)), "5 dimensions"),
        (file_of(tensors=(text(b"a") + struct.pack("<IQIQ", 1, 31, 8, 0),)), "whole blocks"),
        (file_of(tensors=(MATRIX,), weights=b"\1" * 67), r"truncated: it has 163 bytes of 164"),
        (file_of(tensors=(text(b"a") + struct.pack("<I2QIQ", 2, 2**63, 2**63, 0, 0),)), "truncated"),
    ],
)
def test_bad_bytes(file: io.BytesIO, why: str) -> None:
    with pytest.raises(gguf.Unsound, match=why):
        gguf.read_header(file, ["wanted"])


def test_a_header_that_would_fill_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [entry(str(n), 8, text(bytes(1 << 16))) for n in range(17)]
    gguf.read_header(file_of(*texts))
    monkeypatch.setattr(gguf, "_MAX_READ", 1 << 20)
    gguf.read_header(file_of(*texts[:15]))
    with pytest.raises(gguf.Unsound, match="larger than"):
        gguf.read_header(file_of(*texts))


def test_scrambled_bytes_are_read_or_refused() -> None:
    sound = file_of(
        entry("name", 8, text(b"llama")), array("tokens", 8, 2, text(b"a") * 2), array("n", 6, 2, b"\0" * 8),
        tensors=(MATRIX,), weights=b"\1" * 68,
    ).getvalue()  # fmt: skip
    draw = random.Random(3)
    refused = 0
    for _ in range(3000):
        data = bytearray(sound)
        for _ in range(draw.randint(1, 5)):
            data[draw.randrange(len(data) - 68)] = draw.randrange(256)
        try:
            gguf.read_header(io.BytesIO(data[: draw.choice([len(data), draw.randrange(len(data))])]), ["tokens"])
        except gguf.Unsound:
            refused += 1
    assert 1000 < refused < 3000
