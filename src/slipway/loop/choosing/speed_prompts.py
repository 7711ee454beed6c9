"""What models are asked outside a project: short tasks in English and Chinese, written here, for their speed alone.

Each begins in its own way, so that no prefix cache helps, and asks for an answer of some length. Nothing is scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.core.material import Example
from slipway.core.protocols import Task

NAME = "built-in"
TEMPLATE = "{{ question }}"
TOKENS = 64  # that an answer may have

_ENGLISH = (
    "A bakery opens at six and sells 40 loaves an hour until noon. Explain step by step how many loaves that makes.",
    "Write a polite letter to a neighbour whose dog barks at night. Mention the date, and suggest a time to talk.",
    "Summarise in two sentences: The ferry was built in 1962, carried mail and cattle between the islands, was laid up "
    "twice for want of spare parts, and is a museum today. Volunteers keep its engine running every second Sunday.",
    "List the steps to change a bicycle tube, from taking the wheel out to pumping it up, one line each.",
    "Which of these is not like the others, and why: copper, granite, silver, tin?",
    "Turn this note into full sentences: mtg moved to thu 3pm, room 2b, bring q3 numbers, ana dials in from lisbon.",
)
_CHINESE = (
    "用三句话说明为什么要把食物放进冰箱，再举一个不适合冷藏的例子。",
    "请把下面的话改得更礼貌：你们的货又晚了两天，再这样我们就换供应商。",
    "一列火车上午八点出发，时速九十公里，全程三百一十五公里，中途停车二十分钟。请一步一步算出到达的时间。",
    "概括这段话：老图书馆建于一九三一年，战时作过医院，后来改成档案馆，去年翻修后重新向市民开放，藏书约十二万册。",
    "写一则通知：小区周六上午九点到十一点停水，请大家提前储水，有问题找物业。",
    "比较步行、骑车和坐公交上班的好处与坏处，各说两点。",
)
_WARM_UP = "Good morning! Say in one sentence what you can do."
TEXTS = tuple(
    (text, language, f"{NAME}:{language}:{number}")
    for both in zip(_ENGLISH, _CHINESE, strict=True)
    for number, (text, language) in enumerate(zip(both, ("en", "zh"), strict=True))
)


def examples(task: Task) -> list[Example]:
    """The texts as inputs of the task `answer`."""
    return [
        Example(input=dict(_input(task, text)), language=language, source=source) for text, language, source in TEXTS
    ]


def warm_up(task: Task) -> Example:
    """Asked first, and not counted."""
    return Example(input=dict(_input(task, _WARM_UP)), language="en")


def _input(task: Task, text: str) -> Mapping[str, Any]:
    return task.conversation([{"role": "user", "content": text}])
