"""`strategy: agent`: the model may call the candidate's tools, sees what they return, and answers when it is done."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from slipway.core.answer import Answer, Step
from slipway.core.message import Completion, Delta, GenerateRequest, Message, Tool, ToolCall, Usage
from slipway.core.protocols import Work
from slipway.core.spans import span
from slipway.errors import EngineError
from slipway.i18n import t

LONGEST = 20_000  # characters of a result that are shown to the model


class AgentConfig(BaseModel):
    """`turns`: how often the model may ask for tools; `seconds`: for one call."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    turns: int = Field(default=5, ge=1, le=100)
    seconds: float = Field(default=30.0, gt=0, le=3600)


class AgentStrategy:
    """Passages, where the candidate retrieves, stand in the prompt; each call of a tool is a step of the answer.

    A tool that fails is told to the model, and the step keeps the error. After the last turn the model must answer:
    what it still calls is not called, and where it says nothing that is an error.
    """

    Config: ClassVar[type[AgentConfig]] = AgentConfig

    def __init__(self, config: AgentConfig) -> None:
        self.config = config

    async def respond(self, work: Work) -> AsyncIterator[Delta | Answer]:
        """Nothing until it is done; then all of it. Raises EngineError for a model that never answers."""
        text = work.task.text(work.input)
        passages = await work.passages(text)
        tools = tuple(
            Tool(name=name, description=tool.description, parameters=tool.parameters)
            for name, tool in work.tools.items()
        )
        request = msgspec.structs.replace(work.request(passages, await work.examples(text)), tools=tools)
        steps: list[Step] = []
        completion = Completion(text="", finish="stop", usage=Usage())
        for turn in range(self.config.turns + 1):
            if last := turn == self.config.turns:
                request = msgspec.structs.replace(request, tool_choice="none")
            completion = await work.complete(request)
            if last or not completion.tool_calls:
                break
            made = await asyncio.gather(*(self._call(work, call) for call in completion.tool_calls))
            steps += made
            request = _with_results(request, completion.text, completion.tool_calls, made)
        finish = completion.finish
        if completion.tool_calls:  # it was told to call none
            if not completion.text.strip():
                raise EngineError(
                    t("the model asked for tools in all {n} turns and never answered", n=self.config.turns),
                    t("allow more turns under strategy, or choose a model that follows tool_choice: none"),
                )
            finish = "stop"
        answer = work.extract(completion.text)
        yield Delta(text=answer)
        yield Answer(text=answer, raw=completion.text, citations=passages, finish=finish, steps=tuple(steps))

    async def _call(self, work: Work, call: ToolCall) -> Step:
        started = time.monotonic()
        output, error = "", ""
        tool = work.tools.get(call.name)
        name = call.name if tool else "unknown"  # what a model makes up names no span
        try:
            with span(f"execute_tool {name}") as part, part.inside():
                part.note({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name})
                if tool is None:
                    raise ValueError(f"there is no tool '{call.name}'; there are: {', '.join(work.tools)}")
                async with asyncio.timeout(self.config.seconds):
                    output = (await tool.call(_arguments(call, tool.parameters)))[:LONGEST]
        except TimeoutError:
            error = f"no result within {self.config.seconds:g} s"
        except Exception as problem:  # noqa: BLE001  # the model is told of whatever a tool raises
            error = str(problem) if isinstance(problem, ValueError) else f"{type(problem).__name__}: {problem}"
        return Step(
            name=call.name,
            input=call.arguments,
            output=output,
            seconds=time.monotonic() - started,
            error=error,
        )


def _arguments(call: ToolCall, schema: Mapping[str, Any]) -> dict[str, Any]:
    """What the model wrote, as far as it can be used. Raises ValueError, which the model reads."""
    try:
        found = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the arguments are not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError("the arguments must be a JSON object")
    lacking = [name for name in schema.get("required", ()) if name not in found]
    if lacking:
        raise ValueError(f"these arguments are missing: {', '.join(lacking)}")
    return found


def _with_results(
    request: GenerateRequest, text: str, calls: tuple[ToolCall, ...], made: list[Step]
) -> GenerateRequest:
    results = [
        Message("tool", f"error: {step.error}" if step.error else step.output, tool_call_id=call.id)
        for call, step in zip(calls, made, strict=True)
    ]
    said = Message("assistant", text, tool_calls=calls)
    return msgspec.structs.replace(request, messages=(*request.messages, said, *results), tool_choice="auto")
