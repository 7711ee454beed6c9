"""An engine: answers with the reply of the row that is most like what was asked."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from slipway.builtin.engines.checks import check_request
from slipway.core.message import Delta, FinishReason, GenerateRequest, Usage
from slipway.core.protocols import Capability, OnEvent
from slipway.errors import EngineError

_TOKEN = re.compile(r"\s*\w+|\s*[^\s\w]|\s+")


class TableConfig(BaseModel):
    """`default`: said when there is no table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    default: str = "I do not know what this is about; please ask a person who does."


class TableEngine:
    """`files`: one `table.json`, a list of [asked, reply]. Tokens are words."""

    Config: ClassVar[type[TableConfig]] = TableConfig
    capabilities: frozenset[Capability] = frozenset(("generate",))

    def __init__(
        self,
        config: TableConfig,
        name: str = "table",
        files: Mapping[str, Path] | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        self.config = config
        self.name = name
        self._files = files or {}
        self._rows: list[tuple[frozenset[str], str]] = []

    async def start(self) -> None:
        """Read the table. Raises EngineError for a file that is none."""
        if not self._files:
            return
        try:
            rows = json.loads(Path(self._files["table.json"]).read_text("utf-8"))
            self._rows = [(_words(asked), str(reply)) for asked, reply in rows]
        except (KeyError, OSError, ValueError, TypeError) as error:
            raise EngineError(f"'{self.name}' has no table.json that can be read: {error}") from error

    async def close(self) -> None:
        """Forget it."""
        self._rows = []

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Delta]:
        """A word at a time."""
        check_request(request, self.name, self.capabilities)
        texts = [request.prompt] if request.prompt is not None else [message.text for message in request.messages]
        asked = sum(len(_TOKEN.findall(text)) for text in texts)
        text = self._reply(texts[-1] if texts else "")
        for stop in request.sampling.stop:
            text = text.partition(stop)[0]
        tokens = _TOKEN.findall(text)
        finish: FinishReason = "length" if len(tokens) > request.sampling.max_tokens else "stop"
        tokens = tokens[: request.sampling.max_tokens]
        for token in tokens:
            await asyncio.sleep(0)
            yield Delta(text=token)
        yield Delta(finish=finish, usage=Usage(prompt_tokens=asked, completion_tokens=len(tokens)))

    def _reply(self, text: str) -> str:
        words = _words(text)
        shares = [len(words & row) / (len(words | row) or 1) for row, _ in self._rows]
        return self._rows[shares.index(max(shares))][1] if shares else self.config.default


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[\u4e00-\u9fff]|\w+", text.casefold()))
