from __future__ import annotations

import socket
from pathlib import Path

import pytest

from everyday import some
from slipway import api
from slipway.errors import ConfigError
from slipway.testing.projects import write_project


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_project(tmp_path).parent


def errors(folder: Path, *overrides: str) -> str:
    return "\n".join(f"{f.what} {f.how}" for f in api.check(folder, overrides) if f.level == "error")


def test_a_sound_project_has_no_errors(folder: Path) -> None:
    assert errors(folder) == ""


@pytest.mark.parametrize(
    ("overrides", "message"),
    some(
        [
            (("gate.tokn_f1.min=0.1",), "did you mean 'token_f1'"),
            (("models.writer.dealy=1",), "dealy"),
            (("models.writer.engine=ecko",), "did you mean 'echo'"),
            (("candidates.plain.prompt=nope.md",), "nope.md"),
            (('data.documents=[{"path": "dosc/*.md"}]',), "dosc"),
            (("data.examples=[]",), "no examples"),
            (("gate={}",), "no gate"),
            (("gate.token_f1.limit=2",), "limit that it does not need"),
            (("models.writer.source=pypy:x==1",), "pypy"),
        ],
        3,
        spread=True,
    ),
)
def test_each_problem_is_found_before_a_run(folder: Path, overrides: tuple[str, ...], message: str) -> None:
    assert message in errors(folder, *overrides)


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ("{classify: {labels: [a, a]}}", "'a' is listed twice"),
        ("{classify: {label: [a, b]}}", "did you mean 'labels'"),
        ("clasify", "no task is called 'clasify'"),
        ("extract", "schema"),
    ],
)
def test_what_is_wrong_with_the_task_is_told_once(folder: Path, task: str, told: str) -> None:
    found = [one for one in errors(folder, f"task={task}").splitlines() if told in one]
    assert len(found) == 1, found


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("candidates.grounded.retrieve={top_k: 3}",), "mode fused needs an embedder"),
        (("candidates.plain.strategy=quote",), "quotes passages, and retrieves none"),
        (("candidates.plain.model=null",), "needs a model and a prompt"),
        (("candidates.plain.prompt=null",), "needs a model and a prompt"),
        (("data.documents=[]",), "retrieves, but the project has no documents"),
        (("candidates.plain.few_shot={k: 2, choose: nearest}",), "nearest needs an embedder"),
        (("candidates.plain.strategy=dirct",), "did you mean 'direct'"),
    ],
)
def test_what_a_candidate_lacks_is_found_before_a_run(folder: Path, overrides: tuple[str, ...], message: str) -> None:
    found = errors(folder, *overrides)
    assert message in found
    assert len(found.splitlines()) == 1


@pytest.mark.slow
def test_a_gate_that_no_first_release_can_pass_is_found_before_a_run(folder: Path) -> None:
    def warnings(gate: str) -> str:
        return " ".join(f"{f.what} {f.how}" for f in api.check(folder, [f"gate={gate}"]) if f.level == "warning")

    told = "asks for quality by itself"
    assert told in warnings('{"token_f1": {"against": "production", "margin": 0.05}, "latency_p95": {"max": 9}}')
    assert "token_f1: {min: 0.3}" in warnings('{"token_f1": {"against": "production", "margin": 0.05}}')
    assert told not in warnings('{"token_f1": {"against": "production", "margin": 0.05, "min": 0.1}}')
    assert told not in warnings('{"latency_p95": {"max": 9}}')


def test_every_wrong_metric_is_found_at_once_with_its_place_and_the_nearest_name(folder: Path) -> None:
    wrong = (
        "evaluate.metrics=[tokn_f1, retreval_recall, token_f1]", "gate.token_f2.min=0.2", "gate.latency_p96.max=3",
        "gate.rouge_l.min=0.1", "gate.token_f1.limit=3", "release.metric=exact_mach",
    )  # fmt: skip
    found = errors(folder, *wrong)
    for part in (
        "evaluate.metrics.0: no metric is called 'tokn_f1'; did you mean 'token_f1'?",
        "evaluate.metrics.1: no metric is called 'retreval_recall'; did you mean 'retrieval_recall'?",
        "gate.token_f2: no metric is called 'token_f2'; did you mean 'token_f1'?",
        "gate.latency_p96: no metric is called 'latency_p96'; did you mean 'latency_p95'?",
        "gate.rouge_l: 'rouge_l' is not measured: add it to evaluate.metrics",
        "token_f1 has a limit that it does not need",
        "release.metric: no metric is called 'exact_mach'; did you mean 'exact_match'?",
    ):
        assert part in found
    assert found.count("slipway.yaml:") == 6
    with api.open_project(folder, wrong) as project, pytest.raises(ConfigError) as caught:
        api.run(project)
    assert caught.value.message.count("slipway.yaml:") == 5
    with api.open_project(folder, ["gate.rouge_l.min=0.1"]) as project:
        assert api.run(project, "evaluate").reports
        with pytest.raises(ConfigError, match="rouge_l' is not measured"):
            api.run(project)


