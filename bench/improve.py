"""What `slipway improve` makes of simulated feedback: honest, poisoned, and of no information.

    python bench/improve.py better [--data ../shared/data/banking77] [--seeds 1 2 3]
    python bench/improve.py poisoned [--data ...] [--seeds 1 2 3]
    python bench/improve.py nothing [--trials 100]

`better`: banking77 (Casanueva et al. 2020, CC BY 4.0; 77 intents) with three messages a label to learn from, 616 for
dev and 1,232 for gate. 500 messages of the rest are asked, one in ten of what is said of the answers is mistaken, half
of those who are not content correct. Then one turn. Measured on the whole test split, which is in no project: the
paired difference with its 95% interval. Every row that was learnt is compared with every gate example.

`poisoned`: the same with 40% of users who praise what is wrong, blame what is right and correct to a wrong label, all
of whom write corrections, once from that start and once with 20 messages a label. What served must serve bit for bit
where the gate refuses; what the gate says of the best recipe is asked in any case, outside the count.

`nothing`: 20 turns in a row of nine recipes whose true quality is that of what serves (`equal`) or two points less
(`worse`), on the same dev and gate of 150, `climb`: each like the best so far on dev; `blind`: as if dev had found the
best to be better each time. The search, the choice and the gate are the functions that the command calls. A trial fails
when anything is promoted that is not better.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import random
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # noqa: E402

from slipway import api  # noqa: E402
from slipway.core.answer import Answer  # noqa: E402
from slipway.core.candidate import Candidate  # noqa: E402
from slipway.core.look import Look  # noqa: E402
from slipway.core.material import Example  # noqa: E402
from slipway.core.metrics import METRICS  # noqa: E402
from slipway.core.ref import Ref  # noqa: E402
from slipway.core.report import Report, Score  # noqa: E402
from slipway.data.heldout import Heldout  # noqa: E402
from slipway.evaluate.aggregate import aggregates  # noqa: E402
from slipway.evaluate.scoring import evaluate  # noqa: E402
from slipway.loop.improve.choosing import best_of, plan_look, value  # noqa: E402
from slipway.loop.improve.gate_rules import rules_for  # noqa: E402
from slipway.loop.improve.search import halve, rungs  # noqa: E402
from slipway.loop.simulate import Traffic  # noqa: E402
from slipway.project.schema import EvaluateConfig, Project  # noqa: E402
from slipway.release.gate import Rule, judge  # noqa: E402
from slipway.release.looks import alpha_at  # noqa: E402
from slipway.release.planning import Known, Place  # noqa: E402
from slipway.stats.pairs import compare_pair, pair  # noqa: E402

INFO = METRICS["accuracy"]
DEV, GATE = 8, 16  # messages a label
FILE = """slipway: 1
name: banking
task: classify
data:
  examples: [{{path: rows.csv}}]
  split: {{train: {train}, dev: {dev}, gate: {gate}, seed: {seed}}}
