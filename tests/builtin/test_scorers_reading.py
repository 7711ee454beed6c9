"""Scorers that read right or wrong out of a sentence, in English and Chinese, with what is likely to fool them."""

from __future__ import annotations

import pytest

from slipway.core.answer import Answer
from slipway.core.material import Example
from slipway.errors import ConfigError, EngineError
from slipway.plugins import BUILTIN, Plugins
from slipway.testing.scorers import ScorerContract

OPTIONS = {"regex": {"pattern": "tonnes"}, "choice": {"options": ["13 tonnes", "三百元"]}}


def score(metric, expected, text, question="?", language="und", error="", **options):
    example = Example(input={"question": question}, expected=tuple(expected), language=language, source="q.jsonl:3")
    return Plugins().make("scorers", metric, options, "test").score(example, Answer(text=text, raw=text, error=error))


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILTIN["scorers"])
def test_every_scorer_keeps_the_contract(name):
    class Contract(ScorerContract):
        def make_scorer(self):
            return Plugins().make("scorers", name, OPTIONS.get(name, {}), "test")

    contract = Contract()
    contract.test_says_which_direction_is_better()
    contract.test_values_lie_between_0_and_1_or_there_is_none()
    contract.test_the_same_again()
    contract.test_options_that_do_not_exist_are_refused()


@pytest.mark.parametrize("metric", ["contains", "numeric_match", "yes_no", "choice", "regex"])
def test_no_reference_and_errors(metric):
    right = {"numeric_match": "5", "yes_no": "yes", "choice": "A"}.get(metric, "blue")
    assert score(metric, [], "blue 5 yes A") is None
    assert score(metric, [right], right) == 1.0
    assert score(metric, [right], right, error="no answer") == 0.0


# -- contains ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("expected", "text", "value"),
    [
        ("5 GB", "It needs 5 GB of memory.", 1.0),
        ("5 GB", "It needs 15 GB of memory.", 0.0),
        ("cat", "concatenate", 0.0),
        ("C", "C++ is fast", 0.0),
        ("上海", "它位于上海市。", 1.0),
        ("the Norman dynasty", "It was Norman dynasty rule", 1.0),
        ("!!", "!!", 0.0),
    ],
)
def test_contains(expected, text, value):
    assert score("contains", [expected], text) == value


def test_contains_with_texts_of_its_own():
    assert score("contains", [], "call 110 or 120", texts=["110", "120"], require="all") == 1.0
    assert score("contains", [], "call 110", texts=["110", "120"], require="all") == 0.0
    assert score("contains", [], "call 110", texts=["110", "120"]) == 1.0
    assert score("contains", [], "I cannot help", absent=["cannot"]) == 0.0
    assert score("contains", [], "Here it is", absent=["cannot"]) == 1.0
    assert score("contains", ["cat"], "concatenate", words=False) == 1.0


# -- regex ---------------------------------------------------------------------------------------------------------------
def test_regex():
    assert score("regex", [], "ticket ABC-123.", pattern=r"[A-Z]{3}-\d+") == 1.0
    assert score("regex", [], "ticket ABC-123.", pattern=r"[A-Z]{3}-\d+", full=True) == 0.0
    assert score("regex", [], "ticket abc-123", pattern=r"[A-Z]{3}-\d+", ignore_case=True) == 1.0
    assert score("regex", [r"^\d{4}-\d\d$", "x"], "2021-05") == 1.0  # without a pattern the references are patterns


def test_regex_that_is_none_or_never_ends():
    with pytest.raises(ConfigError, match="pattern"):
        score("regex", [], "x", pattern="(")
    with pytest.raises(ConfigError, match=r"q\.jsonl:3"):
        score("regex", ["("], "x")
    with pytest.raises(EngineError, match="more than"):
        score("regex", [], "a" * 5000 + "!", pattern=r"(a|aa|a?a)+$")


