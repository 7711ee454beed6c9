from __future__ import annotations

import inspect

from slipway import api


def test_the_public_verbs_are_few_listed_and_explained() -> None:
    assert len(api.__all__) <= 36
    assert sorted(api.__all__) == list(api.__all__)
    public = {
        n
        for n, f in vars(api).items()
        if inspect.isfunction(f) and f.__module__.startswith("slipway.api.") and n[0] != "_"
    }
    assert public == set(api.__all__)
    for name in api.__all__:
        assert inspect.getdoc(getattr(api, name)), name
