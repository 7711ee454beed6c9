"""What is said, as it was stored before there were tools and images: not one byte may change."""

from __future__ import annotations

import msgspec

from slipway.core.answer import Answer
from slipway.core.message import Completion, Delta, GenerateRequest, ImagePart, Message, Sampling, Usage
from slipway.core.ref import canonical, digest_of


def test_requests_and_answers_of_yesterday_keep_their_bytes_and_digests() -> None:
    messages = (Message("system", "be kind"), Message("user", "hi"))
    request = GenerateRequest(messages=messages, sampling=Sampling(max_tokens=7))
    assert (
        canonical(request)
        == b'{"messages":[{"content":"be kind","role":"system"},{"content":"hi","role":"user"}],"sampling":{"max_tokens":7}}'
    )
    assert digest_of(["generate", request]) == "ee14e759f29a8afd49cc15ed07111fc09980a72d3f666bcaf1f64b7470becf17"
    assert canonical(Message("user", "")) == b'{"content":"","role":"user"}'
    assert canonical(Delta(text="a")) == b'{"text":"a"}'
    assert canonical(Completion(text="a", finish="stop", usage=Usage())) == b'{"finish":"stop","text":"a","usage":{}}'
    assert canonical(Answer(text="a", raw="a")) == b'{"raw":"a","text":"a"}'


def test_parts_are_read_back() -> None:
    plain = {
        "role": "user",
        "content": [
            {"type": "text", "text": "a"},
            {"type": "image_url", "image_url": {"url": "data:"}},
            {"type": "text", "text": "b"},
        ],
    }
    message = msgspec.convert(plain, Message)
    assert message.text == "a\nb"
    assert [type(part) for part in message.images] == [ImagePart]
    assert msgspec.json.decode(msgspec.json.encode(message)) == plain
