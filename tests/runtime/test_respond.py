from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from slipway.core.answer import Answer
from slipway.core.candidate import Candidate, FewShot, ModelPin, Retrieval
from slipway.core.material import Chunk, Dataset
from slipway.core.message import Delta, Sampling
from slipway.errors import ConfigError, EngineError
from slipway.project.schema import Project
from slipway.runtime.cost import make_cost
from slipway.runtime.respond import Overrides, answer, respond
from slipway.runtime.session import Session, engine_config
from slipway.store.store import Store

TEMPLATE = "{% for p in passages %}[{{ p.n }}] {{ p.text }}\n{% endfor %}{{ question }}"


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    project = Project.model_validate({"slipway": 1, "name": "a", "machine": {"per_hour": "3600 CNY"}})
    made = Session(Store(tmp_path / ".slipway"), lambda pin: {}, make_cost(project))
    yield made
    await made.close()


def echo(**options: Any) -> ModelPin:
    return ModelPin(name="writer", engine="echo", source="", options=options)


def candidate(**more: Any) -> Candidate:
    fields = {"name": "c", "task": "answer", "model": echo(), "prompt": "{{ question }}"}
    return Candidate(**{**fields, **more})


def indexed(session: Session, *texts: str) -> Retrieval:
    chunks = [Chunk(source=f"{n}.md", path=(f"Heading {n}",), start=0, end=len(text), text=text, language="en",
                    meta={"year": n}) for n, text in enumerate(texts)]  # fmt: skip
    items = session.store.blobs.put_lines(chunks)
    dataset = Dataset(name="chunks", kind="chunks", items=items, size=len(chunks))
    return Retrieval(chunks=session.store.catalog.put("dataset", "chunks", dataset), embedder=None, mode="lexical")


async def test_an_answer_is_streamed_and_then_told_whole(session: Session) -> None:
    pieces = [piece async for piece in respond(candidate(), {"question": "one two three"}, session)]
    assert all(isinstance(piece, Delta) for piece in pieces[:-1])
    assert len(pieces) > 2
    last = pieces[-1]
    assert isinstance(last, Answer)
    assert last.text == "one two three"
    assert last.usage.completion_tokens > 0
    assert 0 < last.first_token_seconds <= last.seconds
    assert last.cost == pytest.approx(last.seconds)  # 3600 an hour is 1 a second
    assert last.currency == "CNY"


async def test_passages_are_retrieved_and_the_one_that_answers_is_cited(session: Session) -> None:
    retrieve = indexed(session, "The anchor weighs nine tonnes.", "The mast is blue.", "Nothing of interest here.")
    asked = candidate(prompt=TEMPLATE, retrieve=retrieve, model=echo(reply="nine tonnes"))
    found = await answer(asked, {"question": "How much does the anchor weigh?"}, session)
    assert found.citations[0].source == "0.md"
    assert [c.cited for c in found.citations] == [True] + [False] * (len(found.citations) - 1)


async def test_markers_name_what_is_cited_and_leave_the_answer(session: Session) -> None:
    retrieve = indexed(session, "The anchor is old.", "The anchor is blue.")
    asked = candidate(prompt=TEMPLATE, retrieve=retrieve, model=echo(reply="It is blue [2]."))
    found = await answer(asked, {"question": "anchor"}, session)
    assert found.text == "It is blue."
    assert found.raw == "It is blue [2]."
    assert [c.cited for c in found.citations] == [False, True]


async def test_filters_and_the_size_of_passages(session: Session) -> None:
    retrieve = indexed(session, "anchor " * 50, "anchor anchor", "anchor here")
    only = msgspec.structs.replace(retrieve, filters={"year": 2})
    found = await answer(candidate(prompt=TEMPLATE, retrieve=only), {"question": "anchor"}, session)
    assert [c.source for c in found.citations] == ["2.md"]
    short = msgspec.structs.replace(retrieve, max_chars=30)
    found = await answer(candidate(prompt=TEMPLATE, retrieve=short), {"question": "anchor"}, session)
    assert found.citations
    assert sum(len(c.text) for c in found.citations[1:]) <= 30


async def test_a_damaged_index_is_built_again(session: Session) -> None:
    retrieve = indexed(session, "The anchor is old.")
    asked = candidate(prompt=TEMPLATE, retrieve=retrieve)
    before = await answer(asked, {"question": "anchor"}, session)
    for path in session.store.scratch.rglob("*"):
        if path.is_file():
            path.write_bytes(b"garbage")
    again = Session(session.store, lambda pin: {})
    after = await answer(asked, {"question": "anchor"}, again)
    await again.close()
    assert [c.chunk for c in after.citations] == [c.chunk for c in before.citations]


