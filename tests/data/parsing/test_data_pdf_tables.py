"""Tables and exponents of a PDF, by where its characters stand; running text is never taken for a table."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from slipway.data.parsing import media
from slipway.data.parsing.blocks import Parsed
from slipway.data.parsing.parse import Settings, parse_bytes

pytest.importorskip("pypdfium2")

Text = tuple[float, float, str] | tuple[float, float, str, float]  # from left, from below, what stands there, its size


def page(texts: Sequence[Text], outline: Sequence[str] = (), font: str = "Helvetica", pages: int = 1) -> Parsed:
    """A page of texts, in 10 points if nothing else is said, written in this order; it is there `pages` times."""
    drawn = "".join(
        f"BT /F1 {one[3] if len(one) > 3 else 10} Tf {one[0]} {one[1]} Td ({one[2]}) Tj ET\n" for one in texts
    )
    parts = [
        "<</Type/Catalog/Pages 2 0 R/Outlines 6 0 R>>", f"<</Type/Pages/Kids[{'3 0 R ' * pages}]/Count {pages}>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        f"<</Length {len(drawn)}>>stream\n{drawn}\nendstream", f"<</Type/Font/Subtype/Type1/BaseFont/{font}>>",
        *outline,
    ]  # fmt: skip
    body = "".join(f"{n} 0 obj\n{part}\nendobj\n" for n, part in enumerate(parts, 1))
    result = parse_bytes(f"%PDF-1.7\n{body}trailer\n<</Root 1 0 R>>\n%%EOF".encode(), media.PDF, Settings())
    assert result.refused is None, result.refused
    return result.documents[0]


BEFORE = (50, 700, "The plan says what each service costs in a month, and how soon somebody comes to help.")
AFTER = (50, 560, "All prices are without tax, and they hold until the end of the year for which they are given.")


def rows(columns: tuple[int, ...], *cells: tuple[str, ...], top: int = 670, pitch: int = 20) -> list[Text]:
    return [
        (x, top - n * pitch, text) for n, row in enumerate(cells) for x, text in zip(columns, row, strict=True) if text
    ]


def test_cells_below_each_other_are_a_table_with_empty_ones_where_they_are():
    table = rows((50, 200, 300), ("Plan", "Price", "Hours"), ("Gold", "100 EUR", "4"), ("Bronze", "", "24"))
    text = page([BEFORE, *table, AFTER]).text
    assert text.split("\n\n") == [
        BEFORE[2],
        "| Plan | Price | Hours |\n| Gold | 100 EUR | 4 |\n| Bronze |  | 24 |",
        AFTER[2],
    ]


def test_a_cell_of_several_lines_is_one_whichever_way_the_page_is_written():
    head, gold = rows((50, 200, 300), ("Plan", "Price", "Hours"), ("Gold", "100 EUR", "4")), None
    by_cell = [(50, 630, "Silver with"), (50, 618, "long care"), (200, 630, "50 EUR"), (300, 630, "8")]
    gold = [(50, 590, "Bronze"), (200, 590, "20 EUR"), (300, 590, "24")]
    shown = "| Plan | Price | Hours |\n| Gold | 100 EUR | 4 |\n| Silver with long care | 50 EUR | 8 |\n| Bronze | 20 EUR | 24 |"
    assert shown in page([BEFORE, *head, *by_cell, *gold, AFTER]).text
    by_line = [by_cell[0], by_cell[2], by_cell[3], by_cell[1]]
    assert shown in page([BEFORE, *head, *by_line, *gold, AFTER]).text


def test_heads_in_the_middle_of_wide_columns_and_numbers_at_their_right():
    table = [(100, 670, "Size"), (250, 670, "Fine"), (350, 670, "Coarse")]
    table += [(50, 650, "over 3 to 6 millimetres"), (265, 650, "0.05"), (370, 650, "0.1")]
    table += [(50, 630, "over 6 to 30 millimetres"), (265, 630, "0.10"), (370, 630, "0.2")]
    assert "| Size | Fine | Coarse |\n| over 3 to 6 millimetres | 0.05 | 0.1 |" in page([BEFORE, *table, AFTER]).text


@pytest.mark.parametrize(
    "texts",
    [
        [
            (x, 700 - 12 * n, f"Line {n} of a text in two columns, which is set narrow")
            for x in (50, 320)
            for n in range(6)
        ],
        [
            (x, 700 - 12 * n, f"Line {n} of a text in two columns, which is set narrow")
            for n in range(6)
            for x in (50, 320)
        ],
        [(x, 700 - 14 * n, text) for n in range(5) for x, text in ((50, f"{n + 1}."), (75, "Open the lid of it"))],
        [(50, 700, "Only one line"), (300, 700, "of two parts"), BEFORE],
    ],
    ids=["columns", "columns line by line", "numbered list", "one line"],
)
def test_what_is_no_table_stays_text(texts: Sequence[Text]):
    assert "|" not in page([*texts, AFTER]).text


def test_raised_digits_are_no_digits_of_their_number():
    line = [(50, 700, "The tank holds 10"), (128.4, 704, "6", 6.5), (135, 700, "litres on 5 m"), (193, 704, "2", 6.5),
            (197, 700, ", in 2026 and H"), (264, 697, "2", 6.5), (268, 700, "O too.")]  # fmt: skip
    text = page(line).text
    assert "10⁶ litres" in text
    assert "5 m²," in text
    assert "2026" in text
    assert "²O" not in text


def test_smaller_digits_of_the_next_line_are_not_raised():
    assert page([(50, 700, "Chapter 10", 20), (50, 680, "2026 was the year of the new rules for all.")]).text.endswith(
        "2026 was the year of the new rules for all."
    )


def test_lines_that_a_bookmark_names_are_headings_whatever_their_type():
    outline = [
        "<</Type/Outlines/First 7 0 R/Last 8 0 R/Count 2>>",
        "<</Title(1 Scope)/Parent 6 0 R/Next 8 0 R/First 9 0 R/Last 9 0 R/Count 1/Dest[3 0 R/Fit]>>",
        "<</Title(2 What it does not cover)/Parent 6 0 R/Prev 7 0 R/Dest[3 0 R/Fit]>>",
        "<</Title(1.1 Pumps)/Parent 7 0 R/Dest[3 0 R/Fit]>>",
    ]
    lines = ["1 Scope", BEFORE[2], "1.1 Pumps", BEFORE[2], "2 What it does", "not cover", BEFORE[2]]
    document = page([(50, 700 - 14 * n, text) for n, text in enumerate(lines)], outline)
    assert [section.path for section in document.sections] == [
        ("1 Scope",), ("1 Scope", "1.1 Pumps"), ("2 What it does not cover",),
    ]  # fmt: skip


def test_many_lines_that_are_no_table_take_time_in_proportion():
    def seconds(count: int) -> float:
        texts = [
            (x, 200_000 - 14 * n, text) for n in range(count) for x, text in ((50, f"{n + 1}."), (75, "Open the lid"))
        ]
        start = time.process_time()
        assert "|" not in page(texts).text
        return time.process_time() - start

    small = max(seconds(500), 0.05)
    assert seconds(4000) < 40 * small


def test_a_listing_of_a_program_is_no_table_and_a_report_in_its_type_is() -> None:
    listing = [
        (50, 670 - 14 * n, f"{name} = call {name} from there") for n, name in enumerate(("aa", "bb", "cc", "dd"))
    ]
    assert "|" not in page([BEFORE, *listing, AFTER], font="Courier").text
    report = rows((50, 200, 320), ("Part", "Price", "Stock"), ("Bolt M8", "0.10", "4000"), ("Nut M8", "0.05", "9000"))
    assert "| Bolt M8 | 0.10 | 4000 |" in page([BEFORE, *report, AFTER], font="Courier").text


def test_numbered_lines_and_bullets_are_no_table() -> None:
    numbered = rows((50, 100), *[(str(n), f"line number {n} of it") for n in range(7, 12)])
    bullets = rows((50, 70, 300), *[("-", f"point {n}", "" if n % 2 else "see below") for n in range(6)])
    for texts in (numbered, bullets):
        assert "|" not in page([BEFORE, *texts]).text


def test_a_table_of_contents_goes_and_a_menu_stays() -> None:
    names = ("Engines", "Cranes", "Locks", "Ferries")
    edges = [(50, 780, "The harbour"), (50, 766, "A handbook"), (50, 40, "Harbour office"), (50, 26, "Port Ellen")]

    def led(numbers: tuple[int, ...]) -> Parsed:
        lines = [(50, 670 - 14 * n, f"{names[n]} . . . . . . . . {number}") for n, number in enumerate(numbers)]
        return page([*edges[:2], BEFORE, *lines, AFTER, *edges[2:]], pages=5)

    found = led((1, 2, 2, 5))
    assert "Cranes" not in found.text
    assert BEFORE[2] in found.text
    assert "Cranes" in led((4, 3, 5, 4)).text  # prices
    assert "Cranes" in led((12, 13, 14, 15)).text  # there are no such pages
