"""The contract that every tool passes. Subclass it in a test file:

class TestMyTool(ToolContract):
    arguments = ({"city": "Berlin"},)

    def make_tool(self):
        return MyTool(MyTool.Config())
"""

# ruff: noqa: D102 -- the name of a test says what it tests

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from pydantic import ValidationError

if TYPE_CHECKING:
    from slipway.core.protocols import Tool

JUNK: tuple[Any, ...] = (None, 7, "", "x" * 100_000, [], {}, "\x00", "../../etc/passwd", "'; --", True, 1e308)


@pytest.mark.asyncio
class ToolContract:
    """What every tool does alike. Override `make_tool` and `arguments`: some that it can be called with."""

    arguments: ClassVar[tuple[dict[str, Any], ...]] = ()

    def make_tool(self) -> Tool:
        """A tool."""
        raise NotImplementedError

    async def test_tells_a_model_what_it_is(self) -> None:
        tool = self.make_tool()
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", tool.name)
        assert tool.description
        assert tool.parameters["type"] == "object"
        assert set(tool.parameters.get("required", ())) <= set(tool.parameters["properties"])
        assert json.loads(json.dumps(tool.parameters)) == tool.parameters

    async def test_returns_text(self) -> None:
        assert self.arguments, "name some arguments that work"
        tool = self.make_tool()
        for arguments in self.arguments:
            assert set(tool.parameters.get("required", ())) <= set(arguments)
            assert isinstance(await tool.call(arguments), str)

    async def test_changes_nothing_that_it_is_given(self) -> None:
        for arguments in self.arguments:
            before = json.dumps(arguments)
            await self.make_tool().call(arguments)
            assert json.dumps(arguments) == before

    async def test_many_calls_at_once(self) -> None:
        tool = self.make_tool()
        alone = [await tool.call(arguments) for arguments in self.arguments]
        together = await asyncio.gather(*(tool.call(a) for _ in range(5) for a in self.arguments))
        assert together == alone * 5

    async def test_whatever_a_model_writes_gets_text_or_a_value_error(self) -> None:
        tool = self.make_tool()
        for junk in JUNK:
            for arguments in (dict.fromkeys(tool.parameters["properties"], junk), {"no such": junk}):
                try:
                    assert isinstance(await tool.call(arguments), str)
                except ValueError as error:
                    assert str(error)

    async def test_options_that_do_not_exist_are_refused(self) -> None:
        with pytest.raises(ValidationError):
            self.make_tool().Config.model_validate({"no such option": 1})
