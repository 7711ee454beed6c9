"""One document, written for a terminal, as Markdown, CSV and JSON: the same facts, and nothing in them acts."""

from __future__ import annotations

import csv as csv_module
import io
import json as json_module

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from slipway.core.metrics import METRICS, rounded
from slipway.i18n import speaking
from slipway.render import csv, json, markdown, text
from slipway.render.cells import Amount, Estimate, Mark, interval
from slipway.render.document import Column, Document, Passage, Table, listed

EVIL = "\x1b[2J\u202eforged\nline | `code` <b>bold</b> [link](http://evil.example) **stars** _under_ &amp; \\"
F1, LATENCY, TOKENS = METRICS["token_f1"], METRICS["latency_p95"], METRICS["prompt_tokens"]


def shown(document: Document, width: int = 200) -> str:
    return text.write(document, Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False))


def one(cell: object, kind: str = "text") -> Document:
    return listed(None, Table("", [Column("it", kind)], [[cell]]))  # pyright: ignore[reportArgumentType]


CELLS = {
    "text": (one("token_f1"), "token_f1", ["token_f1"]),
    "a list": (one(["en", "zh"]), "en, zh", ["en, zh"]),
    "counts": (one({"en": 3, "zh": 0.12345}), "en 3, zh 0.1235", ["en 3, zh 0.1235"]),
    "a whole number": (one(439900.0), "439900", ["439900.0"]),
    "nothing": (one(None), "", [""]),
    "no measure": (one(None, "measure"), "-", [""]),
    "a count": (one(1234, "count"), "1234", ["1234"]),
    "bytes": (one(12_345_678, "bytes"), "12.3 MB", ["12345678"]),
    "seconds": (one(1.23456, "seconds"), "1.23", ["1.23456"]),
    "few milliseconds": (one(0.00345, "seconds"), "0.0034", ["0.00345"]),
    "a probability": (one(0.012345, "probability"), "0.012", ["0.012345"]),
    "a time": (one("2026-11-28T03:59:59.123Z", "time"), "2026-11-28 03:59:59", ["2026-11-28T03:59:59.123Z"]),
    "a digest": (one("0123456789abcdef" * 4, "digest"), "0123456789ab", ["0123456789abcdef" * 4]),
    "an excerpt": (one("x" * 80, "excerpt"), "x" * 59 + "…", ["x" * 80]),
    "an amount": (one(Amount(1.314, LATENCY), "measure"), "1.31 s", ["1.314"]),
    "money": (one(Amount(0.00412, METRICS["cost_per_query"], "CNY"), "measure"), "0.00412 CNY", ["0.00412"]),
    "an effect": (one(Amount(0.1, F1, signed=True), "measure"), "+0.100", ["0.1"]),
    "an estimate": (
        one(Estimate(0.412, F1, low=0.331, high=0.493), "measure"), "0.412 [0.331, 0.493]", ["0.412", "0.331", "0.493"],
    ),
    "no upper bound": (one(Estimate(1.31, LATENCY, low=1.2), "measure"), "1.31 s [1.2, ∞)", ["1.31", "1.2", ""]),
    "no lower bound": (one(Estimate(412.0, TOKENS, high=420), "measure"), "412 tokens (-∞, 420]", ["412.0", "", "420"]),
}  # fmt: skip


@pytest.mark.parametrize(("document", "said", "plain"), CELLS.values(), ids=CELLS.keys())
def test_a_cell_is_short_for_people_and_whole_for_programs(document: Document, said: str, plain: list[str]) -> None:
    assert shown(document).splitlines()[3].strip() == said
    rows = list(csv_module.reader(io.StringIO(csv.write(document.rows or pytest.fail("no rows")), newline="")))
    assert rows[1] == plain
    assert len(rows[0]) == len(plain)


def test_an_intervals_ends_have_no_unit_in_any_language() -> None:
    with speaking("zh"):
        assert interval(Estimate(412, TOKENS, low=400, high=420)) == "[400, 420]"


