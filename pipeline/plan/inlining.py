"""What closures do, as their text says it, and how one text is made of those that call each other last.

Every name gets the number of the function that it is of, so that no two are equal. What is called has its
arguments under the caller's names, unless it binds them anew; and where the first one calls it at the end of
a loop's turn, its `return` is a `continue`.
"""

from __future__ import annotations

import ast
import builtins
import linecache
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import CodeType
from typing import Final, Literal, NamedTuple, TypeAlias

from pipeline.plan.folding import Known, folded

#: Where a function calls another one last: at its end, or at the end of each turn of its loop.
Where: TypeAlias = Literal["end", "turn"]

#: Modules whose text is kept, about a topology's: a quarter of a megabyte each, milliseconds to read again.
_MODULES: Final = 8
#: Functions, each with what its cells may say: there are fewer.
_FUNCTIONS: Final = 1_024

#: What has names of its own, binds some by other ways than `ast.Name`, or does not end when it returns.
_OPAQUE: Final = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.Global),
    *(ast.Import, ast.ImportFrom, ast.Match, ast.Yield, ast.YieldFrom, ast.Await),
)
_LOOPS: Final = (ast.For, ast.While)


@dataclass(frozen=True, eq=False)
class Part:
    """A function of those that become one.

    Attributes:
        name: of what made it.
        definition: its text, but for branches that are never taken.
        cells: names of its cells.
        where: it calls another one last.
    """

    name: str
    definition: ast.FunctionDef
    cells: tuple[str, ...]
    where: Where

    @cached_property
    def names(self) -> frozenset[str]:
        """All names that stand in it."""
        nodes = ast.walk(self.definition)
        return frozenset(node.id for node in nodes if isinstance(node, ast.Name))

    @cached_property
    def last_call(self) -> tuple[str, int] | None:
        """Name of the cell whose function it calls last, and with how many arguments; None: it does not."""
        site = _site(self.definition.body, self.cells, self.where)
        if site is None:
            return None
        called, arguments = _called(site[-1])
        return called, len(arguments)

    @cached_property
    def stands_in(self) -> frozenset[Where]:
        """Where its text can stand in place of a call: at the end of the whole, or of a turn."""
        nodes = list(ast.walk(self.definition))
        if any(isinstance(node, ast.Return) and node.value is not None for node in nodes):
            return frozenset()
        loops = [node for node in nodes if isinstance(node, _LOOPS)]
        # From within a loop of its own, `continue` would go on with that.
        leaves_a_loop = any(isinstance(node, ast.Return) for loop in loops for node in ast.walk(loop))
        return frozenset({"end"} if leaves_a_loop else {"end", "turn"})


@lru_cache(maxsize=_FUNCTIONS)
def part_of(code: CodeType, known: tuple[Known, ...], where: Where) -> Part | None:
    """Return what a function does; None: its text is not there, or cannot be part of another.

    Args:
        code: the function's.
        known: what is known of its cells, in their order.
        where: it may call another one last.
    """
    written = _written(code)
    if written is None:
        return None
    definition, rebound = written
    cells = dict(zip(code.co_freevars, known, strict=True))
    definition = folded(definition, {name: held for name, held in cells.items() if name not in rebound})
    inner = (node for statement in definition.body for node in ast.walk(statement))
    if any(isinstance(node, _OPAQUE) for node in inner):
        return None
    return Part(code.co_qualname.split(".")[0], definition, code.co_freevars, where)


def joined(parts: Sequence[Part]) -> str:
    """Return the text of a function that, given the cells of all parts, returns the parts as one.

    The cell `name` of the part with the number n is called `name_n`, and so is what its module calls `name`.
    """
    first = parts[0]
    whole = _numbered(first, 0, {})
    cells = [f"{name}_{number}" for number, part in enumerate(parts) for name in part.cells]
    site = _site(whole.body, cells, first.where)
    for number, part in enumerate(parts[1:], 1):
        assert site is not None  # noqa: S101 - each part but the last calls the next one
        _, arguments = _called(site.pop())
        names, bound = _bound(part, number, arguments, cells)
        definition: ast.FunctionDef = _numbered(part, number, names)
        if first.where == "turn":
            definition = _Returning().visit(definition)
        site += [*bound, *definition.body]
        site = _site(site, cells, "end")
    made = ast.FunctionDef("fused", _parameters(cells), [whole, ast.Return(_name(whole.name))], [])
    return ast.unparse(ast.fix_missing_locations(ast.Module([made], [])))


