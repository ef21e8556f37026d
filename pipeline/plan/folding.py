"""What remains of a function when it is known what some of its names hold: branches never taken are gone."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Literal, TypeAlias

#: Of a name: that it holds None, True, False, something that is not None, or anything.
Known: TypeAlias = Literal["something", "anything"] | bool | None


def folded(definition: ast.FunctionDef, known: Mapping[str, Known]) -> ast.FunctionDef:
    """Return a copy without what is never done.

    Args:
        definition: the function.
        known: by name, what it holds whenever the function is called.
    """
    return _Folding(known).visit(deepcopy(definition))  # type: ignore[no-any-return] # a definition stays one


class _Folding(ast.NodeTransformer):
    def __init__(self, known: Mapping[str, Known]) -> None:
        self._known = known

    def visit_Name(self, node: ast.Name) -> ast.expr:
        held = self._known.get(node.id, "anything")
        if isinstance(node.ctx, ast.Load) and isinstance(held, bool):
            return ast.Constant(held)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """`name is None`, `name is not None`."""
        self.generic_visit(node)
        match node:
            case ast.Compare(ast.Name(name), [ast.Is() | ast.IsNot() as how], [ast.Constant(None)]):
                held = self._known.get(name, "anything")
                if held != "anything":
                    return ast.Constant((held is None) == isinstance(how, ast.Is))
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.UnaryOp(ast.Not(), ast.Constant(bool() as value)):
                return ast.Constant(not value)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        """What decides alone is all there is; what decides nothing is left out, unless it is the result."""
        self.generic_visit(node)
        decides = isinstance(node.op, ast.Or)
        node.values = [value for value in node.values[:-1] if not _is(value, not decides)] + node.values[-1:]
        return node.values[0] if len(node.values) == 1 or _is(node.values[0], decides) else node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Visit what is in it; a body of which nothing is left does nothing."""
        super().generic_visit(node)
        if getattr(node, "body", None) == []:
            node.body = [ast.Pass()]  # type: ignore[attr-defined] # it has one
        return node

    def visit_If(self, node: ast.If | ast.IfExp) -> Any:
        """Of a test whose outcome is known, the branch that is taken: statements, or an expression."""
        self.generic_visit(node)
        match node.test:
            case ast.Constant(bool() as taken):
                return node.body if taken else node.orelse
        return node

    visit_IfExp = visit_If  # noqa: N815 - what `ast` looks for


def _is(node: ast.expr, value: bool) -> bool:  # noqa: FBT001 - which of both is the question
    return isinstance(node, ast.Constant) and node.value is value
