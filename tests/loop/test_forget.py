"""`slipway data forget`: nothing of a trace or a user is left, what it went into is told, and a crash loses nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from commands import forks, slipway
from slipway import api
from slipway.core.answer import Answer
from slipway.core.material import Example
from slipway.core.trace import Feedback, Trace
from slipway.errors import SlipwayError
from slipway.serve.auth.keys import create_key
from slipway.store import erase
from slipway.testing.catalogs import feedback_of, trace_of

SECRET = "Paulina Quistgaard"


def asked(text: str, answer: str = "fine", **more: Any) -> Trace:
    messages = [{"role": "user", "content": text}]
    return trace_of(request={"messages": messages}, answer=Answer(text=answer, raw=answer), **more)


@pytest.fixture
def learnt(ran: Path) -> tuple[Path, Trace, str]:
    """A project that mined feedback of two users, and ran on it; (folder, the trace to forget, key of its user)."""
    with api.open_project(ran) as project:
        key = create_key(project.store, "ann")[0]
        other = create_key(project.store, "bob")[0]
        mine = asked(f"Which cabin has {SECRET} booked?", key=key)
        his = asked("Which rope is best on board?", "hemp", key=other)
        said = [feedback_of(mine, by=key), feedback_of(his, by=other), feedback_of(mine, by=other, comment="ok")]
        project.store.catalog.add_traces([mine, his], said)
        api.mine_feedback(project)
        text = (ran / "slipway.yaml").read_text("utf-8")
        listed = "[{path: questions.jsonl}, {path: feedback/mined.examples.jsonl, split: train}]"
        (ran / "slipway.yaml").write_text(text.replace("[{path: questions.jsonl}]", listed), "utf-8")
    with api.open_project(ran) as project:
        api.run(project, "evaluate")
    return ran, mine, key


def left(folder: Path) -> list[str]:
    """Where the text still stands: files of the project and of its state, free pages of the database included."""
    needle = SECRET.encode()
    return [
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()
    ]


@pytest.mark.slow
@pytest.mark.parametrize("by", ["trace", "user", "matching"])
def test_nothing_is_left_and_a_run_makes_it_clean(learnt: tuple[Path, Trace, str], by: str) -> None:
    folder, trace, key = learnt
    options = {"trace": trace.id, "user": "ann", "matching": SECRET.upper()}
    before = left(folder)
    assert before
    dry = slipway("data", "forget", f"--{by}", options[by], "-C", str(folder))
    assert dry.returncode == 0, dry.stderr
    assert "nothing was deleted" in dry.stdout
    assert sorted(left(folder)) == sorted(before)
    done = slipway("data", "forget", f"--{by}", options[by], "--yes", "-C", str(folder), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["traces"] == [trace.id]
    assert told["feedback"] == 2
    assert told["rows"] == {"feedback/mined.examples.jsonl": 1, "feedback/mined.thumbs.jsonl": 1}
    assert {one["kind"] for one in told["affected"]} >= {"dataset", "report"}
    assert left(folder) == []
    with api.open_project(folder) as project:
        assert [t.key for t in api.traces(project)] != [key]
        checked = api.store_verify(project)
        assert checked.sound, checked.problems
        assert {problem.kind for problem in checked.problems} == {"erased"}
        assert "slipway data forget" in checked.problems[0].what
        assert "slipway run" in checked.problems[0].how
        examples = api.items(project, api.run(project, "evaluate").datasets["examples"])
        assert [e.input["question"] for e in examples if isinstance(e, Example) and "lineage" in e.meta] == [
            "Which rope is best on board?"
        ]
        again = api.forget(project, **{by: options[by]}, yes=True)
        assert (again.traces, again.feedback, again.rows, again.affected) == ([], 0, {}, [])
        assert api.store_verify(project).sound
    assert left(folder) == []


def test_what_another_user_said_of_it_goes_alone(learnt: tuple[Path, Trace, str]) -> None:
    folder, trace, _ = learnt
    with api.open_project(folder) as project:
        found = api.forget(project, user="bob", yes=True)
        assert trace.id not in found.traces
        assert found.feedback == 2
        assert [said.by for said, _ in api.feedback(project)] != []
        assert len(api.traces(project)) == 1


def test_a_worked_example_takes_its_candidate_along(learnt: tuple[Path, Trace, str]) -> None:
    folder, trace, _ = learnt
    text = (folder / "slipway.yaml").read_text("utf-8")
    shown = "  shown: {model: writer, prompt: plain.md, few_shot: {k: 6}}\n"
    (folder / "slipway.yaml").write_text(text.replace("evaluate:", shown + "evaluate:"), "utf-8")
    with api.open_project(folder) as project:
        api.run(project, "adapt")
        told = api.forget(project, trace=trace.id, yes=True)
        assert ("candidate", "shown") in {(one.kind, one.name) for one in told.affected}
    assert left(folder) == []
    with api.open_project(folder, ["candidates.shown.few_shot.k=5"]) as project:
        assert api.store_verify(project).sound
        api.run(project, "adapt")


def _killed(folder: str, trace: str, at: int) -> None:
    """Forget, and die before the deed's step number `at`."""
    steps = [0]

    def dying(name: str) -> None:
        genuine = getattr(erase, name)

        def step(*arguments: Any) -> None:
            steps[0] += 1
            if steps[0] == at:
                os.kill(os.getpid(), signal.SIGKILL)
            genuine(*arguments)

        setattr(erase, name, step)

    for name in ("note", "erase_rows", "erase_blobs"):
        dying(name)
    with api.open_project(Path(folder)) as project:
        api.forget(project, trace=trace, yes=True)


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_killed_at_any_step_it_can_be_done_again(learnt: tuple[Path, Trace, str], at: int) -> None:
    folder, trace, _ = learnt
    process = forks.Process(target=_killed, args=(str(folder), trace.id, at))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    with api.open_project(folder) as project:
        assert api.store_verify(project).sound
        api.forget(project, trace=trace.id, yes=True)
    assert left(folder) == []


