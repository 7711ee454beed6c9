"""Every text of a trace is redacted, in whichever field it stands, and however quick the first look at it is."""

from __future__ import annotations

import msgspec
import pytest

from slipway.core.answer import Answer, Citation, Step
from slipway.core.message import ToolCall
from slipway.privacy.redact import Redactor
from slipway.testing.catalogs import trace_of

TOKEN = "ghp_A1b2C3d4E5f6G7h8J9k0L1m2N3p4Q5r6S7t8"
OURS = {"chunk", "finish", "currency", "timed"}  # ids and names that no model, user or tool wrote
CITATION = Citation(chunk="0" * 64, source="a.md", path=("A",), start=0, end=1, text="a", score=1.0)
HOLDERS = {
    "": Answer(text="a", raw="a"),
    "citations": CITATION,
    "steps": Step(name="a"),
    "tool_calls": ToolCall("1", "a", "{}"),
}


def fields(kind: type[msgspec.Struct]) -> list[str]:
    """Those that hold texts; of `Answer` not the ones that hold what has fields of its own."""
    found = {f.name: str(f.type) for f in msgspec.structs.fields(kind)}
    return [name for name, of in found.items() if "str" in of and name not in OURS]


CASES = [(place, name) for place, held in HOLDERS.items() for name in fields(type(held))]


def test_no_field_is_left_out() -> None:
    assert {name for place, name in CASES if place == "steps"} == {"name", "input", "output", "error"}
    assert {"text", "raw", "samples", "error", "label"} <= {name for place, name in CASES if not place}
    structs = {f.name for f in msgspec.structs.fields(Answer) if "tuple" in str(f.type)}
    assert structs - {"samples"} == HOLDERS.keys() - {""}


@pytest.mark.parametrize(("place", "name"), CASES, ids=[f"{place}.{name}".strip(".") for place, name in CASES])
def test_a_secret_in_any_field_of_an_answer_is_taken_out(place: str, name: str) -> None:
    held = HOLDERS[place]
    several = isinstance(getattr(held, name), tuple)
    found = msgspec.structs.replace(held, **{name: (f"the key is {TOKEN}",) if several else f"the key is {TOKEN}"})
    answer = msgspec.structs.replace(HOLDERS[""], **{place: (found,)}) if place else found
    kept = Redactor().trace(msgspec.structs.replace(trace_of(), answer=answer))
    assert TOKEN not in msgspec.json.encode(kept).decode()
    assert "the key is" in msgspec.json.encode(kept).decode()