candidates: {{probe: {{tune: probe}}}}
evaluate: {{metrics: [accuracy]}}
gate: {{accuracy: {{min: 0.1}}}}
improve: {{budget: 30m}}
"""


def project(folder: Path, data: Path, start: int, seed: int) -> None:
    """A project with `start` messages a label to learn from, and a pool of those that are in no split."""
    by: dict[str, list[str]] = defaultdict(list)
    with (data / "train.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            by[row["category"]].append(row["text"])
    rng, rows, pool = random.Random(seed), list[tuple[str, str]](), list[tuple[str, str]]()
    each = start + DEV + GATE
    for label, texts in sorted(by.items()):
        rng.shuffle(texts)
        take = min(each, len(texts))
        rows += [(text, label) for text in texts[:take]]
        pool += [(text, label) for text in texts[take:]]
    for name, some in (("rows", rows), ("pool", pool)):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *some])
    shares = {"train": start / each, "dev": DEV / each, "gate": 1 - start / each - DEV / each}
    (folder / "slipway.yaml").write_text(FILE.format(**shares, seed=seed), "utf-8")


def on_test(folder: Path, data: Path, name: str = "") -> list[Score]:
    """The test split, answered by what serves or by the newest candidate of a name."""
    with (data / "test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    examples = [Example(input={"text": row["text"]}, expected=(row["category"],), language="en") for row in rows]
    config = EvaluateConfig.model_validate({"metrics": ["accuracy"], "parallel": 1})
    with api.open_project(folder) as opened:
        candidate = opened.store.catalog.list("candidate", Candidate, name)[0][1] if name else opened.champion()
        scores = opened.wait(evaluate(candidate, examples, opened.session, config, "bench"))
    seen = set[str]()
    return [one for one in scores if one.example not in seen and not seen.add(one.example)]


def leaked(folder: Path) -> int:
    """Rows that were learnt from feedback and are close to an example of gate."""
    with api.open_project(folder) as opened:
        examples = api.run(opened, "data").datasets["examples"]
        gate = [e.text for e in api.items(opened, examples) if isinstance(e, Example) and e.split == "gate"]
    known, found = Heldout(gate), 0
    for path in (folder / "feedback").glob("*.jsonl"):
        found += sum(known.close(json.loads(line)["text"]) is not None for line in path.open(encoding="utf-8"))
    return found


def accuracy(scores: list[Score]) -> str:
    """With its interval."""
    one = aggregates(scores)["accuracy"]
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


def turn(folder: Path, data: Path, start: int, seed: int, traffic: Traffic) -> dict[str, object]:
    """A first release, feedback, one turn of `improve`, and what came of it."""
    project(folder, data, start, seed)
    with api.open_project(folder) as opened:
        assert api.run(opened).release is not None
    before, state = on_test(folder, data), serving(folder)
    with api.open_project(folder) as opened:
        said = api.simulate(opened, folder / "pool.csv", traffic)
    began = time.process_time()
    with api.open_project(folder) as opened:
        made = api.improve(opened)
    seconds = time.process_time() - began
    best = max((t for t in made.tried if t.score is not None), key=lambda t: (t.examples, t.score or 0))
    after = on_test(folder, data, best.name)
    shown = compare_pair(INFO, pair(before, after, INFO))
    found = {
        "ended": made.ended, "rows": made.learnt, "wrong corrections": said.wrong, "lies": said.lies,
        "mistakes": said.mistakes, "looks left out": made.look, "before": accuracy(before), "best recipe": best.change,
        "after": accuracy(after), "difference": f"{shown.effect:+.3f} [{shown.low:+.3f}, {shown.high:+.3f}]",
        "better": (shown.low or -1) > 0, "leaked": leaked(folder), "cpu_s": round(seconds, 1),
        "untouched": serving(folder) == state, "gate": asked_anyway(folder, best.name),
    }  # fmt: skip
    return found


def serving(folder: Path) -> str:
    """Digest of what the channel points at, and of the bytes of all its files."""
    with api.open_project(folder) as opened:
        candidate, parts = opened.champion(), hashlib.sha256()
        parts.update(opened.store.catalog.channels()["production"].encode())
        for sha256 in sorted(candidate.files.values()):
            parts.update(opened.store.blobs.get(sha256))
        return parts.hexdigest()


def asked_anyway(folder: Path, name: str) -> str:
    """What the gate says of a recipe against the first release, at the alpha of a second look; counted nowhere."""
    with api.open_project(folder) as opened:
        catalog = opened.store.catalog
        examples = api.run(opened, "data").datasets["examples"]
        gate = [e for e in api.items(opened, examples) if isinstance(e, Example) and e.split == "gate"]
        first = catalog.release(catalog.history("production")[-1]["release"])
        ours = catalog.list("candidate", Candidate, name)[0][1]
        theirs = catalog.get("candidate", first.candidate.digest, Candidate)
        config = opened.project.evaluate
        scores = [opened.wait(evaluate(one, gate, opened.session, config, "bench")) for one in (ours, theirs)]
        rules = rules_for(opened.project, "accuracy")
        reports = [
            Report(candidate=c.ref, dataset=examples.ref, split="gate", scores="", metrics=aggregates(s))
            for c, s in zip((ours, theirs), scores, strict=True)
        ]
        looks = [Look(seq=1, at="", kind="verdict", examples="", candidates=("c",))]
        verdict = judge(rules, reports[0], scores[0], {"production": (first.ref, reports[1], scores[1])},
                        alpha=alpha_at(looks))  # fmt: skip
        return verdict.outcome


def feedback(args: argparse.Namespace, starts: list[int], traffic: dict[str, float]) -> int:
    """Each start and seed in a project of its own."""
    bad = 0
    for start in starts:
        for seed in args.seeds:
            with tempfile.TemporaryDirectory() as folder:
                found = turn(Path(folder), args.data, start, seed, Traffic(args.requests, seed=seed, **traffic))
            print(json.dumps({"start": start, "seed": seed, **found}, default=str))
            sys.stdout.flush()
            if traffic["adversarial"]:
                bad += found["ended"] != "released" and not found["untouched"] or bool(found["leaked"])
            else:
                bad += found["ended"] != "released" or not found["better"] or bool(found["leaked"])
    return bad


# 20 turns of no information ------------------------------------------------------------------------------------------

TURNS, RECIPES, N, TRUTH, CHANGED = 20, 9, 150, 0.7, 0.3
CONFIG = Project.model_validate(
    {"slipway": 1, "name": "bench", "evaluate": {"metrics": ["accuracy"]}, "gate": {"accuracy": {"min": 0.5}}}
)
REF = Ref("candidate", "bench", "0" * 64)
PLACES = [Place(group=f"{n}", language="en") for n in range(N)]


def scores_of(right: np.ndarray) -> list[Score]:
    """Right and wrong answers as scores."""
    answer = Answer(text="", raw="")
    return [
        Score(example=f"{n}", group=f"{n}", language="en", answer=answer, metrics={"accuracy": float(one)})
        for n, one in enumerate(right)
    ]


def drawn(rng: np.random.Generator, like: np.ndarray, rate: float) -> np.ndarray:
    """Answers that are right at this rate, most of them as those of another."""
    fresh = rng.random(len(like)) < rate
    return np.where(rng.random(len(like)) < CHANGED, fresh, like)


def trial(rng: np.random.Generator, world: str) -> tuple[int, int]:
    """(how much was promoted that is not better, looks) in 20 turns."""
    rules: dict[str, Rule] = rules_for(CONFIG, "accuracy")
    rate = TRUTH - (0.02 if world == "worse" else 0.0)
    dev, gate = rng.random(N) < TRUTH, rng.random(N) < TRUTH
    looks, promoted, best_dev = list[Look](), 0, dev
    for _ in range(TURNS):
        if len(looks) >= CONFIG.release.looks:
            break
        like = best_dev if world == "climb" else dev
        answers = {f"r{n}": drawn(rng, like, rate) for n in range(RECIPES)}
        scores = {name: scores_of(right) for name, right in answers.items()}
        sizes = rungs(N, RECIPES)
        found = halve(list(answers), sizes, lambda name, _, size, s=scores: value(INFO, s[name][:size]))
        finalists = {name: scores[name] for name, _ in found}
        best = best_of(INFO, scores_of(dev), finalists, CONFIG.improve.min_gain, bounds=False)
        assert best is not None
        best_dev = max((best_dev, answers[best.name]), key=lambda right: right.mean())
        if best.outcome != "better" and world != "blind":
            continue
        known = Known(scores=scores[best.name], rivals={"production": scores_of(dev)})
        if (
            world != "blind"
            and not plan_look(
                rules, "accuracy", known, PLACES, 2 * N, looks, CONFIG.release.looks, CONFIG.improve.power
            ).worth
        ):
            continue
        theirs, ours = gate, drawn(rng, gate, rate)
        reports = [
            Report(candidate=REF, dataset=REF, split="gate", scores="", metrics=aggregates(scores_of(one)))
            for one in (ours, theirs)
        ]
        verdict = judge(rules, reports[0], scores_of(ours), {"production": (REF, reports[1], scores_of(theirs))},
                        alpha=alpha_at(looks))  # fmt: skip
        looks.append(Look(seq=len(looks) + 1, at="", kind="verdict", examples="", candidates=("c",)))
        if verdict.outcome == "pass":
            promoted += 1
            dev, gate = answers[best.name], ours
    return promoted, len(looks)


def nothing(args: argparse.Namespace) -> int:
    """The share of trials in which anything was promoted."""
    bad = 0
    for world in args.worlds:
        rng = np.random.default_rng(20261128)
        began, found = time.process_time(), [trial(rng, world) for _ in range(args.trials)]
        wrong = sum(promoted > 0 for promoted, _ in found)
        looks = sum(looks for _, looks in found) / len(found)
        print(f"{world}: {wrong} of {args.trials} trials promoted something that is not better; {looks:.2f} looks a "
              f"trial; {time.process_time() - began:.0f} CPU-s")  # fmt: skip
        sys.stdout.flush()
        bad += wrong > 0.05 * args.trials
    return bad


def main() -> int:
    """0 when what is promised holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["better", "poisoned", "nothing"])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared/data/banking77")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--worlds", nargs="+", default=["equal", "worse", "climb", "blind"])
    args = parser.parse_args()
    if args.what == "nothing":
        return int(nothing(args) > 0)
    if args.what == "better":
        return int(feedback(args, [3], {"noise": 0.1, "adversarial": 0.0, "corrections": 0.5}) > 0)
    return int(feedback(args, [3, 20], {"noise": 0.1, "adversarial": 0.4, "corrections": 1.0}) > 0)


if __name__ == "__main__":
    sys.exit(main())
