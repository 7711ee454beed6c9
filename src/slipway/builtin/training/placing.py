"""Where training runs, in which numbers, and that it does the same each time."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from slipway.builtin.training.options import TrainOptions, settled
from slipway.errors import ConfigError
from slipway.i18n import t


@dataclass(frozen=True)
class Place:
    """`device`: `cpu` or `cuda`. `dtype`: in which it multiplies; weights that are trained are float32 always."""

    device: str
    dtype: str
    threads: int

    def autocast(self) -> AbstractContextManager[object]:
        """For the computation of a loss."""
        import torch

        if self.dtype == "float32":
            return nullcontext()
        return torch.autocast(self.device, dtype=torch.bfloat16)


def place_of(options: TrainOptions) -> Place:
    """Raises ConfigError for a GPU that is not there."""
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(t("device: cuda, but torch finds no GPU"), t("leave out device, or set it to cpu"))
    found = settled(options)
    return Place(str(found["device"]), str(found["dtype"]), int(found["threads"]))


def derived(*parts: object) -> int:
    """A seed made of a seed and of what it is for: the same on every machine."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


@contextmanager
def repeatable(place: Place, seed: int) -> Generator[None]:
    """Within, the same code computes the same bits on the same kind of processor. What was set before is set again.

    Begin to build the module within, too: its first weights are drawn from `seed`.
    """
    import numpy as np
    import torch

    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts; else cuBLAS may differ
    torch.set_num_threads(place.threads)
    torch.use_deterministic_algorithms(True, warn_only=place.device != "cpu")
    random.seed(derived(seed, "python"))
    np.random.seed(derived(seed, "numpy") % 2**32)  # noqa: NPY002  # for libraries that draw from it
    torch.manual_seed(derived(seed, "torch"))
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
