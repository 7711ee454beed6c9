"""`slipway report`: one file about a project that was run; nothing missing, no look at the gate that is not counted."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from slipway import api
from slipway.api.finding import scored
from slipway.cli.main import run as slipway
from slipway.core.candidate import Candidate
from slipway.core.ref import Ref
from slipway.core.release import RuleResult, Verdict
from slipway.errors import ConfigError, NotFound
from slipway.i18n import speaking
from slipway.render.pages.whole import Whole, limits
from slipway.testing.projects import FILE, write_project

PRICED = FILE.replace("release: {prefer: quality}", "release: {prefer: quality, looks: 3}\nmachine: {per_hour: 36 CNY}")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_project(tmp_path_factory.mktemp("report") / "demo", PRICED).parent
    with api.open_project(folder) as project:
        api.run(project)
    return folder


def words(page: str) -> str:
    return " ".join(unescape(re.sub(r"<(style|script)>.*?</\1>|<[^>]+>", " ", page, flags=re.S)).split())


def made(folder: Path, file: Path, **options: object) -> str:
    with api.open_project(folder) as project:
        return api.report(project, file, **options).read_text("utf-8")  # type: ignore[arg-type]


def test_it_answers_what_a_customer_asks(ran: Path, tmp_path: Path) -> None:
    page = words(made(ran, tmp_path / "r.html", volume=20_000))
    assert "10 documents, 20 questions, 2 candidates." in page
    assert "'grounded' passed the gate." in page
    assert "Now serving: release:demo@" in page
    assert "token_f1" in page
    assert "20,000 queries a month" in page
    assert "The gate asked one thing of 'grounded'" in page
    assert "passed by the measured value alone" in page
    with api.open_project(ran) as project:
        report = api.find(project, "report", "grounded", "dev")
        cost = report.metrics["cost_per_query"].value * 20_000
        shown = re.search(r"grounded [\d.]+ CNY \[[^]]+\] ([\d.]+) CNY", page[page.index("Costs on dev") :])
        assert shown is not None
        assert float(shown[1]) == pytest.approx(cost, rel=0.01)
        for example, score in api.items(project, report):
            assert " ".join(example.text.split()) in page
            assert " ".join(score.answer.text.split()) in page
            assert example.expected[0] in page
            assert example.relevant[0] in page


def test_the_answers_of_the_gate_are_shown_only_as_a_look_that_is_counted(ran: Path, tmp_path: Path) -> None:
    with api.open_project(ran) as project:
        gate = [example.text for example, _ in scored(project, api.find(project, "report", "grounded", "gate"))]
        before = len(api.gate_looks(project))
    page = words(made(ran, tmp_path / "dev.html"))
    assert not [one for one in gate if " ".join(one.split()) in page]
    with api.open_project(ran) as project:
        assert len(api.gate_looks(project)) == before == 1
    page = words(made(ran, tmp_path / "gate.html", split="gate"))
    assert all(" ".join(one.split()) in page for one in gate)
    with api.open_project(ran) as project:
        n = len(api.gate_looks(project))
        assert n > before
        api.report(project, tmp_path / "again.html", split="gate")
        assert len(api.gate_looks(project)) == n, "the same look again costs nothing"


def test_in_chinese_and_as_markdown(ran: Path, tmp_path: Path) -> None:
    with speaking("zh"):
        page = made(ran, tmp_path / "zh.html")
    assert '<html lang="zh-CN">' in page
    assert "“grounded”通过了门禁。" in words(page)
    chapters = re.findall(r"<h2>(.*?)</h2>", page)
    assert len(chapters) == 9
    assert all(re.search("[\u4e00-\u9fff]", one) for one in chapters)
    text = made(ran, tmp_path / "r.md")
    assert text.startswith("# Report on demo\n\n## Summary\n")
    assert "| metric |" in text


def test_a_limit_is_told(ran: Path, tmp_path: Path) -> None:
    page = words(made(ran, tmp_path / "r.html", limit=3))
    assert re.search(r"3 of the \d+ questions of the dev split", page)


def test_what_cannot_be_is_told(ran: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="neither in .html nor in .md"):
        made(ran, tmp_path / "r.pdf")
    (tmp_path / "r.html").write_text("mine")
    with pytest.raises(ConfigError, match="is there already"):
        made(ran, tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text() == "mine"
    with pytest.raises(ConfigError, match="is not dev or gate"):
        made(ran, tmp_path / "s.html", split="train")
    empty = write_project(tmp_path / "empty").parent
    with pytest.raises(NotFound, match="nothing was measured yet"):
        made(empty, tmp_path / "t.html")
    assert slipway(["report", str(tmp_path / "c.html"), "-C", str(ran)]) == 0
    assert "written: " in capsys.readouterr().out


BACKWARDS = """
from slipway.builtin.scorers.common import Configured, Options

class Wordiness(Configured[Options]):
    Config = Options
    higher_is_better = False

    def score(self, example, answer):
        return min(1.0, len(answer.text) / 1000)
