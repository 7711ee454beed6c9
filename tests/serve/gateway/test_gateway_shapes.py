"""What answers look like: every endpoint, whole and streamed, releases and raw models."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from served import PROJECT, Running, echo, make_context, promote, release, serving
from slipway.core.candidate import Candidate
from slipway.core.material import Example
from slipway.evaluate.scoring import evaluate
from slipway.project.schema import EvaluateConfig
from slipway.runtime.respond import answer
from slipway.runtime.session import Session
from slipway.serve.requests import token_ids
from slipway.store.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def server(store: Store) -> Iterator[Running]:
    promote(store, release(store, echo(), "You asked: {{ question }}"))
    with serving(make_context(store, [echo(), echo("other", reply="always this")])) as running:
        running.until()
        yield running


def test_a_release_answers_a_chat(server: Running, store: Store) -> None:
    reply = server.chat("What is a slipway?")
    digest = store.catalog.channels()["production"]
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-slipway-release"] == digest
    assert re.fullmatch("[0-9a-f]{32}", reply.headers["x-slipway-trace"])
    assert 0 <= float(reply.headers["x-slipway-overhead-ms"]) < 60_000
    body = reply.json
    assert body["object"] == "chat.completion"
    assert body["model"] == PROJECT
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "You asked: What is a slipway?"}
    assert body["choices"][0]["finish_reason"] == "stop"
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    assert body["slipway"] == {"trace": reply.headers["x-slipway-trace"], "release": digest, "citations": []}


def test_the_trace_is_on_disk_when_the_answer_is_here(server: Running, store: Store) -> None:
    for stream in (False, True):
        reply = server.chat("remember me", stream=stream)
        trace = store.catalog.trace(reply.headers["x-slipway-trace"])
        assert trace.status == 200
        assert trace.channel == "production"
        assert trace.release == reply.headers["x-slipway-release"]
        assert trace.endpoint == "/v1/chat/completions"
        assert trace.request["messages"] == [{"role": "user", "content": "remember me"}]
        assert trace.answer is not None
        assert trace.answer.text == "You asked: remember me"
        assert 0 < trace.overhead_seconds <= trace.seconds


def test_a_stream_says_the_same(server: Running) -> None:
    reply = server.chat("Tell me more, 你好", stream=True, stream_options={"include_usage": True})
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.text == "You asked: Tell me more, 你好"
    *chunks, usage, done = reply.events
    assert done == "[DONE]"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] > 0
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["slipway"]["trace"] == reply.headers["x-slipway-trace"]
    assert len({chunk["id"] for chunk in (*chunks, usage)}) == 1
    assert "usage" not in server.chat("x", stream=True).body.decode()


def test_earlier_turns_are_history_and_system_messages_are_named_as_ignored(server: Running, store: Store) -> None:
    messages = [
        {"role": "system", "content": "Be a pirate."},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "answer"},
        {"role": "user", "content": [{"type": "text", "text": "second"}]},
    ]
    body = {"model": PROJECT, "messages": messages, "temperature": 1.5, "top_p": 0.5, "foo": 1}
    reply = server.post("/v1/chat/completions", body)
    assert reply.text == "You asked: second"
    assert reply.headers["x-slipway-ignored"] == "messages.system, temperature, top_p, foo"
    assert reply.json["slipway"]["ignored"] == ["messages.system", "temperature", "top_p", "foo"]
    assert store.catalog.trace(reply.headers["x-slipway-trace"]).request["temperature"] == 1.5


def test_max_tokens_caps_and_stop_is_added(server: Running) -> None:
    capped = server.chat("one two three four", max_tokens=4)
    assert capped.json["choices"][0]["finish_reason"] == "length"
    assert capped.text == "You asked: one"
    assert server.chat("one two three four", stop=" three").text == "You asked: one two"
    assert server.chat("one two", max_tokens=100_000).text == "You asked: one two"


def test_pinned_releases_and_their_beginnings(server: Running, store: Store) -> None:
    digest = store.catalog.channels()["production"]
    for name in (f"{PROJECT}@{digest}", f"{PROJECT}@{digest[:12]}", f"production@{digest}"):
        reply = server.chat("pinned", model=name)
        assert reply.text == "You asked: pinned"
        assert reply.headers["x-slipway-release"] == digest
    assert server.chat("x", model="production").status == 200
    assert server.chat("x", model=f"{PROJECT}@{'0' * 64}").status == 404
    assert server.chat("x", model=f"nobody@{digest}").status == 404
    assert server.chat("x", model=f"{PROJECT}@12").status == 404


def test_a_raw_model_honours_everything(server: Running, store: Store) -> None:
    reply = server.chat("hello there world", model="writer", max_tokens=2, seed=1, temperature=0.3, logprobs=True)
    assert reply.text == "hello there"
    assert reply.headers["x-slipway-release"] == ""
    assert "x-slipway-ignored" not in reply.headers
    tokens = reply.json["choices"][0]["logprobs"]["content"]
    assert [token["token"] for token in tokens] == ["hello", " there"]
    assert all(token["logprob"] <= 0 and token["top_logprobs"] for token in tokens)
    trace = store.catalog.trace(reply.headers["x-slipway-trace"])
    assert (trace.release, trace.channel) == ("", "")


def test_a_raw_model_gives_json_and_choices(server: Running) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert server.chat("Bath", model="writer", response_format=form).text == '{"city": "Bath"}'
    assert server.chat("Bath", model="writer", response_format={"type": "json_object"}).text == "{}"
    assert server.chat("is it b?", model="writer", guided_choice=["a", "b"]).text == "b"


def test_completions_whole_and_streamed(server: Running) -> None:
    body = {"model": "writer", "prompt": "The sun rises", "max_tokens": 3, "logprobs": 2}
    choice = server.post("/v1/completions", body).json["choices"][0]
    assert choice["text"] == "The sun rises"
    assert choice["logprobs"]["tokens"] == ["The", " sun", " rises"]
    assert len(choice["logprobs"]["top_logprobs"][0]) == 2
    streamed = server.post("/v1/completions", {**body, "stream": True})
    assert streamed.events[-1] == "[DONE]"
    assert "".join(event["choices"][0]["text"] for event in streamed.events[:-1]) == "The sun rises"
    assert (
        server.post("/v1/completions", {"model": PROJECT, "prompt": "x"}).json["choices"][0]["text"] == "You asked: x"
    )


def test_generate(server: Running) -> None:
    reply = server.post("/generate", {"prompt": "short", "max_length": 50, "temperature": 0.2, "top_p": 0.9})
    assert reply.json.keys() == {"generated_text", "processing_time"}
    assert reply.json["generated_text"] == "You asked: short"
    assert reply.json["processing_time"] > 0
    assert reply.headers["x-slipway-ignored"] == "temperature, top_p"
    assert reply.headers["x-slipway-release"]


def test_token_ids_are_embedded_as_the_text_they_stand_for(server: Running, store: Store) -> None:
    """As langchain's OpenAIEmbeddings sends them: cl100k_base, one list for each text, or a single one."""
    if token_ids.vocabulary() is None:
        pytest.skip("the extra 'tokens' is not installed")
    ids = [[15339, 1917], [57668, 53901]]  # "hello world", "你好"
    as_text = server.post("/v1/embeddings", {"model": "writer", "input": ["hello world", "你好"]})
    as_ids = server.post("/v1/embeddings", {"model": "writer", "input": ids})
    assert as_ids.status == 200
    assert [one["embedding"] for one in as_ids.json["data"]] == [one["embedding"] for one in as_text.json["data"]]
    single = server.post("/v1/embeddings", {"model": "writer", "input": ids[0]})
    assert [one["embedding"] for one in single.json["data"]] == [as_text.json["data"][0]["embedding"]]
    kept = store.catalog.trace(as_ids.headers["x-slipway-trace"])
    assert kept.request["input"] == ["hello world", "你好"], "what is kept can be redacted"
    for wrong in ([[10**9]], [[-1]], [100256]):
        refused = server.post("/v1/embeddings", {"model": "writer", "input": wrong})
        assert refused.status == 400
        assert "no token of cl100k_base" in refused.error["message"]