async def test_an_answer_is_extracted_from_a_chain_of_thought(session: Session) -> None:
    asked = candidate(
        model=echo(reply="Let me think.\nAnswer: seven\nNo.\nAnswer: eight"), answer_pattern=r"Answer: (.*)"
    )
    pieces = [piece async for piece in respond(asked, {"question": "q"}, session)]
    assert [piece.text for piece in pieces[:-1]] == ["eight"]
    assert isinstance(pieces[-1], Answer)
    assert pieces[-1].text == "eight"
    assert pieces[-1].raw.startswith("Let me think")


async def test_the_majority_of_samples_wins(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    from slipway.builtin.engines.echo import EchoEngine

    said = {0: "The Answer", 1: "another", 2: "the answer.", 3: "another one"}
    genuine = EchoEngine.generate

    def by_seed(self: EchoEngine, request: Any) -> Any:  # echo says the same for every seed; a model would not
        self.config = self.config.model_copy(update={"reply": said[request.sampling.seed]})
        return genuine(self, request)

    monkeypatch.setattr(EchoEngine, "generate", by_seed)
    asked = candidate(samples=4, sampling=Sampling(temperature=1.0, seed=0))
    found = await answer(asked, {"question": "q"}, session)
    assert found.text == "The Answer"
    assert sorted(found.samples) == sorted(said.values())


async def test_few_shot_examples_fixed_and_nearest(session: Session) -> None:
    prompt = "{% for e in examples %}{{ e.question }}={{ e.answer }};{% endfor %}{{ question }}"
    pool = tuple({"question": f"about {w}", "answer": w} for w in ("anchors", "masts", "sails", "winches"))
    fixed = await answer(candidate(prompt=prompt, few_shot=FewShot(examples=pool, k=2)), {"question": "q"}, session)
    assert fixed.text == "about anchors=anchors;about masts=masts;q"
    few = FewShot(examples=pool, choose="nearest", k=1, embedder=echo())
    near = await answer(candidate(prompt=prompt, few_shot=few), {"question": "about sails"}, session)
    assert near.text.startswith("about sails=sails;")


async def test_a_caller_may_shorten_an_answer_and_nothing_else(session: Session) -> None:
    asked = candidate(sampling=Sampling(max_tokens=5))
    long = await answer(asked, {"question": "a b c d e f g"}, session, Overrides(max_tokens=50))
    short = await answer(asked, {"question": "a b c d e f g"}, session, Overrides(max_tokens=2, stop=("x",)))
    assert (long.usage.completion_tokens, short.usage.completion_tokens) == (5, 2)
    assert short.finish == "length"


async def test_leaving_frees_the_model(session: Session) -> None:
    slow = candidate(model=echo(token_delay=0.05))
    engine: Any = await session.engine(slow.model)
    stream: Any = respond(slow, {"question": "a b c d e f g h"}, session)
    await anext(stream)
    assert engine.active == 1
    await stream.aclose()
    assert engine.active == 0
    voting = msgspec.structs.replace(slow, samples=3, sampling=Sampling(temperature=1))
    task = asyncio.ensure_future(answer(voting, {"question": "a b c"}, session))
    await asyncio.sleep(0.02)
    assert engine.active == 3
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert engine.active == 0


async def test_errors_are_the_engines_own(session: Session) -> None:
    with pytest.raises(EngineError, match="on fire"):
        await answer(candidate(model=echo(fail="on fire")), {"question": "q"}, session)
    with pytest.raises(EngineError, match="on fire"):
        await answer(candidate(model=echo(fail="on fire"), samples=3), {"question": "q"}, session)


async def test_engines_are_started_once_for_many_callers(session: Session) -> None:
    engines = await asyncio.gather(*(session.engine(echo()) for _ in range(10)))
    assert len({id(engine) for engine in engines}) == 1
    assert await session.engine(msgspec.structs.replace(echo(), name="other")) is engines[0]


def test_wrong_options_are_named() -> None:
    with pytest.raises(ConfigError, match=r"models\.w: dleay"):
        engine_config("w", "echo", {"dleay": 1})
    with pytest.raises(ConfigError, match="no engine is called 'ecko'"):
        engine_config("w", "ecko", {})


def test_prices_in_two_currencies_are_refused() -> None:
    with pytest.raises(ConfigError, match="CNY, EUR"):
        make_cost(Project.model_validate({
            "slipway": 1, "name": "a", "machine": {"per_hour": "1 CNY"},
            "models": {"m": {"engine": "echo", "price": {"input_per_million": "1 EUR"}}},
        }))  # fmt: skip
