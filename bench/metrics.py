"""Slipway's metrics beside what others compute: SQuAD, CMRC 2018, sacreBLEU, rouge-score, scikit-learn, trec_eval.

    python bench/metrics.py [--data ../shared/data/xquad] [--json]

Items are the 1,190 questions of XQuAD in English and in Chinese (Artetxe et al. 2020), each with two answers made from
its reference by fixed rules: the same, cut, in a sentence, in another case or punctuation, with another number, that of
another question, and more. For each metric: how many items, on how many ours differs by more than 1e-9, and the largest
difference. SQuAD's and CMRC 2018's rules are computed here a second time, from their definitions and apart from
`slipway.text.published`; for CMRC words are cut by NLTK's own tokenizer. Then what the default rule does on answers in
which one mark was changed.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from slipway.core.answer import Answer, Citation
from slipway.core.material import Example
from slipway.plugins import Plugins
from slipway.stats.macro_f1 import credited, macro_f1
from slipway.text.words import normalize_answer

SAME = 1e-9
PLUGINS = Plugins()


@dataclass(frozen=True)
class Item:
    language: str
    references: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Row:
    metric: str
    beside: str
    language: str
    items: int
    different: int
    largest: float


def items(folder: Path, language: str) -> list[Item]:
    """Two answers to every question of XQuAD, made from its reference by two of fifteen rules in turn."""
    chance = random.Random(7)
    paragraphs = [
        paragraph
        for article in json.loads((folder / f"xquad.{language}.json").read_text("utf-8"))["data"]
        for paragraph in article["paragraphs"]
    ]
    asked = [(one["answers"][0]["text"], paragraph["context"]) for paragraph in paragraphs for one in paragraph["qas"]]
    every = [reference for reference, _ in asked]
    found: list[Item] = []
    for n, (reference, context) in enumerate(asked):
        others = (every[(n * 7 + 3) % len(every)],) if n % 4 == 0 else ()  # a second reference now and then
        found += [
            Item(language, (reference, *others), _perturbed(rule, reference, context, every, chance))
            for rule in (n % 15, (n + 7) % 15)
        ]
    return found


def _perturbed(rule: int, reference: str, context: str, every: Sequence[str], chance: random.Random) -> str:
    at = context.find(reference)
    words = reference.split() if " " in reference else list(reference)
    glue = " " if " " in reference else ""
    return [
        reference,
        context[max(0, at - 40) : at + len(reference) + 40],
        glue.join(words[: max(1, len(words) // 2)]),
        chance.choice(every),
        reference.upper() + "!",
        glue.join(chance.sample(words, len(words))),
        f"It is the {reference}, I think.",
        f"答案是「{reference}」。",
        re.sub(r"\d", lambda _: str(chance.randrange(10)), reference),
        reference.replace(",", "").replace(".", "").replace("-", " "),
        context[:120],
        "",
        f"{reference} {reference}",
        f"“{reference}” (a, an, the) — it's not 'here'; $5 & 10%",
        context[at : at + len(reference) + 15] + "、" + reference[:3],
    ][rule]


def ours(metric: str, item: Item, **options: object) -> float:
    """Slipway's score, by the scorer that a project would name."""
    scorer = PLUGINS.make("scorers", metric, options, "bench")
    example = Example(input={"question": "?"}, expected=item.references, language=item.language)
    return float(scorer.score(example, Answer(text=item.text, raw=item.text)))


# -- SQuAD v1.1: its rule once more, step by step as the paper tells it ------------------------------------------------
def squad_tokens(text: str) -> list[str]:
    kept = [c for c in text.lower() if not (c.isascii() and not c.isalnum() and not c.isspace() and c.isprintable())]
    tokens: list[str] = []
    for piece in "".join(kept).split():
        tokens += re.sub(r"(?<!\w)(?:the|an|a)(?!\w)", " ", piece).split()
    return tokens


def squad(reference: str, text: str) -> tuple[float, float]:
    """F1, exact match."""
    gold, guess = squad_tokens(reference), squad_tokens(text)
    left, hits = list(gold), 0
    for token in guess:
        if token in left:
            left.remove(token)
            hits += 1
    if not hits:
        return 0.0, float(gold == guess)
    precision, recall = hits / len(guess), hits / len(gold)
    return 2 * precision * recall / (precision + recall), float(gold == guess)


