"""`calculator`: arithmetic for models that cannot do sums. Reads an expression; runs no code."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from slipway import syntax

LONGEST = 500  # characters of an expression
LARGEST = 1e100  # of any number on the way: a power of powers would fill the memory
_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
    ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip


class CalculatorConfig(BaseModel):
    """`digits`: significant digits of a result."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    digits: int = Field(default=12, ge=1, le=15)


class Calculator:
    """Sums, products, powers and brackets of numbers."""

    Config: ClassVar[type[CalculatorConfig]] = CalculatorConfig
    name: ClassVar[str] = "calculator"
    description: ClassVar[str] = "Computes an arithmetic expression with + - * / // % ** and brackets."
    parameters: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {"expression": {"type": "string", "description": "for example (3 + 4) * 2.5"}},
        "required": ["expression"],
        "additionalProperties": False,
    }

    def __init__(self, config: CalculatorConfig) -> None:
        self.config = config

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """The value. Raises ValueError for what is no arithmetic, or too large."""
        expression = arguments.get("expression")
        if not isinstance(expression, str) or not 0 < len(expression) <= LONGEST:
            raise ValueError(f"`expression` must be a text of 1 to {LONGEST} characters")
        try:
            value = _value(syntax.expression(expression.strip().replace("^", "**")))
        except (SyntaxError, RecursionError, MemoryError) as error:
            raise ValueError("that is no arithmetic expression") from error
        except (ZeroDivisionError, OverflowError) as error:
            raise ValueError(str(error)) from error
        return f"{value:.{self.config.digits}g}"


def _value(node: ast.AST) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        found = float(node.value)
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        found = _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    elif isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        found = _OPERATORS[type(node.op)](_value(node.operand))
    else:
        raise ValueError("only numbers, + - * / // % ** and brackets can be used")
    if isinstance(found, complex) or not math.isfinite(found) or abs(found) > LARGEST:
        raise ValueError("the result is too large, or no real number")
    return found
