from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from everyday import some
from slipway import api
from slipway.errors import Busy, ConfigError, IntegrityError, NotFound, SlipwayError
from slipway.i18n import Said, say, set_language, speaking, told
from slipway.loop.run import Outcome
from slipway.testing.projects import FILE, write_project


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project that has not run; `ran` is one that has."""
    return write_project(tmp_path / "demo").parent


def run(folder: Path, *overrides: str, until: str = "release") -> Outcome:
    with api.open_project(folder, overrides) as project:
        return api.run(project, until)  # type: ignore[arg-type]


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text("utf-8")), "utf-8")


def test_from_files_to_a_promoted_release(folder: Path) -> None:
    found = run(folder)
    assert found.chosen == "grounded"
    assert found.verdict is not None
    assert found.verdict.outcome == "pass"
    assert found.release is not None
    assert found.promoted
    dev = found.reports["dev"]
    assert dev["grounded"].metrics["token_f1"].value > dev["plain"].metrics["token_f1"].value
    assert dev["grounded"].metrics["retrieval_recall"].value == 1
    with api.open_project(folder) as project:
        assert api.releases(project)[0][2] == ["production"]
        assert "8 tonnes" in api.ask(project, "How much does the lighthouse weigh?").text
        assert api.ask(project, "How much does the lighthouse weigh?", "plain").citations == ()


def test_nothing_changed_nothing_runs(folder: Path) -> None:
    first = run(folder)
    second = run(folder)
    assert second.ran == []
    assert second.cached == first.ran
    assert second.release == first.release
    assert not second.promoted


def test_touched_but_equal_files_run_nothing(ran: Path) -> None:
    run(ran)
    for path in ran.rglob("*.md"):
        os.utime(path, (0, 0))
    assert run(ran).ran == []


def test_a_changed_prompt_runs_only_what_depends_on_it(ran: Path) -> None:
    run(ran)
    edit(ran / "plain.md", lambda text: text.replace("briefly", "shortly"))
    assert run(ran).ran == ["evaluate:plain:dev"]


def test_one_changed_document_is_the_only_one_parsed(ran: Path) -> None:
    run(ran)
    with api.open_project(ran) as project:
        before = _memo(project, "parsed")
    edit(ran / "docs" / "anchor.md", lambda text: text.replace("painted", "varnished"))
    found = run(ran)
    assert {"documents", "chunks"} <= set(found.ran)
    assert "evaluate:plain:dev" not in found.ran  # it does not read documents
    with api.open_project(ran) as project:
        assert len(_memo(project, "parsed") - before) == 1
        changed = api.diff(project, "dataset", "documents~1", "documents")
        assert (changed.added, changed.removed, len(changed.changed)) == ([], [], 1)


def _memo(project: object, kind: str) -> set[str]:
    from sqlalchemy import text

    with project.store.catalog.engine.connect() as connection:  # type: ignore[attr-defined]
        return set(connection.execute(text("SELECT key FROM memo WHERE kind LIKE :k"), {"k": f"{kind}%"}).scalars())


def test_a_deleted_blob_is_made_again(ran: Path) -> None:
    run(ran)
    with api.open_project(ran) as project:
        blob = api.find(project, "dataset", "chunks").items
        project.store.blobs.remove(blob)
    found = run(ran)
    assert "chunks" in found.ran
    assert "evaluate:grounded:dev" not in found.ran  # the same chunks came out


def test_stages_stop_where_they_are_told(folder: Path) -> None:
    assert run(folder, until="data").ran == ["documents", "chunks", "examples"]
    assert run(folder, until="evaluate").release is None


def test_a_gate_that_says_no_releases_nothing_and_keeps_what_serves(ran: Path) -> None:
    first = run(ran)
    refused = run(ran, "gate.token_f1.min=0.99")
    assert "no candidate meets" in refused.refused
    assert refused.release is None
    with api.open_project(ran) as project:
        assert project.store.catalog.channels() == {"production": first.release.digest}  # type: ignore[union-attr]


CHATTER = "Chatter and more chatter to no purpose at all. " * 3
ONLY_GROUNDED = (
    'candidates={"grounded": {"model": "writer", "prompt": "grounded.md", "retrieve": {"mode": "lexical", "top_k": 1}}}'
)


def worsen(folder: Path) -> None:
    edit(folder / "grounded.md", lambda text: CHATTER + text)


def test_a_challenger_must_not_be_worse_than_the_champion(ran: Path) -> None:
    run(ran)
    worsen(ran)
    against = ("gate.token_f1.against=production", "gate.token_f1.margin=0.01", "gate.token_f1.min=0.0001")
    worse = run(ran, *against, ONLY_GROUNDED)
    assert worse.verdict is not None
    assert [(one.rule, one.outcome) for one in worse.verdict.rules] == [("min", "pass"), ("non-inferiority", "fail")]
    assert worse.verdict.outcome == "fail"
    assert worse.refused
    assert worse.release is None


def test_each_rule_is_compared_with_the_channel_that_it_names(ran: Path) -> None:
    """Staging holds the good release, production a worse one: a candidate between them beats only the latter."""
    good = run(ran).release
    assert good is not None
    with api.open_project(ran) as project:
        api.promote(project, good.digest, "staging")
    worsen(ran)
    bad = run(ran, "gate.token_f1.min=0.0001", ONLY_GROUNDED).release
    assert bad is not None
    edit(ran / "grounded.md", lambda text: text.replace("Chatter and more", "Chat and"))
    rule = ("gate.token_f1.min=0.0001", "gate.token_f1.margin=0.01", ONLY_GROUNDED)
    found = run(ran, *rule, "gate.token_f1.against=staging")
    assert found.verdict is not None
    assert found.verdict.outcome == "fail"
    assert found.verdict.champions == {"staging": good.ref}
    found = run(ran, *rule, "gate.token_f1.against=production")
    assert found.verdict is not None
    assert found.verdict.outcome == "pass"
    assert found.verdict.champions == {"production": bad.ref}
    assert found.promoted


def test_what_was_promoted_by_hand_is_compared_with_what_served_there_before(ran: Path) -> None:
    rule = ("gate.token_f1.against=staging", "gate.token_f1.margin=1.0")
    first = run(ran).release
    edit(ran / "grounded.md", lambda text: text.replace("briefly", "shortly"))
    second = run(ran).release
    assert first is not None
    assert second is not None
    with api.open_project(ran) as project:
        api.promote(project, first.digest, "staging")
        api.promote(project, second.digest, "staging")
    found = run(ran, *rule).verdict
    assert found is not None
    assert found.champions == {"staging": first.ref}


def test_a_rule_about_a_channel_that_never_was_is_refused_once_another_serves(folder: Path) -> None:
    rule = ("gate.token_f1.against=prodution", "gate.token_f1.margin=0.01")
    first = run(folder, *rule)  # nothing serves anywhere: there is nothing to compare with
    assert first.verdict is not None
    assert "nothing serves on 'prodution' yet" in str(first.verdict.rules[1].reason[0])
    with pytest.raises(ConfigError, match="did you mean 'production'"):
        run(folder, *rule)


@pytest.mark.parametrize("name", ["deadbeef", "a@b", "Prod", "x\ny", "", "a b", "0123456789abcdef", "x" * 64, "-x"])
def test_a_channel_that_would_pass_for_something_else_is_refused(ran: Path, name: str) -> None:
    release = run(ran).release
    assert release is not None
    with api.open_project(ran) as project:
        with pytest.raises(ConfigError, match="cannot be the name of a channel"):
            api.promote(project, release.digest, name or "\x00")
        assert list(project.store.catalog.channels()) == ["production"]
    for key in ("serve.channel", "gate.token_f1.against"):
        with pytest.raises(ConfigError, match=rf"slipway.yaml.*{key}: .*cannot be the name"):
            api.open_project(ran, [f"{key}={json.dumps(name)}"])


def test_a_channel_is_asked_and_found_by_its_name(ran: Path) -> None:
    release = run(ran).release
    assert release is not None
    with api.open_project(ran) as project:
        assert api.promote(project, release.digest, "beaded")  # hexadecimal, but too short for a digest
        asked = "How much does the lighthouse weigh?"
        assert api.ask(project, asked, channel="beaded").text == api.ask(project, asked).text
        assert api.find(project, "release", "demo@beaded").digest == release.digest
        with pytest.raises(NotFound, match="did you mean 'beaded'"):
            api.ask(project, asked, channel="beadde")


def test_uses_of_the_gate_split_are_counted(ran: Path) -> None:
    assert run(ran).verdict.gate_uses == 1  # type: ignore[union-attr]
    with api.open_project(ran) as project:
        api.compare(project, "plain", "grounded", split="gate")
    edit(ran / "grounded.md", lambda text: text.replace("briefly", "shortly"))
    assert run(ran).verdict.gate_uses == 4  # type: ignore[union-attr]


def test_a_rollback_is_not_undone_by_the_next_run(ran: Path) -> None:
    first = run(ran).release
    edit(ran / "grounded.md", lambda text: text.replace("briefly", "shortly"))
    second = run(ran).release
    assert first is not None
    assert second is not None
    assert first.digest != second.digest
    with api.open_project(ran) as project:
        assert api.rollback(project, why="users complained").digest == first.digest
        with pytest.raises(ConfigError, match="no release before"):
            api.rollback(project)
    run(ran)
    with api.open_project(ran) as project:
        assert project.store.catalog.channels()["production"] == first.digest
        assert api.promote(project, second.digest[:12], why="again")
        assert not api.promote(project, second.digest)
        assert [h["action"] for h in project.store.catalog.history()] == ["promote", "rollback", "promote", "promote"]


def test_verify_notices_one_flipped_bit(ran: Path) -> None:
    release = run(ran).release
    assert release is not None
    with api.open_project(ran) as project:
        assert len(api.verify(project, "production")) >= 6
        path = project.store.blobs.path(release.pins["blob:chunks"])
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.chmod(0o644)
        path.write_bytes(bytes(data))
        with pytest.raises(IntegrityError):
            api.verify(project, "production")
        with pytest.raises(IntegrityError):
            api.promote(project, release.digest, "staging")
        assert "staging" not in project.store.catalog.channels()


def test_comparison_is_paired_and_shows_what_changed(ran: Path) -> None:
    run(ran)
    with api.open_project(ran) as project:
        comparison, changed, examples, estimates = api.compare(project, "plain", "grounded")
        assert comparison.effect > 0
        assert comparison.n == len(examples)
        assert comparison.groups == len({e.group for e in examples.values()})
        assert changed
        assert changed[0].example in examples
        with pytest.raises(NotFound, match="did you mean 'plain'"):
            api.compare(project, "plian", "grounded")
        with pytest.raises(NotFound, match="no metric"):
            api.compare(project, "plain", "grounded", "tokn_f1")


@pytest.mark.slow
def test_two_runs_at_once_the_second_is_refused(folder: Path) -> None:
    with api.open_project(folder) as one, api.open_project(folder) as other:
        with one.store.lock(), pytest.raises(Busy, match=str(os.getpid())):
            api.run(other)
        api.run(other)


@pytest.mark.slow
def test_an_engine_that_cannot_answer_stops_the_run_with_its_reason(folder: Path) -> None:
    from slipway.errors import EngineError

    with pytest.raises(EngineError, match="on fire"):
        run(folder, "models.writer.fail=on fire")
    with api.open_project(folder) as project:
        assert api.runs(project)[0].status == "failed"
        assert "on fire" in told(api.runs(project)[0].error)
    assert run(folder).release is not None


@pytest.fixture
def chinese() -> Iterator[None]:
    set_language("zh")
    yield
    set_language(None)


def test_what_went_wrong_is_stored_in_no_language(folder: Path, chinese: None) -> None:
    """An engine that cannot answer, and a prompt that is not there: told in the language of the reader."""
    with pytest.raises(SlipwayError) as caught:
        run(folder, "models.writer.fail=on fire")
    assert not caught.value.message.isascii()
    with pytest.raises(SlipwayError):
        run(folder, "data.split.dev=0", "data.split.train=0.6")
    with api.open_project(folder) as project:
        split, engine = (one.error for one in api.runs(project) if one.status == "failed")
    assert engine == (say("{candidate} could not answer any example: {why}", candidate="plain", why=say("on fire")),)
    assert split == (say("the split '{split}' has no examples", split="dev"),)
    with speaking("en"):
        assert told(engine) == "plain could not answer any example: on fire"
    assert told(engine) == caught.value.message


def test_runs_of_an_older_catalog_are_still_read(ran: Path) -> None:
    run(ran)
    with api.open_project(ran) as project:
        newest = api.runs(project)[0]
        old = msgspec.structs.replace(newest, id="old", status="failed", error="it fell over")
        assert old.digest
        project.store.catalog.record(old)
        found = api.runs(project)[0]
        assert (found.error, told(found.error)) == ("it fell over", "it fell over")


def test_an_interrupted_run_is_told_so_in_the_readers_language(ran: Path, chinese: None) -> None:
    run(ran)
    with api.open_project(ran) as project:
        left = msgspec.structs.replace(api.runs(project)[0], id="left", status="running")
        project.store.catalog.record(left)
    run(ran)
    with api.open_project(ran) as project:
        found = next(one for one in api.runs(project) if one.id == "left")
    assert found.status == "interrupted"
    assert found.error == (Said("the process ended before the step did"),)


def test_the_loops_own_reason_for_a_promotion_is_told_in_the_readers_language(ran: Path, chinese: None) -> None:
    from slipway.render import text
    from slipway.render.pages.releases import releases

    run(ran)
    with api.open_project(ran) as project:
        history = api.history(project)
    assert history.decisions[0].why == "passed the gate"
    assert "passed the gate" not in text.write(releases([], history))


PROBLEMS = {
    "no examples": (("data.examples=[]",), "no examples"),
    "no candidates": (("candidates={}",), "no candidates"),
    "no gate": (("gate={}",), "no gate"),
    "unknown metric": (("gate.tokn_f1.min=0.1",), "did you mean 'token_f1'"),
    "missing prompt": (("candidates.plain.prompt=nope.md",), r"candidates\.plain\.prompt: nope\.md"),
    "unknown option": (("models.writer.dealy=1",), r"models\.writer\.dealy: unknown key; did you mean 'delay'"),
    "unknown engine": (("models.writer.engine=ecko",), "did you mean 'echo'"),
    "retrieval without embedder": (("candidates.grounded.retrieve.mode=fused",), "needs an embedder"),
    "too many shots": (("candidates.plain.few_shot.k=50",), "wants 50 examples"),
    "bad pattern": (("candidates.plain.answer_pattern=(",), "no regular expression"),
    "documents match nothing": (('data.documents=[{"path": "dosc/*.md"}]',), "dosc"),
    "examples match nothing": (('data.examples=[{"path": "question.jsonl"}]',), "question.jsonl"),
}  # fmt: skip


@pytest.mark.parametrize(("overrides", "message"), some(PROBLEMS, spread=True))
def test_what_cannot_work_is_said_before_anything_is_released(
    folder: Path, overrides: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(folder, *overrides)


def test_a_corrupt_lock_file_says_so(folder: Path) -> None:
    (folder / "slipway.lock").write_text("{")
    with pytest.raises(ConfigError, match="slipway.lock is damaged"):
        api.open_project(folder)


def orphans(folder: Path) -> list[str]:
    found = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in found.splitlines() if "slipway" in line and str(folder) in line and "ps -eo" not in line]


@pytest.mark.slow
def test_kill_9_at_random_instants_and_the_run_resumes(tmp_path: Path) -> None:
    """Twenty instants here; bench/kill_run.py does fifty with the real models."""
    folder = write_project(
        tmp_path / "demo", FILE.replace("{engine: echo}", "{engine: echo, token_delay: 0.002}")
    ).parent
    command = [sys.executable, "-m", "slipway", "run", "-C", str(folder)]
    wait, finished = 0.15, 0
    for _ in range(20):
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        ) as child:
            try:
                child.wait(wait)
                finished += 1
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
            child.wait()
        wait = wait * 1.25 if wait < 8 else 0.2
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    with api.open_project(folder) as project:
        assert api.verify(project, "production")
        assert not [r for r in api.runs(project, 1000) if r.status == "running"]
    end = time.monotonic() + 10
    while orphans(folder) and time.monotonic() < end:
        time.sleep(0.1)
    assert orphans(folder) == []
    assert re.search(r"release", done.stdout)


def test_what_was_lost_is_in_the_outcome_and_the_same_when_nothing_ran(folder: Path) -> None:
    (folder / "docs" / "scan.md").write_text(" \n", "utf-8")
    edit(folder / "questions.jsonl", lambda text: text.replace("docs/buoy.md#Weight", "docs/buoy.md#Wieght"))
    first = run(folder, until="data")
    assert [(loss.reason, loss.items[0].split(" ")[0]) for loss in first.losses] == [
        ("empty", "docs/scan.md"),
        ("heading-missing", "questions.jsonl:20"),
    ]
    again = run(folder, until="data")
    assert again.ran == []
    assert again.losses == first.losses


def test_a_changed_document_leaves_examples_and_their_splits_as_they_are(folder: Path) -> None:
    first = run(folder, until="data").datasets["examples"]
    edit(folder / "docs" / "keel.md", lambda text: text + "\nIt is made of oak.\n")
    second = run(folder, until="data")
    assert "examples" in second.ran
    assert second.datasets["examples"].digest == first.digest
