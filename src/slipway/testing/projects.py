"""A small whole project for tests: real files, real steps, the echo engine instead of a model. Needs no network."""

from __future__ import annotations

import json
from pathlib import Path

TOPICS = ("harbour", "lighthouse", "crane", "anchor", "rudder", "sail", "keel", "mast", "winch", "buoy")

FILE = """\
slipway: 1
name: demo
models:
  writer: {engine: echo}
data:
  documents: [{path: "docs/*.md"}]
  examples: [{path: questions.jsonl}]
  split: {train: 0.2, dev: 0.4, gate: 0.4, group_by: source}
  clean: {near_duplicates: null}
candidates:
  plain: {model: writer, prompt: plain.md}
  grounded: {model: writer, prompt: grounded.md, retrieve: {mode: lexical, top_k: 1}}
evaluate: {metrics: [token_f1, retrieval_recall]}
gate:
  token_f1: {min: 0.05, confidence: point}
release: {prefer: quality}
serve: {channel: production, port: 0}
"""


def write_project(folder: Path, text: str = FILE) -> Path:
    """Write a project of ten documents and twenty questions into `folder`; returns its slipway.yaml.

    The echo engine answers with the whole prompt, so a candidate whose prompt holds the right passage scores better.
    """
    (folder / "docs").mkdir(parents=True, exist_ok=True)
    questions: list[dict[str, str]] = []
    for n, topic in enumerate(TOPICS):
        body = (
            f"# The {topic}\n\n## Colour of the {topic}\n\n"
            f"The {topic} is painted in shade number {n + 100} every spring."
            f"\n\n## Weight of the {topic}\n\nThe {topic} weighs exactly {n + 7} tonnes when it is dry.\n"
        )
        (folder / "docs" / f"{topic}.md").write_text(body, "utf-8")
        for asked, answer, heading in (
            (f"Which shade is the {topic} painted in?", f"shade number {n + 100}", f"Colour of the {topic}"),
            (f"How much does the {topic} weigh?", f"{n + 7} tonnes", f"Weight of the {topic}"),
        ):
            source = f"docs/{topic}.md#{heading}"
            questions.append({"question": asked, "answer": answer, "source": source, "language": "en"})
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    (folder / "questions.jsonl").write_text(lines, "utf-8")
    (folder / "plain.md").write_text("Answer briefly.\n{{ question }}\n", "utf-8")
    passages = "{% for p in passages %}{{ p.text }}\n{% endfor %}"
    (folder / "grounded.md").write_text(f"Answer briefly.\n{passages}{{{{ question }}}}\n", "utf-8")
    file = folder / "slipway.yaml"
    file.write_text(text, "utf-8")
    return file
