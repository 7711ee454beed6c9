"""A first look at a large corpus: some of its files, the same ones each time."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Sequence
from hashlib import sha256

from slipway.core.material import readings
from slipway.data.collect import Found


def sampled(found: Sequence[Found], named: Collection[str], n: int) -> list[Found]:
    """`n` files in their order: all that examples name (`named`, as `source` or `source#heading`), however many these
    are, and others drawn by the digest of their name. So every example keeps its evidence and its split.
    """
    wanted = {posixpath.normpath(source) for name in named for source, _ in readings(name)}

    def rank(file: Found) -> tuple[bool, str]:
        source = posixpath.normpath(file.source)
        needed = source in wanted or any(name.startswith(f"{source}/") for name in wanted)
        return not needed, sha256(file.source.encode("utf-8", "replace")).hexdigest()

    ranked = sorted((rank(file), number) for number, file in enumerate(found))
    needed = sum(not others for (others, _), _ in ranked)
    kept = {number for _, number in ranked[: max(n, needed)]}
    return [file for number, file in enumerate(found) if number in kept]
