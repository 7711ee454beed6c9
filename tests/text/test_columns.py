"""Tables and records as they are quoted: a row with the names of its columns, a record as a whole."""

from __future__ import annotations

import time

import pytest

from slipway.text.columns import cells, is_record, paired, tables
from slipway.text.statements import statements

FARES = "| Vehicle | Winter | Summer |\n| Car | 89 EUR | 129 EUR |\n| Lorry | 310 EUR | - |"


def told(text: str) -> list[tuple[str, bool]]:
    return [(one.told, one.leads) for one in statements([text])]


def test_a_row_is_told_with_the_names_of_its_columns_and_the_header_is_no_answer() -> None:
    assert told(FARES) == [
        ("Vehicle | Winter | Summer", True),
        ("Vehicle: Car | Winter: 89 EUR | Summer: 129 EUR", False),
        ("Vehicle: Lorry | Winter: 310 EUR | Summer: -", False),
    ]
    assert statements([FARES])[1].lead == "Vehicle, Winter, Summer"


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("| key | value |\n|---|:-:|\n| port | the usual |", ("key", "value")),
        ("| Item | Price |\n| Rebooking | 15 EUR |\n| Dog | 29 EUR |", ("Item", "Price")),
        ("| 假别 | 天数 | 审批人 |\n| 产假 | 158天 | 总监 |", ("假别", "天数", "审批人")),
        ("| | 2023 | 2024 |\n| --- | --- | --- |\n| Sales | 1 | 2 |", ("", "2023", "2024")),
        ("| Weight | 1.2 kg |\n| Power | 24 V |", None),  # no header: each row says what it is
        ("| Colour | red |\n| Shape | round |", None),
        ("| 1 | one | eins |\n| 2 | two | zwei |", None),
        ("| only | a | header |", None),
        ("| a | b | c |\n\n| 1 | 2 | 3 |", None),
    ],
)
def test_whether_a_first_row_names_the_columns(text: str, columns: tuple[str, ...] | None) -> None:
    assert [table.columns for table in tables(text)] == ([columns] if columns else [])


def test_cells_that_hold_a_bar_and_rows_that_do_not_fit() -> None:
    assert cells(r"| a \| b | c |") == (r"a \| b", "c")
    assert paired(("x", "y"), "1 | 2 | 3") == "1 | 2 | 3"
    assert paired(("x", "", "z"), "| 1 | 2 |") == "x: 1 | 2"


def test_what_stands_beside_a_table_keeps_its_words() -> None:
    assert told(f"Fares are low.\n\n{FARES}\n\nAsk at the desk.")[0] == ("Fares are low.", False)
    assert told(f"{FARES}\n\nAsk at the desk.")[-1] == ("Ask at the desk.", False)


def test_a_record_is_one_statement() -> None:
    record = "name: Amina Yusuf\nrole: Head of catering\nphone: 4455"
    assert told(record) == [("name: Amina Yusuf | role: Head of catering | phone: 4455", False)]
    assert told("question: Do cards expire?\nanswer: After 36 months.") == [
        ("question: Do cards expire? | answer: After 36 months.", False)
    ]
    assert is_record("姓名：赵海\n部门：信息部", 600)
    assert not is_record("name: one\nA sentence that is no field.", 600)
    assert not is_record("- name: one\n- role: two", 600)
    assert not is_record("http://one.example\nhttps://two.example", 600)
    assert not is_record("name: " + "x" * 700 + "\nrole: y", 600)


def test_a_question_on_its_own_line_leads_its_answer() -> None:
    text = "Do you buy back?\n\nYes, for a voucher. Bring it.\n\nIs it new?\nNo."
    assert told(text) == [
        ("Do you buy back?", True),
        ("Do you buy back? Yes, for a voucher.", False),
        ("Do you buy back? Bring it.", False),
        ("Is it new?", True),
        ("Is it new? No.", False),
    ]
    assert [leads for _, leads in told("Why? It is so. Or is it? Yes.")] == [False] * 4
    assert [leads for _, leads in told("One?\nTwo?\nThree.")] == [False, True, False]


def test_a_salutation_leads_nothing_and_a_number_is_no_statement() -> None:
    assert told("Dear all,\n\nthe harbour is closed.")[1] == ("the harbour is closed.", False)
    assert told("1. 长按电源键开机。\n2. 按键校零。") == [("长按电源键开机。", False), ("按键校零。", False)]


def test_clauses_of_an_enumeration_stay_together() -> None:
    three = "满一年的，五天；满十年的，十天；满二十年的，十五天。"
    assert [one for one, _ in told(three + "他走。")] == [three, "他走。"]
    assert [one for one, _ in told("高铁为二等座；经理可乘商务座。")] == ["高铁为二等座；", "经理可乘商务座。"]


def test_hostile_tables_cost_little() -> None:
    started = time.process_time()
    for text in ("|" * 50_000, "| a | b |\n" * 9_000, "|-" * 25_000, "x:" * 50_000, "1. 字\n" * 9_000, "a?\n" * 9_000):
        statements([text])
    assert time.process_time() - started < 10


def test_an_option_leads_the_lines_below_it_that_are_indented() -> None:
    page = (
        "       -c, --count\n              Print a count of matching lines only.\n\n       -n, --line-number\n"
        "              Say the number of each line. It begins at one.\n"
    )
    assert [one for one, leads in told(page) if not leads] == [
        "-c, --count: Print a count of matching lines only.",
        "-n, --line-number: Say the number of each line.",
        "-n, --line-number: It begins at one.",
    ]
    assert [leads for _, leads in told("no indent\nbelow this\n\nThe end is here.\n   deeper")] == [False] * 4
    assert [leads for _, leads in told("- an item\n    that goes on")] == [False, False]