# -- CMRC 2018 ---------------------------------------------------------------------------------------------------------
CMRC_MARKS = [*"-:_*^/\\~`+=", *"，。：？！“”；’《》·、「」（）－～『』"]


def cmrc_tokens(text: str) -> list[str]:
    from nltk.tokenize import NLTKWordTokenizer

    text = text.lower().strip()
    for mark in CMRC_MARKS:
        text = text.replace(mark, "")
    cut = NLTKWordTokenizer()
    tokens: list[str] = []
    for piece in re.split("([\u4e00-\u9fa5])", text):
        tokens += [piece] if re.fullmatch("[\u4e00-\u9fa5]", piece) else cut.tokenize(piece)
    return tokens


def cmrc(reference: str, text: str) -> tuple[float, float]:
    """F1, exact match."""
    gold, guess = cmrc_tokens(reference), cmrc_tokens(text)
    most = 0
    for start in range(len(gold)):
        for end in range(start + most + 1, len(gold) + 1):
            if not any(gold[start:end] == guess[n : n + end - start] for n in range(len(guess))):
                break
            most = end - start
    bare = ["".join(c for c in one.lower().strip() if c not in CMRC_MARKS) for one in (reference, text)]
    if not most:
        return 0.0, float(bare[0] == bare[1])
    precision, recall = most / len(guess), most / len(gold)
    return 2 * precision * recall / (precision + recall), float(bare[0] == bare[1])


# -- what others compute -----------------------------------------------------------------------------------------------
def text_rows(found: list[Item]) -> Iterator[Row]:
    """Every metric of text beside its reference."""
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics.bleu import BLEU

    from slipway.text.words import words

    rule = squad if found[0].language == "en" else cmrc
    name = "SQuAD v1.1" if rule is squad else "CMRC 2018"
    prefix = "squad" if rule is squad else "cmrc"
    for n, part in enumerate(("f1", "em")):
        yield compared(f"{prefix}_{part}", name, found, lambda i, n=n: max(rule(r, i.text)[n] for r in i.references))
    for tokenize in ("13a", "zh", "char", "intl"):
        judge = BLEU(tokenize=tokenize, effective_order=True)
        yield compared(
            "bleu",
            f"sacreBLEU {tokenize}",
            found,
            lambda i, judge=judge: judge.sentence_score(i.text, list(i.references)).score / 100,
            tokenize=tokenize,
        )
    plain = BLEU(tokenize="none", effective_order=True)
    yield compared(
        "bleu",
        "sacreBLEU none, on Slipway's words",
        [item for item in found if words(item.text)],
        lambda i: plain.sentence_score(" ".join(words(i.text)), [" ".join(words(r)) for r in i.references]).score / 100,
    )
    rouge = RougeScorer(["rougeL"], use_stemmer=False)

    def rouge_of(item: Item) -> float:
        return max(rouge.score(reference, item.text)["rougeL"].fmeasure for reference in item.references)

    yield compared("rouge_l", "rouge-score, tokenize: ascii", found, rouge_of, tokenize="ascii")
    if found[0].language == "en":
        ascii_only = [i for i in found if i.text and (i.text + "".join(i.references)).isascii()]
        yield compared("rouge_l", "rouge-score, tokenize: words", ascii_only, rouge_of)


def compared(metric: str, beside: str, found: Sequence[Item], judge: Callable[[Item], float], **options: object) -> Row:
    """Ours against the judge's on every item."""
    apart = [abs(ours(metric, item, **options) - judge(item)) for item in found]
    return Row(metric, beside, found[0].language, len(apart), sum(d > SAME for d in apart), max(apart))