def test_what_was_killed_in_the_middle_leaves_nothing_either(learnt: tuple[Path, Trace, str]) -> None:
    """Half written files beside those of rows, and what stopped trainings were given."""
    folder, trace, _ = learnt
    row = (folder / "feedback" / "mined.examples.jsonl").read_bytes()
    for name in (".mined.examples.jsonl.x1y2z3", ".out.thumbs.jsonl.4711.part", ".other.examples.jsonl.abc"):
        about = row if name != ".other.examples.jsonl.abc" else b'{"lineage": "trace:%s", "text": "x"}' % (b"b" * 32)
        (folder / "feedback" / name).write_bytes(about[:-3])
    work = folder / ".slipway" / "work" / "0123" / "cache"
    work.mkdir(parents=True)
    (work / "rows.arrow").write_bytes(row)
    with api.open_project(folder) as project:
        told = api.forget(project, trace=trace.id)
        assert {name for name in told.rows if "/." in name} == {
            "feedback/.mined.examples.jsonl.x1y2z3", "feedback/.out.thumbs.jsonl.4711.part",
        }  # fmt: skip
        assert len(left(folder)) > 3
        api.forget(project, trace=trace.id, yes=True)
    assert left(folder) == []
    assert (folder / "feedback" / ".other.examples.jsonl.abc").exists()


def test_what_cannot_be_deleted_is_told_and_the_command_can_be_repeated(learnt: tuple[Path, Trace, str]) -> None:
    folder, trace, _ = learnt
    work = folder / ".slipway" / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.write_text("no folder: root may delete any of those", "utf-8")
    with api.open_project(folder) as project:
        with pytest.raises(SlipwayError, match="cannot be written"):
            api.forget(project, trace=trace.id, yes=True)
        work.unlink()
        api.forget(project, trace=trace.id, yes=True)
    assert left(folder) == []


def test_it_wants_one_of_three_and_a_text_that_means_something(ran: Path) -> None:
    for wrong in (
        [],
        ["--trace", "a" * 32, "--user", "x"],
        ["--matching", "a"],
        ["--user", "nobody"],
        ["--trace", "zz"],
    ):
        done = slipway("data", "forget", *wrong, "--yes", "-C", str(ran))
        assert done.returncode == 2, wrong
        assert "defect" not in done.stderr
    assert "nothing of it is here" in slipway("data", "forget", "--trace", "a" * 32, "-C", str(ran)).stdout


def test_lines_of_the_owner_stay_and_are_told(ran: Path) -> None:
    with (ran / "questions.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"question": f"Who is {SECRET}?", "answer": "a guest"}) + "\n")
    found = json.loads(slipway("data", "forget", "--matching", SECRET, "--yes", "-C", str(ran), "--json").stdout)
    assert found["elsewhere"] == ["questions.jsonl:21"]
    assert left(ran) == ["questions.jsonl"]
    assert isinstance(feedback_of(asked("x")), Feedback)


def test_rows_that_an_editor_marked_are_forgotten_and_broken_ones_are_told(ran: Path) -> None:
    with api.open_project(ran) as project:
        one = asked(f"Which cabin has {SECRET} booked?")
        project.store.catalog.add_traces([one], [feedback_of(one)])
        api.mine_feedback(project)
        for kind in ("examples", "thumbs"):
            path = ran / "feedback" / f"mined.{kind}.jsonl"
            line = path.read_bytes().rstrip()
            path.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n" + (line[:-1] + b",}\r\n" if kind == "thumbs" else b""))
    found = json.loads(slipway("data", "forget", "--trace", one.id, "--yes", "-C", str(ran), "--json").stdout)
    assert found["elsewhere"] == ["feedback/mined.thumbs.jsonl:2"]
    assert left(ran) == ["feedback/mined.thumbs.jsonl"]
    assert SECRET not in (ran / "feedback" / "mined.examples.jsonl").read_text("utf-8")
