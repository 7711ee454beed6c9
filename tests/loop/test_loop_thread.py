"""Every verb can be called from any thread, and from within a running event loop."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fastapi import Depends

from served import serving
from slipway import api
from slipway.core.trace import Wanted
from slipway.errors import SlipwayError
from slipway.loop.choosing.recommend import Needs
from slipway.loop.context import Context
from slipway.loop.loop_thread import LoopThread
from slipway.runtime.session import Session
from slipway.serve.auth.keys import create_key
from slipway.serve.resources import ServeContext
from slipway.testing.projects import write_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "demo").parent


def calls(folder: Path, opened: Context, other: Path) -> dict[str, Callable[[], Any]]:
    """Every verb of `api`, with arguments that work in a project that ran. `serve` runs until a signal comes."""
    release = api.releases(opened)[0][1].digest
    return {
        "ask": lambda: api.ask(opened, "How much does the keel weigh?"),
        "changes": lambda: api.changes(opened, "documents"),
        "check": lambda: api.check(folder),
        "compare": lambda: api.compare(opened, "plain", "grounded"),
        "create_key": lambda: api.create_key(opened, "ada"),
        "datasets": lambda: api.datasets(opened),
        "diff": lambda: api.diff(opened, "dataset", "documents", "documents"),
        "bundle": lambda: api.bundle(opened, other / "b.tar", wheels=other),
        "draft": lambda: api.draft(opened, 3),
        "export_examples": lambda: api.export_examples(opened, other / "examples.jsonl"),
        "import_examples": lambda: api.import_examples(opened, folder / "questions.jsonl", out=other / "i.jsonl"),
        "report": lambda: api.report(opened, other / "r.html"),
        "review": lambda: api.review(opened).waiting,
        "export_verdict": lambda: api.export_verdict(opened, other / "verdict"),
        "card": lambda: api.card(opened, other / "card.md"),
        "bench": lambda: api.bench(["writer"], opened, examples=2),
        "recommend": lambda: api.recommend(Needs(), opened),
        "improve": lambda: api.improve(opened, dry_run=True),
        "simulate": lambda: api.simulate(opened, folder / "none.jsonl"),
        "learning_curve": lambda: api.learning_curve(folder, folder / "none.jsonl"),
        "export_traces": lambda: api.export_traces(opened, other / "traces.jsonl"),
        "feedback": lambda: api.feedback(opened),
        "mine_feedback": lambda: api.mine_feedback(opened),
        "export_feedback": lambda: api.export_feedback(opened, other / "f.jsonl", "kto"),
        "import_feedback": lambda: api.import_feedback(opened, other / "none.jsonl"),
        "forget": lambda: api.forget(opened, trace="0" * 32),
        "watch": lambda: api.watch(folder),
        "fetch": lambda: api.fetch(opened),
        "find": lambda: api.find(opened, "dataset", "documents"),
        "gate_looks": lambda: api.gate_looks(opened),
        "history": lambda: api.history(opened),
        "init": lambda: api.init(other / "new"),
        "items": lambda: api.items(opened, api.find(opened, "dataset", "documents")),
        "json_schema": api.json_schema,
        "kept": lambda: api.kept(opened),
        "keys": lambda: api.keys(opened),
        "labelling": lambda: api.labelling(opened).queues(),
        "models": lambda: api.models(),
        "monitor": lambda: api.monitor(opened).look(),
        "open_project": lambda: api.open_project(folder).__exit__(),
        "plan_gate": lambda: api.plan_gate(opened),
        "promote": lambda: api.promote(opened, release),
        "pull_models": lambda: api.pull_models(opened),
        "releases": lambda: api.releases(opened),
        "remove_model": lambda: api.remove_model("0" * 12),
        "reports": lambda: api.reports(opened),
        "revoke_key": lambda: api.revoke_key(opened, "nobody"),
        "rollback": lambda: api.rollback(opened),
        "rotate_gate": lambda: api.rotate_gate(opened),
        "run": lambda: api.run(opened),
        "runs": lambda: api.runs(opened),
        "store_backup": lambda: api.store_backup(opened, other / "b.zip"),
        "store_gc": lambda: api.store_gc(opened),
        "store_restore": lambda: api.store_restore(opened, other / "none.zip"),
        "store_stats": lambda: api.store_stats(opened),
        "store_verify": lambda: api.store_verify(opened),
        "trace": lambda: api.trace(opened, "0" * 32),
        "traces": lambda: api.traces(opened),
        "traces_to_export": lambda: api.traces_to_export(opened, 5, Wanted()),
        "verdict": lambda: api.verdict(opened),
        "verify": lambda: api.verify(opened, release),
    }


async def test_every_verb_works_in_a_running_loop(project: Path, tmp_path: Path) -> None:
    with api.open_project(project) as opened:
        api.run(opened)
        called = calls(project, opened, tmp_path)
        assert set(called) == set(api.__all__) - {"serve"}
        for call in called.values():
            with suppress(SlipwayError):  # what is asked of some is not there: that is an answer too
                call()
        assert "tonnes" in api.ask(opened, "How much does the keel weigh?", candidate="grounded").text


@pytest.mark.slow
def test_every_verb_works_in_the_loop_of_a_server_that_answers(ran: Path, tmp_path: Path) -> None:
    """A route of the server calls each, as a console would; requests before, between and after are answered."""
    with api.open_project(ran) as opened:
        told: dict[str, str] = {}

        async def call_all() -> dict[str, str]:
            assert asyncio.get_running_loop() is loops[0]
            for name, call in calls(ran, opened, tmp_path).items():
                told[name] = "done"
                try:
                    call()
                except SlipwayError as error:
                    told[name] = type(error).__name__
            return told

        async def note() -> None:
            loops.append(asyncio.get_running_loop())

        loops: list[asyncio.AbstractEventLoop] = []
        bearer = {"authorization": f"Bearer {create_key(opened.store, 'bob')[1]}"}  # one of the verbs makes a key, too
        store = opened.store
        context = ServeContext(
            project=opened.project.name, config=opened.project.serve, store=store,
            session=Session(store, opened.locate, plugins=opened.plugins), verify=lambda release: None,
        )  # fmt: skip
        with serving(context) as server:
            server.until()
            server.application._admin.add_api_route("/v1/test", call_all, dependencies=[Depends(note)])
            asked = "How much does the keel weigh?"
            before = server.chat(asked, "demo", headers=bearer).text
            reply = server.get("/v1/test", **bearer)
            assert reply.status == 200, reply.body
            assert set(reply.json) == set(api.__all__) - {"serve"}
            assert {reply.json[name] for name in ("ask", "run", "compare", "verify", "promote", "datasets")} == {"done"}
            server.until()  # its loop was busy, and a release may be looked at again
            after = server.chat(asked, "demo", headers=bearer)
            assert after.status == 200, after.body
            assert after.text == before
            assert "tonnes" in before


async def test_a_verb_in_a_thread_leaves_the_loop_free(project: Path) -> None:
    with api.open_project(project) as opened:
        await asyncio.to_thread(api.run, opened)
        answers = await asyncio.gather(
            *(asyncio.to_thread(api.ask, opened, f"How much does the {topic} weigh?") for topic in ("keel", "mast"))
        )
    assert ["tonnes" in answer.text for answer in answers] == [True, True]


def test_every_verb_that_waits_goes_through_the_thread() -> None:
    """Nothing else in the package starts a loop of its own where a verb could meet it."""
    import slipway

    root = Path(inspect.getfile(slipway)).parent
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if any(word in path.read_text("utf-8") for word in ("asyncio.run(", "asyncio.Runner(", "run_until_complete("))
    }
    assert found <= {"loop/loop_thread.py", "serve/server.py", "builtin/engines/openvino/child.py"}, found


def test_results_and_errors_come_back() -> None:
    loop = LoopThread()

    async def double(n: int) -> int:
        await asyncio.sleep(0)
        return 2 * n

    async def fail() -> None:
        raise ValueError("why")

    assert loop.run(double(2)) == 4
    with pytest.raises(ValueError, match="why"):
        loop.run(fail())
    loop.close()
    loop.close()
    assert loop.run(double(3)) == 6, "it starts again when there is work"
    loop.close()
    assert "slipway-loop" not in {thread.name for thread in threading.enumerate()}


def test_ctrl_c_cancels_the_work_and_waits_for_it() -> None:
    loop, told = LoopThread(), []

    async def work() -> None:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            told.append("let go")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run(work())
    finally:
        signal.signal(signal.SIGINT, before)
    assert told == ["let go"]
    loop.close()


def test_what_still_runs_is_cancelled_at_the_end() -> None:
    loop, told = LoopThread(), []

    async def forever() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    async def begin() -> asyncio.Task[None]:
        task = asyncio.create_task(forever())
        await asyncio.sleep(0)
        return task

    task = loop.run(begin())
    loop.close()
    assert told == ["cancelled"]
    assert task.cancelled()
