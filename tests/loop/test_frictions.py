"""What a person runs into on the first day: each told so that the next step is clear."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from commands import slipway
from slipway import api
from slipway.errors import ConfigError, MissingPrerequisite
from slipway.serve.server import bind


@pytest.mark.slow
def test_broken_rows_are_loud(ran: Path) -> None:
    file = ran / "questions.jsonl"
    n = len(file.read_text("utf-8").splitlines())
    with file.open("a", encoding="utf-8") as out:
        out.write('{"question": "broken\nno json\n{"answer": "x"}\n[1, 2]\n')
    done = slipway("run", "data", "-C", str(ran))
    assert done.returncode == 0
    assert "3 rows were left out" in done.stderr
    assert "1 row was left out" in done.stderr
    assert f"questions.jsonl:{n + 1}" in done.stderr
    assert f"questions.jsonl:{n + 3}" in done.stderr
    assert "+1" in done.stderr
    first = done.stdout.split("Look at these")[1]
    assert "the row is not valid" in first.split("\n")[4]
    checked = slipway("check", "-C", str(ran))
    assert checked.returncode == 2
    assert f"questions.jsonl:{n + 1}" in checked.stdout.replace("\n", "").replace(" ", "")


@pytest.mark.slow
def test_a_release_difference_leads_with_what_a_person_changed(ran: Path) -> None:
    prompt = (ran / "grounded.md").read_text("utf-8")
    words = "Be kind, and keep in mind that the user has read the manual already. "
    (ran / "grounded.md").write_text(words + prompt, "utf-8")
    assert slipway("run", "-C", str(ran)).returncode == 0
    (ran / "grounded.md").write_text(words.replace("kind", "brief") + prompt, "utf-8")
    keel = ran / "docs" / "keel.md"
    keel.write_text(keel.read_text("utf-8").replace("13 tonnes", "14 tonnes"), "utf-8")
    assert slipway("run", "-C", str(ran), "--set", "candidates.grounded.retrieve.top_k=2").returncode == 0
    with api.open_project(ran) as project:
        newest, before = (release.digest for _, release, _ in api.releases(project)[:2])
        found = list(api.diff(project, "release", before, newest))
    assert found[0] == "candidate.prompt"
    assert found.index("candidate.retrieve.top_k") < found.index("documents.docs/keel.md")
    assert found.index("documents.docs/keel.md") < found.index("candidate.retrieve.chunks.digest")
    assert found[-1].startswith("pins.")
    assert "documents.docs/mast.md" not in found
    shown = slipway("release", "diff", before, newest, "-C", str(ran), COLUMNS="200").stdout
    changed, digests = shown.split("Digests that follow from it")
    assert "Be kind, and keep in" in changed
    assert "Be brief, and keep in" in changed
    assert "manual already" not in changed, "of a long text the words that differ"
    assert "pins.blob:chunks" in digests
    assert "pins" not in changed


def test_models_show_takes_the_names_of_the_project(ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from slipway.store import models

    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path / "cache"))
    weights = b"\x08\0\0\0\0\0\0\0{}      "
    (ran / "w.safetensors").write_bytes(weights)
    text = (ran / "slipway.yaml").read_text("utf-8")
    (ran / "slipway.yaml").write_text(
        text.replace("models:\n", 'models:\n  reader: {engine: onnx, source: "file:w.safetensors"}\n'), "utf-8"
    )
    with api.open_project(ran) as project:
        with pytest.raises(ConfigError, match=r"'reader' .* is not on this machine"):
            api.models("reader", project)
        models.pull(f"file:{ran / 'w.safetensors'}")
        (found,) = api.models("reader", project)
        assert "w.safetensors" in found.source
        assert api.models(found.source, project) == [found] == api.models(found.source)
        with pytest.raises(ConfigError, match="has no files: its engine is echo"):
            api.models("writer", project)
        with pytest.raises(ConfigError) as caught:
            api.models("wrtier", project)
        assert "did you mean 'writer'" in caught.value.hint


def test_a_wrong_choice_names_all_and_the_nearest(ran: Path) -> None:
    done = slipway("check", "-C", str(ran), "--set", "candidates.grounded.retrieve.mode=lexcal", "--set",
                   "release.prefer=zzz", "--set", "serve.redact=maks")  # fmt: skip
    assert done.returncode == 2
    assert "must be one of 'dense', 'lexical', 'fused'; did you mean 'lexical'?" in done.stderr
    assert "must be one of 'cost', 'latency', 'quality'" in done.stderr
    assert "must be one of 'off', 'mask', 'hash'; did you mean 'mask'?" in done.stderr
    for command in (("traces", "export", "/dev/null", "--redact", "maks"), ("traces", "list", "--thumb", "pu")):
        done = slipway(*command, "-C", str(ran))
        assert done.returncode == 2
        assert "'mask'" in done.stderr or "'up', 'down'" in done.stderr


def test_a_port_in_use_says_so(ran: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MissingPrerequisite, match=f"port {port} of 127.0.0.1 is already in use") as caught:
            bind("127.0.0.1", port)
        assert "--port" in caught.value.hint
        found = [f for f in api.check(ran, [f"serve.port={port}"]) if str(port) in f.what]
        assert [(f.level, "--port" in f.how) for f in found] == [("warning", True)]
        chinese = slipway("--lang", "zh", "serve", "--port", str(port), "-C", str(ran)).stderr
        assert "--port" in chinese
        assert "in use" not in chinese


@pytest.mark.slow
def test_json_of_outcomes_stays_whole(ran: Path) -> None:
    told = json.loads(slipway("run", "--json", "-C", str(ran)).stdout)
    assert told["damage"] == []
    assert told["missed"] == {}
