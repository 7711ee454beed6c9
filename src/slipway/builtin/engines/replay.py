"""Answers from a file: what an engine said once, said again. Owns the file's format; has no model.

The file is JSON lines: a head `{"slipway_replay": 1, "capabilities": [...]}`, then one answer a line,
`{"key": ..., "ask": ..., "answer": ...}`. `key` is the digest of the kind of call and its arguments. Made with
`inner`, it asks that engine for what the file does not have, and adds the answer to the file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict

from slipway.builtin.engines.checks import check_request, refuse
from slipway.builtin.engines.made import Made
from slipway.core.message import Delta, GenerateRequest, LikelihoodRequest, Likelihoods
from slipway.core.protocols import Capability, CountsTokens, Embeds, Scores, ScoresAnswers, missing
from slipway.core.ref import canonical, digest_of
from slipway.errors import ConfigError
from slipway.files import UNDECODABLE, open_regular, read
from slipway.i18n import t

if TYPE_CHECKING:
    from slipway.core.protocols import Engine, Vectors


T = TypeVar("T")
E = TypeVar("E")
_LARGEST = 1_000_000_000  # bytes of a file of answers


class ReplayConfig(BaseModel):
    """`path`: the file of answers; when empty, the model's only file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = ""


class _Head(msgspec.Struct):
    slipway_replay: int
    capabilities: tuple[Capability, ...]


class _Line(msgspec.Struct):
    key: str
    answer: Any
    ask: Any = None


class ReplayEngine(Made[ReplayConfig]):
    """Answers what it has the answer of; anything else is refused, unless it records."""

    Config: ClassVar[type[ReplayConfig]] = ReplayConfig
    engine: ClassVar[str] = "replay"

    def prepare(self) -> None:
        """Nothing is read before it starts. Raises ConfigError without a file."""
        self.path = _only_file(self.config, self.name, self.files)
        self.inner: Engine | None = None
        self.capabilities: frozenset[Capability] = frozenset()
        self._answers: dict[str, Any] = {}
        self._started = False

    def record(self, inner: Engine) -> ReplayEngine:
        """Ask `inner` what has no answer yet, and keep what it says. Returns itself, before it is started."""
        self.inner, self.capabilities = inner, inner.capabilities
        return self

    async def start(self) -> None:
        """Read the file; raises ConfigError naming the line that is wrong."""
        if self._started:
            return
        if self.inner is not None:
            await self.inner.start()
        if self.path.exists():
            self._read()
        elif self.inner is None:
            raise ConfigError(t("{path} does not exist", path=self.path), t("record it first, from a real engine"))
        self._started = True

    async def close(self) -> None:
        """Close the engine it records, if there is one."""
        self._started = False
        if self.inner is not None:
            await self.inner.close()

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Delta]:
        """The recorded deltas, one by one."""
        check_request(request, self.name, self.capabilities)
        key = digest_of(["generate", request])
        if key in self._answers:
            for delta in self._recorded(key, lambda found: msgspec.convert(found, list[Delta])):
                yield delta
            return
        deltas: list[Delta] = []
        async for delta in self._ask("generate").generate(request):
            deltas.append(delta)
            yield delta
        self._add(key, request, msgspec.to_builtins(deltas))

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """The recorded vectors."""
        import numpy as np

        key = digest_of(["embed", list(texts)])
        if inner := self._new("embed", key, "embed", Embeds):
            vectors = await inner.embed(texts)
            self._add(key, list(texts), {"shape": vectors.shape, "values": vectors.ravel().tolist()})
        return self._recorded(key, lambda found: np.array(found["values"], np.float32).reshape(found["shape"]))

    async def score(self, prompt: str, continuations: Sequence[str]) -> list[float]:
        """The recorded sums."""
        ask = [prompt, list(continuations)]
        key = digest_of(["score", *ask])
        if inner := self._new("score", key, "score", Scores):
            self._add(key, ask, await inner.score(prompt, continuations))
        return self._recorded(key, lambda found: msgspec.convert(found, list[float]))

    async def likelihoods(self, asked: LikelihoodRequest) -> Likelihoods:
        """The recorded ones."""
        key = digest_of(["likelihoods", asked])
        if inner := self._new("score", key, "likelihoods", ScoresAnswers):
            self._add(key, msgspec.to_builtins(asked), msgspec.to_builtins(await inner.likelihoods(asked)))
        return self._recorded(key, lambda found: msgspec.convert(found, Likelihoods))

    async def count_tokens(self, text: str) -> int:
        """The recorded count."""
        key = digest_of(["count_tokens", text])
        if inner := self._new("tokenize", key, "count_tokens", CountsTokens):
            self._add(key, text, await inner.count_tokens(text))
        return self._recorded(key, lambda found: msgspec.convert(found, int))

    def _new(self, capability: Capability, key: str, kind: str, protocol: type[E]) -> E | None:
        """The engine to ask what is not recorded yet; None where it is. Raises for what is not claimed."""
        if capability not in self.capabilities:
            raise missing(self.name, capability)
        if key in self._answers:
            return None
        inner = self._ask(kind)
        if not isinstance(inner, protocol):
            raise missing(self.name, capability)
        return inner

    def _recorded(self, key: str, read_as: Callable[[Any], T]) -> T:
        try:
            return read_as(self._answers[key])
        except (ValueError, TypeError, LookupError, OverflowError, MemoryError, msgspec.MsgspecError) as error:
            raise ConfigError(
                t("{path}: a recorded answer cannot be used: {error}", path=self.path, error=error),
                t("delete the file, or the line, and record again"),
            ) from error

    def _ask(self, kind: str) -> Engine:
        if self.inner is None:
            raise refuse(
                t("{path} has no answer to this '{kind}'", path=self.path, kind=kind),
                t("record it again: the prompt, the parameters or the model's name changed since"),
            )
        return self.inner

    def _add(self, key: str, ask: Any, answer: Any) -> None:
        """Remember an answer and append it to the file in one write."""
        data = canonical(_Line(key=key, ask=ask, answer=answer)) + b"\n"
        if not self.path.exists():
            head = _Head(slipway_replay=1, capabilities=tuple(sorted(self.capabilities)))
            data = canonical(head) + b"\n" + data
        with self.path.open("ab", buffering=0) as file:
            file.write(data)
        self._answers[key] = msgspec.json.decode(canonical(answer))

    def _read(self) -> None:
        number = 1
        try:
            lines = read(open_regular(self.path), _LARGEST).splitlines()
            head = msgspec.json.decode(lines[0], type=_Head)
            for text in lines[1:]:
                number += 1
                line = msgspec.json.decode(text, type=_Line)
                self._answers[line.key] = line.answer
        except (OSError, IndexError, *UNDECODABLE) as error:
            why = (isinstance(error, OSError) and error.strerror) or error
            raise ConfigError(
                t("{path}:{line}: not a line of recorded answers: {error}", path=self.path, line=number, error=why),
                t("delete the file, or the line, and record again"),
            ) from error
        if self.inner is None:
            self.capabilities = frozenset(head.capabilities)


def _only_file(config: ReplayConfig, name: str, files: Mapping[str, Path]) -> Path:
    if config.path:
        return Path(config.path)
    if len(files) == 1:
        return next(iter(files.values()))
    raise ConfigError(
        t("the model '{name}' does not say which file it replays", name=name), t("set `path` in the model's options")
    )