def label_row(trials: int = 1000) -> Row:
    """Macro F1 of label sets with one reference each; a fifth of the predictions are no label at all."""
    from sklearn.metrics import f1_score

    chance, apart = random.Random(3), []
    for _ in range(trials):
        labels = list("abcdefgh")[: chance.randint(2, 8)]
        gold = [chance.choice(labels) for _ in range(chance.randint(5, 60))]
        told = [
            g if chance.random() < 0.6 else chance.choice([*labels, "none", f"text {chance.random()}"]) for g in gold
        ]
        value = macro_f1([credited([g], t) for g, t in zip(gold, told, strict=True)], told)(np.ones((1, len(gold))))[0]
        expected = f1_score(gold, told, labels=sorted(set(gold)), average="macro", zero_division=0)
        apart.append(abs(float(value) - float(expected)))
    return Row("macro_f1", "scikit-learn f1_score(labels=...)", "-", trials, sum(d > SAME for d in apart), max(apart))


def retrieval_rows(trials: int = 1000) -> Iterator[Row]:
    """Rankings drawn at random beside trec_eval: every passage from a document of its own."""
    import pytrec_eval

    chance = random.Random(5)
    measures = {"retrieval_recall": "recall_{k}", "retrieval_mrr": "recip_rank", "retrieval_ndcg": "ndcg_cut_{k}"}
    asked = {"recall.5,10,100", "recip_rank", "ndcg_cut.5,10,100"}
    apart: dict[str, list[float]] = {f"{metric}@{k}" if k else metric: [] for metric in measures for k in (0, 5, 10)}
    for _ in range(trials):
        names = [f"d{n}" for n in range(30)]
        relevant = chance.sample(names, chance.randint(1, 6))
        ranked = chance.sample(names, chance.randint(0, 20))
        passages = tuple(Citation(chunk=n, source=n, path=(), start=0, end=1, text="x", score=1.0) for n in ranked)
        example = Example(input={"question": "?"}, relevant=tuple(relevant))
        judge = pytrec_eval.RelevanceEvaluator({"q": dict.fromkeys(relevant, 1)}, asked)
        for k in (0, 5, 10):
            run = {name: float(100 - rank) for rank, name in enumerate(ranked[: k or 100])}
            judged = judge.evaluate({"q": run})["q"] if run else {}
            for metric, measure in measures.items():
                scorer = PLUGINS.make("scorers", metric, {"k": k}, "bench")
                value = scorer.score(example, Answer(text="x", raw="x", citations=passages))
                expected = judged.get(measure.format(k=k or 100), 0.0)
                apart[f"{metric}@{k}" if k else metric].append(abs(value - expected))
    for name, distances in apart.items():
        yield Row(name, "trec_eval", "-", trials, sum(d > SAME for d in distances), max(distances))


def marks(folder: Path) -> dict[str, int]:
    """References with a number, one mark of which was changed: on how many does each rule see no difference."""
    from slipway.text.published import squad_em

    changes: list[tuple[str, str]] = []
    for language in ("en", "zh"):
        for item in items(folder, language)[::2]:  # two stand there for each reference
            reference = item.references[0]
            for pattern, into in (
                (r"(?<=\d)\.(?=\d)", ""),
                (r"(?<![\w-])(?=\d)", "-"),
                (r"(?<=\d)(?=\d)", "."),
                ("%", ""),
            ):
                changed = re.sub(pattern, into, reference, count=1)
                if changed != reference:
                    changes.append((reference, changed))
    return {
        "changed answers": len(changes),
        "not seen by squad_em": sum(squad_em(a, b) == 1.0 for a, b in changes),
        "not seen by exact_match": sum(normalize_answer(a) == normalize_answer(b) for a, b in changes),
    }


def measure(folder: Path) -> list[Row]:
    """Every row."""
    return [*(row for lang in ("en", "zh") for row in text_rows(items(folder, lang))), label_row(), *retrieval_rows()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared/data/xquad")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows, changed = measure(options.data), marks(options.data)
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "marks": changed}, indent=1))
        return
    print(f"{'metric':22} {'beside':36} {'':3} {'items':>6} {'differ':>7} {'largest':>9}")
    for row in rows:
        print(f"{row.metric:22} {row.beside:36} {row.language:3} {row.items:6} {row.different:7} {row.largest:9.1e}")
    print(f"\none mark of a number changed: {changed}")


if __name__ == "__main__":
    main()