"""


def test_the_best_of_a_metric_that_is_better_when_lower_are_the_lowest(tmp_path: Path) -> None:
    text = FILE.replace("metrics: [token_f1,", "metrics: [{wordiness: {scorer: './mine.py:Wordiness'}}, token_f1,")
    folder = write_project(tmp_path / "demo", text).parent
    (folder / "mine.py").write_text(BACKWARDS)
    with api.open_project(folder) as project:
        chosen = api.run(project).chosen
        report = api.find(project, "report", chosen)
        scores = [score.metrics["wordiness"] for _, score in api.items(project, report)]
    page = words(made(folder, tmp_path / "r.html"))
    best = page[page.index("Best example input wordiness answer") :]
    shown = [float(one) for one in re.findall(r"\? (\d\.\d{3}) ", best[: best.index("Worst")])]
    assert shown[0] == pytest.approx(min(scores), abs=1e-3)
    assert shown == sorted(shown)
    assert "good" in page, "a short answer is a good one here"


def test_what_failed_by_its_measured_value_did_not_pass() -> None:
    rules = [
        RuleResult(metric=metric, rule="min", outcome=outcome, bound=0.5, value=0.4, confidence="point")
        for metric, outcome in (("token_f1", "fail"), ("contains", "pass"))
    ]  # fmt: skip
    found = Whole(
        name="demo", task="answer", made="", slipway="", metrics=(), datasets={}, losses=(), dev=(), gate=(),
        verdict=Verdict(outcome="fail", rules=tuple(rules), report=Ref("report", "a", "0" * 64)), judged=None,
        serves="", shown="dev", answered=(), total=0,
    )  # fmt: skip
    (line,) = [one for one in limits(found) if "measured value alone" in one]
    assert line.startswith("contains passed")


@pytest.mark.slow
def test_a_report_on_a_sample_says_so(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "demo").parent
    for n in range(5):
        (folder / "docs" / f"more{n}.md").write_text(f"# Page {n}\n\nNothing is asked about page {n} of the manual.\n")
    with api.open_project(folder, ["data.sample=11"]) as project:
        api.run(project, "evaluate")
    assert "Only a sample of the 15 files was read" in words(made(folder, tmp_path / "r.html"))
    with api.open_project(folder) as project:
        api.run(project, "evaluate")
    assert "Only a sample" not in words(made(folder, tmp_path / "s.html"))


VALUE = ('value={volume: 2000, minutes_saved: "4 to 6", per_hour: "36 CNY", loss_per_wrong: "1 to 2", build: 5000}',)


def test_it_tells_what_answers_are_worth_where_the_project_says_what_one_is(ran: Path, tmp_path: Path) -> None:
    with api.open_project(ran, VALUE) as project:
        page = words(api.report(project, tmp_path / "r.html").read_text("utf-8"))
        report = api.find(project, "report", "grounded", "dev")
    right = report.metrics["token_f1"].value
    assert "What it is worth" in page
    assert "2,000 inputs a month; a right answer saves 2.4-3.6 CNY, a wrong one costs 1-2 CNY" in page
    shown = re.search(r"grounded dev (-?[\d.]+) CNY \[", page[page.index("What it is worth") :])
    assert shown is not None
    assert float(shown[1]) == pytest.approx(right * 3 - (1 - right) * 1.5, rel=0.01)
    assert "2,000 queries a month" in page


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("value={volume: 2000, minutes_saved: 4, per_hour: 36 EUR}", "answers cost CNY"),
        ("value={volume: 2000, minutes_saved: 4, per_hour: 36 CNY, metric: bleu}", "no quality metric"),
        ("value={volume: 2000, minutes_saved: 6 to 4, per_hour: 36 CNY}", "from a lower to a higher"),
        ("value={volume: 2000, minutes_saved: a few, per_hour: 36 CNY}", "neither a number nor a range"),
    ],
)
def test_a_value_that_cannot_be_reckoned_is_told(ran: Path, tmp_path: Path, value: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said), api.open_project(ran, (value,)) as project:
        api.report(project, tmp_path / "r.html")


def test_a_release_has_two_cards_that_name_what_it_rests_on(ran: Path, tmp_path: Path) -> None:
    said = (
        'card={use: "Questions about ships.", not_for: "Advice at sea <script>", owner: Alice, data: "Our own pages."}'
    )
    with api.open_project(ran, (said,)) as project:
        page = api.card(project, tmp_path / "card.html").read_text("utf-8")
        release = api.find(project, "release", "production")
        candidate = project.store.catalog.get("candidate", release.candidate.digest, Candidate)
        report = api.find(project, "report", release.report.digest)
        chunks = candidate.retrieve.chunks.digest if candidate.retrieve else ""
    assert "<script>" not in page.partition("<body>")[2].partition("<script>")[0]
    page = words(page)
    wanted = [
        release.digest,
        candidate.digest,
        chunks,
        report.dataset.digest,
        "Questions about ships.",
        "Our own pages.",
    ]
    assert [one for one in wanted if one not in page] == []
    assert "Who answers for it: Alice" in page
    for metric in report.metrics:
        assert metric in page
    assert "no model of this release was trained here" in page
    assert "Safety, bias and the protection of personal data were not measured" in page


def test_the_command_writes_cards_in_chinese_and_never_over_a_file(
    ran: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "card.md"
    with speaking("zh"):
        assert slipway(["release", "card", str(file), "-C", str(ran)]) == 0
    assert "## 数据卡" in file.read_text("utf-8")
    assert slipway(["release", "card", str(file), "-C", str(ran)]) == 2
    assert slipway(["release", "card", str(tmp_path / "c.txt"), "-C", str(ran)]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_project_without_a_release_says_so(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "demo", PRICED).parent
    with api.open_project(folder) as project, pytest.raises(NotFound):
        api.card(project, tmp_path / "card.md")
