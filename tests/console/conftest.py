"""A project that was run, and a server with its console that was asked hostile things."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosting import HOSTILE, Answers, Canary, ask_hostile, context

from served import Running, serving
from slipway import api
from slipway.core.answer import Answer
from slipway.core.labelling import Criterion
from slipway.core.trace import Trace
from slipway.loop.context import Context
from slipway.loop.labelling.room import Plan
from slipway.store.catalog import now
from slipway.testing.catalogs import trace_of
from slipway.testing.projects import FILE, write_project


@pytest.fixture(scope="session")
def as_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after its first run; nobody changes it."""
    found = write_project(tmp_path_factory.mktemp("console") / "demo", FILE).parent
    with api.open_project(found) as project:
        api.run(project)
    return found


@pytest.fixture(scope="module")
def folder(as_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(as_run, tmp_path_factory.mktemp("copy") / "demo"))


@pytest.fixture(scope="module")
def hostile_folder(tmp_path_factory: pytest.TempPathFactory, canary: Canary) -> Path:
    """A project whose documents, their names, examples, prompts and settings hold such texts; one has a megabyte."""
    found = write_project(tmp_path_factory.mktemp("hostile") / "demo", FILE).parent
    texts = [text.replace("{url}", f"http://127.0.0.1:{canary.server_port}") for text in HOSTILE]
    rows = (found / "questions.jsonl").read_text("utf-8").splitlines()
    for n, text in enumerate(texts):
        one = " ".join(text.split())
        name = f"{n} <img src=x onerror=alert(1)>.md"
        (found / "docs" / name).write_text(f"# {one}\n\nzebra{n} {text}\n\n## B {one}\n\n{text}\n", "utf-8")
        asked = {"question": f"Where is zebra{n}? {text}", "answer": text, "source": f"docs/{name}", "language": "en"}
        rows.append(json.dumps(asked))
    (found / "docs" / "long.md").write_text("# Long\n\n" + "<b>word</b> " * 90_000, "utf-8")
    (found / "questions.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    prompt = (found / "grounded.md").read_text("utf-8")
    (found / "grounded.md").write_text(f"{texts[0]} {texts[2]}\n{prompt}", "utf-8")
    with api.open_project(found) as project:
        first = api.run(project)
        assert first.release is not None
        api.promote(project, first.release.digest, "staging", texts[1], by=texts[2])
        (found / "plain.md").write_text("Say it.\n{{ question }} " + texts[3] + "\n", "utf-8")
        (found / "grounded.md").write_text(f"{texts[3]} {texts[2]}\n{prompt}", "utf-8")
    with api.open_project(found) as project:
        api.run(project)
    return found


@pytest.fixture(scope="module")
def project(folder: Path) -> Iterator[Context]:
    with api.open_project(folder) as found:
        yield found


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    made = Canary(("127.0.0.1", 0), Answers)
    made.paths = []
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(scope="module")
def server(project: Context, canary: Canary) -> Iterator[Running]:
    with serving(context(project)) as found:
        ask_hostile(found, canary)
        yield found


@pytest.fixture(scope="module")
def hostile(hostile_folder: Path, canary: Canary) -> Iterator[Running]:
    with api.open_project(hostile_folder) as project, serving(context(project, max_body=4_000_000)) as found:
        ask_hostile(found, canary)
        long = "<b>long</b> " * 90_000
        answer = Answer(text=long, raw=f"{long} ")
        project.store.catalog.add_traces([trace_of(request={"prompt": long}, answer=answer, at=now())])
        texts = [text.replace("{url}", f"http://127.0.0.1:{canary.server_port}") for text in HOSTILE]
        project.store.catalog.add_traces([again(text, other) for text, other in zip(texts, texts[1:], strict=False)])
        queues(project, texts)
        yield found


def queues(project: Context, texts: list[str]) -> None:
    """A queue of each kind, whose names, labels and instructions hold such texts."""
    labels = ("</button><img src=x onerror=alert(1)>", 'a" onfocus="x', "plain")
    rubric = tuple(Criterion(name, 1, 3) for name in labels)
    for plan in (
        Plan(name="answers", instructions=texts[0]), Plan(name="blind", kind="answer", blind=True),
        Plan(name="labels", kind="label", labels=labels), Plan(name="pairs", kind="compare"),
        Plan(name="marks", kind="spans", labels=labels), Plan(name="points", kind="rubric", rubric=rubric),
    ):  # fmt: skip
        api.labelling(project).create(plan)


def again(text: str, answer: str) -> Trace:
    """The same question, answered otherwise."""
    return trace_of(
        request={"messages": [{"role": "user", "content": text}]}, answer=Answer(text=answer, raw=answer), at=now()
    )
