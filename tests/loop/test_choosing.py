"""Choosing a model: the table of a bench, the advice of `models recommend`, and what goes wrong with either."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from slipway import api
from slipway.cli.main import run as slipway
from slipway.core.candidate import Candidate, ModelPin
from slipway.errors import ConfigError, NotFound
from slipway.files import cache_folder
from slipway.gguf import read_header
from slipway.loop.choosing import measured, speed_prompts
from slipway.loop.choosing.bench import Row
from slipway.loop.choosing.estimating import Estimator
from slipway.loop.choosing.facts import known
from slipway.loop.choosing.peak import children, peak
from slipway.loop.choosing.recommend import NEEDS, Advice, Needs
from slipway.loop.choosing.subjects import subjects
from slipway.loop.model_size import cache_of, memory_of, weights_of
from slipway.project.fields import Money
from slipway.project.schema import ModelConfig
from slipway.render.pages import recommended
from slipway.store import models
from slipway.testing.projects import FILE, write_project

TWO = FILE.replace("writer: {engine: echo}", "writer: {engine: echo}\n  mute: {engine: echo, reply: nothing}")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured here is no memory of the user's."""
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_project(tmp_path / "demo", TWO).parent


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def write_model(path: Path, rows: int, kind: str = "llama", name: str = "", form: str = "") -> Path:
    """A GGUF file whose header is sound: one Q8_0 matrix of [rows, 32], two layers with one head of 16 numbers."""
    numbers = {"context_length": 512, "block_count": 2, "embedding_length": 32, "attention.head_count": 2,
               "attention.head_count_kv": 1}  # fmt: skip
    entries = [text("general.architecture") + struct.pack("<I", 8) + text(kind)]
    entries += [text("general.name") + struct.pack("<I", 8) + text(name)] if name else []
    entries += [text("general.type") + struct.pack("<I", 8) + text(form)] if form else []
    entries += [text(f"{kind}.{key}") + struct.pack("<II", 4, value) for key, value in numbers.items()]
    tensor = text("a") + struct.pack("<I2QIQ", 2, 32, rows, 8, 0)
    tensors = [tensor] if rows else []
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries)) + b"".join([*entries, *tensors])
    path.write_bytes(head + b"\0" * (-len(head) % 32) + b"\1" * 34 * rows)
    return path


class _Wordy(BaseHTTPRequestHandler):
    """A server of the OpenAI shape that streams an answer and tells no usage."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for delta, finish in (({"content": "It is "}, None), ({"content": "late."}, None), ({}, "stop")):
            chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def wordy() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Wordy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1#wordy"
    server.shutdown()
    thread.join()
    server.server_close()


# -- bench ------------------------------------------------------------------------------------------------------


def test_models_by_prompts_are_measured_on_dev_and_leave_no_trace(folder: Path) -> None:
    with api.open_project(folder) as project:
        found = api.bench(["writer", "mute"], project, ["grounded", "plain.md"], examples=4)
        assert project.store.catalog.list("candidate", Candidate) == []
        assert api.gate_looks(project) == []
    assert [(row.model, row.prompt) for row in found.rows] == [
        ("writer", "grounded"), ("writer", "plain.md"), ("mute", "grounded"), ("mute", "plain.md"),
    ]  # fmt: skip
    assert found.metric == "token_f1"
    assert {row.answered for row in found.rows} == {4}
    echo, *_, mute = found.rows
    assert echo.ratio == 1.0
    assert echo.quality is not None
    assert mute.quality is not None
    assert echo.quality.value > mute.quality.value == 0.0  # the echo repeats the passage, the other says nothing of it
    assert echo.quality.n == 4
    assert mute.read is not None
    assert echo.memory is None  # it has no child process
    assert mute.writing is None  # one token an answer is no speed


def test_all_models_of_candidates_and_the_first_prompt_are_the_default(folder: Path) -> None:
    with api.open_project(folder) as project:
        found = api.bench([], project, examples=2)
    assert [(row.model, row.prompt) for row in found.rows] == [("writer", "plain")]


def test_what_is_not_known_is_told_before_anything_is_asked(folder: Path) -> None:
    with api.open_project(folder) as project:
        with pytest.raises(NotFound, match="no model is called 'writr'") as caught:
            api.bench(["mute", "writr"], project)
        assert "writer" in caught.value.hint
        with pytest.raises(NotFound, match="no candidate and no file is called 'ground'") as caught:
            api.bench(["mute"], project, ["ground"])
        assert "grounded" in caught.value.hint
        for empty in ("", "  ", "#q8_0"):  # not the folder that it is begun in
            with pytest.raises(NotFound, match="no model is called"):
                api.bench(["mute", empty], project)
        with pytest.raises(ConfigError, match="names a server and no model"):
            api.bench(["http://127.0.0.1:1/v1"], project)
        with pytest.raises(ConfigError, match="not a quantisation"):
            api.bench(["pypi:a-model==1.0#q3"], project)
    with pytest.raises(ConfigError, match="there is no model to ask"):
        api.bench([])


def test_a_candidate_without_a_model_has_nothing_to_exchange(folder: Path) -> None:
    more = "candidates.quoted={strategy: quote, retrieve: {mode: lexical}}"
    with api.open_project(folder, [more]) as project, pytest.raises(ConfigError, match=r"candidates\.quoted asks no"):
        api.bench(["writer"], project, ["quoted"])


TUNER = """
from typing import ClassVar
from pydantic import BaseModel
from slipway.core.artifact import Made

