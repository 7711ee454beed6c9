"""Quantising GGUF, and the headers of model files: against the gguf package, the real model, and hostile bytes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import struct
import subprocess
import sys

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize
from safetensors.numpy import save as save_tensors

from slipway.errors import ConfigError, IntegrityError, NotFound
from slipway.gguf import TENSOR_TYPES
from slipway.store import models
from slipway.store.models.check import check_file, read_gguf


def write_gguf(path, tensors, **extra):
    """A GGUF file as the reference writer makes it; `tensors`: name -> (array, type or None)."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_license("apache-2.0")
    writer.add_file_type(1)
    writer.add_array("tokenizer.ggml.tokens", ["a", "é", "", "文", "x" * 300])
    writer.add_array("tokenizer.ggml.scores", [0.5, -1.0, 2.0])
    writer.add_float32("general.x", 0.25)
    writer.add_bool("general.flag", True)
    for key, value in extra.items():
        writer.add_uint32(key.replace("__", "."), value)
    for name, (array, kind) in tensors.items():
        if kind is None:
            writer.add_tensor(name, array)
        else:
            writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def toy(tmp_path):
    rng = np.random.default_rng(1)
    q = gguf.GGMLQuantizationType
    return write_gguf(
        tmp_path / "toy.gguf",
        {
            "token_embd.weight": (rng.normal(size=(100, 64)).astype(np.float32), q.Q4_1),
            "blk.0.attn_q.weight": (rng.normal(size=(64, 64)).astype(np.float32), q.Q8_0),
            "blk.0.attn_k.weight": (rng.normal(size=(48, 64)).astype(np.float16), None),
            "blk.0.attn_norm.weight": (rng.normal(size=64).astype(np.float32), None),
            "blk.0.odd.weight": (rng.normal(size=(10, 40)).astype(np.float32), None),
            "blk.0.experts.weight": (rng.normal(size=(3, 8, 32)).astype(np.float32), None),
            "blk.0.ffn_gate_inp.weight": (rng.normal(size=(8, 64)).astype(np.float16), None),
            "output.weight": (rng.normal(size=(100, 64)).astype(np.float32), None),
        },
    )


def values(path):
    reader = gguf.GGUFReader(path)
    return {
        tensor.name: (
            tensor.tensor_type.name,
            [int(n) for n in tensor.shape],
            dequantize(tensor.data, tensor.tensor_type),
        )
        for tensor in reader.tensors
    }


@pytest.mark.parametrize("kind", ["q8_0", "q4_0"])
def test_the_reference_reader_reads_what_we_write(toy, tmp_path, kind):
    models.quantize_gguf(toy, tmp_path / "out.gguf", kind)
    before, after = values(toy), values(tmp_path / "out.gguf")
    assert list(before) == list(after)
    types = {name: entry[0] for name, entry in after.items()}
    assert types == {
        "token_embd.weight": "Q8_0",
        "blk.0.attn_q.weight": kind.upper(),
        "blk.0.attn_k.weight": kind.upper(),
        "blk.0.attn_norm.weight": "F32",
        "blk.0.odd.weight": "F16",
        "blk.0.experts.weight": kind.upper(),
        "blk.0.ffn_gate_inp.weight": "F32",
        "output.weight": "Q8_0",
    }
    for name, (type_name, shape, value) in after.items():
        assert shape == before[name][1]
        wanted = before[name][2]
        assert value.shape == wanted.shape
        error = np.linalg.norm(value - wanted) / np.linalg.norm(wanted)
        assert error < {"Q4_0": 0.15, "Q8_0": 0.01, "F16": 0.001, "F32": 1e-7}[type_name], name


