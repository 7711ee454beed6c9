"""From tokens to text: whole characters, and nothing of a stop string."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slipway.builtin.engines.openvino.text import Tail

BYTES = {at: bytes([at]) for at in range(256)}


def run(data, stops=()):
    tail, pieces = Tail(BYTES, stops), []
    for byte in data:
        pieces.append(tail.push(byte))
        if tail.stopped:
            return pieces, True
    return [*pieces, tail.end()], False


@given(st.text(alphabet="ab你👍 ", max_size=40), st.lists(st.text(alphabet="ab你", min_size=1, max_size=4), max_size=3))
def test_the_text_up_to_the_first_stop_comes_out(text, stops):
    pieces, stopped = run(text.encode(), stops)
    cut = min((at for stop in stops if (at := text.find(stop)) >= 0), default=None)
    assert stopped == (cut is not None)
    if cut is None:
        assert "".join(pieces) == text
    else:
        ends = min(text.find(stop) + len(stop) for stop in stops if stop in text)
        assert "".join(pieces) == text[: min(text.find(s) for s in stops if 0 <= text.find(s) <= ends - len(s))]
    assert not any("\ufffd" in piece for piece in pieces)


def test_text_is_held_no_longer_than_it_may_be_a_stop():
    tail = Tail(BYTES, ("END",))
    assert [tail.push(byte) for byte in b"aENEND"] == ["a", "", "", "EN", "", ""]
    assert tail.stopped
    assert tail.end() == ""


def test_half_a_character_at_the_end_is_shown_as_such():
    assert "".join(run("好".encode()[:2])[0]) == "\ufffd"


def test_control_tokens_have_no_text():
    assert Tail({}, ()).push(2) == ""