class Says:
    class Config(BaseModel):
        text: str = "shade number 100"
    reads: ClassVar = ()
    def __init__(self, config): self.config = config
    def tune(self, job):
        path = job.folder / "model.json"
        path.write_text(self.config.text)
        return Made(kind="model", files={path.name: path}, engine="echo", options={"reply": self.config.text})
"""


def test_a_tuned_candidate_is_asked_as_it_was_made(folder: Path) -> None:
    (folder / "tune.py").write_text(TUNER, "utf-8")
    (folder / "brief.md").write_text("{{ question }}", "utf-8")
    tuned = ["candidates.taught={model: writer, prompt: brief.md, tune: './tune.py:Says'}"]
    with api.open_project(folder, tuned) as project:
        with pytest.raises(ConfigError, match=r"candidates\.taught was not made yet") as caught:
            api.bench(["mute", "taught"], project)
        assert "slipway run adapt" in caught.value.hint
        with pytest.raises(NotFound, match="no model is called 'taugt'") as caught:
            api.bench(["taugt"], project)
        assert "taught" in caught.value.hint
        api.run(project, "adapt")
        before = len(project.store.catalog.list("candidate", Candidate))
        found = api.bench(["mute", "taught"], project, ["grounded", "plain.md"], examples=4)
        assert len(project.store.catalog.list("candidate", Candidate)) == before
        assert [(row.model, row.prompt) for row in found.rows] == [
            ("mute", "grounded"), ("mute", "plain.md"), ("taught", "taught"),
        ]  # fmt: skip
        mute, _, taught = found.rows
        assert (taught.engine, taught.answered, taught.error) == ("echo", 4, "")
        assert taught.quality is not None
        assert mute.quality is not None
        assert taught.quality.value > mute.quality.value
    (folder / "brief.md").write_text("Now: {{ question }}", "utf-8")
    other = ["candidates.taught={model: writer, prompt: plain.md, tune: {'./tune.py:Says': {text: never}}}"]
    for overrides in (tuned, other):
        with (
            api.open_project(folder, overrides) as project,
            pytest.raises(ConfigError, match=r"candidates\.taught has changed since it was made"),
        ):
            api.bench(["taught"], project)


def test_a_classifier_is_asked_without_a_prompt(tmp_path: Path) -> None:
    rows = "".join(f"what of number {n},{('odd', 'even')[n % 2]}\n" for n in range(40))
    (tmp_path / "rows.csv").write_text("text,label\n" + rows, "utf-8")
    (tmp_path / "slipway.yaml").write_text(
        "slipway: 1\nname: desk\ntask: classify\ndata: {examples: [{path: rows.csv}]}\n"
        "candidates: {often: {tune: majority}}\nevaluate: {metrics: [accuracy]}\n", "utf-8",
    )  # fmt: skip
    with api.open_project(tmp_path) as project:
        api.run(project, "adapt")
        (row,) = api.bench(["often"], project, examples=6).rows
    assert (row.model, row.prompt, row.engine, row.answered, row.error) == ("often", "often", "classifier", 6, "")
    assert row.quality is not None
    assert row.reading is None


def test_a_prompt_that_is_wrong_ends_it_before_a_model_is_asked(folder: Path) -> None:
    (folder / "wrong.md").write_text("{{ question", "utf-8")
    (folder.parent / "outside.md").write_text("{{ question }}", "utf-8")
    with api.open_project(folder) as project:
        with pytest.raises(ConfigError, match=r"wrong\.md"):
            api.bench(["writer"], project, ["wrong.md"])
        with pytest.raises(ConfigError, match="outside"):
            api.bench(["writer"], project, [str(folder.parent / "outside.md")])


def test_a_model_that_does_not_load_is_a_row_and_the_others_go_on(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF is not enough")
    code = slipway(["bench", str(broken), "writer", "--examples", "2", "-C", str(folder), "--json"])
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert code == 4
    assert [(row["model"], row["answered"]) for row in rows] == [(str(broken), 0), ("writer", 2)]
    assert "broken.gguf" in rows[0]["error"]
    slipway(["bench", str(broken), "writer", "--examples", "2", "-C", str(folder), "--markdown"])
    shown = capsys.readouterr().out
    assert "| writer | plain |" in shown
    assert f"{broken} with plain:" in shown


def test_a_server_that_tells_no_tokens_has_seconds_and_no_rates(
    wordy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # no project here
    assert slipway(["bench", wordy, "--examples", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (row,) = found["rows"]
    assert (row["prompt"], row["answered"], found["metric"]) == (speed_prompts.NAME, 3, "")
    assert row["seconds"] > 0
    assert row["reading"] is None
    assert row["writing"] is None
    assert slipway(["bench", wordy, "--examples", "1"]) == 0
    assert "the engine tells no tokens" in " ".join(capsys.readouterr().out.split())


def test_a_project_that_was_named_must_be_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert slipway(["bench", "writer", "-C", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert slipway(["bench", "writer", "-C", str(tmp_path / "empty")]) == 2
    assert "slipway.yaml" in capsys.readouterr().err


def test_names_of_models_are_read_in_every_way_they_are_written(tmp_path: Path) -> None:
    known_ = {"writer": ModelConfig(engine="echo")}
    file = write_model(tmp_path / "m.gguf", 4)
    given = ["writer", "writer", "pypi:a-model==1.0#q8_0", str(file), f"{file}#q4_0", "http://h/v1#m"]
    found = subjects(given, known_, "llama", "KEY")
    assert [(one.name, one.ours) for one in found] == [
        ("writer", True), *((name, False) for name in dict.fromkeys(given[2:])),
    ]  # fmt: skip
    wheel, plain, small, served = (one.config for one in found[1:])
    assert (wheel.source, wheel.quantize) == ("pypi:a-model==1.0", "q8_0")
    assert (plain.source, plain.quantize, plain.engine) == (f"file:{file}", None, "llama")
    assert small.quantize == "q4_0"
    assert served.options == {"base_url": "http://h/v1", "model": "m", "api_key_env": "KEY"}


def test_the_built_in_texts_are_of_both_languages_and_begin_differently() -> None:
    languages = [language for _, language, _ in speed_prompts.TEXTS]
    assert languages.count("en") == languages.count("zh") >= 5
    beginnings = {text[:6] for text, _, _ in speed_prompts.TEXTS}
    assert len(beginnings) == len(speed_prompts.TEXTS)


def test_the_memory_of_children_is_theirs_alone() -> None:
    before = children()
    command = [sys.executable, "-c", "held = bytearray(60_000_000); print(len(held), flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert children() - before == {child.pid}
        held = peak({child.pid})
        assert held is not None
        assert 60e6 < held < 200e6
        child.communicate(b"\n")
    assert peak({child.pid}) is None


# -- recommend --------------------------------------------------------------------------------------------------


def all_of(advice: Advice) -> set[str]:
    return {one.option.name for one in [*advice.fit, *advice.left_out]}


def test_every_model_is_either_advised_or_left_out_with_its_reasons() -> None:
    advice = api.recommend(Needs(task="classify", languages=("zh",), memory=2e9, latency=30.0))
    assert all_of(advice) == {facts.name for facts in known()}
    assert advice.fit
    assert all(not one.misses for one in advice.fit)
    assert all(one.misses and all(miss.why for miss in one.misses) for one in advice.left_out)
    for one in advice.fit:
        assert "zh" in one.option.languages
        assert one.option.memory is not None
        assert one.option.memory <= 2e9
        assert one.seconds is not None
        assert one.seconds <= 30
    sizes = [one.option.parameters or 0 for one in advice.fit]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("memory", [1.0, 1e7])
def test_memory_below_everything_says_what_would_do(memory: float) -> None:
    advice = api.recommend(Needs(memory=memory))
    assert advice.fit == []
    assert all(miss.need == "memory" for one in advice.left_out for miss in one.misses)
    (relax,) = advice.relax
    assert relax.need == "memory"
    assert relax.value is not None
    again = api.recommend(Needs(memory=relax.value))
    assert [one.option.title for one in again.fit] == [relax.model]  # exactly what was promised, and nothing else


def test_needs_that_exclude_each_other_are_not_blamed_on_one() -> None:
    advice = api.recommend(Needs(languages=("tlh",), memory=1e7))
    assert advice.fit == []
    assert advice.relax == []
    shown = " ".join(str(part) for part in recommended.recommended(advice).parts)
    assert "several must be relaxed together; the nearest is " in shown


def test_a_price_needs_to_be_known() -> None:
    price = Money(amount=1e6, currency="CNY")
    unknown = api.recommend(Needs(price=price, memory=1e12))
    assert unknown.fit == []
    assert unknown.relax[0].need == "price"
    priced = api.recommend(Needs(price=price, memory=1e12, per_hour=Money(amount=0.5, currency="CNY")))
    assert len(priced.fit) == len(known())
    seconds, cost = priced.fit[0].seconds, priced.fit[0].cost
    assert seconds is not None
    assert cost == pytest.approx(0.5 * seconds / 3600)
    with pytest.raises(ConfigError, match="CNY, EUR"):
        api.recommend(Needs(price=price, per_hour=Money(amount=1, currency="EUR")))


def test_a_context_that_is_too_long_and_a_task_that_is_not_known() -> None:
    advice = api.recommend(Needs(context=9000, memory=1e12))
    assert {one.option.name for one in advice.left_out} == {one.name for one in known() if one.context < 9000}
    with pytest.raises(ConfigError, match="no task is called 'clasify'") as caught:
        api.recommend(Needs(task="clasify"))
    assert "classify" in caught.value.hint


def test_models_of_this_machine_and_of_the_project_are_judged_too(folder: Path, tmp_path: Path) -> None:
    models.pull(f"file:{write_model(tmp_path / 'own-q8_0.gguf', 64)}")
    models.pull(f"file:{write_model(tmp_path / 'encoder.gguf', 64, 'bert')}")
    models.pull(f"file:{write_model(tmp_path / 'adapter.gguf', 64, form='adapter')}")
    models.pull(f"file:{write_model(tmp_path / 'vocab.gguf', 0)}")
    served = (
        "models.far={engine: openai, base_url: 'http://127.0.0.1:9/v1', model: m, price: {input_per_million: 2 CNY}}"
    )
    with api.open_project(folder, [served]) as project:
        advice = api.recommend(Needs(memory=1e12, context=256, price=Money(amount=1, currency="CNY"),
                                     per_hour=Money(amount=1, currency="CNY")), project)  # fmt: skip
        slow = api.recommend(Needs(memory=1e12, context=256, latency=1e9), project)
    fit = {one.option.name: one for one in advice.fit}
    own = fit["own-q8_0.gguf"].option
    assert (own.parameters, own.weights, own.context, own.quantize, own.here) == (64 * 32, 64 * 34, 512, "q8_0", True)
    assert fit["far"].cost == pytest.approx(800 * 2 / 1e6)
    left = {one.option.name: one.misses[0] for one in [*advice.left_out, *slow.left_out]}
    assert left["encoder.gguf"].why == "it writes no text (bert)"
    assert left["adapter.gguf"].why == "it writes no text (adapter)"
    assert left["vocab.gguf"].why == "it writes no text (vocab)"
    assert left["far"].why == "its speed is not measured: slipway bench 'far'"
    assert "writer" not in all_of(advice)  # an echo is no model
    unpriced = served.replace(", price: {input_per_million: 2 CNY}", "")
    with api.open_project(folder, [unpriced]) as project:
        advice = api.recommend(Needs(memory=1e12, price=Money(amount=1, currency="CNY")), project)
    assert {one.option.name: one.cost for one in advice.left_out}["far"] is None  # not known is not nothing


def test_a_file_is_known_by_its_name_unless_its_size_says_otherwise(tmp_path: Path) -> None:
    models.pull(f"file:{write_model(tmp_path / 'smollm2-135m-instruct.gguf', 64, name='SmolLM2 135M Instruct')}")
    advice = api.recommend(Needs(memory=1e12, languages=("en",), context=256))
    left = {one.option.name: one for one in advice.left_out}
    assert left["smollm2-135m-instruct.gguf"].misses[0].need == "languages"


def test_estimates_are_scaled_from_what_was_measured_and_checked_against_it(tmp_path: Path) -> None:
    small, large = (models.pull(f"file:{write_model(tmp_path / f'{n}-q8_0.gguf', n)}") for n in (64, 256))
    for model, reading, writing in ((small, 400.0, 80.0), (large, 90.0, 25.0)):
        pin = ModelPin(name="m", engine="llama", source=model.source, files=model.sha256)
        measured.remember(pin, reading, writing, 5_000_000)
    estimator = Estimator()
    speed = estimator.measured(large.sha256)
    assert speed is not None
    assert (speed.reading, speed.memory) == (90.0, 5_000_000)
    reading, writing = estimator.speed(512 * 32, 512 * 34, "q8_0")
    assert reading == 45.0  # twice the nearest, half its speed
    assert 1 / writing == pytest.approx(1 / 25 + (1 / 25 - 1 / 80) / (256 - 64) * (512 - 256))  # a line through both
    checks = {one.name: one for one in estimator.checks()}
    assert checks["256-q8_0.gguf"].writing == pytest.approx(80 / 4 / 25)  # from one alone: in proportion
    assert checks["64-q8_0.gguf"].reading == pytest.approx(90 * 4 / 400)
    advice = api.recommend(Needs(memory=1e12, context=256))
    assert {one.option.name for one in advice.fit if one.option.measured} == {"64-q8_0.gguf", "256-q8_0.gguf"}
    assert advice.measured == 2


def test_a_damaged_memory_of_speeds_is_empty(tmp_path: Path) -> None:
    cache_folder().mkdir(parents=True, exist_ok=True)
    (cache_folder() / "speeds.json").write_text('{"a": 1}', "utf-8")
    assert measured.speeds() == []
    measured.remember(ModelPin(name="m", engine="llama", source="file:x", files={"x": "0" * 64}), 1.0, 1.0, None)
    assert len(measured.speeds()) == 1


def test_speeds_of_another_kind_of_machine_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    pin = ModelPin(name="m", engine="llama", source="file:x", files={"x": "0" * 64})
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(measured, "machine", lambda: "riscv64, 96 cores")
        measured.remember(pin, 9e9, 9e9, None)
    assert measured.speeds() == []


def test_the_command_shows_a_table_a_picture_and_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["models", "recommend", "--memory", "3 GB", "--per-hour", "0.5 CNY", "--languages", "EN, zh"]
    assert slipway([*asked, "--picture", "models.svg"]) == 0
    shown = capsys.readouterr().out
    assert "Models that meet the needs" in shown
    assert "Left out" in shown
    root = ET.parse("models.svg").getroot()
    texts = [node.text or "" for node in root.iter() if node.tag.endswith("text")]
    assert {"written, tokens/s", "memory, GB", "cost per query, CNY"} <= set(texts)
    assert sum(node.tag.endswith("circle") for node in root.iter()) >= 3 * len(known())
    assert slipway([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["needs"]["languages"] == ["en", "zh"]
    assert len(found["fit"]) + len(found["left_out"]) == len(known())


@pytest.mark.parametrize(
    ("option", "value"),
    [("--memory", "much"), ("--memory", "0 GB"), ("--memory", "1e400 GB"), ("--latency", "soon"), ("--price", "5")],
)
def test_an_option_that_cannot_be_read_is_named(
    option: str, value: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert slipway(["models", "recommend", option, value]) == 2
    assert option in capsys.readouterr().err


@pytest.mark.parametrize("languages", ["chinese", "en zh", "cn", "en,e"])
def test_what_is_no_code_of_a_language_is_refused_with_those_that_cards_name(
    languages: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert slipway(["models", "recommend", "--languages", languages]) == 2
    told = capsys.readouterr().err
    assert "is no code of a language" in told
    assert re.search(r"cards name ar, .*\bzh\b", " ".join(told.split()))


def test_a_language_of_a_region_is_met_by_the_language() -> None:
    """The documentation is in zh-CN; a card says zh."""
    regional = api.recommend(Needs(languages=("zh-CN", "en-gb"), memory=1e12))
    plain = api.recommend(Needs(languages=("zh", "en"), memory=1e12))
    assert [one.option.name for one in regional.fit] == [one.option.name for one in plain.fit] != []


def test_the_table_of_facts_is_whole() -> None:
    assert len({facts.name for facts in known()}) == len(known()) >= 12
    for facts in known():
        assert facts.source.startswith("https://huggingface.co/")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", facts.date)
        assert facts.obtain
        assert facts.languages
        assert facts.licence
        named = re.search(r"(\d+(?:\.\d+)?)(B|M)", facts.name)
        assert named is not None
        said = float(named[1]) * (1e9 if named[2] == "B" else 1e6)
        assert facts.parameters == pytest.approx(said, rel=0.25)
        assert facts.embedding < facts.parameters / 2
        for source in filter(None, facts.obtain.values()):
            models.parse(source.partition("#")[0])  # raises for what cannot be read
    assert set(NEEDS) == {"languages", "context", "memory", "latency", "price"}


@pytest.mark.slow
def test_the_facts_of_the_small_model_are_those_of_its_file_and_its_memory_is_as_computed(
    smollm2_gguf: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    facts = next(one for one in known() if one.name == "SmolLM2-135M-Instruct")
    with smollm2_gguf.open("rb") as file:
        header = read_header(file)
    parameters, weights = weights_of(header)
    assert facts.parameters == pytest.approx(parameters, rel=0.01)
    assert facts.cache(4096) == cache_of(header, 4096)
    assert facts.weights("q4_1") == pytest.approx(weights, rel=0.1)
    monkeypatch.chdir(tmp_path)
    found = api.bench([str(smollm2_gguf)], examples=2, engine="llama")
    (row,) = found.rows
    assert isinstance(row, Row)
    assert row.error == ""
    assert row.reading is not None
    assert row.writing is not None
    assert row.memory == pytest.approx(memory_of(weights, cache_of(header, 4096)), rel=0.25)
    advice = api.recommend(Needs(memory=1e12))
    measured_ = [one.option for one in advice.fit if one.option.measured]
    assert [(one.name, one.reading) for one in measured_] == [("SmolLM2-135M-Instruct", row.reading)]