def test_metadata_is_kept_and_the_file_type_told(toy, tmp_path):
    models.quantize_gguf(toy, tmp_path / "out.gguf", "q8_0")
    before, after = gguf.GGUFReader(toy), gguf.GGUFReader(tmp_path / "out.gguf")
    ours = {"general.file_type", "general.quantization_version"}
    kept = {name for name in before.fields if not name.startswith("GGUF.")} - ours
    assert kept == {name for name in after.fields if not name.startswith("GGUF.")} - ours
    for name in kept:
        assert before.fields[name].contents() == after.fields[name].contents(), name
    assert after.fields["general.file_type"].contents() == gguf.LlamaFileType.MOSTLY_Q8_0


def test_twice_is_the_same_and_again_changes_nothing(toy, tmp_path):
    for name in ("a", "b"):
        models.quantize_gguf(toy, tmp_path / f"{name}.gguf", "q8_0")
    models.quantize_gguf(tmp_path / "a.gguf", tmp_path / "c.gguf", "q8_0")
    a, b, c = ((tmp_path / f"{name}.gguf").read_bytes() for name in "abc")
    assert a == b
    assert values(tmp_path / "a.gguf").keys() == values(tmp_path / "c.gguf").keys()
    assert len(a) == len(c)
    for name, entry in values(tmp_path / "a.gguf").items():
        assert np.array_equal(entry[2], values(tmp_path / "c.gguf")[name][2]), name