def test_columns_of_an_estimate_stay_in_line_with_rows_that_have_none() -> None:
    rows = [[Estimate(0.4, F1, low=0.3, high=0.5), "a"], [None, "b"], [Amount(0.5, F1), "c"]]
    found = csv.write(Table("", [Column("f1", "measure"), Column("name")], rows))
    assert found == 'f1,"f1, low","f1, high",name\r\n0.4,0.3,0.5,a\r\n,,,b\r\n0.5,,,c\r\n'


def test_a_spreadsheet_runs_nothing() -> None:
    rows = [["=HYPERLINK(1)"], ["+1"], ["-2+3"], ["@x"], ["\t=1"], ["plain"], [-3]]
    found = list(csv_module.reader(io.StringIO(csv.write(Table("", [Column("it")], rows)), newline="")))
    assert [row[0] for row in found[1:]] == ["'=HYPERLINK(1)", "'+1", "'-2+3", "'@x", "'\t=1", "plain", "-3"]


def test_csv_keeps_what_was_said() -> None:
    found = list(csv_module.reader(io.StringIO(csv.write(Table("", [Column("it")], [[EVIL]])), newline="")))
    assert found[1] == [EVIL]


def test_markdown_shows_text_as_text() -> None:
    table = Table(EVIL, [Column(EVIL), Column("n", "count")], [[EVIL, 1], [Mark("pass"), 2]], [EVIL])
    made = markdown.write(Document(None, [EVIL, "# no heading", "1. no list", Passage(f"{EVIL}\n- no list"), table]))
    assert "\x1b" not in made
    page = MarkdownIt("commonmark", {"html": True}).enable("table")
    html = page.render(made)
    for tag in ("<b>", "<a ", "<code>", "<em>", "<h1>", "<ol>"):
        assert tag not in html
    assert html.count("<tr>") == 3
    assert html.count("<td") == 4
    assert html.count("<strong>") == 1  # the title's own
    assert html.count("<ul>") == 1  # the notes'
    assert html.count("**stars** _under_ &amp;amp; \\") == 6
    assert "<td>pass</td>" in html


def test_a_terminal_shows_signs_and_obeys_nothing() -> None:
    made = shown(Document(None, [EVIL, Passage(EVIL), Table(EVIL, [Column("")], [[Mark("fail")]], [EVIL])]))
    assert "\x1b" not in made
    assert "✗" in made
    assert [line for line in made.splitlines() if line.startswith("line")] == []


def test_a_line_is_never_folded() -> None:
    assert shown(Document(None, ["x" * 500]), width=80) == "x" * 500 + "\n"


def test_an_empty_table_says_so() -> None:
    nothing = listed([], Table("Traces", [Column("when", "time")], []))
    assert shown(nothing) == "Traces: nothing yet\n"
    assert markdown.write(nothing) == "Traces: nothing yet\n"
    assert csv.write(nothing.rows or pytest.fail("no rows")) == "when\r\n"


def test_json_is_what_the_document_is_about_and_acts_on_nothing() -> None:
    made = json.write(Document({"said": EVIL, "n": 1.5}, ["a line"]))
    assert json_module.loads(made) == {"said": EVIL, "n": 1.5}
    assert "\x1b" not in made
    assert "\u202e" not in made


def test_a_number_is_never_written_with_an_exponent() -> None:
    assert [rounded(value) for value in (166.4, 2.2e5, 0.000041, 0.0, 66)] == ["170", "220000", "0.000041", "0", "66"]
    assert shown(one(Amount(1234.5, LATENCY), "measure")).splitlines()[3].strip() == "1230 s"
    assert shown(one(999_700, "bytes")).splitlines()[3].strip() == "1000 KB"


def test_where_intervals_are_too_wide_they_fold_and_where_nothing_fits_a_part_names_its_whole() -> None:
    cell = Estimate(0.000041, METRICS["cost_per_query"], "CNY", low=0.0000123, high=0.0000456)
    columns = [Column("metric", "text"), *(Column(name, "measure") for name in ("closed-book", "grounded", "quote"))]
    document = listed(None, Table("", columns, [["cost_per_query", *[cell] * 3], *[["  en", *[cell] * 3]] * 9]))
    folded = shown(document, 72).splitlines()
    assert "closed-book" in folded[1]
    assert "grounded" in folded[1]
    assert all(len(line) <= 72 for line in folded)
    stacked = shown(document, 30)
    assert "metric: cost_per_query, en" in stacked
