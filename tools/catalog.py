"""Check and list the translations: what `t("...")` and `say("...")` say must be in locale/zh.json, and nothing else.
What is said of one in English needs a word that slipway.plurals knows; Chinese has its own punctuation.

python tools/catalog.py            print what is missing as JSON, ready to be filled in
python tools/catalog.py --check    exit 1 when something is missing, left over, or has other {fields}
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
from slipway.plurals import COUNTED, NOUNS  # noqa: E402

PACKAGE = Path(__file__).parents[1] / "src" / "slipway"
CATALOG = PACKAGE / "locale" / "zh.json"
SPEAK = ("t", "say")  # the functions of slipway.i18n that take a text
FIELD = re.compile(r"{([a-z_0-9]*)[^{}]*}")
NOT_COUNTED = frozenset(
    (
        "asks",
        "belongs",
        "carries",
        "compares",
        "defines",
        "does",
        "ends",
        "goes",
        "has",
        "holds",
        "is",
        "knows",
        "lacks",
        "leads",
        "makes",
        "names",
        "needs",
        "pins",
        "points",
        "quotes",
        "removes",
        "retrieves",
        "serves",
        "stands",
        "takes",
        "was",
    )
)  # after a {field}, they end in an s and are no plural
QUALIFIED = re.compile(r"\{\w+(?::[^{}]*)?\} ([a-z-]*[a-rt-z]) ([a-z]+)\b")  # `{n} new examples`
CODE = re.compile(r"`[^`]*`")
HALF = re.compile(
    r"(?<=[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef\u201c\u201d])[,;:!?()]"
    r"|(?<!\bpypi)(?<!\bfile)(?<!\bhf)(?<!\bhttps)[,;:!?()](?= ?[\u4e00-\u9fff])"
    r"|'(?=\{[^{}']+\}'(?!\)))"
)
"""Punctuation of half the width beside Chinese, and half quotes around a name."""
SHELL = re.compile(r"slipway models (pull|rm) '[^']*'")


def texts() -> dict[str, str]:
    """English text -> where it stands; raises SystemExit for a call whose text is not a literal."""
    found: dict[str, str] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SPEAK:
                where = f"{path.relative_to(PACKAGE)}:{node.lineno}"
                if not node.args or not isinstance(node.args[0], ast.Constant):
                    sys.exit(f"{where}: {node.func.id}() needs a literal text, so that it can be translated")
                found.setdefault(str(node.args[0].value), where)
    return found


def fields(text: str) -> set[str]:
    """The names of the {fields} of a text."""
    return {name for name in FIELD.findall(text.replace("{{", "").replace("}}", "")) if name}


def narrow(chinese: str) -> bool:
    """Whether a Chinese text has punctuation of half the width where that of full width belongs."""
    return bool(HALF.search(SHELL.sub("", CODE.sub("", chinese))))


def uncounted(english: str) -> list[str]:
    """Words after a {field} that look like what it counts, and that `slipway.plurals` does not know."""
    known = list(COUNTED.finditer(english))
    found = [match["noun"] for match in known if match["noun"] not in NOUNS | NOT_COUNTED]
    ends = {match.end("noun") for match in known}
    return found + [m[1] for m in QUALIFIED.finditer(english) if m[2] in NOUNS and m[1] != "of" and m.end() not in ends]


def main() -> int:
    """Print what is wrong; 0 when nothing is."""
    english = texts()
    chinese: dict[str, str] = json.loads(CATALOG.read_text("utf-8"))
    missing = {text: "" for text in english if not chinese.get(text)}
    if "--check" not in sys.argv:
        print(json.dumps(missing, indent=1, ensure_ascii=False))
        return 0
    wrong = [f"{english[text]}: not translated: {text!r}" for text in missing]
    wrong += [f"zh.json: no call says {text!r}" for text in chinese if text not in english]
    wrong += [
        f"{english[text]}: other fields in the translation of {text!r}"
        for text, said in chinese.items()
        if text in english and said and fields(text) != fields(said)
    ]
    wrong += [f"zh.json: punctuation of half the width: {said!r}" for said in chinese.values() if narrow(said)]
    wrong += [
        f"{where}: is '{word}' counted? name it in slipway/plurals.py, or as NOT_COUNTED here: {text!r}"
        for text, where in english.items()
        for word in uncounted(text)
    ]
    print("\n".join(wrong) or f"{len(english)} texts, all translated")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