# -- numeric_match -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("expected", "text", "value"),
    [
        ("3.5亿元", "大约是350,000,000元。", 1.0),
        ("3.5亿元", "大约是35亿元。", 0.0),
        ("3.5亿", "三亿五千万", 1.0),
        ("$1,200.50", "It costs 1200.50 dollars.", 1.0),
        ("$1,200.50", "It costs €1200.50.", 0.0),
        ("50%", "about 0.5 of them", 1.0),
        ("50%", "百分之五十", 1.0),
        ("50%", "5%", 0.0),
        ("-5", "minus 5 degrees", 1.0),
        ("-5", "5", 0.0),
        ("零下5度", "-5度", 1.0),
        ("2 GiB", "2147483648 bytes", 1.0),
        ("2 GiB", "2 GB", 0.0),
        ("1.5 h", "90 minutes", 1.0),
        ("1小时30分钟", "90分钟", 1.0),
        ("200 ms", "0.2 seconds", 1.0),
        ("5公里", "5000 m", 1.0),
        ("5 km/h", "5 km", 0.0),
        ("twenty-one", "There were 21 ships.", 1.0),
        ("三百元", "300元", 1.0),
        ("1/2", "0.5", 1.0),
        ("6½", "6.5 sacks", 1.0),
        ("between 5 and 10", "from 10 down to 5", 1.0),
        ("between 5 and 10", "5", 0.0),
        ("1.10.3", "1.10.3", None),  # a version is no number
        ("4", "GPT-4", 0.0),
        ("5", "1.5e1 or so", 0.0),
        ("5 GB", "5", 1.0),  # without a unit it is taken in the other's
    ],
)
def test_numeric_match(expected, text, value):
    assert score("numeric_match", [expected], text) == value


def test_numeric_match_within_a_tolerance():
    assert score("numeric_match", ["100 kg"], "101000 g", relative=0.01) == 1.0
    assert score("numeric_match", ["100 kg"], "101001 g", relative=0.01) == 0.0
    assert score("numeric_match", ["100 kg"], "99.5 kg", absolute=0.5) == 1.0  # in the expected unit
    assert score("numeric_match", ["0.3"], "0.30000000000000004") == 0.0  # exact, not as floats
    assert score("numeric_match", ["5 GB"], "5", strict=True) == 0.0
    assert score("numeric_match", ["7"], "First 7, then 8, so 9", take="last") == 0.0
    assert score("numeric_match", ["9"], "First 7, then 8, so 9", take="last") == 1.0
    with pytest.raises(ConfigError, match="relative"):
        score("numeric_match", ["7"], "7", relative=-1)


@pytest.mark.parametrize(
    "text", ["9" * 20_000, "1" + ",000" * 5_000, "1/" * 9_000, "1e999999999", "三" * 9_000, "1 " * 9_000]
)
def test_numbers_without_end_are_read_in_bounded_time(text):
    assert score("numeric_match", ["5"], text) in (0.0, 1.0)


# -- yes_no --------------------------------------------------------------------------------------------------------------
WAL = "Does WAL work over a network filesystem?"
ZH = "WAL 支持网络文件系统吗？"


@pytest.mark.parametrize(
    ("question", "text", "said"),
    [
        (WAL, "No, WAL does not work over a network filesystem", "no"),
        (WAL, "WAL does not work over a network filesystem.", "no"),
        (WAL, "WAL works over a network filesystem.", "yes"),
        (WAL, "Unfortunately, WAL does not work over a network filesystem.", "no"),
        (WAL, "It doesn't.", "no"),
        (WAL, "It does.", "yes"),
        (WAL, "**Yes**, it does", "yes"),
        (WAL, "Yes, but not on Windows.", "yes"),
        (WAL, "No problem, it works.", "yes"),
        (WAL, "No doubt.", "yes"),
        (WAL, "Not only does WAL work over a network filesystem, it is fast.", "yes"),
        (WAL, "It is not impossible.", "yes"),
        (WAL, "That is incorrect.", "no"),
        (WAL, "The answer is no.", "no"),
        (WAL, "All processes must share memory. Therefore, no.", "no"),
        (WAL, "Yes and no.", ""),
        (WAL, "It depends on the filesystem.", ""),
        (WAL, "I don't know.", ""),
        (WAL, "No one knows.", ""),
        (WAL, "No. 5 is the right one", ""),
        (WAL, "Paris is the capital of France.", ""),
        (WAL, "Northern lights", ""),
        (WAL, WAL, ""),  # said again
        (WAL, "does wal work over a network filesystem", ""),
        (ZH, ZH, ""),
        (WAL, "", ""),
        (ZH, "不支持。", "no"),
        (ZH, "不，WAL 不支持网络文件系统。", "no"),
        (ZH, "WAL 不支持网络文件系统。", "no"),
        (ZH, "WAL 支持网络文件系统。", "yes"),
        (ZH, "是的，支持。", "yes"),
        (ZH, "没问题", "yes"),
        (ZH, "没错", "yes"),
        (ZH, "答案是：否", "no"),
        (ZH, "不仅支持，而且很快", "yes"),
        (ZH, "是否支持取决于文件系统。", ""),
        (ZH, "对不起，我不知道。", ""),
        (ZH, "对于网络文件系统，WAL 有限制。", ""),
        (ZH, "不清楚", ""),
        (ZH, "巴黎是法国的首都。", ""),
    ],
)
def test_yes_no(question, text, said):
    yes, no = (score("yes_no", [expected], text, question) for expected in ("yes", "no"))
    assert (yes, no) == (float(said == "yes"), float(said == "no"))
    assert score("yes_no", ["不是"], text, question) == no


