"""Pages of manuals: what they hold is neither refused for a wrong count nor taken for decoration of the site."""

from __future__ import annotations

from collections import Counter

import pytest

from slipway.data.clean import clean_text
from slipway.data.parsing.depth import too_deep
from slipway.data.parsing.html import parse_html
from slipway.data.reasons import Refused

LINE = "This sentence is long enough to count as running text of the page. "


def headings(page: str) -> list[str]:
    return [block.text for block in parse_html(page, boilerplate=True).blocks if block.kind == "heading"]


def text(page: str) -> str:
    return "\n".join(block.text for block in parse_html(page, boilerplate=True).blocks)


# depth ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "page",
    [
        "<p>text<svg>" + '<path d="M1 2" title="a>b"/>' * 9000 + "</svg>",
        "<p>text<svg><g>" + "<circle r=1 />" * 9000 + "</g></svg>",
        "<p>text<math>" + "<mspace/>" * 9000 + "</math>",
        "<p>text" + "<br><img src=a.png/><wbr>" * 3000,
        "<ul>" + "<li>item" * 9000 + "</ul>",
        "<p>text<!--" + "<div>" * 9000 + "-->",
        "<p>text<script>" + 'write("<div>");' * 9000 + "</script>",
        '<p>text<a title="' + "<div>" * 9000 + '">link</a>',
        "<p>text" + "<div><span></div>" * 9000,
    ],
    ids=["path", "circle", "math", "void", "li", "comment", "script", "attribute", "span"],
)
def test_what_is_not_nested_is_read(page: str) -> None:
    assert parse_html(page, boilerplate=False).blocks


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 9000,
        "<div/>" * 9000,  # HTML ignores the stroke
        "<svg>" + "<g>" * 9000,
        "<svg><foreignObject><div/>" * 5000,
        "<b><div></b>" * 9000,
        "<span><div></span>" * 9000,
        "<svg><div/>" * 9000,
    ],
    ids=["div", "div/", "g", "foreignObject", "b", "span", "svg-div"],
)
def test_what_is_nested_is_refused_before_it_is_parsed(page: str) -> None:
    with pytest.raises(Refused, match="too-deep"):
        parse_html(page, boilerplate=False)


