"""What a tuner of preferences is given: the rows of `feedback/`, and none that is close to what is held out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from slipway import api
from slipway.core.material import Example
from slipway.errors import ConfigError
from slipway.testing.projects import FILE, write_project

TUNER = """
import json
from typing import ClassVar
from pydantic import BaseModel
from slipway.core.artifact import Made

class Told:
    class Config(BaseModel):
        model_config = {"extra": "forbid"}
        ask: str = ""
    reads: ClassVar = ("preferences", "thumbs")
    def __init__(self, config): self.config = config
    def tune(self, job):
        if self.config.ask: getattr(job, self.config.ask)("train")
        told = {"pairs": [[job.messages(p.example)[-1].content, p.chosen, p.rejected, p.votes] for p in job.preferences()],
                "thumbs": [[job.text(t.example), t.completion, t.label] for t in job.thumbs()]}
        out = job.folder / "told.json"
        out.write_text(json.dumps(told))
        return Made(kind="model", files={"told.json": out}, engine="echo", options={"reply": "x"})
"""
PAIR = {"question": "Who paints the pier?", "chosen": "The crew.", "rejected": "Nobody.", "votes": 3}
THUMB = {"question": "Who paints the pier?", "completion": "Nobody.", "label": False}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    text = FILE.replace("prompt: plain.md}", "prompt: plain.md, tune: ./tune.py:Told}")
    found = write_project(tmp_path / "demo", text).parent
    (found / "tune.py").write_text(TUNER)
    (found / "feedback").mkdir()
    write(found, "mined.preferences", [PAIR])
    write(found, "mined.thumbs", [THUMB])
    return found


def write(folder: Path, name: str, rows: Sequence[dict[str, Any]]) -> None:
    (folder / "feedback" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def told(folder: Path, *overrides: str) -> tuple[dict[str, Any], list[str]]:
    """What the tuner was given, and the steps that ran."""
    from slipway.core.artifact import Artifact

    with api.open_project(folder, overrides) as opened:
        ran = api.run(opened, "adapt").ran
        (_, made), *_ = opened.store.catalog.list("artifact", Artifact, "plain")
        return json.loads(opened.store.blobs.get(made.files["told.json"])), ran


def held_out(folder: Path) -> list[Example]:
    with api.open_project(folder) as opened:
        examples = api.run(opened, "data").datasets["examples"]
        return [e for e in api.items(opened, examples) if isinstance(e, Example) and e.split != "train"]


def test_a_tuner_gets_pairs_and_thumbs_in_the_words_of_its_prompt(folder: Path) -> None:
    found, ran = told(folder)
    assert "tune:plain" in ran
    assert found["pairs"] == [["Answer briefly.\nWho paints the pier?", "The crew.", "Nobody.", 3]]
    assert found["thumbs"] == [["Who paints the pier?", "Nobody.", False]]
    assert "tune:plain" not in told(folder)[1], "the same rows are the same job"
    write(folder, "bought.preferences", [PAIR, PAIR | {"question": "What is a jetty?"}])
    found, ran = told(folder)
    assert "tune:plain" in ran, "other rows are another job"
    assert [pair[0].splitlines()[-1] for pair in found["pairs"]] == ["Who paints the pier?", "What is a jetty?"]


def test_nothing_that_is_close_to_what_is_held_out_is_trained_on(folder: Path) -> None:
    held = held_out(folder)
    assert {e.split for e in held} == {"dev", "gate"}
    rows = [PAIR | {"question": e.text.upper() if n % 2 else f"{e.text} Please."} for n, e in enumerate(held)]
    write(folder, "mined.preferences", [*rows, PAIR])
    write(folder, "mined.thumbs", [THUMB | {"question": e.text} for e in held])
    found, _ = told(folder)
    assert [pair[0].splitlines()[-1] for pair in found["pairs"]] == ["Who paints the pier?"]
    assert found["thumbs"] == []


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"question": "What is a jetty?", "chosen": "A pier."}, "row 2: rejected is not a text"),
        ({"question": "", "chosen": "A", "rejected": "B"}, "row 2: "),
        ({"chosen": "A", "rejected": "B"}, "row 2: "),
    ],
)
def test_a_row_that_is_none_is_told_with_its_place(folder: Path, row: dict[str, Any], what: str) -> None:
    write(folder, "mined.preferences", [PAIR, row])
    with pytest.raises(ConfigError, match="feedback/mined.preferences.jsonl, " + what):
        told(folder)


def test_what_an_editor_leaves_in_a_file_is_no_damage(folder: Path) -> None:
    text = "\ufeff" + "\r\n".join(json.dumps({**PAIR, "chosen": f"{n}\u2028"}, ensure_ascii=False) for n in range(2))
    (folder / "feedback" / "mined.preferences.jsonl").write_text(text + "\r\n\r\n", "utf-8")
    assert len(told(folder)[0]["pairs"]) == 2


def test_a_text_is_not_preferred_to_itself(folder: Path) -> None:
    write(folder, "mined.preferences", [PAIR | {"rejected": "The crew."}])
    assert told(folder)[0]["pairs"] == []


def test_a_tuner_says_what_it_reads(folder: Path) -> None:
    with pytest.raises(ConfigError, match="does not say that it reads 'train'"):
        told(folder, "candidates.plain.tune={./tune.py:Told: {ask: examples}}")
