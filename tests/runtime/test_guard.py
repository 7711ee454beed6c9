"""An engine with a secret says everything but the secret, and can do what it could."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from slipway.builtin.engines.echo import EchoEngine
from slipway.core.message import Completion, GenerateRequest, Message, Tool, Usage
from slipway.core.protocols import (
    Completes,
    CountsTokens,
    Embeds,
    OutOfVocabulary,
    Scores,
    ScoresAnswers,
    TellsTrouble,
    Windows,
)
from slipway.errors import EngineError
from slipway.privacy.secrets import SECRET, Own
from slipway.runtime.guard import Guarded
from slipway.testing.engines import complete

KEY = "k3y-of-another-server-0123456789"
OPTIONAL = (Completes, CountsTokens, Embeds, OutOfVocabulary, Scores, ScoresAnswers, TellsTrouble, Windows)


class Telling(EchoEngine):
    """An echo that can do everything an engine may."""

    async def complete(self, request: GenerateRequest) -> Completion:
        return Completion(text=f"it is {KEY}", finish="stop", usage=Usage())

    async def trouble(self) -> str:
        return f"{KEY} was refused"

    async def windows(self, texts: Sequence[str], heads: Sequence[str]) -> list[list[str]]:
        raise EngineError(f"{KEY} was refused")

    async def out_of_vocabulary(self, text: str) -> float:
        raise EngineError(f"{KEY} was refused")


def guarded(engine: EchoEngine) -> Guarded:
    return Guarded(engine, Own([KEY]))


@pytest.mark.parametrize("kind", [EchoEngine, Telling])
def test_it_has_the_methods_of_its_engine_and_no_others(kind: type[EchoEngine]) -> None:
    engine = kind(kind.Config())
    able = [isinstance(engine, protocol) for protocol in OPTIONAL]
    assert [isinstance(guarded(engine), protocol) for protocol in OPTIONAL] == able
    assert guarded(engine).capabilities == engine.capabilities
    assert able.count(True) == (4 if kind is EchoEngine else 8)


async def test_whatever_it_says_is_clean() -> None:
    engine = guarded(Telling(Telling.Config()))
    assert (await complete(engine, GenerateRequest(prompt=f"say {KEY}"))).text == f"say {SECRET}"
    assert (await engine.complete(GenerateRequest(prompt="x"))).text == f"it is {SECRET}"
    tool = Tool(name="note", parameters={"type": "object", "properties": {"text": {"type": "string"}}})
    ask = GenerateRequest(messages=(Message("user", f"say {KEY}"),), tools=(tool,), tool_choice="required")
    (call,) = (await complete(engine, ask)).tool_calls
    assert call.arguments == f'{{"text": "say {SECRET}"}}'
    assert await engine.trouble() == f"{SECRET} was refused"
    for ask in (engine.out_of_vocabulary("x"), engine.windows(["x"], [""])):
        with pytest.raises(EngineError) as caught:
            await ask
        assert KEY not in str(caught.value)
    assert (await engine.embed(["a"])).shape == (1, 64)
