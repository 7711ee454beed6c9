"""Which language a text is in, without a model: by its script, else by the small words that every sentence has.

Good enough for a question; a document is identified by a model (`data.document_language`), which asks the script first
too.
"""

from __future__ import annotations

import re

_KANA = re.compile("[\u3041-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f]")
_HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+")
_HAN_WEIGHT = 2.5  # a Han character says as much as so many letters
_LOOKED_AT = 4000  # characters of a question
# Words that are frequent in one of these languages and rare in the others.
_SMALL = {
    "en": "the of and to is are was were be has have an at on not what which who whose how does did do when where why "
    "with by for from can it its this that there if or many much one",
    "de": "der das und ist sind war wurde wurden hat wie wer wann wo warum nicht ein eine einen einer mit von auf für "
    "aus welche welcher welches welchen wird werden im den dem zu zum bei nach",
    "fr": "le les et est sont quel quelle quels quelles qui comment pourquoi où du des une dans pour avec il elle sur "
    "par au aux ce cette combien quand",
    "es": "el los las y es son qué cuál cuáles quién quiénes cómo cuándo dónde cuánto cuántos por para con una del al "
    "fue más según",
    "it": "il gli e è sono che cosa quale quali chi perché dove della dello dei nel nella quando quanto quanti di una",
    "pt": "os e é são que qual quais quem quando onde por para com uma da do dos das em não foi quantos",
    "nl": "het een en is zijn was wat welke wie hoe wanneer waar waarom niet voor met op de te door werd naar hoeveel",
}
LANGUAGES = ("zh", "ja", "ko", *_SMALL, "und")
"""What `of_short_text` can say."""
_BY_WORD: dict[str, list[str]] = {}
for _language, _words in _SMALL.items():
    for _word in _words.split():
        _BY_WORD.setdefault(_word, []).append(_language)


def by_script(text: str) -> str:
    """`zh`, `ja` or `ko` where the script decides; `und` where it is theirs but says too little; else nothing."""
    letters = len(_LETTER.findall(text))
    kana, hangul, han = (len(pattern.findall(text)) for pattern in (_KANA, _HANGUL, _HAN))
    eastern = kana + hangul + han
    if not eastern or eastern * _HAN_WEIGHT < letters - eastern:
        return ""
    if hangul >= max(2, 0.3 * eastern):
        return "ko"
    if kana >= max(2, 0.05 * eastern):
        return "ja"
    return "zh" if han >= 4 else "und"


def of_short_text(text: str) -> str:
    """The language of a question as a BCP 47 tag: zh, ja, ko, en, de, fr, es, it, pt or nl; `und`: it cannot tell."""
    sample = text[:_LOOKED_AT]
    script = by_script(sample)
    if script not in ("", "und"):
        return script
    found = dict.fromkeys(_SMALL, 0.0)
    for word in _WORD.findall(sample.lower()):
        for language in _BY_WORD.get(word, ()):
            found[language] += 1 / len(_BY_WORD[word])
    first, second = sorted(found, key=lambda language: -found[language])[:2]
    if found[first] > found[second]:
        return first
    eastern = (
        (_KANA, "ja"),
        (_HANGUL, "ko"),
        (_HAN, "zh"),
    )  # a few characters among names of things, and no small word
    return next((language for pattern, language in eastern if pattern.search(sample)), "und")