def _bound(
    part: Part, number: int, arguments: Sequence[ast.expr], cells: Collection[str]
) -> tuple[dict[str, str], list[ast.stmt]]:
    """Return the names of parameters that are the caller's, and what binds the others."""
    names: dict[str, str] = {}
    bound: list[ast.stmt] = []
    rebound = _stored(part.definition)
    for parameter, argument in zip(_parameter_names(part.definition), arguments, strict=True):
        if isinstance(argument, ast.Name) and argument.id not in cells and parameter not in rebound:
            names[parameter] = argument.id
        else:
            bound.append(ast.Assign([ast.Name(f"{parameter}_{number}", ast.Store())], argument))
    return names, bound


def _numbered(part: Part, number: int, names: Mapping[str, str]) -> ast.FunctionDef:
    """Return a copy of a part's text with numbered names; `names` are called otherwise."""
    own = {*_parameter_names(part.definition), *_stored(part.definition), *part.cells}
    definition: ast.FunctionDef = _Numbering(number, names, own).visit(deepcopy(part.definition))
    return definition


class _Numbering(ast.NodeTransformer):
    def __init__(self, number: int, names: Mapping[str, str], own: Collection[str]) -> None:
        self._number, self._names, self._own = number, names, own

    def _of(self, name: str) -> str:
        if name in self._names:
            return self._names[name]
        return name if name not in self._own and hasattr(builtins, name) else f"{name}_{self._number}"

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self._of(node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(self._of(node.arg))

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.Nonlocal:
        node.names = [self._of(name) for name in node.names]
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.ExceptHandler:
        self.generic_visit(node)
        node.name = None if node.name is None else self._of(node.name)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        """Types of local names are not for the interpreter."""
        self.generic_visit(node)
        return ast.Pass() if node.value is None else ast.Assign([node.target], node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.returns = None
        return node


class _Returning(ast.NodeTransformer):
    def visit_Return(self, _node: ast.Return) -> ast.stmt:
        return ast.Continue()


def _site(body: list[ast.stmt], cells: Collection[str], where: Where) -> list[ast.stmt] | None:
    """Return the statements of which the last is the one call that is done last; None: there is none."""
    if where == "turn":
        loops = (statement for statement in body if isinstance(statement, _LOOPS) and not statement.orelse)
        found = [site for loop in loops for site in _sites(loop.body, cells)]
    else:
        found = list(_sites(body, cells))
    return found[0] if len(found) == 1 else None


def _sites(body: list[ast.stmt], cells: Collection[str]) -> Iterator[list[ast.stmt]]:
    match body[-1]:
        case ast.Expr(ast.Call(ast.Name(called), arguments, [])) if called in cells:
            if not any(isinstance(argument, ast.Starred) for argument in arguments):
                yield body
        case ast.If(body=taken, orelse=otherwise):
            yield from _sites(taken, cells)
            if otherwise:
                yield from _sites(otherwise, cells)


def _called(statement: ast.stmt) -> tuple[str, list[ast.expr]]:
    match statement:
        case ast.Expr(ast.Call(ast.Name(called), arguments)):
            return called, arguments
    raise ValueError(f"no call of a name: {ast.unparse(statement)}")


def _parameter_names(definition: ast.FunctionDef) -> list[str]:
    return [argument.arg for argument in definition.args.args]


def _stored(definition: ast.FunctionDef) -> set[str]:
    """Return the names that a function binds, but for its parameters."""
    nodes = list(ast.walk(definition))
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    return stored | {node.name for node in nodes if isinstance(node, ast.ExceptHandler) and node.name}


def _parameters(names: Sequence[str]) -> ast.arguments:
    return ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])


def _name(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _written(code: CodeType) -> tuple[ast.FunctionDef, frozenset[str]] | None:
    """Return the text of a function, and the names that it and its siblings rebind.

    None: it is not there, or is not what runs: a file may have been replaced since it was imported.
    """
    module = _module(code.co_filename)
    if module is None or code not in module.codes:
        return None
    for outer in module.tree.body:
        nodes = list(ast.walk(outer))
        for node in nodes:
            if isinstance(node, ast.FunctionDef) and _is_of(node, code):
                rebound = (name for node in nodes if isinstance(node, ast.Nonlocal) for name in node.names)
                return node, frozenset(rebound)
    return None


def _is_of(definition: ast.FunctionDef, code: CodeType) -> bool:
    arguments = definition.args
    plain = not (arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.posonlyargs)
    plain = plain and not arguments.defaults and not definition.decorator_list
    return plain and (definition.lineno, definition.name) == (code.co_firstlineno, code.co_name)


class _Module(NamedTuple):
    tree: ast.Module
    codes: frozenset[CodeType]


@lru_cache(maxsize=_MODULES)
def _module(path: str) -> _Module | None:
    """Return what a module's text says, and the code of all its functions; None: there is no text."""
    text = "".join(linecache.getlines(path))
    if not text:
        return None
    return _Module(ast.parse(text), frozenset(_codes(compile(text, path, "exec", dont_inherit=True))))


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
