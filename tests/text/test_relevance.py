"""Which statement answers a question: by its words, its heading, its kind, its place, and what an embedder says."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.text.relevance import EMBEDDED, Relevance, codes, support, terms
from slipway.text.statements import statements


def best(question: str, *texts: str, headings: tuple[str, ...] = ()) -> str:
    found = statements(texts)
    relevance = Relevance(question, found, headings or ("",) * len(texts))
    return found[relevance.ranked()[0]].text


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How much does the keel weigh?", "The keel weighs nine tonnes."),
        ("When was the keel laid?", "The keel was laid in 1840."),
        ("Who laid the keel?", "The old keel was laid down by Mary Smith."),
        ("船坞有多深？", "船坞深九米。"),
        ("船坞是什么时候建的？", "船坞建于1840年。"),
    ],
)
def test_the_statement_that_answers_is_first(question: str, answer: str) -> None:
    texts = (
        "The keel is a part of a ship. The keel was laid in 1840. The keel weighs nine tonnes. The keel is red.",
        "The old keel was laid down by Mary Smith. 船坞很出名。船坞深九米。船坞建于1840年。",
    )
    assert best(question, *texts) == answer


def test_a_heading_a_pronoun_and_a_place_count() -> None:
    same = "It is open at nine."
    assert best("When does the museum open?", "It is shut.", same, headings=("Harbour", "Museum")) == same
    assert best("What is the weight of the keel?", "The keel has a weight. It is nine tonnes of iron.").startswith(
        "The"
    )
    pronoun = "The mast of the ship is tall. It weighs two tonnes. Paint weighs little."
    found = statements([pronoun])
    order = Relevance("What does the mast weigh?", found, [""]).ranked()
    assert order.index(1) < order.index(2)
    assert best("keel", "The keel.", "The keel.") == "The keel."
    assert Relevance("keel", statements(["The keel.", "The keel."]), ["", ""]).ranked() == [0, 1]


def test_a_question_is_no_answer() -> None:
    text = "What is the default port?\n\nThe default port is 8080."
    assert best("What is the default port?", text) == "The default port is 8080."


def test_an_embedder_speaks_too_and_is_asked_about_a_bounded_number() -> None:
    found = statements(["The paint is red. The keel is old. " * 100])
    relevance = Relevance("Which colour?", found, [""])
    promising = relevance.promising()
    assert len(promising) == EMBEDDED < len(found)
    before = relevance.confidence(2)
    relevance.learn({2: 0.9, 1: -0.5})
    assert relevance.ranked()[0] == 2
    assert relevance.confidence(2) > before
    assert relevance.confidence(1) == 0


@pytest.mark.parametrize("question", ["", "?", "what is it", "的", "xyzzy", "\x1b[31m", "什么是它"])
def test_a_question_without_a_known_word_trusts_nothing(question: str) -> None:
    found = statements(["The keel weighs nine tonnes."])
    relevance = Relevance(question, found, [""])
    assert relevance.ranked() == [0]
    assert relevance.confidence(0) == 0


@given(st.text(max_size=80), st.lists(st.text(max_size=200), max_size=4))
def test_confidence_lies_between_0_and_1_and_order_is_repeatable(question: str, texts: list[str]) -> None:
    found = statements(texts)
    one, two = (Relevance(question, found, [""] * len(texts)) for _ in "ab")
    assert one.ranked() == two.ranked()
    assert sorted(one.ranked()) == list(range(len(found)))
    assert all(0 <= one.confidence(n) <= 1 for n in range(len(found)))


def test_the_work_grows_with_the_text_and_no_faster() -> None:
    def seconds(text: str) -> float:
        start = time.process_time()
        Relevance("How much does the keel of the ship weigh?", statements([text]), [""]).ranked()
        return time.process_time() - start

    small, large = "The keel weighs 9 t. " * 500, "The keel weighs 9 t. " * 5000
    assert min(seconds(large) for _ in range(3)) < 40 * max(min(seconds(small) for _ in range(3)), 0.002)


PASSAGE = "The mirror of the index is set up for pip. No other one is used. The port is 8080."


@pytest.mark.parametrize(
    ("answer", "supported"),
    [
        ("The port is 8080.", True),
        ("8080", True),
        ("The port is 9090.", False),
        ("Yes.", False),
        ("No, no, no, no, no, no, no, no", False),
        ("The pip mirror: the pip mirror: the pip mirror: the pip mirror: the pip", False),
        ("Which port is used?", False),  # the question again
        ("", False),
        ("不是", False),
    ],
)
def test_an_answer_is_supported_by_words_that_the_question_has_not(answer: str, supported: bool) -> None:
    assert (support(answer, PASSAGE, "Which port is used?") >= 0.5) == supported


def test_the_name_that_a_question_has_is_not_the_one_it_asks_for() -> None:
    texts = (
        "The works of the old Slipway were rebuilt.",
        "The works of the slipway were rebuilt by the widow Ann Lee.",
    )
    assert best("Who rebuilt the works of Slipway?", *texts).endswith("Ann Lee.")


def test_the_term_that_is_explained_counts_as_a_heading_does() -> None:
    text = (
        "max_wal_size (integer)\n\nThe size that the log may reach. The default is 1 GB.\n\n"
        "checkpoint_timeout (integer)\n\nThe longest time between checkpoints. The default is five minutes.\n\n"
        "checkpoint_flush_after (integer)\n\nIt forces writes. The default is 256 kB."
    )
    found = statements([text])
    order = Relevance("What is the default of checkpoint_timeout?", found, [""]).ranked()
    assert found[order[0]].told == "checkpoint_timeout (integer): The default is five minutes."
    assert not any(found[n].leads for n in order[:6])


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("max_wal_size 的默认值是多少？", "The default of max_wal_size is 1 GB."),
        ("checkpoint_timeout 默认多长时间？", "By default checkpoint_timeout is 5 minutes."),
    ],
)
def test_a_question_in_another_script_is_judged_by_the_names_that_both_hold(question: str, answer: str) -> None:
    text = "The default of max_wal_size is 1 GB. By default checkpoint_timeout is 5 minutes. Paint is red."
    found = statements([text])
    relevance = Relevance(question, found, [""])
    best = relevance.ranked()[0]
    assert found[best].text == answer
    assert relevance.confidence(best) > 0.3
    about_nothing = Relevance("这座城市的市长是谁？", found, [""])
    assert about_nothing.confidence(about_nothing.ranked()[0]) == 0


def test_an_english_question_on_chinese_pages_is_judged_by_its_names() -> None:
    found = statements(["端口由 listen_port 设置。默认是8080。超时由 idle_timeout 设置。"])
    relevance = Relevance("Which setting changes the listen_port of the server?", found, [""])
    best = relevance.ranked()[0]
    assert found[best].text == "端口由 listen_port 设置。"
    assert relevance.confidence(best) > 0.3
    unknown = Relevance("Which setting changes the max_wal_size of the server?", found, [""])
    assert unknown.confidence(unknown.ranked()[0]) < 0.3


@pytest.mark.parametrize("text", ["z" * 100_000, "z_" * 50_000, "z" * 50_000 + "_" * 50_000, "z.y " * 25_000])
def test_long_words_and_names_take_no_time_that_grows_with_their_square(text: str) -> None:
    assert len(terms(text)) in (1, 2, 3)  # it would be minutes


def asked(question: str, *texts: str) -> Relevance:
    return Relevance(question, statements(texts), ("",) * len(texts))


def test_a_code_that_nothing_holds_makes_unsure_and_one_that_stands_there_wins() -> None:
    faults = "| Code | Meaning | Remedy |\n| E01 | sensor broken | check the wire |\n| E07 | out of range | vent it |"
    read = "The screen shows what is the matter."
    known, unknown = (asked(f"The screen shows {code}, what is the matter?", faults, read) for code in ("E07", "E09"))
    assert known.found[known.ranked()[0]].text.startswith("E07")
    assert unknown.confidence(unknown.ranked()[0]) < 0.3 <= known.confidence(known.ranked()[0])
    assert codes("HZ-200A, hz–300, line N4, 5号线, 9月5号, 3.11 and 42") == {"hz200a", "hz300", "n4", "5"}
    for question in ("What does the HZ-200 weigh?", "What does the hz200a weigh?"):
        found = asked(question, "The HZ-200A weighs two kilograms.")
        assert found.confidence(0) >= 0.3


def test_a_row_is_not_sure_by_the_names_of_its_columns() -> None:
    ships = "| Ship | Built | Passengers |\n| Aurora | 2004 | 1950 |\n| Borealis | 1998 | 1200 |"
    there, absent = (asked(f"How many passengers has the {name}?", ships) for name in ("Borealis", "Titanic"))
    assert "Borealis" in there.found[there.ranked()[0]].text
    assert absent.confidence(absent.ranked()[0]) < 0.5 * there.confidence(there.ranked()[0])


def test_in_a_few_sentences_no_word_is_rare() -> None:
    text = "保修自购买之日起二十四个月。人为损坏不在保修范围内。保修电话工作日接听。"
    found = asked("保修期多长？", text)
    assert found.confidence(found.ranked()[0]) >= 0.3


def test_the_same_words_about_something_else() -> None:
    found = Relevance(
        "To how many Nm are the screws of the pump of series 1 tightened?",
        statements(
            ["Tighten the screws to 57 Nm. It is heavy.", "Tighten the screws to 47 Nm.", "Screws are of steel."]
        ),
        ("Pump of series 1", "Pump of series 2", "Materials"),
    )
    assert found.of_another(2, 0)
    assert not found.of_another(0, 2)
    assert not found.of_another(1, 0)
    assert not found.of_another(3, 0)