def test_a_broken_template_is_found(folder: Path) -> None:
    (folder / "plain.md").write_text("{{ qestion }}")
    assert "did you mean 'question'" in errors(folder)


def test_a_taken_port_is_a_warning(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = api.check(folder, [f"serve.port={port}"])
    assert any(f.level == "warning" and str(port) in f.what for f in found)


PLUGIN = """\
from pathlib import Path

Path(__file__).with_name("was-run").touch()


class Own:
    higher_is_better = True
    Config = dict
"""


def test_a_plugin_of_the_project_is_parsed_and_not_run(folder: Path) -> None:
    (folder / "own.py").write_text(PLUGIN)
    overrides = ['evaluate.metrics=["./own.py:Own", "token_f1"]', "models.writer.engine=./own.py:Own"]
    found = api.check(folder, overrides)
    assert not [f for f in found if f.level == "error"]
    assert any(f.what == "./own.py:Own is code of this project; it was not run" and "--plugins" in f.how for f in found)
    assert not (folder / "was-run").exists()


def test_a_plugin_is_run_when_that_is_asked_for(folder: Path) -> None:
    (folder / "own.py").write_text(PLUGIN)
    api.check(folder, ['evaluate.metrics=["./own.py:Own", "token_f1"]'], run_plugins=True)
    assert (folder / "was-run").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class Owm: ...", "did you mean 'Owm'"),
        ("class Outer:\n    class Own: ...", "defines no 'Own'"),
        ("class Own(:\n", "own.py:1:"),
        ("Own = " + "(" * 100_000, "own.py"),
        ("x = " + "-" * 200_000 + "1", "own.py"),
        ("\0", "own.py"),
        ("#" * 1_000_001, "larger than"),
    ],
)
@pytest.mark.parametrize("run_plugins", [False, True])
def test_a_plugin_that_cannot_be_one_is_an_error(folder: Path, text: str, message: str, run_plugins: bool) -> None:
    (folder / "own.py").write_text(text)
    found = api.check(folder, ['evaluate.metrics=["./own.py:Own", "token_f1"]'], run_plugins=run_plugins)
    assert message in "\n".join(f"{f.what} {f.how}" for f in found if f.level == "error")


def test_sources_that_are_not_there_are_warnings_before_a_run(folder: Path) -> None:
    assert not [
        f for f in api.check(folder) if f.level == "warning" and "port" not in f.what and "memory" not in f.what
    ]
    rows = (folder / "questions.jsonl").read_text("utf-8").replace("Colour of the keel", "Color of the keel")
    rows = rows.replace('"docs/buoy.md#', '"docs/bouy.md#')
    (folder / "questions.jsonl").write_text(rows, "utf-8")
    found = {f.what: f.how for f in api.check(folder) if f.level == "warning"}
    heading = next(what for what in found if "no such heading" in what)
    assert "nearest: docs/keel.md#Colour of the keel" in heading
    missing = next(what for what in found if "no document has this name" in what)
    assert ": 2 (" in missing
    assert "nearest: docs/buoy.md" in missing
    assert found[missing]
    assert not (folder / ".slipway").exists()


def test_questions_on_one_section_in_two_splits_are_a_warning(folder: Path) -> None:
    text = (folder / "slipway.yaml").read_text("utf-8").replace(", group_by: source", "")
    (folder / "slipway.yaml").write_text(text, "utf-8")
    rows = (folder / "questions.jsonl").read_text("utf-8")
    more = rows.replace("Which shade", "What colour").replace("How much does", "Do you know how heavy is")
    (folder / "questions.jsonl").write_text(rows + more, "utf-8")
    found = {f.what: f.how for f in api.check(folder) if f.level == "warning"}
    leak = next(what for what in found if "rests on the same section" in what)
    assert "group_by: source" in found[leak]
