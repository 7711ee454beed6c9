"""How likely each reference is after the very prompt that the candidate answers: what perplexity is counted from.

Scored by the candidate's own engine (`ScoresAnswers`), after its chat template, with its passages, worked examples and
adapters, the token that ends the answer included where the engine scores it. Remembered one by one, as answers are, by
candidate, input, references and code. What it reads is no part of what an answer costs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import msgspec

from slipway.core.candidate import Candidate
from slipway.core.material import Example
from slipway.core.message import LikelihoodRequest
from slipway.core.ref import digest_of
from slipway.core.report import ReferenceLikelihood
from slipway.errors import SlipwayError
from slipway.files import UNDECODABLE
from slipway.i18n import Said, say
from slipway.project.schema import EvaluateConfig
from slipway.runtime.session import Session
from slipway.runtime.working import AS_MEASURED, Spent, Working

Scored = ReferenceLikelihood | Said | None
"""What a reference got, or why it could not be scored; None for an example without one."""


def unscorable(candidate: Candidate) -> Said | None:
    """Why a candidate says no reference with any likelihood, whatever its engine can do; None where it may."""
    if candidate.model is None:
        return say("it asks no language model")
    if candidate.strategy != "direct":
        return say("its strategy '{name}' asks the model more than once", name=candidate.strategy)
    if candidate.answer_pattern:
        return say("its answer is a part of what the model says (answer_pattern)")
    return None


async def likelihoods(
    by: Sequence[Candidate],
    examples: Sequence[Example],
    session: Session,
    config: EvaluateConfig,
    code: str,
    told: Callable[[], None],
) -> list[Scored]:
    """Of each example's first reference, the same for every candidate, in the order of the examples. `by`: whose each
    is.

    `code`: digest of what answers with them. `told` is called after each. Raises what loading a model or an index
    raises.
    """
    digests = {id(one): one.digest for one in by}
    keys = [
        digest_of([digests[id(one)], example.input, example.expected, code])
        for one, example in zip(by, examples, strict=True)
    ]
    known: dict[str, ReferenceLikelihood] = {}
    for key, value in session.store.catalog.recall("likelihood", keys).items():
        with contextlib.suppress(*UNDECODABLE):
            known[key] = msgspec.json.decode(value, type=ReferenceLikelihood)
    slots = asyncio.Semaphore(config.parallel)

    async def one(key: str, candidate: Candidate, example: Example) -> Scored:
        found = await scored(key, candidate, example)
        told()
        return found

    async def scored(key: str, candidate: Candidate, example: Example) -> Scored:
        if not any(example.expected):
            return None
        if key in known:
            return known[key]
        async with slots:
            try:
                async with asyncio.timeout(config.timeout):
                    found = await _scored(candidate, example, session)
            except TimeoutError:
                return say("no answer within {n:g} s", n=config.timeout)
            except SlipwayError as error:
                return error.said
        if isinstance(found, ReferenceLikelihood):
            await asyncio.to_thread(session.store.catalog.remember, "likelihood", {key: msgspec.json.encode(found)})
        return found

    return list(await asyncio.gather(*(one(*each) for each in zip(keys, by, examples, strict=True))))


async def _scored(candidate: Candidate, example: Example, session: Session) -> Scored:
    why = unscorable(candidate)
    if why is not None:
        return why
    work = Working(candidate, example.input, session, AS_MEASURED, Spent())
    await work.begin()
    if not work.can("score"):
        return say("its engine '{name}' tells no likelihoods", name=candidate.model.engine if candidate.model else "")
    text = work.task.text(work.input)
    request = work.request(await work.passages(text), await work.examples(text))
    reference = work.task.expected(next(filter(None, example.expected)))
    (told,) = (await work.likelihoods(LikelihoodRequest(request=request, answers=(reference,)))).answers
    return ReferenceLikelihood(nats=-told.logprob, tokens=max(1, told.tokens), bytes=len(reference.encode()))


def first_reason(found: Sequence[Scored]) -> tuple[int, Said | None]:
    """How many references could not be scored, and why the first of them was not."""
    reasons = [one for one in found if isinstance(one, Said)]
    return len(reasons), reasons[0] if reasons else None
