"""Traditional Chinese is read as simplified, wherever texts are compared or read by rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.core.material import Example
from slipway.data.groups import Entry, with_groups
from slipway.data.heldout import Heldout
from slipway.data.leaks import alike
from slipway.privacy import personal
from slipway.text.choices import chosen
from slipway.text.polarity import polarity
from slipway.text.quantities import quantities
from slipway.text.relevance import Relevance, support
from slipway.text.simplified import simplified
from slipway.text.statements import statements
from slipway.text.words import cjk_bigrams, index_words
from traditional import traditional


def test_each_character_by_itself() -> None:
    assert simplified("電腦軟體裡的檔案，後來發現頭髮") == "电脑软体里的档案，后来发现头发"
    assert simplified("為 爲 说說 台臺 Kiel ｱ 個人番号") == "为 为 说说 台台 Kiel ｱ 个人番号"
    assert index_words("臺灣的電話") == index_words("台湾的电话") == ["台湾", "湾的", "的电", "电话"]
    assert cjk_bigrams("臺灣") == ["臺灣"]


@given(st.text())
def test_length_stays_and_twice_is_once(text: str) -> None:
    assert len(simplified(text)) == len(text)
    assert simplified(simplified(text)) == simplified(text)


SAID = (
    "船坞于1840年建成，深九米。开门时间是早上七点半，星期一不开放。维修费用每小时三百五十元，"
    "由港务局承担。为什么要预约？因为泊位很少。"
)


@pytest.mark.parametrize(
    "question",
    [
        "船坞是什么时候建的？",
        "船坞有多深？",
        "维修费用每小时多少钱？",
        "谁承担维修费用？",
        "开门时间是几点？",
        "港长养了几只猫？",
    ],
)
def test_a_question_in_either_script_is_answered_from_either(question: str) -> None:
    told: set[tuple[int, float]] = set()
    for asked in (question, traditional(question)):
        for text in (SAID, traditional(SAID)):
            relevance = Relevance(asked, statements([text]), [""])
            best = relevance.ranked()[0]
            told.add((best, round(relevance.confidence(best), 9)))
    assert len(told) == 1


def test_question_words_of_hong_kong() -> None:
    text = "船坞建于1840年。船坞的门漆成红色。"
    found = statements([text])
    assert found[Relevance("船塢是甚麼時候建的？", found, [""]).ranked()[0]].text == "船坞建于1840年。"


def test_support_in_the_other_script() -> None:
    assert support("維修費用由港務局承擔", SAID) == support("维修费用由港务局承担", SAID) == 1


@pytest.mark.parametrize(
    ("text", "question", "said"),
    [
        ("不可以。", "", False), ("沒有這項功能。", "", False), ("是的，可以預約。", "", True), ("對。", "", True),
        ("星期一不開放。", "星期一开放吗？", False), ("說明書沒有提到。", "", None), ("無法確定。", "", None),
        ("系統支持離線使用。", "系统支持离线使用吗？", True), ("結論是：錯誤。", "", False),
    ],
)  # fmt: skip
def test_yes_and_no(text: str, question: str, said: bool | None) -> None:
    assert polarity(text, question) is said
    assert polarity(simplified(text), traditional(question)) is said


@pytest.mark.parametrize(
    "text",
    ["兩萬三千元", "三億五千萬", "百分之五十", "負三度", "每分鐘兩個", "３小時", "10英鎊", "5噸", "零下五攝氏度"],
)
def test_numbers_and_units(text: str) -> None:
    found = [(one.number, one.unit, one.factor) for one in quantities(text)]
    assert found == [(one.number, one.unit, one.factor) for one in quantities(simplified(text))]
    assert found


def test_options() -> None:
    assert chosen("答案應該選B", ("開放", "關閉")) == 1
    assert chosen("泊位应该关闭", ("開放", "關閉")) == 1
    assert chosen("不是開放，而是關閉", ("开放", "关闭")) == 1


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("phone", "聯絡電話：2345 6789。", "2345 6789"), ("phone", "請撥熱線27890123", "27890123"),
        ("phone", "傳真 2345-6789", "2345-6789"), ("passport", "護照號碼：G12345678，", "G12345678"),
        ("id", "身分證字號A123456789", "A123456789"), ("id", "公民身份號碼110105491231002", "110105491231002"),
        ("account", "微信號：harbour_pilot", "harbour_pilot"), ("plate", "他的車是粵B·12345", "粵B·12345"),
        ("id", "個人番号 123456789018", "123456789018"), ("email", "寫信到ann@例子.中國", "ann@例子.中國"),
    ],
)  # fmt: skip
def test_personal_data_in_traditional_chinese(kind: str, text: str, value: str) -> None:
    for shown, part in ((text, value), (simplified(text), simplified(value))):
        assert [(one.kind, shown[one.start : one.end]) for one in personal.find(shown)] == [(kind, part)]


def test_an_order_number_stays_in_traditional_chinese() -> None:
    for text in ("訂單號4111111111111111 ", "發票號碼：23456789", "版本號 10.0.0.1"):
        assert [one.kind for one in personal.find(text)] == [one.kind for one in personal.find(simplified(text))]


def test_a_gate_question_in_the_other_script_is_held_out() -> None:
    question = "船坞每小时的维修费用是多少元？"
    found = Heldout([question]).close(traditional(question))
    assert found is not None
    assert found.reason == "exact"
    assert Heldout([traditional(question)]).close(f"请问{question}") is not None
    assert list(alike([question, traditional(question)])) == [(0, 1)]


def test_a_question_in_both_scripts_is_one_group_and_two_examples() -> None:
    texts = ["船坞有多深？", "船塢有多深？", "船坞多长？"]
    grouped = with_groups([Entry(Example(input={"question": text}), "") for text in texts], texts, None, [])
    assert grouped[0].group == grouped[1].group != grouped[2].group
    assert len({one.id for one in grouped}) == 3
