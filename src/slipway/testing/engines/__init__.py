"""The contract that every engine passes. Subclass it in a test file:

    class TestMyEngine(EngineContract):
        capabilities = frozenset({"generate", "tokenize"})

        @classmethod
        def make_engine(cls, request):
            return MyEngine(MyEngine.Config(), name="mine")

`make_engine` gets pytest's `request`, so that `request.getfixturevalue("tmp_path")` and the like work. Tests of a
capability that the class does not name are replaced by the test that asking for it is refused. The suite owns no
engine: it starts one for the whole class, and closes it.
"""

# ruff: noqa: D102 -- the name of a test says what it tests

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import msgspec
import pytest

from slipway.core.message import LikelihoodRequest
from slipway.core.protocols import CountsTokens, Embeds, Ranks, Scores, ScoresAnswers
from slipway.errors import EngineError
from slipway.testing.engines.constraints import Constraints
from slipway.testing.engines.generation import Generation
from slipway.testing.engines.refusals import Refusals
from slipway.testing.engines.requests import BAD_SAMPLING, LABELS, SCHEMA, ask, complete, deep_schema

if TYPE_CHECKING:
    from slipway.core.protocols import Engine

__all__ = ["BAD_SAMPLING", "LABELS", "SCHEMA", "EngineContract", "complete", "deep_schema"]


@pytest.mark.asyncio(loop_scope="class")
class EngineContract(Generation, Constraints, Refusals):
    """What every engine does alike. Override `capabilities`, `make_engine`, and the knobs that do not fit."""

    async def test_claims_what_it_says(self, engine: Engine) -> None:
        assert engine.capabilities == self.capabilities
        assert isinstance(engine, Embeds) or "embed" not in self.capabilities
        assert isinstance(engine, CountsTokens) or "tokenize" not in self.capabilities
        assert isinstance(engine, Ranks) or "rank" not in self.capabilities
        assert isinstance(engine, Scores) or not self.can_score
        assert isinstance(engine, ScoresAnswers) or "score" not in self.capabilities

    async def test_start_and_close_can_be_repeated(self, request: pytest.FixtureRequest) -> None:
        engine = self.make_engine(request)
        await engine.close()
        engine = self.make_engine(request)
        await asyncio.gather(engine.start(), engine.start())
        await engine.start()
        if "generate" in self.capabilities:
            assert (await complete(engine, ask("Say something."))).usage.completion_tokens > 0
        await engine.close()
        await engine.close()

    async def test_embed_or_refuse(self, engine: Engine) -> None:
        if not isinstance(engine, Embeds):
            return  # `test_claims_what_it_says` has seen that it does not claim to
        if "embed" not in self.capabilities:
            with pytest.raises(EngineError) as caught:
                await engine.embed(["hello"])
            assert caught.value.status == 400
            return
        import numpy as np

        texts = ["hello world", "你好，世界", "hello world", ""]
        vectors = await engine.embed(texts)
        assert vectors.dtype == np.float32
        assert vectors.shape[0] == len(texts)
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
        assert np.allclose(vectors[0], vectors[2], atol=1e-3)
        assert not np.allclose(vectors[0], vectors[1], atol=1e-2)
        assert (await engine.embed([])).shape == (0, vectors.shape[1])

    async def test_rank_or_refuse(self, engine: Engine) -> None:
        if not isinstance(engine, Ranks):
            return
        if "rank" not in self.capabilities:
            with pytest.raises(EngineError) as caught:
                await engine.rank("hello?", ["hello"])
            assert caught.value.status == 400
            return
        texts = ["hello world", "你好，世界", "hello world", ""]
        scores = await engine.rank("hello?", texts)
        assert len(scores) == len(texts)
        assert all(map(math.isfinite, scores))
        assert math.isclose(scores[0], scores[2], abs_tol=1e-3)
        assert await engine.rank("hello?", []) == []

    async def test_answers_have_likelihoods_or_are_refused(self, engine: Engine) -> None:
        if not isinstance(engine, ScoresAnswers):
            return
        request = ask("Which of the labels refund, refund status and login fits: refund?")
        if "score" not in self.capabilities:
            with pytest.raises(EngineError) as caught:
                await engine.likelihoods(LikelihoodRequest(request=request, answers=("refund",)))
            assert caught.value.status == 400
            return
        answers = ("refund", "refund status", "login", "登录")
        asked = LikelihoodRequest(request=request, answers=answers)
        found = (await engine.likelihoods(asked)).answers
        assert all(one.exact and one.tokens > 0 and -200 < one.logprob <= 0 for one in found)
        assert sum(math.exp(one.logprob) for one in found) <= 1.01
        begun = (await engine.likelihoods(msgspec.structs.replace(asked, ended=False))).answers
        assert all(one.logprob >= other.logprob - 0.2 for one, other in zip(begun, found, strict=True))
        bounded = (await engine.likelihoods(msgspec.structs.replace(asked, within=0.0))).answers
        best = max(range(len(answers)), key=lambda n: found[n].logprob)
        assert bounded[best].exact
        for whole, bound in zip(found, bounded, strict=True):
            assert bound.logprob >= whole.logprob - 0.2
        assert (await engine.likelihoods(msgspec.structs.replace(asked, answers=()))).answers == ()

    async def test_score_or_refuse(self, engine: Engine) -> None:
        prompt, better, worse = self.likely
        if not isinstance(engine, Scores):
            return
        if not self.can_score:
            with pytest.raises(EngineError) as caught:
                await engine.score(prompt, [better])
            assert caught.value.status == 400
            return
        good, bad, nothing = await engine.score(prompt, [better, worse, ""])
        assert bad < good < 0
        assert nothing == 0
        assert await engine.score(prompt, []) == []
        whole, head, tail = [
            (await engine.score(prompt + before, [text]))[0]
            for before, text in (("", better + worse), ("", better), (better, worse))
        ]
        assert math.isclose(whole, head + tail, rel_tol=0.05), "the chain rule of probability"

    async def test_count_tokens_or_refuse(self, engine: Engine) -> None:
        if not isinstance(engine, CountsTokens):
            return
        if "tokenize" not in self.capabilities:
            with pytest.raises(EngineError) as caught:
                await engine.count_tokens("hello")
            assert caught.value.status == 400
            return
        assert await engine.count_tokens("") == 0
        short, long = await engine.count_tokens("hello"), await engine.count_tokens("hello there, 你好世界 👍🏽")
        assert 0 < short < long
