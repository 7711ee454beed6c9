"""llama.cpp behind its guards, with the real small model in a real child process."""

from __future__ import annotations

import pytest

from slipway.builtin.engines.llama.engine import LlamaEngine
from slipway.testing.engines import EngineContract


@pytest.mark.slow
class TestLlama(EngineContract):
    capabilities = LlamaEngine.capabilities

    @classmethod
    def make_engine(cls, request):
        files = {"model.gguf": request.getfixturevalue("smollm2_gguf")}
        return LlamaEngine(LlamaEngine.Config(context=1024, threads=1, spin=1000), name="smol", files=files)
