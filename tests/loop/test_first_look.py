"""A first look: answers before anything is embedded, and a run over a sample of the documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway import api
from slipway.core.material import Document, Example
from slipway.data.collect import Found
from slipway.data.sample import sampled
from slipway.errors import Busy, ConfigError
from slipway.testing.projects import FILE, write_project


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = write_project(tmp_path / "demo").parent
    for n in range(40):
        (made / "docs" / f"more{n}.md").write_text(
            f"# Page {n}\n\nOn page {n} somebody wrote {n * 17} things about ships.\n"
        )
    return made


# answers at once -----------------------------------------------------------------------------------------------------
def test_words_answer_before_anything_ran(folder: Path) -> None:
    with api.open_project(folder) as project:
        got = api.ask(project, "How much does the lighthouse weigh?", now=True)
        assert "tonnes" in got.text
        assert got.citations[0].source == "docs/lighthouse.md"
        assert got.usage.prompt_tokens == 0
        assert api.reports(project) == []
        (folder / "docs" / "lighthouse.md").write_text("# The lighthouse\n\nThe lighthouse weighs 999 tonnes today.\n")
    with api.open_project(folder) as project:
        assert "999" in api.ask(project, "How much does the lighthouse weigh?", now=True).text


def test_words_answer_while_a_run_is_at_work_from_what_it_has_read(folder: Path) -> None:
    with api.open_project(folder) as one, one.store.lock(), api.open_project(folder) as two, pytest.raises(Busy):
        api.ask(two, "How much does the keel weigh?", now=True)
    with api.open_project(folder) as project:
        api.run(project, "data")
    with api.open_project(folder) as project, project.store.lock(), api.open_project(folder) as second:
        assert "tonnes" in api.ask(second, "How much does the keel weigh?", now=True).text


def test_it_is_no_candidate_and_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from slipway.cli.main import run as slipway

    assert slipway(["ask", "How much does the keel weigh?", "--now", "-C", str(folder)]) == 0
    assert "it was not measured, and is not what serves" in capsys.readouterr().out
    with api.open_project(folder) as project, pytest.raises(ConfigError, match="asks no candidate"):
        api.ask(project, "x", "plain", now=True)
    bare = write_project(folder.parent / "bare", FILE.replace('documents: [{path: "docs/*.md"}]', "documents: []"))
    with api.open_project(bare.parent) as project, pytest.raises(ConfigError, match="nothing to quote"):
        api.ask(project, "x", now=True)


# a sample ------------------------------------------------------------------------------------------------------------
def run(folder: Path, *overrides: str, until: str = "release"):
    with api.open_project(folder, overrides) as project:
        found = api.run(project, until)  # type: ignore[arg-type]
        documents = [one.source for one in api.items(project, found.datasets["documents"]) if isinstance(one, Document)]
        examples = {
            one.id: one.split for one in api.items(project, found.datasets["examples"]) if isinstance(one, Example)
        }
        return found, documents, examples


@pytest.mark.slow
def test_a_sample_has_what_examples_name_keeps_the_splits_and_releases_nothing(folder: Path) -> None:
    whole, every, splits = run(folder, until="evaluate")
    found, some, same = run(folder, "data.sample=15")
    assert (len(every), len(some)) == (50, 15)
    assert {f"docs/{name}.md" for name in ("anchor", "keel", "buoy")} <= set(some)
    assert same == splits, "what is dev in a sample is never gate in the whole"
    assert found.losses == whole.losses == []
    assert found.release is None
    assert "a sample of the documents was measured" in found.refused
    assert "gate" not in found.reports
    with api.open_project(folder) as project:
        assert api.gate_looks(project) == []
    again, same_some, _ = run(folder, "data.sample=15")
    assert (again.ran, same_some) == ([], some)
    assert len(run(folder, "data.sample=3")[1]) == 10, "all that examples name, however few were asked for"
    full, _, _ = run(folder)
    assert full.promoted


def test_on_the_command_line_it_is_an_evaluation(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from slipway.cli.main import run as slipway

    assert slipway(["run", "--sample", "12", "-C", str(folder)]) == 0
    told = capsys.readouterr()
    assert "a sample: 12 of 50 files" in told.err
    assert "grounded" in told.out


def test_a_row_of_a_file_names_the_file() -> None:
    found = [Found(name, Path(name), "text/csv") for name in ("b.md", "faq.csv", "z/a.md", "c.md")]
    assert [one.source for one in sampled(found, {"faq.csv/7", "./z/a.md#Top"}, 1)] == ["faq.csv", "z/a.md"]
    assert len(sampled(found, set(), 3)) == 3
    assert sampled(found, set(), 3) == sampled(found, set(), 3)
    assert sampled(found, set(), 9) == found
