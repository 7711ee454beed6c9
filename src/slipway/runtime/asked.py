"""Which requests one input's strategy sends to its model, noted as they are sent: references, no text is copied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.core.answer import Answer, Citation
from slipway.core.asked import Filled, ModelCall
from slipway.core.candidate import Candidate
from slipway.core.message import GenerateRequest, Message

MOST = 128  # different requests of one input that are noted

Messages = tuple[Message, ...]


@dataclass(slots=True)
class Prompt:
    """The messages that a candidate's prompt became, and of what. `input`: where it is not what the user asked."""

    messages: Messages
    passages: Sequence[Citation]
    examples: Sequence[Mapping[str, Any]]
    input: Mapping[str, Any] | None
    language: str

    def filled(self, candidate: Candidate, answer: Answer | None) -> Filled | None:
        """By places in what the trace and the candidate hold; None where something of it is in neither."""
        known = {one.chunk: (n, one) for n, one in enumerate(answer.citations)} if answer else {}
        passages = list[int]()
        for one in self.passages:
            n, kept = known.get(one.chunk, (0, None))
            if kept is None or not _same(kept, one):
                return None
            passages.append(n)
        pool = {id(one): n for n, one in enumerate(candidate.few_shot.examples)} if candidate.few_shot else {}
        examples = [pool.get(id(one), -1) for one in self.examples]
        if -1 in examples:
            return None
        return Filled(
            passages=tuple(passages),
            examples=tuple(examples),
            language=self.language,
            input=None if self.input is None else dict(self.input),
            messages=len(self.messages),
        )


class Calls:
    """Of one input."""

    __slots__ = ("_prompts", "_sent")

    def __init__(self) -> None:
        self._prompts = list[Prompt]()
        self._sent = list[list[Any]]()  # of each: its messages, the request, how many answers were scored, how often

    def made(self, prompt: Prompt) -> None:
        """The candidate's prompt became these messages."""
        self._prompts.append(prompt)

    def sent(self, request: GenerateRequest, scored: int = 0) -> None:
        """The model is asked this."""
        messages = request.messages if request.prompt is None else (Message("user", request.prompt),)
        for one in self._sent:
            same = len(messages) == len(one[0]) and _begins(messages, one[0])
            if same and one[2] == scored and one[1].tools == request.tools:
                one[3] += 1
                return
        if len(self._sent) < MOST:
            self._sent.append([messages, request, scored, 1])

    def of(self, candidate: Candidate, answer: Answer | None) -> tuple[ModelCall, ...]:
        """The calls in order. Where one fills a prompt, all its messages stand in it too, until it is decided which of
        both is kept (`serve.recording.model_calls`).
        """
        return tuple(self._call(place, candidate, answer) for place in range(len(self._sent)))

    def _call(self, place: int, candidate: Candidate, answer: Answer | None) -> ModelCall:
        messages, request, scored, times = self._sent[place]
        after, filled, already = None, None, 0
        for n, (earlier, *_) in enumerate(self._sent[:place]):
            if len(earlier) >= max(1, already) and _begins(messages, earlier):
                after, already = n, len(earlier)
        if after is None:
            begun = (one for one in self._prompts if _begins(messages, one.messages))
            filled = next((found for one in begun if (found := one.filled(candidate, answer)) is not None), None)
        return ModelCall(
            after=after,
            filled=filled,
            messages=messages[already:],
            times=times,
            tools=tuple(tool.name for tool in request.tools),
            scored=scored,
            raw=request.prompt is not None,
        )


def _begins(messages: Messages, first: Messages) -> bool:
    """Whether messages begin with these very ones: equal ones that were made apart are of another prompt."""
    return len(messages) >= len(first) and all(one is other for one, other in zip(messages, first, strict=False))


def _same(one: Citation, other: Citation) -> bool:
    """Whether a template sees no difference."""
    return (one.source, one.path, one.shown or one.text) == (other.source, other.path, other.shown or other.text)
