"""A trained network beside a classifier's file: how a text becomes its numbers, and its scores. Trains nothing.

It is run by ONNX Runtime in this process and not in a child: a run takes 0.1 to 5 ms, about what it takes to ask a
child; the graph is one that we wrote from weights, pinned by its digest; and the sentence encoders run so, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from slipway.builtin.classifiers.word_ids import UNKNOWN, WordIds
from slipway.builtin.engines.onnx.engine import inference_session, read_tokenizer, require_packages
from slipway.errors import IntegrityError
from slipway.i18n import t

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Scores = NDArray[np.float64]

GRAPH = "model.onnx"
TOKENIZER = "tokenizer.json"
MAX_UNKNOWN = {"tokens": 0.25, "words": 0.75}
"""The share of a text's tokens that may be unknown; of one with more nothing is said. Of an encoder's tokens it is that
of retrieval (`runtime.vectors`): its vocabulary covers whole scripts. Words of a small training set leave many unknown.
"""
_CHARACTERS_A_TOKEN = 64


class Reading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a text becomes numbers. `by`: an encoder's `tokens`, or `words` of the training texts.

    `max_tokens`: of a longer text only the first are read. `prefix`: stands before each text.
    """

    by: Literal["tokens", "words"]
    max_tokens: int
    prefix: str = ""


class Scoring(Protocol):
    """What gives scores to labels."""

    def scores(self, text: str) -> Scores | None:
        """[labels]; None for a text that it cannot read."""
        ...


class Reader:
    """Texts as numbers, the same ones in training and in serving."""

    def __init__(self, reading: Reading, words: WordIds | None = None, tokenizer: Any = None) -> None:
        self.reading, self.words, self.tokenizer = reading, words, tokenizer
        self._unknown = UNKNOWN
        if tokenizer is not None:
            found = tokenizer.token_to_id(getattr(tokenizer.model, "unk_token", None) or "<unk>")
            self._unknown = -1 if found is None else found

    def read(self, text: str) -> list[int] | None:
        """Its numbers, at most `max_tokens`; None for a text without any, or with too many that are not known."""
        most = self.reading.max_tokens
        if self.words is not None:
            ids = inner = self.words.read(self.reading.prefix + text, most)
        else:
            whole = (self.reading.prefix + text)[: most * _CHARACTERS_A_TOKEN]
            found = self.tokenizer.encode(whole.encode("utf-8", "replace").decode())  # half a character is none
            ids: list[int] = found.ids
            if len(ids) > most:
                ids = [*ids[: most - 1], ids[-1]]  # the last token ends the sentence and is kept
            inner = [n for n, special in zip(found.ids, found.special_tokens_mask, strict=True) if not special]
        if not inner or inner.count(self._unknown) > MAX_UNKNOWN[self.reading.by] * len(inner):
            return None
        return ids


class Network:
    """A graph and what reads texts for it. One text at a time, so that its scores depend on nothing beside it."""

    def __init__(self, reader: Reader, content: bytes) -> None:
        require_packages()
        self.reader = reader
        try:
            self._session = inference_session(content)
        except Exception as error:  # onnxruntime raises its own types, derived from Exception only
            raise IntegrityError(
                t("{path} is no network that can be run: {why}", path=GRAPH, why=str(error)[:300]),
                t("`slipway run adapt` makes it again"),
            ) from error

    def scores(self, text: str) -> Scores | None:
        """Of each label, [labels]; None for a text that it cannot read."""
        import numpy as np

        ids = self.reader.read(text)
        if ids is None:
            return None
        given: dict[str, Any] = {}
        given["input_ids"] = np.array([ids], np.int64)
        if self.reader.reading.by == "tokens":
            given["attention_mask"] = np.ones((1, len(ids)), np.int32)
        return self._session.run(["scores"], given)[0][0].astype(np.float64)


class Remembering:
    """A network whose scores are remembered, for what is asked about the same texts several times."""

    def __init__(self, network: Scoring) -> None:
        self._network = network
        self._known: dict[str, Scores | None] = {}

    def scores(self, text: str) -> Scores | None:
        """As the network's."""
        if text not in self._known:
            self._known[text] = self._network.scores(text)
        return self._known[text]


def open_network(reading: Reading, words: NDArray[np.uint32] | None, files: Mapping[str, Path]) -> Network:
    """The network of a classifier's files. Raises IntegrityError where they are not what they should be."""
    try:
        content = files[GRAPH].read_bytes()
        tokenizer = read_tokenizer(files) if reading.by == "tokens" else None
        if tokenizer is None and words is None:
            raise KeyError("words")
    except (OSError, KeyError) as error:
        raise IntegrityError(
            t("the classifier lacks a part: {why}", why=error), t("`slipway run adapt` makes it again")
        ) from error
    return Network(Reader(reading, WordIds(words) if words is not None else None, tokenizer), content)