@pytest.mark.parametrize("part", ["<a ", '<a ="', "<a ='\"", "<!--", "</b></i>", "<", "</", "<script><", "<a = "])
def test_counting_takes_time_in_proportion_to_the_length(part: str) -> None:
    # Ten million characters; a count that looks ahead again and again would take hours, and the run would be stopped.
    too_deep("<b>" + part * (2_000_000 // len(part)), 8000)


# content --------------------------------------------------------------------------------------------------------------
def test_a_section_is_not_dropped_for_what_it_is_about() -> None:
    """Ids made from headings, as Sphinx and DocBook write them: related, meta, comment, copyright are topics there."""
    sections = "".join(
        f'<section id="{name.lower().replace(" ", "-")}"><h2>{number}. {name}</h2><p>{LINE * 3}</p></section>'
        for number, name in enumerate(["Buffer related functions", "The meta path", "Comments", "Subscriptions"], 1)
    )
    assert len(headings(f"<body><main><h1>Guide</h1><p>{LINE * 3}</p>{sections}</main></body>")) == 5
    page = f"""<body><div class="sect1" id="T"><h2>Types</h2><p>{LINE * 9}</p>
        <div class="sect2" id="SQL-COMMENT"><h3>Words</h3><p>{LINE * 3}</p></div>
        <dl><dt id="META-COMMANDS-COPY">copy</dt><dd>{LINE}</dd></dl></div></body>"""
    assert headings(page) == ["Types", "Words"]
    assert "copy" in text(page)


def test_a_page_that_consists_of_a_section_called_copyright_is_kept() -> None:
    page = f'<body><div role="navigation">{LINE * 9}</div><section id="copyright"><h1>Copyright</h1><p>{LINE}</p></section>'
    assert LINE.strip() in text(page)


def test_comments_of_readers_are_still_dropped() -> None:
    page = f'<body><article><h1>News</h1><p>{LINE * 9}</p></article><div id="comments"><h2>3 readers</h2><p>{LINE}</p></div>'
    assert headings(page) == ["News"]


def test_links_back_to_the_contents_leave_headings_as_they_are() -> None:
    page = "".join(f'<h2><a class="toc-backref" href="#i{n}">Question {n}</a></h2><p>{LINE}</p>' for n in range(4))
    assert headings(f"<body><main>{page}</main></body>") == [f"Question {n}" for n in range(4)]
    page = "".join(f'<div><h3><a id="i{n}"></a>Short {n}</h3><p>Word.</p></div>' for n in range(4))
    assert len(headings(f"<body><main><p>{LINE * 20}</p>{page}</main></body>")) == 4


def test_the_largest_section_does_not_stand_for_the_whole_page() -> None:
    """A manual page of which one section holds nearly everything: the small ones answer questions too."""
    small = "".join(f'<div class="refsect1"><h2>{name}</h2><p>{LINE}</p></div>' for name in ("Synopsis", "Files"))
    page = f'<body><div class="page">{small}<div class="refsect1"><h2>Options</h2><p>{LINE * 90}</p></div></div></body>'
    assert headings(page) == ["Synopsis", "Files", "Options"]
    page = (
        f"<body><div><section><p>{LINE * 2}</p></section><section><h2>B</h2><p>{LINE * 90}</p></section></div></body>"
    )
    assert text(page).count(LINE.strip()) == 92


def test_what_leads_up_to_a_list_or_table_stays() -> None:
    rows = "".join(f"<tr><td>column{n}</td><td>{LINE}</td></tr>" for n in range(30))
    page = f"<body><div><h2>The catalog</h2><p>{LINE}</p><div><table>{rows}</table></div></div></body>"
    assert headings(page) == ["The catalog"]


def test_the_name_section_of_a_manual_page_in_asciidoc_stays() -> None:
    page = f"""<body><div id="header"><h1>tool(1)</h1><h2>NAME</h2><p>tool - {LINE}</p></div>
        <div id="content"><div class="sect1"><h2>OPTIONS</h2><p>{LINE * 50}</p></div></div></body>"""
    assert headings(page) == ["tool(1)", "NAME", "OPTIONS"]


# what plain text cannot show ------------------------------------------------------------------------------------------
def test_an_exponent_is_no_digit_of_its_number() -> None:
    page = f"<p>{LINE}10<sup>6</sup> or 10<sup>−3</sup> in 1 m<sup>2</sup>, the 1<sup>st</sup>.<sup>[4]</sup> H<sub>2</sub>O"
    assert text(page).endswith("10⁶ or 10⁻³ in 1 m², the 1st.[4] H2O")
    assert clean_text("10<sup>6</sup> and 1<sup>st</sup>", Counter(), tags=True) == "10⁶ and 1st"


def test_readings_above_words_do_not_run_into_them() -> None:
    assert text(f"<p>{LINE}<ruby>患者<rp>(</rp><rt>かんじゃ</rt><rp>)</rp></ruby>は来る").endswith("患者は来る")


def table(*rows: str) -> list[str]:
    return text(f"<p>{LINE * 3}</p><table><tr>{'<tr>'.join(rows)}</table>").split("\n")[1:]


def test_values_stand_under_their_columns_where_cells_are_merged() -> None:
    head = "<th>Ward<th>Shift<th>Nurses"
    assert table(
        head, "<td rowspan=2>Two<td>day<td>5", "<td>night<td>2", "<td colspan=2>All<td>7", "<td colspan=3>End"
    ) == [
        "| Ward | Shift | Nurses |",
        "| Two | day | 5 |",
        "| Two | night | 2 |",
        "| All |  | 7 |",
        "| End |",
    ]
    assert table("<th>Drug<th colspan=2>Dose", "<td>X<td>5<td>2")[-1] == "| X | 5 | 2 |"
    assert table(head, "<td rowspan=0>Two<td>day<td>5", "<td>night<td>2")[-1] == "| Two | night | 2 |"


def test_words_of_a_cell_are_not_cut_by_marks() -> None:
    row = table("<th>Gas<th>Limit", "<td>H<sub>2</sub>O<br>steam<td>10<sup>4</sup> <b>ppm</b>s")[-1]
    assert row == "| H2O steam | 10⁴ ppms |"


@pytest.mark.parametrize("span", ["colspan=99999", "rowspan=99999", "colspan=0", "rowspan=-1", "colspan=x"])
def test_absurd_spans_cost_nothing(span: str) -> None:
    rows = [f"<td {span}>a<td {span}>b<td>c"] * 500
    assert len("\n".join(table("<th>A<th>B<th>C", *rows))) < 500 * 300
