"""How well the content of real news pages is told from what stands around it (Scrapinghub's benchmark, MIT).

Token F1 against the hand-made article bodies, mean over 181 pages, beside a plain removal of tags.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from slipway.data.parsing.decode import decode
from slipway.data.parsing.html import parse_html
from slipway.text.words import words

FOLDER = Path(__file__).resolve().parents[3].parent / "shared/data/article_extraction"


def token_f1(found: list[str], wanted: list[str]) -> float:
    one, other = Counter(found), Counter(wanted)
    common = sum((one & other).values())
    return 2 * common / (one.total() + other.total()) if common else 0.0


def without_tags(page: str) -> str:
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(page)
    for node in tree.css("script,style,noscript"):
        node.decompose()
    return tree.body.text(separator=" ") if tree.body else ""


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER.is_dir(), reason="the article extraction pages are not beside this checkout")
def test_content_is_told_from_boilerplate() -> None:
    truth = json.loads((FOLDER / "ground-truth.json").read_text("utf-8"))
    ours: list[float] = []
    plain: list[float] = []
    for name, page in sorted(truth.items()):
        text, _ = decode(gzip.decompress((FOLDER / "html" / f"{name}.html.gz").read_bytes()))
        wanted = words(page["articleBody"])
        ours.append(token_f1(words("\n".join(b.text for b in parse_html(text, True).blocks)), wanted))
        plain.append(token_f1(words(without_tags(text)), wanted))
    mean, baseline = sum(ours) / len(ours), sum(plain) / len(plain)
    print(f"token F1 over {len(ours)} pages: {mean:.3f}, tags removed only: {baseline:.3f}")
    assert mean >= 0.91
    assert mean >= baseline + 0.25
