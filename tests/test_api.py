from __future__ import annotations

import inspect
import typing

import pytest

from slipway import api
from slipway.errors import instead


def test_the_public_verbs_are_few_listed_and_explained() -> None:
    assert len(api.__all__) <= 70
    assert sorted(api.__all__) == list(api.__all__)
    public = {
        n
        for n, f in vars(api).items()
        if inspect.isfunction(f) and f.__module__.startswith("slipway.api.") and n[0] != "_"
    }
    assert public == set(api.__all__)
    for name in api.__all__:
        assert inspect.getdoc(getattr(api, name)), name


@pytest.mark.parametrize("name", api.__all__)
def test_every_verb_says_what_it_takes_and_gives(name: str) -> None:
    verb = getattr(api, name)
    hints = typing.get_type_hints(verb)
    assert set(hints) == {*inspect.signature(verb).parameters, "return"}
    assert typing.Any not in hints.values()
    if name != "json_schema":  # a schema is a mapping of anything
        assert hints["return"] not in (dict[str, typing.Any], list[typing.Any])


def test_the_hint_for_an_unknown_name_has_the_nearest_and_all() -> None:
    assert instead("dta", ["data", "adapt"]) == "did you mean 'data'? known: data, adapt"
    assert instead("xyz", iter(["data", "adapt"])) == "known: data, adapt"
    assert instead("xyz", []) == "known: -"
