"""An index: compares a vector with every other. Right for some ten thousand passages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from slipway.core.material import Chunk
from slipway.errors import IntegrityError

if TYPE_CHECKING:
    from slipway.core.protocols import Vectors

FILE = "exact.json"


class ExactConfig(BaseModel):
    """`digits`: of a score; what is equal up to there is a tie."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    digits: int = Field(default=5, ge=1, le=7)


class ExactIndex:
    """Cosines with all passages that the filters let through."""

    Config: ClassVar[type[ExactConfig]] = ExactConfig

    def __init__(self, config: ExactConfig) -> None:
        self.config = config
        self._fields: dict[str, dict[str, Any]] = {}
        self._vectors: dict[str, list[float]] = {}

    def add(self, chunks: Sequence[Chunk], vectors: Vectors | None = None) -> None:
        """Each chunk with its vector."""
        for chunk, vector in zip(chunks, [] if vectors is None else vectors.tolist(), strict=True):
            self._fields[chunk.id] = {**chunk.meta, "source": chunk.source, "language": chunk.language}
            self._vectors[chunk.id] = vector

    def delete(self, ids: Sequence[str]) -> None:
        """Forget them."""
        for name in ids:
            self._fields.pop(name, None)
            self._vectors.pop(name, None)

    def search(
        self, text: str, vector: Vectors | None, k: int, filters: Mapping[str, Any] | None = None
    ) -> list[tuple[str, float]]:
        """The nearest; equal ones by id."""
        import numpy as np

        names = sorted(name for name, fields in self._fields.items() if _fits(fields, filters or {}))
        if vector is None or not names:
            return []
        scores = np.array([self._vectors[name] for name in names], np.float32) @ np.asarray(vector).reshape(-1)
        found = [(name, round(float(score), self.config.digits)) for name, score in zip(names, scores, strict=True)]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[: max(k, 0)]

    def save(self, folder: str) -> None:
        """One file, its digest in the first line."""
        body = json.dumps([self._fields, self._vectors])
        (Path(folder) / FILE).write_text(f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}", "utf-8")

    def load(self, folder: str) -> None:
        """Read it. Raises IntegrityError when it is not what was saved."""
        try:
            digest, _, body = (Path(folder) / FILE).read_text("utf-8").partition("\n")
            if hashlib.sha256(body.encode()).hexdigest() != digest:
                raise ValueError("it does not match its digest")
            self._fields, self._vectors = json.loads(body)
        except (OSError, ValueError) as error:
            raise IntegrityError(f"{folder} is no index that can be read: {error}", "it is built again") from error


def _fits(fields: Mapping[str, Any], filters: Mapping[str, Any]) -> bool:
    return all(key in fields and type(fields[key]) is type(value) and fields[key] == value
               for key, value in filters.items())  # fmt: skip
