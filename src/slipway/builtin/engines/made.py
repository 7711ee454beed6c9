"""How an engine is made: `Engine(config, name=..., files=..., on_event=...)`, alike for each of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel

from slipway.core.protocols import OnEvent

C = TypeVar("C", bound=BaseModel)


class Made(Generic[C]):
    """`name`: of the model, by default the engine's own. `files`: by name. `tell`: calls the listener of events."""

    engine: ClassVar[str]

    def __init__(
        self,
        config: C,
        name: str = "",
        files: Mapping[str, str | Path] | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        self.config = config
        self.name = name or self.engine
        self.files = {key: Path(path) for key, path in (files or {}).items()}
        self.tell: OnEvent = on_event or _nobody
        self.prepare()

    def prepare(self) -> None:
        """What else an engine has, before it is started."""


def _nobody(event: str, details: Mapping[str, Any]) -> None:
    """No one listens."""
