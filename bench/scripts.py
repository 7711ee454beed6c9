"""Traditional and simplified Chinese: does each script find, quote and read the other.

    python bench/scripts.py [--questions 300] [--json]

Questions of XQuAD in Chinese (Artetxe et al. 2020), which is simplified, on its 240 paragraphs. Questions and
paragraphs are put into traditional characters one by one (OpenCC's table), so that there are four pairs of scripts.
Nothing else differs: whatever a pair does worse than simplified on simplified is what the script costs. Printed for
each: the share of questions whose paragraph is among the first 5 of the index of words, the share of the expected
answer's words that `quote` gives, in one script, and the share of questions that it leaves unanswered. Then how many of
the personal data in the authored sentences of `bench/redaction.py` are found in either script.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from answers import drawn, xquad
from redaction import authored, measure

from slipway import api
from slipway.core.material import Example
from slipway.core.report import Score
from slipway.text.simplified import characters
from slipway.text.words import words

ROOT = Path(__file__).resolve().parents[1]


TO_TRADITIONAL, TO_SIMPLIFIED = (str.maketrans(characters(f"{way}Characters.txt")) for way in ("ST", "TS"))
SCRIPTS: dict[str, Callable[[str], str]] = {
    "simplified": str,
    "traditional": lambda text: text.translate(TO_TRADITIONAL),
}


def project(folder: Path, data: Path, of: str, count: int) -> None:
    """Paragraphs in one script; every question in both, told apart by `meta.asked`."""
    (folder / "docs").mkdir(parents=True)
    for n, (_, text, _) in enumerate(xquad(data, "zh")):
        (folder / "docs" / f"{n}.md").write_text(SCRIPTS[of](text), "utf-8")
    number = {f"{name}.md": f"{n}.md" for n, (name, _, _) in enumerate(xquad(data, "zh"))}
    rows = [row for row in drawn(data, count) if row["language"] == "zh"]
    with (folder / "questions.jsonl").open("w", encoding="utf-8") as file:
        for row in rows:
            for asked, put in SCRIPTS.items():
                question = put(row["question"])
                answer = [SCRIPTS[of](one) for one in row["answer"]]
                line = {"question": question, "answer": answer, "language": "zh", "source": number[row["source"]]}
                file.write(json.dumps({**line, "asked": asked}) + "\n")
    about = {
        "slipway": 1, "name": "scripts",
        "data": {
            "documents": [{"path": "docs/*.md", "base": "docs", "language": "zh"}],
            "examples": [{"path": "questions.jsonl"}],
            "clean": {"near_duplicates": None},
            "split": {"train": 0, "dev": 1, "gate": 0},
        },
        "candidates": {"quote": {"strategy": "quote", "retrieve": {"mode": "lexical", "top_k": 5}}},
        "evaluate": {"metrics": ["answer_recall", "retrieval_recall"]},
        "gate": {"answer_recall": {"min": 0}},
    }  # fmt: skip
    (folder / "slipway.yaml").write_text(yaml.safe_dump(about, sort_keys=False), "utf-8")


def pairs(folder: Path, of: str) -> list[dict[str, Any]]:
    """What was measured for each script of the questions."""
    with api.open_project(folder) as opened:
        report = api.run(opened, "evaluate").reports["dev"]["quote"]
        scores: list[Score] = [score for _, score in api.items(opened, report)]
        examples = api.items(opened, api.find(opened, "dataset", "examples"))
        asked = {one.id: one.meta["asked"] for one in examples if isinstance(one, Example)}
    rows: list[dict[str, Any]] = []
    for script in SCRIPTS:
        own = [score for score in scores if asked[score.example] == script]
        rows.append({
            "documents": of, "questions": script, "n": len(own),
            "found": sum(score.metrics["retrieval_recall"] for score in own) / len(own),
            "recall": sum(_recall(score) for score in own) / len(own),
            "abstained": sum(score.answer.abstained for score in own) / len(own),
        })  # fmt: skip
    return rows


def _recall(score: Score) -> float:
    """Of the best expected answer, the share of characters that the answer holds."""
    said = set(words(score.answer.text.translate(TO_SIMPLIFIED)))
    shares = [set(words(one.translate(TO_SIMPLIFIED))) for one in score.expected]
    return max(len(wanted & said) / len(wanted) for wanted in shares if wanted)


def personal() -> dict[str, tuple[int, int, int]]:
    """(found, missed, found where there is none) of the authored sentences in each script."""
    found: dict[str, tuple[int, int, int]] = {}
    for script, put in SCRIPTS.items():
        counts, _ = measure([{**row, "full_text": put(row["full_text"])} for row in authored()])
        hits, missed, wrong = (sum(one[what] for one in counts.values()) for what in ("found", "missed", "wrong"))
        found[script] = hits, missed, wrong
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    data = personal()
    with tempfile.TemporaryDirectory() as work:
        for of in SCRIPTS:
            folder = Path(work) / of
            project(folder, options.data, of, options.questions)
            rows += pairs(folder, of)
    if options.json:
        print(json.dumps({"pairs": rows, "personal": data}, indent=1))
        return
    for row in rows:
        print(f"{row['questions']:11} on {row['documents']:11} n={row['n']}  found {row['found']:.3f}  "
              f"answer recall {row['recall']:.3f}  abstained {row['abstained']:.3f}")  # fmt: skip
    for script, (hits, missed, wrong) in data.items():
        print(f"personal data in {script} sentences: {hits} found, {missed} missed, {wrong} wrongly found")


if __name__ == "__main__":
    main()
