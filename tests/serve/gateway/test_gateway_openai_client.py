"""The official client against a real server: list, chat, stream, completions, embeddings, errors."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from served import PROJECT, Running, echo, make_context, promote, release, serving
from slipway.store.store import Store


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    store = Store(tmp_path_factory.mktemp("state"))
    promote(store, release(store, echo(), "Q: {{ question }}"))
    late = echo("late", fail="the model died", fail_after=2, fail_status=503)
    with serving(make_context(store, [echo(), late])) as running:
        running.until()
        yield running


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.address}/v1", api_key="not needed", max_retries=0) as found:
        yield found


def test_models(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert names[0] == PROJECT
    assert "writer" in names
    assert client.models.retrieve(PROJECT).owned_by == "slipway"


def test_chat(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=PROJECT, messages=[{"role": "user", "content": "hello"}], temperature=0.7
    )
    assert raw.headers["x-slipway-ignored"] == "temperature"
    answer = raw.parse()
    assert answer.choices[0].message.content == "Q: hello"
    assert answer.usage
    assert answer.usage.total_tokens > 0
    assert answer.model_extra
    assert answer.model_extra["slipway"]["release"]


def test_stream(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=PROJECT,
        messages=[{"role": "user", "content": "one two three"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "Q: one two three"
    assert chunks[-1].usage
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"


def test_completions_and_logprobs(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="writer", prompt="a b", logprobs=1)
    assert answer.choices[0].text == "a b"
    assert answer.choices[0].logprobs
    assert answer.choices[0].logprobs.tokens == ["a", " b"]


def test_embeddings_in_the_form_the_client_prefers(client: openai.OpenAI) -> None:
    packed = client.embeddings.create(model="writer", input=["hello", "world"])  # asks for base64
    plain = client.embeddings.create(model="writer", input=["hello", "world"], encoding_format="float")
    assert packed.data[1].embedding == pytest.approx(plain.data[1].embedding)


def test_errors_are_the_client_s_own(client: openai.OpenAI, server: Running) -> None:
    hello = [{"role": "user", "content": "x"}]
    with pytest.raises(openai.NotFoundError, match="no model is called") as missing:
        client.chat.completions.create(model="gpt-5", messages=hello)  # type: ignore[arg-type]
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(model=PROJECT, messages=hello, temperature=9)  # type: ignore[arg-type]
    with pytest.raises(openai.InternalServerError, match="the model died"):
        client.chat.completions.create(model="late", messages=[{"role": "user", "content": "a b c d"}])  # type: ignore[arg-type]


def test_an_error_in_the_middle_of_a_stream(client: openai.OpenAI) -> None:
    words = [{"role": "user", "content": "one two three four"}]
    got = list[str | None]()
    stream = client.chat.completions.create(model="late", messages=words, stream=True)  # type: ignore[arg-type]
    with pytest.raises(openai.APIError, match="the model died"):
        got.extend(chunk.choices[0].delta.content for chunk in stream)
    assert "".join(text or "" for text in got) == "one two"


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]


def test_tools_there_and_back(client: openai.OpenAI) -> None:
    asked: list = [
        {"role": "user", "content": [{"type": "text", "text": "the weather in"}, {"type": "text", "text": "Bath?"}]}
    ]
    first = client.chat.completions.create(model="writer", messages=asked, tools=TOOLS).choices[0]  # type: ignore[arg-type]
    assert (first.finish_reason, first.message.content) == ("tool_calls", None)
    assert first.message.tool_calls
    (call,) = first.message.tool_calls
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("weather", '{"city": "the weather in\\nBath?"}')
    asked += [first.message, {"role": "tool", "tool_call_id": call.id, "content": "it rains"}]
    then = client.chat.completions.create(model="writer", messages=asked, tools=TOOLS).choices[0]  # type: ignore[arg-type]
    assert (then.finish_reason, then.message.content, then.message.tool_calls) == ("stop", "it rains", None)


def test_tools_streamed(client: openai.OpenAI) -> None:
    hello = [{"role": "user", "content": "hello"}]
    with client.chat.completions.stream(model="writer", messages=hello, tools=TOOLS, tool_choice="required") as stream:  # type: ignore[arg-type]
        final = stream.get_final_completion().choices[0]
    assert final.finish_reason == "tool_calls"
    assert final.message.tool_calls
    assert final.message.tool_calls[0].function.arguments == '{"city": "hello"}'
