"""Languages: the Chinese catalog is whole and keeps what must not be translated; who chooses, and what is shown."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from slipway.errors import ConfigError, EngineError
from slipway.i18n import Said, catalog, joined, language, said_of, say, set_language, speaking, t, told

ROOT = Path(__file__).parents[1]
FILE = ROOT / "src" / "slipway" / "locale" / "zh.json"
VARIABLES = ("SLIPWAY_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
EXAMPLE = "'{file}' has nothing that anyone ever says"  # a text of no catalog


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """No variable names a language, and nothing is chosen; afterwards nothing is chosen either."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    set_language(None)
    yield monkeypatch
    set_language(None)


def slipway(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command with only these of the language variables set."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return subprocess.run(
        [sys.executable, "-m", "slipway", *arguments],
        env={**kept, **variables}, capture_output=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip


# -- the catalog ------------------------------------------------------------------------------------------------


def test_every_text_is_translated_with_its_fields() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "catalog.py", "--check"],
        capture_output=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kept", [r"{[^{}]*}", r"`[^`]*`", r"^\s*", r"\s*$"], ids=["fields", "code", "start", "end"])
def test_what_must_not_be_translated_is_kept(kept: str) -> None:
    """Fields with their formats, code in backticks, and space at either end."""
    wrong = [
        english
        for english, chinese in catalog("zh").items()
        if Counter(re.findall(kept, english)) != Counter(re.findall(kept, chinese))
    ]
    assert not wrong


def test_every_translation_is_chinese() -> None:
    """One without a Chinese character is only right where there is no word to translate."""
    same = {english for english, chinese in catalog("zh").items() if not CHINESE.search(chinese)}
    assert not {text for text in same if re.search(r"[A-Za-z]{2}", re.sub(r"{[^{}]*}|models\.", "", text))}


def test_chinese_has_chinese_punctuation() -> None:
    """No ASCII comma, semicolon, question mark or exclamation mark beside a Chinese character."""
    wrong = re.compile(r"[\u4e00-\u9fff][,;?!]|[,;?!][\u4e00-\u9fff]")
    assert not [chinese for chinese in catalog("zh").values() if wrong.search(chinese)]


def test_the_file_is_sorted_so_that_changes_read_well() -> None:
    text = FILE.read_text("utf-8")
    assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


# -- the choice -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "ZH_TW"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LC_ALL": "zh_CN.UTF-8", "LANG": "en_US.UTF-8"}, "zh"),
        ({"LC_MESSAGES": "zh_CN.UTF-8", "LANG": "en_US.UTF-8"}, "zh"),
        ({"LC_ALL": "en_US.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "en"),
        ({"LC_ALL": "", "LANG": "zh_CN.UTF-8"}, "zh"),
        ({"SLIPWAY_LANG": "zh", "LC_ALL": "en_US.UTF-8", "LANG": "en_US.UTF-8"}, "zh"),
        ({"SLIPWAY_LANG": "en", "LC_ALL": "zh_CN.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
    ],
)
def test_the_environment_chooses_in_order(bare: pytest.MonkeyPatch, variables: dict[str, str], expected: str) -> None:
    for name, value in variables.items():
        bare.setenv(name, value)
    assert language() == expected


def test_a_choice_beats_the_environment_until_it_is_taken_back(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("SLIPWAY_LANG", "en")
    set_language("zh")
    assert (language(), t("dataset")) == ("zh", "数据集")
    set_language("en")
    bare.setenv("SLIPWAY_LANG", "zh")
    assert (language(), t("dataset")) == ("en", "dataset")
    set_language(None)
    assert language() == "zh"


@pytest.mark.usefixtures("bare")
def test_a_language_that_is_not_spoken_is_no_choice() -> None:
    set_language("fr")
    assert language() == "en"


@pytest.mark.usefixtures("bare")
def test_fields_are_filled_in_either_language() -> None:
    assert t("about {n:.0f} s left", n=2.6) == "about 3 s left"
    set_language("zh")
    assert t("about {n:.0f} s left", n=2.6) == "约剩 3 秒"


@pytest.mark.usefixtures("bare")
def test_a_missing_translation_is_said_in_english() -> None:
    set_language("zh")
    assert EXAMPLE not in catalog("zh")
    assert t(EXAMPLE, file="a.md") == "'a.md' has nothing that anyone ever says"


@pytest.mark.usefixtures("bare")
def test_speaking_is_for_what_is_done_inside() -> None:
    set_language("zh")
    with speaking("en"):
        assert t("dataset") == "dataset"
        with speaking("zh"):
            assert t("dataset") == "数据集"
        assert asyncio.run(asyncio.to_thread(language)) == "en"
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(language).result() == "zh", "a thread that does other people's work too keeps its own"
    assert t("dataset") == "数据集"
    with contextlib.suppress(KeyError), speaking("en"):
        raise KeyError
    assert language() == "zh"


@pytest.mark.usefixtures("bare")
def test_what_is_said_is_stored_without_a_language_and_told_in_the_readers() -> None:
    said = say(EXAMPLE + ": {n:.1f}, {why}", file="{a}", n=2.25, why=say("{n} tokens", n="3"))
    with speaking("zh"):
        assert msgspec.json.encode(said) == msgspec.json.encode(say(said.text, **said.values))
        stored = msgspec.json.decode(msgspec.json.encode(said), type=Said)
        assert str(stored) == "'{a}' has nothing that anyone ever says: 2.2, 3 词元"
    assert stored == said
    assert str(stored) == "'{a}' has nothing that anyone ever says: 2.2, 3 tokens"
    assert msgspec.json.encode(say("a {brace} is no field")) == b'{"text":"a {brace} is no field"}'
    assert str(say("a {brace} is no field")) == "a {brace} is no field"


@pytest.mark.usefixtures("bare")
def test_a_message_knows_what_it_said_through_errors_and_other_messages() -> None:
    with speaking("zh"):
        inner = ConfigError(t("the input has no '{field}'", field="question"))
        outer = EngineError(t("{candidate} could not answer any example: {why}", candidate="a", why=inner.said))
        nested = EngineError(
            t("{candidate} could not answer any example: {why}", candidate="a", why=t("{n} tokens", n=3))
        )
        assert "the input" not in outer.message
        assert type(outer.message) is str
    assert outer.said == say("{candidate} could not answer any example: {why}", candidate="a", why=inner.said)
    assert str(outer.said) == "a could not answer any example: the input has no 'question'"
    assert str(nested.said) == "a could not answer any example: 3 tokens"
    assert said_of("a library's {own} words") == Said("a library's {own} words")
    assert told(said_of("a library's {own} words")) == "a library's {own} words"
    odd = said_of(t("{a} {b} {c} {d}", a=float("nan"), b=True, c=10**30, d=Path("x")))
    assert msgspec.json.decode(msgspec.json.encode(odd), type=Said) == odd
    assert told((Said("one"), Said("two"))) == "one; two"
    assert told("from an older catalog") == "from an older catalog"


# -- the command ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("--lang", "zh", "--help"), ("--lang=zh", "--help"), ("--help", "--lang", "zh")])
def test_help_is_chinese_wherever_lang_stands(arguments: tuple[str, ...]) -> None:
    shown = slipway(*arguments, LANG="en_US.UTF-8")
    assert shown.returncode == 0, shown.stderr
    assert "让一切更新到最新" in shown.stdout
    assert "Bring everything up to date" not in shown.stdout


def test_help_is_english_when_nothing_is_chosen() -> None:
    shown = slipway("--help")
    assert shown.returncode == 0, shown.stderr
    assert "Bring everything up to date" in shown.stdout
    assert not CHINESE.search(shown.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "variables"),
    [(("--lang", "zh"), {}), ((), {"LANG": "zh_CN.UTF-8"}), ((), {"SLIPWAY_LANG": "zh", "LANG": "en_US.UTF-8"})],
    ids=["--lang", "LANG", "SLIPWAY_LANG"],
)
def test_an_error_and_its_hint_are_chinese(
    tmp_path: Path, arguments: tuple[str, ...], variables: dict[str, str]
) -> None:
    shown = slipway(*arguments, "check", "--project", str(tmp_path), **variables)
    assert shown.returncode == 2
    message, hint = shown.stderr.splitlines()
    assert "任何上级目录里都没有 slipway.yaml" in message
    assert "用 `slipway init DIR` 新建一个项目" in hint


def test_lang_beats_the_environment(tmp_path: Path) -> None:
    shown = slipway("--lang", "en", "check", "--project", str(tmp_path), LANG="zh_CN.UTF-8")
    assert shown.returncode == 2
    assert "no slipway.yaml here or in any folder above" in shown.stderr
    assert not CHINESE.search(shown.stderr.replace(str(tmp_path), ""))


def test_an_unknown_lang_is_refused() -> None:
    shown = slipway("--lang", "fr", "--help")
    assert shown.returncode == 2
    assert "--lang fr: en, zh" in shown.stderr


# -- one and many -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values", "said"),
    [
        ("{n} new examples", {"n": 1}, "1 new example"),
        ("{n} new examples", {"n": 2}, "2 new examples"),
        ("{n} new examples", {"n": "1"}, "1 new example"),
        (
            "{n} requests of '{channel}' were read",
            {"n": 1, "channel": "production"},
            "1 request of 'production' was read",
        ),
        ("there are {n} pairs of preferences", {"n": 1}, "there is 1 pair of preferences"),
        ("{n} of {all} files are gone", {"n": 1, "all": 5}, "1 of 5 files is gone"),
        ("{n} of {all} rules failed", {"n": 1, "all": 1}, "1 of 1 rule failed"),
        ("{rows} rows and {blobs} blobs", {"rows": 1, "blobs": 3}, "1 row and 3 blobs"),
        ("{n:g} hours", {"n": 1.0}, "1 hour"),
        ("{n} queries a month", {"n": 1}, "1 query a month"),
        ("'{name}' has tools", {"name": 1}, "'1' has tools"),
        ("look {n} of {budget} at these examples", {"n": 1, "budget": 1}, "look 1 of 1 at these examples"),
    ],
)
def test_one_is_told_in_the_singular(bare: pytest.MonkeyPatch, text: str, values: dict[str, object], said: str) -> None:
    assert str(Said(text, values)) == said  # type: ignore[arg-type]


def test_texts_of_ours_in_one_line_have_the_language_s_own_sign(bare: pytest.MonkeyPatch) -> None:
    assert joined(["a", "b"]) == "a; b"
    assert joined(["a", "b"], "、") == "a, b"
    set_language("zh")
    assert joined(["甲", "乙"]) == "甲；乙"
    assert joined(["甲", "乙"], "，") == "甲，乙"


@pytest.mark.parametrize(
    ("chinese", "narrow"),
    [
        ("没有,请写", True), ("没有, 请写", True), ("{key}: 没有", True), ("没有(两个)", True), ("名为 '{name}' 的", True),
        ("没有“{name}”;", True), ("没有，请写", False), ("写 `a: 没有`", False), ("用 hf:、file: 或 https: 写", False),
        ("先 slipway models rm '{source}'，再 pull", False), ("例如 zh=0.7,en=0.3", False),
    ],
)  # fmt: skip
def test_punctuation_of_half_the_width_is_found(chinese: str, narrow: bool) -> None:
    assert tool().narrow(chinese) is narrow


def test_a_word_that_may_be_counted_is_found() -> None:
    assert tool().uncounted("{n} zebras of {m} shiny examples, {k} new examples; {name} has") == ["zebras", "shiny"]


def tool() -> ModuleType:
    """tools/catalog.py"""
    found = importlib.util.spec_from_file_location("catalog_tool", ROOT / "tools" / "catalog.py")
    assert found is not None
    assert found.loader is not None
    made = importlib.util.module_from_spec(found)
    found.loader.exec_module(made)
    return made
