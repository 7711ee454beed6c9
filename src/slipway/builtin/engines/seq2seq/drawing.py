"""Which token comes next: the likeliest, a drawn one, or one that a choice allows. Knows no model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from slipway.core.message import Sampling

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Draw:
    """Takes tokens as `sampling` says; what was drawn before weighs where there are penalties."""

    def __init__(self, sampling: Sampling) -> None:
        import numpy as np

        self._sampling = sampling
        self._random = np.random.default_rng(sampling.seed)
        self._seen: Counter[int] = Counter()

    def next(self, logits: NDArray[np.float32], allowed: Sequence[int] | None = None) -> int:
        """`logits`: [vocabulary]. `allowed`: tokens that may come, in rising order; None: any."""
        import numpy as np

        scores = logits.astype(np.float64)
        frequency, presence = self._sampling.frequency_penalty, self._sampling.presence_penalty
        if frequency or presence:
            for token, n in self._seen.items():
                scores[token] -= frequency * n + presence
        places = np.arange(len(scores)) if allowed is None else np.array(allowed)
        token = int(places[self._place(scores[places])])
        self._seen[token] += 1
        return token

    def _place(self, scores: NDArray[np.float64]) -> int:
        import numpy as np

        heat, top = self._sampling.temperature, self._sampling.top_p
        if heat == 0:
            return int(scores.argmax())
        shares = np.exp((scores - scores.max()) / heat)
        shares /= shares.sum()
        order = np.argsort(-shares, kind="stable")
        kept = order[: 1 + int(np.searchsorted(np.cumsum(shares[order]), top))]  # nucleus (Holtzman et al. 2020)
        return int(self._random.choice(kept, p=shares[kept] / shares[kept].sum()))


class Choices:
    """Follows which of several answers may still come. `tokens`: those of each, the one that ends it included."""

    def __init__(self, tokens: Mapping[str, tuple[int, ...]]) -> None:
        self._open = dict(tokens)
        self._at = 0

    @property
    def allowed(self) -> list[int]:
        """Tokens that may come next; none when an answer is whole."""
        return sorted({one[self._at] for one in self._open.values() if len(one) > self._at})

    @property
    def answer(self) -> str:
        """What came."""
        return next(iter(self._open))

    def take(self, token: int) -> None:
        """It came."""
        self._open = {text: one for text, one in self._open.items() if one[self._at] == token}
        self._at += 1


class Tail:
    """What of a growing text may be sent: nothing that may yet become a stop string, and no half character."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops, self._sent = tuple(stops), ""
        self.stopped = False

    def push(self, whole: str, *, ended: bool = False) -> str:
        """What to send of the text so far. `ended`: it grows no more."""
        found = [at for stop in self._stops if (at := whole.find(stop)) >= 0]
        self.stopped = bool(found)
        if found:
            whole = whole[: min(found)]
        elif not ended:
            whole = whole.rstrip("\ufffd")
            held = max((n for stop in self._stops for n in range(1, len(stop)) if whole.endswith(stop[:n])), default=0)
            whole = whole[: len(whole) - held]
        if not whole.startswith(self._sent):
            return ""
        fresh, self._sent = whole[len(self._sent) :], whole
        return fresh
