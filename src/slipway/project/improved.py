"""The shape of `improved.yaml`: what `slipway improve` released, read beside the project file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from slipway.project.fields import Name, Strict
from slipway.project.schema import CandidateConfig


class Improved(Strict):
    """The candidate that was released, and globs of the files that it learnt from."""

    candidates: dict[Name, CandidateConfig] = {}
    examples: list[Annotated[str, Field(pattern=r"^feedback/[\w.*-]+$")]] = []
