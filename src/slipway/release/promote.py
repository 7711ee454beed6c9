"""Channels: which release answers under a name, who decided it, when and why. One row a decision, never rewritten."""

from __future__ import annotations

from collections.abc import Callable

from slipway.core.release import Release, check_channel
from slipway.errors import ConfigError, NotFound
from slipway.i18n import t
from slipway.store.store import Store

PASSED = "passed the gate"  # the reason of a promotion that nobody ordered, as it is stored

Verify = Callable[[Release], object]


def promote(store: Store, channel: str, release: Release, *, by: str, why: str, verify: Verify) -> bool:
    """Point a channel at a release after verifying it; returns False when it already pointed there, verified as well.

    Raises ConfigError for a name that cannot be a channel's.
    """
    check_channel(channel)
    verify(release)
    if store.catalog.channels().get(channel) == release.digest:
        return False
    store.catalog.promote(channel, release.digest, by=by, why=why)
    return True


def rollback(store: Store, channel: str, *, by: str, why: str, verify: Verify) -> Release:
    """Point a channel at the release it pointed at before; repeated, it goes further back.

    Raises NotFound for a channel that does not exist, ConfigError when there is nothing before.
    """
    history = list(reversed(store.catalog.history(channel)))
    if not history:
        raise NotFound(
            t("no channel is called '{channel}'", channel=channel),
            t("channels: {names}", names=", ".join(store.catalog.channels()) or "-"),
        )
    trail: list[str] = []
    for row in history:  # a rollback takes the last promotion back, so the trail is what is still to go back to
        if row["action"] == "rollback" and len(trail) > 1:
            trail.pop()
        else:
            trail.append(row["release"])
    if len(trail) < 2:
        raise ConfigError(
            t("{channel} has had no release before this one", channel=channel),
            t("`slipway release promote` points it at any release of `slipway release list`"),
        )
    release = store.catalog.release(trail[-2])
    verify(release)
    store.catalog.promote(channel, release.digest, by=by, why=why, action="rollback")
    return release