V, K = "Can I run VACUUM inside a transaction?", "Are foreign keys enabled by default?"
S, N = "Is SQLite case-sensitive when comparing strings?", "Do I need to restart the server after changing the port?"
ZV, ZK, ZN = "可以在事务中运行 VACUUM 吗？", "外键默认是启用的吗？", "修改端口后需要重启服务器吗？"


@pytest.mark.parametrize(
    ("question", "said", "texts"),
    [
        (V, "no", ["VACUUM cannot be run inside a transaction.", "You can't run VACUUM inside a transaction."]),
        (
            V,
            "no",
            ["No; VACUUM fails there.", "Running VACUUM inside a transaction is not allowed.", "Not that I know of."],
        ),
        (V, "yes", ["Yes you can.", "Running VACUUM inside a transaction is possible."]),
        (V, "", ["The passages do not say.", "I cannot answer this.", "VACUUM is slow.", "SQLite."]),
        (S, "yes", ["String comparison is case-sensitive by default.", "It is by default."]),
        (S, "yes", ["By default, SQLite is case-sensitive when comparing strings."]),
        (
            K,
            "no",
            [
                "Foreign keys are disabled by default.",
                "They're disabled.",
                "They are not enabled.",
                "No, not by default",
            ],
        ),
        (K, "no", ["Foreign keys are not enabled by default; you must enable them."]),
        (
            N,
            "no",
            ["There is no need to restart the server.", "You do not need to restart.", "The server needs no restart."],
        ),
        (N, "yes", ["You must restart the server after changing the port."]),
        (ZV, "no", ["不可以在事务中运行 VACUUM。", "VACUUM 不能在事务中运行。", "不能"]),
        (ZV, "yes", ["可以，只要没有打开的游标。", "能。"]),
        (ZK, "no", ["外键默认不启用。", "默认没有启用", "外键默认是禁用的。"]),
        (ZK, "yes", ["外键默认是启用的。", "是的。"]),
        (ZN, "no", ["不需要。", "无需重启。", "不用"]),
        (ZN, "yes", ["需要重启服务器。", "必须重启服务器。"]),
    ],
)
def test_yes_no_in_sentences_that_repeat_the_question(question, said, texts):
    for text in texts:
        yes, no = (score("yes_no", [expected], text, question) for expected in ("yes", "no"))
        assert (yes, no) == (float(said == "yes"), float(said == "no")), text


def test_yes_no_applies_to_references_that_say_so_and_takes_further_words():
    assert score("yes_no", ["42 tonnes"], "yes") is None
    assert score("yes_no", ["oui"], "Oui, bien sûr", yes=["oui"], no=["non"]) == 1.0
    assert score("yes_no", ["oui"], "Non.", yes=["oui"], no=["non"]) == 0.0
    assert score("yes_no", ["No, it needs shared memory."], "No.") == 1.0


# -- choice --------------------------------------------------------------------------------------------------------------
CITIES = ["London", "Paris", "New York", "New York City"]


@pytest.mark.parametrize(
    ("text", "options", "letter"),
    [
        ("B", [], "B"), ("(b)", [], "B"), ("B) because it is", [], "B"), ("**B**", [], "B"), ("Ｂ", [], "B"),
        ("The correct answer is (B).", [], "B"), ("答案是B", [], "B"), ("选B。", [], "B"), ("It is not A, it is B.", [], "B"),
        ("Option A is wrong; the answer is B", [], "B"), ("A cat sat on the mat.", [], ""), ("A or B", [], ""),
        ("Both A and B are correct", [], ""), ("C++ is a language", [], ""), ("A.D. 1066", [], ""), ("", [], ""),
        ("Paris", CITIES, "B"), ("B. Paris", CITIES, "B"), ("It is not London but Paris", CITIES, "B"),
        ("Paris rather than London", CITIES, "B"), ("New York City", CITIES, "D"), ("It's New York", CITIES, "C"),
        ("London and Paris", CITIES, ""), ("Rome", CITIES, ""), ("不是上海，而是北京", ["上海", "北京"], "B"),
    ],
)  # fmt: skip
def test_choice(text, options, letter):
    for n in range(4 if not options else len(options)):
        expected = "ABCD"[n]
        assert score("choice", [expected], text, options=options) == float(expected == letter), expected


def test_choice_takes_the_option_by_its_text_and_refuses_what_is_none():
    assert score("choice", ["paris"], "The answer is B", options=CITIES) == 1.0
    assert score("choice", ["Rome"], "Rome", options=CITIES) is None
