"""How well personal data is found, by kind, on presidio-research's synthetic texts; and what redaction costs.

    python bench/redaction.py DATASET.json [--missed]

DATASET.json is synth_dataset_v2.json of microsoft/presidio-research (MIT): 1,500 texts with names and addresses, which
have no form and are left out here, and with kinds that have one. A finding counts when it overlaps a labelled span of
its kind. Phone numbers there are in many countries' national formats. `--missed` lists what was missed and what was
wrongly found.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from slipway.privacy import personal
from slipway.privacy.redact import Redactor

KINDS = {"EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "CREDIT_CARD": "card", "IBAN_CODE": "iban",
         "IP_ADDRESS": "ip", "US_SSN": "ssn"}  # fmt: skip


def measure(texts: list[dict[str, Any]]) -> tuple[dict[str, Counter[str]], list[str]]:
    """Counts by kind (found, missed, wrong), and each mistake in words."""
    counts = {kind: Counter[str]() for kind in [*KINDS.values(), "id", "passport"]}
    mistakes: list[str] = []
    for one in texts:
        text = one["full_text"]
        labels = [(KINDS[s["entity_type"]], s["start_position"], s["end_position"])
                  for s in one["spans"] if s["entity_type"] in KINDS]  # fmt: skip
        found = personal.find(text)
        for kind, start, end in labels:
            hit = any(f.kind == kind and f.start < end and f.end > start for f in found)
            counts[kind]["found" if hit else "missed"] += 1
            if not hit:
                mistakes.append(f"missed {kind}: {text[start:end]!r}")
        for f in found:
            if not any(f.kind == kind and f.start < end and f.end > start for kind, start, end in labels):
                counts[f.kind]["wrong"] += 1
                mistakes.append(
                    f"wrong {f.kind}: {text[f.start : f.end]!r} in {text[max(0, f.start - 30) : f.end + 20]!r}"
                )
    return counts, mistakes


def cost(mode: str, text: str, times: int = 500) -> float:
    """CPU microseconds to redact a text."""
    redactor = Redactor(mode, salt=b"bench")  # type: ignore[arg-type]
    redactor.text(text)
    began = time.process_time()
    for _ in range(times):
        redactor.text(text)
    return (time.process_time() - began) / times * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--missed", action="store_true")
    args = parser.parse_args()
    texts = json.loads(args.dataset.read_text("utf-8"))
    counts, mistakes = measure(texts)
    print(f"{'kind':10}{'labelled':>9}{'recall':>9}{'precision':>11}")
    for kind, n in counts.items():
        labelled, said = n["found"] + n["missed"], n["found"] + n["wrong"]
        recall = f"{n['found'] / labelled:.3f}" if labelled else "-"
        precision = f"{n['found'] / said:.3f}" if said else "-"
        print(f"{kind:10}{labelled:>9}{recall:>9}{precision:>11}")
    if args.missed:
        print("\n".join(sorted(mistakes)))
    prose = ("The gate compares candidates on the same examples and decides with a margin. " * 30)[:2048]
    dense = (" ".join(t["full_text"] for t in texts[:60]))[:2048]
    for name, text in (("prose", prose), ("full of names and numbers", dense)):
        shown = ", ".join(f"{mode} {cost(mode, text):.0f}" for mode in ("off", "mask", "hash"))
        print(f"CPU us for 2 KB of {name}: {shown}")


if __name__ == "__main__":
    main()