def test_a_broken_run_leaves_nothing(toy, tmp_path):
    def stop(*step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        models.quantize_gguf(toy, tmp_path / "out.gguf", "q8_0", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["toy.gguf"]


def test_what_cannot_be_quantised(toy, tmp_path):
    with pytest.raises(ConfigError, match="q5_k") as caught:
        models.quantize_gguf(toy, tmp_path / "out.gguf", "q5_k")
    assert "q8_0" in caught.value.hint
    part = write_gguf(tmp_path / "part.gguf", {"a.weight": (np.ones((4, 32), np.float32), None)}, split__count=2)
    with pytest.raises(ConfigError, match="part"):
        models.quantize_gguf(part, tmp_path / "out.gguf", "q8_0")


def test_the_table_of_types_is_that_of_ggml():
    for kind, (name, block, width) in TENSOR_TYPES.items():
        known = gguf.GGMLQuantizationType(kind)
        assert (known.name, gguf.GGML_QUANT_SIZES[known]) == (name, (block, width))


# -- in the cache ------------------------------------------------------------------------------------------------------


def test_pull_quantised(toy, tmp_path):
    cache, source = tmp_path / "cache", f"file:{toy}"
    model = models.pull(source, quantize="q8_0", cache=cache)
    assert list(model.files) == ["toy.q8_0.gguf"]
    assert (model.quantize, model.source, model.license) == ("q8_0", source, "apache-2.0")
    assert models.find(source, "q8_0", cache) == model
    assert models.find(source, "q4_0", cache) is None
    assert models.find(source, None, cache).quantize is None
    models.verify(model)
    pins = {
        "toy.q8_0.gguf": model.sha256["toy.q8_0.gguf"],
        "toy.gguf": models.find(source, None, cache).sha256["toy.gguf"],
    }
    assert models.pull(source, quantize="q8_0", sha256=pins, cache=cache) == model
    with pytest.raises(IntegrityError):
        models.pull(source, quantize="q8_0", sha256={"toy.q8_0.gguf": "0" * 64}, cache=cache)


def test_the_same_file_from_two_sources_is_quantised_once(toy, tmp_path):
    cache, other = tmp_path / "cache", tmp_path / "other.gguf"
    other.write_bytes(toy.read_bytes())
    one = models.pull(f"file:{toy}", quantize="q4_0", cache=cache)
    two = models.pull(f"file:{other}", quantize="q4_0", cache=cache)
    assert one.folder == two.folder
    assert two.source == f"file:{other}"


def test_removing_one_copy_or_all(toy, tmp_path):
    cache, source = tmp_path / "cache", f"file:{toy}"
    for kind in ("q8_0", "q4_0"):
        models.pull(source, quantize=kind, cache=cache)
    assert len(models.list_models(cache)) == 3
    assert [model.quantize for model in models.remove(source, "q4_0", cache)] == ["q4_0"]
    assert models.find(source, "q8_0", cache)
    with pytest.raises(NotFound):
        models.remove(source, "q4_0", cache)
    models.remove(source, cache=cache)
    assert models.list_models(cache) == []


def test_a_damaged_quantised_copy_is_made_again(toy, tmp_path):
    cache, source = tmp_path / "cache", f"file:{toy}"
    model = models.pull(source, quantize="q8_0", cache=cache)
    path = model.files["toy.q8_0.gguf"]
    raw = bytearray(path.read_bytes())
    raw[-5] ^= 4
    path.write_bytes(raw)
    with pytest.raises(IntegrityError):
        models.find(source, "q8_0", cache)
    assert models.pull(source, quantize="q8_0", cache=cache) == model
    models.verify(model)


def damage(model: models.Model) -> None:
    """Other bytes, the same size and time."""
    path = model.files["toy.gguf"]
    stat = path.stat()
    raw = bytearray(path.read_bytes())
    raw[-5] ^= 4
    path.write_bytes(raw)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_quantising_from_a_changed_original_fetches_it_anew(toy, tmp_path):
    cache, source = tmp_path / "cache", f"file:{toy}"
    made = models.pull(source, quantize="q8_0", cache=cache)
    models.remove(source, quantize="q8_0", cache=cache)
    damage(models.pull(source, cache=cache))
    assert models.pull(source, quantize="q8_0", cache=cache).sha256 == made.sha256


def test_quantising_from_a_rotten_original_is_refused(toy, tmp_path):
    """A disk that rots changes no time: nothing wrong may be made of it and then be pinned as right."""
    cache, source = tmp_path / "cache", f"file:{toy}"
    model = models.pull(source, cache=cache)
    damage(model)
    manifest = json.loads((model.folder / "model.json").read_text())
    stat = model.files["toy.gguf"].stat()
    manifest["files"]["toy.gguf"] |= {"mtime_ns": stat.st_mtime_ns, "ctime_ns": stat.st_ctime_ns, "inode": stat.st_ino}
    (model.folder / "model.json").write_text(json.dumps(manifest))
    with pytest.raises(IntegrityError):
        models.pull(source, quantize="q8_0", cache=cache)


def test_safetensors_are_not_quantised(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(save_tensors({"a": np.ones((2, 2), np.float32)}))
    with pytest.raises(ConfigError, match="exactly one"):
        models.pull(f"file:{path}", quantize="q8_0", cache=tmp_path / "cache")


# -- headers -----------------------------------------------------------------------------------------------------------


def test_a_gguf_header_is_read_as_the_reference_does(toy):
    header, reader = read_gguf(toy), gguf.GGUFReader(toy)
    assert [(one.name, list(one.shape), one.kind, one.start, one.size) for one in header.tensors] == [
        (one.name, [int(n) for n in one.shape], int(one.tensor_type), int(one.data_offset), int(one.n_bytes))
        for one in reader.tensors
    ]
    assert header.scalars["general.license"] == "apache-2.0"
    assert header.scalars["general.x"] == 0.25


def test_cut_or_scrambled_gguf_never_gets_through_as_a_crash(toy, tmp_path):
    raw = toy.read_bytes()
    weights = read_gguf(toy).tensors[0].start
    bad = tmp_path / "bad.gguf"
    rng = random.Random(5)
    for length in [0, 3, 4, 23, 24, 40, weights - 1, len(raw) - 1, *rng.sample(range(weights), 40)]:
        bad.write_bytes(raw[:length])
        with pytest.raises(IntegrityError):
            check_file(bad)
    for _ in range(400):
        scrambled = bytearray(raw)
        for at in rng.sample(range(weights), 3):
            scrambled[at] = rng.randrange(256)
        bad.write_bytes(scrambled)
        with contextlib.suppress(IntegrityError):  # a changed name or number may still be sound
            check_file(bad)


@pytest.mark.parametrize(
    "content",
    [
        b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
        b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**63) + b"x" * 50,
        b"GGUF"
        + struct.pack("<IQQ", 3, 0, 1)
        + struct.pack("<Q", 1)
        + b"k"
        + struct.pack("<IIQ", 9, 8, 2**62)
        + b"x" * 50,
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1) + b"k" + struct.pack("<IIQ", 9, 9, 1) + b"x" * 50,
    ],
    ids=["big-endian", "tensors", "keys", "text", "array", "nested"],
)
def test_hostile_gguf(tmp_path, content):
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(IntegrityError):
        check_file(tmp_path / "x.gguf")


def tensors(header, body=b"\0" * 16):
    raw = json.dumps(header).encode() if isinstance(header, dict | list) else header
    return struct.pack("<Q", len(raw)) + raw + body


A = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04\x95" + b"pickle" * 10,
        struct.pack("<Q", 2**62) + b"{}",
        tensors(b"{not json"),
        tensors([]),
        tensors(b'{"a": ' + b"[" * 100_000),
        tensors({"a": A | {"data_offsets": [0, 12]}}),
        tensors({"a": A | {"data_offsets": [-4, 12]}}),
        tensors({"a": A | {"data_offsets": [0, 2**40]}}),
        tensors({"a": A | {"shape": [5]}}),
        tensors({"a": A | {"shape": [-4]}}),
        tensors({"a": A | {"shape": "xx"}}),
        tensors({"a": A | {"dtype": "PICKLE"}}),
        tensors({"a": A, "b": A}),
        tensors({"a": A}, b"\0" * 20),
        tensors({"a": A}, b"\0" * 12),
        tensors({"a": 7}),
        tensors({"a": {}}),
    ],
    ids=range(18),
)
def test_hostile_safetensors(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(IntegrityError):
        check_file(tmp_path / "x.safetensors")


def test_sound_safetensors(tmp_path):
    for dtype in (np.float32, np.float16, np.int64, np.uint8, np.bool_):
        array = {"a": np.ones((3, 5), dtype), "empty": np.zeros((0, 2), dtype), "scalar": np.array(1, dtype)}
        (tmp_path / "x.safetensors").write_bytes(save_tensors(array, {"format": "pt"}))
        check_file(tmp_path / "x.safetensors")


# -- the real model ----------------------------------------------------------------------------------------------------

# VmHWM, because ru_maxrss of a new process begins with the peak of the one that started it.
PEAK = """
import sys
from pathlib import Path
from slipway.store.models import quantize_gguf
quantize_gguf(Path(sys.argv[1]), Path(sys.argv[2]), "q8_0")
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def test_the_small_model_is_quantised_in_little_memory(smollm2_gguf, tmp_path):
    out = tmp_path / "out.gguf"
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(smollm2_gguf), str(out)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert int(done.stdout) < 200_000, "kilobytes; the model has 98,000"
    before, after = read_gguf(smollm2_gguf), read_gguf(out)
    assert {TENSOR_TYPES[one.kind][0] for one in after.tensors} == {"Q8_0", "F32"}
    assert [one.name for one in before.tensors] == [one.name for one in after.tensors]
    for one, two in zip(before.tensors, after.tensors, strict=True):
        if one.name.startswith("blk.3."):
            wanted, got = (_values(path, tensor) for path, tensor in ((smollm2_gguf, one), (out, two)))
            assert np.linalg.norm(got - wanted) <= 0.01 * np.linalg.norm(wanted), one.name


def _values(path, tensor):
    raw = np.fromfile(path, np.uint8, tensor.size, offset=tensor.start)
    _, block, width = TENSOR_TYPES[tensor.kind]
    return dequantize(raw.reshape(-1, tensor.shape[0] // block * width), gguf.GGMLQuantizationType(tensor.kind))
