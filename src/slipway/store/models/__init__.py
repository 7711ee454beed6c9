"""Models on this machine: fetched once, pinned by sha256, kept in the user's cache folder.

Knows sources, file formats and the cache; does not know engines or projects. Weights are safetensors or GGUF, never a
pickle.
"""

from slipway.gguf_quantize import QUANTIZATIONS, quantize_gguf
from slipway.store.models.acquire import pull
from slipway.store.models.cache import find, list_models, remove, show, verify
from slipway.store.models.shelf import Model, cache_folder
from slipway.store.models.sources import parse

__all__ = [
    "QUANTIZATIONS",
    "Model",
    "cache_folder",
    "find",
    "list_models",
    "parse",
    "pull",
    "quantize_gguf",
    "remove",
    "show",
    "verify",
]