def test_token_ids_without_a_vocabulary_name_the_option(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_ids, "_PACKAGE", "no_such_package")
    token_ids.vocabulary.cache_clear()
    try:
        refused = server.post("/v1/embeddings", {"model": "writer", "input": [[15339, 1917]]})
    finally:
        token_ids.vocabulary.cache_clear()
    assert refused.status == 400
    assert "check_embedding_ctx_length=False" in refused.error["hint"]
    assert refused.error["param"] == "input[0]"


def test_embeddings(server: Running, store: Store) -> None:
    reply = server.post("/v1/embeddings", {"model": "writer", "input": ["one two", "你好"]})
    assert [item["index"] for item in reply.json["data"]] == [0, 1]
    vector = reply.json["data"][0]["embedding"]
    assert sum(x * x for x in vector) == pytest.approx(1, abs=1e-3)
    assert reply.json["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
    assert store.catalog.trace(reply.headers["x-slipway-trace"]).endpoint == "/v1/embeddings"
    refused = server.post("/v1/embeddings", {"model": PROJECT, "input": "x"})
    assert refused.status == 400
    assert "embed" in refused.error["message"]


def test_feedback_is_kept_with_its_trace(server: Running, store: Store) -> None:
    trace = server.chat("rate me").headers["x-slipway-trace"]
    said = {"trace": trace, "thumb": "down", "score": 0.25, "correction": "better", "comment": "好"}
    reply = server.post("/v1/feedback", said)
    assert reply.status == 200
    kept = store.catalog.feedback(trace)
    assert [(f.id, f.thumb, f.score, f.correction, f.comment) for f in kept] == [
        (reply.json["id"], "down", 0.25, "better", "好")
    ]
    listed = server.get(f"/v1/feedback?trace={trace}").json["data"]
    assert listed[0]["comment"] == "好"


def test_a_traceparent_is_honoured_once(server: Running) -> None:
    given = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{given}-00f067aa0ba902b7-01"}
    assert server.chat("x", headers=headers).headers["x-slipway-trace"] == given
    again = server.chat("x", headers=headers)
    assert again.status == 200
    assert again.headers["x-slipway-trace"] != given
    malformed = server.chat("x", headers={"traceparent": "00-" + "0" * 32 + "-00f067aa0ba902b7-01"})
    assert malformed.headers["x-slipway-trace"] != "0" * 32


def test_health_models_metrics_and_description(server: Running, store: Store) -> None:
    digest = store.catalog.channels()["production"]
    assert server.get("/healthz").json == {"status": "ok"}
    assert server.get("/readyz").json == {"status": "ready", "why": "", "release": digest}
    names = [model["id"] for model in server.get("/v1/models").json["data"]]
    assert names == [PROJECT, f"{PROJECT}@{digest}", f"{PROJECT}@production", "writer", "other"]
    assert server.get(f"/v1/models/{PROJECT}").json["id"] == PROJECT
    assert server.get("/v1/models/nothing").error["code"] == "model_not_found"
    server.chat("count me")
    page = server.get("/metrics").body.decode()
    assert 'slipway_requests_total{endpoint="/v1/chat/completions",model="docs-assistant",status="200"}' in page
    assert f'slipway_release_info{{channel="production",release="{digest}"}} 1.0' in page
    for name in ("num_requests_running", "generation_tokens_total", "trace_commit_seconds_count", "records_total"):
        assert f"slipway_{name}" in page
    description = server.get("/openapi.json").json
    assert {"/v1/chat/completions", "/generate", "/v1/feedback", "/readyz"} <= description["paths"].keys()
    assert description["components"]["schemas"]["ChatRequest"]["properties"]["temperature"]
    for path in ("/healthz", "/v1/models", "/nowhere"):
        assert server.get(path).headers["x-slipway-trace"]


async def test_the_language_of_a_question_is_the_same_evaluated_and_served(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made = release(store, echo(), "[{{ language }}] {{ question }}")
    promote(store, made)
    asked = {"What is a gate?": "en", "门禁是什么？": "zh", "Qux": "und"}
    candidate = store.catalog.get("candidate", made.candidate.digest, Candidate)
    session = Session(store, lambda pin: {})
    examples = [Example(input={"question": question}, expected=("x",), language="en") for question in asked]
    scores = await evaluate(candidate, examples, session, EvaluateConfig(), "code")
    named = await answer(candidate, {"question": "Qux", "language": "de"}, session)
    await session.close()
    with serving(make_context(store, [])) as server:
        await asyncio.to_thread(server.until)
        served = [(await asyncio.to_thread(server.chat, question)).text for question in asked]
    assert served == [score.answer.text for score in scores]
    assert served == [f"[{language}] {question}" for question, language in asked.items()]
    assert named.text == "[de] Qux"


@pytest.mark.parametrize(
    "name", ["dimensions\n", "a\r\nset-cookie: b=c", "nul\x00", "\x7f", "\x1b[2J", "线", "x" * 5000]
)
def test_no_name_of_a_field_breaks_the_header_that_tells_it(server: Running, name: str) -> None:
    reply = server.post(
        "/v1/chat/completions",
        {"model": PROJECT, "messages": [{"role": "user", "content": "hello"}], "foo": 1, name: 1},
    )
    assert reply.status == 200
    assert reply.headers["x-slipway-ignored"] == "foo"
