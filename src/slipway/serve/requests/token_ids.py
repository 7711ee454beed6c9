"""Token ids in place of text: what langchain's `OpenAIEmbeddings` sends to a model that it does not know.

It reads every text with tiktoken's `cl100k_base` first. The vocabulary is no part of Slipway: the extra `tokens` brings
a package that holds it as a file, which is read and checked against its published digest; no code of it is run.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from slipway.i18n import t
from slipway.serve.refuse import Refused, bad

_PACKAGE, _FILE = "bpe_openai", "data/cl100k_base.tiktoken.gz"
_SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"  # as tiktoken itself pins it


def text_of(ids: Sequence[int], param: str) -> str:
    """The text of `cl100k_base` token ids; bytes cut within a character become U+FFFD. Raises Refused (400) for ids
    that are none, and where the vocabulary is not installed.
    """
    known = vocabulary()
    if known is None:
        raise _no_vocabulary(param)
    try:
        return b"".join([known[id] for id in ids]).decode("utf-8", "replace")
    except KeyError as error:
        raise bad(
            t("{id} is no token of cl100k_base, which token ids are read with", id=error.args[0]),
            t("send text; in langchain: OpenAIEmbeddings(check_embedding_ctx_length=False)"),
            param=param,
        ) from error


@cache
def vocabulary() -> dict[int, bytes] | None:
    """Id -> bytes; None where it is not installed, or is not the published one."""
    spec = importlib.util.find_spec(_PACKAGE)
    places = list(spec.submodule_search_locations or []) if spec else []
    path = next((path for place in places if (path := Path(place, _FILE)).is_file()), None)
    if path is None:
        return None
    data = gzip.decompress(path.read_bytes())
    if hashlib.sha256(data).hexdigest() != _SHA256:
        return None
    pairs = (line.split() for line in data.splitlines() if line)
    return {int(id): base64.b64decode(token) for token, id in pairs}


def _no_vocabulary(param: str) -> Refused:
    return bad(
        t("'input' holds token ids, and this server has no vocabulary to read them with"),
        t(
            "send text; in langchain: OpenAIEmbeddings(check_embedding_ctx_length=False). Or install "
            "'slipway-ai[tokens]' beside the server"
        ),
        param=param,
    )
