"""Artifacts: made by a tuner in a step, pinned, found again, released, and shared between candidates of one base."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slipway import api
from slipway.adapt.tuning import observed_of
from slipway.core.artifact import Artifact
from slipway.core.candidate import Candidate, ModelPin
from slipway.core.message import GenerateRequest, Sampling
from slipway.core.release import Release
from slipway.errors import ConfigError, EngineError, IntegrityError, SlipwayError
from slipway.runtime.respond import complete
from slipway.runtime.session import Session
from slipway.store.store import Store
from slipway.testing.projects import FILE, write_project

TUNER = '''
import json, time
from pathlib import Path
from typing import ClassVar
from pydantic import BaseModel
from slipway.core.artifact import Made

class Longest:
    """Answers with the longest reference of the train split. Ten steps, each with a checkpoint."""
    class Config(BaseModel):
        model_config = {"extra": "forbid"}
        suffix: str = ""
        pause: float = 0.0
        fail: str = ""
    reads: ClassVar = ("train",)
    def __init__(self, config): self.config = config
    def tune(self, job):
        state = job.folder / "state.json"
        done = json.loads(state.read_text()) if state.exists() else []
        for step in range(len(done), 10):
            if self.config.fail == "crash" and step == 5: raise KeyError("weights")
            time.sleep(self.config.pause)
            done.append(step)
            state.write_text(json.dumps(done))
            job.progress(step + 1, 10, loss=1.0 / (step + 1))
        if self.config.fail == "nothing": return Made(kind="model", files={}, engine="echo")
        if self.config.fail == "split": job.examples("dev")
        texts = [job.messages(e)[-1].content + "|" + e.expected[0] for e in job.examples("train")]
        reply = max((t.partition("|")[2] for t in texts), key=len) + self.config.suffix
        out = job.folder / "model.json"
        out.write_text(json.dumps(texts))
        return Made(kind="model", files={"model.json": out}, engine="echo", options={"reply": reply},
                    measured={"steps": float(len(done))})
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = write_project(tmp_path / "demo", project("./tune.py:Longest")).parent
    (found / "tune.py").write_text(TUNER)
    return found


def project(tune: str) -> str:
    return FILE.replace("prompt: plain.md}", f"prompt: plain.md, tune: {tune}}}")


def artifact_of(opened: api.Context) -> Artifact:
    return opened.store.catalog.list("artifact", Artifact, "plain")[0][1]


def ran(folder: Path, *overrides: str) -> list[str]:
    with api.open_project(folder, overrides) as opened:
        return [step for step in api.run(opened, "evaluate").ran if step.startswith("tune")]


def test_it_is_made_once_and_again_when_what_it_is_made_of_changes(folder: Path) -> None:
    assert ran(folder) == ["tune:plain"]
    assert ran(folder) == []
    assert ran(folder, "candidates.plain.tune={./tune.py:Longest: {suffix: '!'}}") == ["tune:plain"]
    assert ran(folder) == [], "the one before is still there"
    (folder / "tune.py").write_text(TUNER + "\nX = 1\n")
    assert ran(folder) == ["tune:plain"]
    (folder / "plain.md").write_text("Be brief.\n{{ question }}\n")
    assert ran(folder) == ["tune:plain"], "it is trained on the prompt that is served"
    with api.open_project(folder) as opened:
        store = opened.store
        (sha256,) = artifact_of(opened).files.values()
        store.blobs.remove(sha256)
    assert ran(folder) == ["tune:plain"], "what is gone is made again"


def test_the_recipe_the_log_and_what_answers(folder: Path) -> None:
    with api.open_project(folder) as opened:
        outcome = api.run(opened, "evaluate")
        made = artifact_of(opened)
        assert (made.kind, made.tuner, made.engine) == ("model", "./tune.py:Longest", "echo")
        assert made.measured == {"steps": 10.0}
        assert made.base is not None
        assert made.base.name == "writer"
        log = [json.loads(line) for line in opened.store.blobs.get(made.log).splitlines()]
        assert [line["done"] for line in log] == list(range(1, 11))
        texts = json.loads(opened.store.blobs.get(made.files["model.json"]))
        assert all(text.startswith("Answer briefly.\n") for text in texts), "the prompt that is served"
        examples = {e.text: e.split for e in api.items(opened, outcome.datasets["examples"])}
        assert {examples[text.partition("\n")[2].partition("|")[0]] for text in texts} == {"train"}
        assert api.ask(opened, "anything", candidate="plain").text == made.options["reply"]
        assert not (folder / ".slipway" / "work").exists() or not list((folder / ".slipway" / "work").iterdir())


def test_the_report_shows_what_was_measured_and_how_the_loss_went(folder: Path) -> None:
    with api.open_project(folder) as opened:
        api.run(opened, "evaluate")
        text = api.report(opened, folder / "report.html").read_text("utf-8")
    assert "What was tuned" in text
    assert "steps 10" in text
    assert "Loss by step" in text


@pytest.mark.slow
def test_what_one_machine_saw_is_told_and_is_no_part_of_the_artifact(folder: Path, tmp_path: Path) -> None:
    seen = TUNER.replace("measured={", 'observed={"nanoseconds": float(time.perf_counter_ns())}, measured={')
    digests: list[str] = []
    for place in (folder, Path(shutil.copytree(folder, tmp_path / "other"))):
        (place / "tune.py").write_text(seen)
        with api.open_project(place) as opened:
            api.run(opened, "evaluate")
            made = artifact_of(opened)
            digests.append(made.digest)
            assert made.measured == {"steps": 10.0}
            text = api.report(opened, place / "report.html").read_text("utf-8")
            assert f"nanoseconds {observed_of(made, opened.store)['nanoseconds']:.4g}" in text
    assert digests[0] == digests[1]


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--set", "candidates.plain.tune={./tune.py:Longest: {pause: 0.2}}"]
    command = [sys.executable, "-m", "slipway", "run", "adapt", "-C", str(folder), *options]
    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            before = _steps(folder)
            end = time.monotonic() + 60
            while _steps(folder) < before + 2:
                assert time.monotonic() < end
                assert child.poll() is None, child.communicate()[1].decode()
                time.sleep(0.01)
            child.send_signal(signal.SIGKILL)
    kept = _steps(folder)
    assert 4 <= kept < 10
    with api.open_project(folder, [options[1]]) as opened:
        told: list[int] = []
        monkeypatch.setattr(opened.listener, "progress", lambda name, done, total: told.append(done))
        api.run(opened, "adapt")
        assert [done for done in told if done <= 10][:1] == [kept + 1]
        assert artifact_of(opened).measured == {"steps": 10.0}
        assert [run.status for run in api.runs(opened) if run.step == "tune:plain"] == [
            "done",
            "interrupted",
            "interrupted",
        ]


def _steps(folder: Path) -> int:
    states = list((folder / ".slipway" / "work").glob("*/state.json"))
    try:
        return len(json.loads(states[0].read_text())) if states else 0
    except ValueError:  # it is being written
        return 0


@pytest.mark.parametrize(
    ("fail", "error", "said"),
    [
        ("crash", EngineError, "the tuner './tune.py:Longest (candidates.plain)' failed: KeyError"),
        ("nothing", SlipwayError, "made nothing that can be used: it made no file"),
        ("split", ConfigError, "does not say that it reads 'dev'"),
    ],
)
def test_a_tuner_that_fails_is_named_and_what_it_did_is_kept(
    folder: Path, fail: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said.replace("(", r"\(").replace(")", r"\)")):
        ran(folder, f"candidates.plain.tune={{./tune.py:Longest: {{fail: {fail}}}}}")
    assert _steps(folder) >= 5


def test_options_and_names_are_checked_with_their_place(folder: Path) -> None:
    for tune, said in (
        ("{./tune.py:Longest: {sufix: x}}", "sufix"),
        ("quantise", "did you mean 'quantize'"),
        ("{quantize: {type: q9}}", "q8_0"),
    ):
        (folder / "slipway.yaml").write_text(project(tune))
        with api.open_project(folder) as opened, pytest.raises(ConfigError, match=said) as caught:
            api.run(opened, "adapt")
        assert "slipway.yaml:" in caught.value.message


def test_it_is_released_verified_swept_and_carried_elsewhere(folder: Path, tmp_path: Path) -> None:
    gate = "gate.token_f1={min: 0, confidence: point}"
    with api.open_project(folder, [gate, "release.prefer=cost"]) as opened:
        api.run(opened)
        made = artifact_of(opened)
        released = [r for _, r in opened.store.catalog.list("release", Release) if "noun:artifact" in r.pins]
        if not released:  # the other candidate won: release this one by making it alone
            (folder / "slipway.yaml").write_text(
                "\n".join(line for line in project("./tune.py:Longest").splitlines() if "grounded:" not in line)
            )
    with api.open_project(folder, [gate]) as opened:
        api.run(opened)
        store = opened.store
        release = store.catalog.release(store.catalog.channels()["production"])
        assert release.pins["noun:artifact"] == made.digest
        assert any("model.json" in line for line in api.verify(opened, "production"))
        api.store_gc(opened)
        assert api.verify(opened, "production")
        api.store_backup(opened, tmp_path / "b.zip")
    other = write_project(tmp_path / "other", project("./tune.py:Longest")).parent
    (other / "tune.py").write_text(TUNER)
    with api.open_project(other) as opened:
        api.store_restore(opened, tmp_path / "b.zip")
        assert api.verify(opened, "production")
        assert api.ask(opened, "anything").text == made.options["reply"]
        blob = opened.store.blobs.path(made.files["model.json"])
        blob.chmod(0o600)
        blob.write_bytes(b"[]")
        with pytest.raises(IntegrityError):
            api.verify(opened, "production")


@pytest.mark.slow
def test_quantize_makes_a_model_that_answers(tmp_path: Path, smollm2_gguf: Path) -> None:
    text = project("{quantize: {type: q4_0}}").replace(
        "writer: {engine: echo}",
        f"writer: {{engine: openvino, source: 'file:{smollm2_gguf}', options: {{context: 512}}}}",
    )
    text = text.replace("{engine: openvino,", "{engine: openvino,").replace("options: {context: 512}", "context: 512")
    folder = write_project(
        tmp_path / "demo", "\n".join(line for line in text.splitlines() if "grounded:" not in line)
    ).parent
    with api.open_project(folder) as opened:
        api.run(opened, "adapt")
        made = artifact_of(opened)
        assert 0.4 < made.measured["share"] < 1.1
        assert list(made.files)[0].endswith(".q4_0.gguf")
        assert api.ask(opened, "What is the capital of France?", candidate="plain").text


def adapter(path: Path, base: Path, seed: int, scale: float) -> Path:
    """A LoRA adapter of rank 4 with random weights on the attention's output, large enough to change what is said."""
    import gguf
    import numpy as np

    header = gguf.GGUFReader(base)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 4.0)
    rng = np.random.default_rng(seed)
    for tensor in header.tensors:
        if tensor.name.endswith("attn_output.weight"):
            columns, rows = (int(n) for n in tensor.shape)
            writer.add_tensor(f"{tensor.name}.lora_a", rng.normal(0, scale, (4, columns)).astype(np.float32))
            writer.add_tensor(f"{tensor.name}.lora_b", rng.normal(0, scale, (rows, 4)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.slow
async def test_adapters_share_the_process_of_their_base(
    tmp_path: Path, smollm2_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.runtime.session.RETIRED_SECONDS", 0.5)
    store = Store(tmp_path / "state")
    digests = [store.blobs.take(adapter(tmp_path / f"{n}.lora.gguf", smollm2_gguf, n, 0.15)) for n in range(2)]
    options = {"context": 512, "threads": 1, "spin": 1000, "measure": False, "parallel": 1, "second_child": False}
    sha256 = hashlib.sha256(smollm2_gguf.read_bytes()).hexdigest()
    pin = ModelPin(name="writer", engine="llama", source="", files={"m.gguf": sha256}, options=options)
    candidates = [
        Candidate(name=f"tuned{n}", task="answer", model=pin, prompt="{{ question }}", sampling=Sampling(max_tokens=16),
                  adapters={d[:16]: 1.0}, adapter_files={d[:16]: d})
        for n, d in enumerate(digests)
    ]  # fmt: skip

    def asked(candidate: Candidate) -> GenerateRequest:
        return GenerateRequest(prompt="Once upon a time", sampling=candidate.sampling, adapters=candidate.adapters)

    async def alone(candidate: Candidate) -> str:
        session = Session(store, lambda _: {"m.gguf": smollm2_gguf})
        engine = await session.engine(candidate.model, candidate.adapter_files)
        text = (await complete(engine, asked(candidate))).text
        await session.close()
        return text

    bare = Candidate(name="bare", task="answer", model=pin, prompt="{{ question }}", sampling=Sampling(max_tokens=16))
    wanted = [await alone(candidate) for candidate in (*candidates, bare)]
    assert len(set(wanted)) == 3
    session = Session(store, lambda _: {"m.gguf": smollm2_gguf})
    session.expect(candidates)
    engines = [await session.engine(c.model, c.adapter_files) for c in (*candidates, bare)]
    assert engines[0] is engines[1] is engines[2]
    found = [(await complete(engines[0], asked(c))).text for c in (*candidates, bare)]
    assert found == wanted
    await session.close()
    # One that was not expected: what runs is let finish, and then there is one process again.
    session = Session(store, lambda _: {"m.gguf": smollm2_gguf})
    following = await session.following(pin)
    first = await session.engine(candidates[0].model, candidates[0].adapter_files)
    stream = first.generate(asked(candidates[0]))
    begun = (await anext(stream)).text  # type: ignore[arg-type]
    second = await session.engine(candidates[1].model, candidates[1].adapter_files)
    assert second is not first
    assert following() is second
    rest = "".join([delta.text async for delta in stream])
    assert begun + rest == wanted[0]
    assert (await complete(second, asked(candidates[0]))).text == wanted[0]
    assert (await complete(second, asked(candidates[1]))).text == wanted[1]
    async with asyncio.timeout(30):
        while first.pid is not None:  # type: ignore[attr-defined]
            await asyncio.sleep(0.05)
    await session.close()


WHOLE = '''
import json
from typing import ClassVar
from pydantic import BaseModel
from slipway.core.artifact import Made

class Reader:
    """Keeps what it would train on."""
    class Config(BaseModel):
        model_config = {"extra": "forbid"}
    reads: ClassVar = ("train", "dev")
    def __init__(self, config): self.config = config
    def tune(self, job):
        found = {e.id: [m.content for m in job.messages(e)] for split in ("train", "dev") for e in job.examples(split)}
        job.progress(1, 1)
        out = job.folder / "model.json"
        out.write_text(json.dumps(found))
        return Made(kind="model", files={"model.json": out}, engine="echo")
'''


def test_what_is_trained_on_is_what_is_served_passages_and_worked_examples_too(tmp_path: Path) -> None:
    text = FILE.replace("retrieve: {mode: lexical, top_k: 1}}", "retrieve: {mode: lexical, top_k: 1}, "
                        "few_shot: {k: 2, choose: fixed}, tune: ./tune.py:Reader}")  # fmt: skip
    folder = write_project(tmp_path / "demo", text).parent
    (folder / "tune.py").write_text(WHOLE)
    shots = "{% for e in examples %}{{ e.question }} {{ e.answer }}\n{% endfor %}"
    (folder / "grounded.md").write_text(
        f"{shots}{{% for p in passages %}}{{{{ p.text }}}}\n{{% endfor %}}{{{{ question }}}}"
    )
    with api.open_project(folder) as opened:
        api.run(opened, "evaluate")
        made = opened.store.catalog.list("artifact", Artifact, "grounded")[0][1]
        kept = json.loads(opened.store.blobs.get(made.files["model.json"]))
        served = api.items(opened, api.find(opened, "report", "grounded"))
        examples = [e for _, d in api.datasets(opened) if d.name == "examples" for e in api.items(opened, d)]
    assert served
    for example, score in served:
        assert kept[example.id][-1].strip() == score.answer.raw.strip(), "the echo engine answers with its prompt"
    trained = [e for e in examples if getattr(e, "split", "") == "train"]
    assert len(trained) >= 3
    for example in trained:
        shown = kept[example.id][-1]
        assert f"{example.text} {example.expected[0]}" not in shown, "its own answer stood in its prompt"  # type: ignore[union-attr]
        assert "every spring" in shown or "tonnes when it is dry" in shown
        assert sum(f"{other.text} {other.expected[0]}" in shown for other in trained) in (1, 2)  # type: ignore[union-attr]
    (folder / "docs" / "keel.md").write_text(
        "# The keel\n\n## Weight of the keel\n\nThe keel weighs 99 tonnes when it is dry.\n"
    )
    assert ran(folder) == ["tune:grounded"], "what is retrieved is part of what is trained on"
    assert ran(folder) == []
