"""Puts a module's integer constants in the place of their names."""

from __future__ import annotations

import ast
import operator
from collections import Counter, defaultdict
from collections.abc import Iterator

from host.devices.shrinking.program import Module, Program, Symbol, become
from host.devices.shrinking.scopes import Scope

# Larger ones are objects on a board, and one for all uses is better than one for each.
SMALL_INT = 1 << 30


def inline(program: Program, fixed: set[str]) -> None:
    """Puts integers in the place of the names that stand for them."""
    values: dict[Symbol, int] = {}
    inlined: dict[str, set[str]] = defaultdict(set)  # module -> its variables of modules
    found = [(m, *program.attributes(m)) for m in program.modules.values()]
    attributes = [(module, node, symbol) for module, nodes, _ in found for node, symbol in nodes]
    set_from_afar = {s for _, n, s in attributes if not isinstance(n.ctx, ast.Load)}
    whole = set().union(*(names for _, _, names in found))
    imported = _imported(program)
    done = -1
    while done != len(values):
        done = len(values)
        for module in program.modules.values():
            found_here = _assigned(module).items()
            values |= {s: value for s, value in found_here if s not in set_from_afar}
            here = {key: values[s] for key, (_, s) in imported[module.name].items() if s in values}
            for use in module.uses:
                if isinstance(use.node, ast.Name) and isinstance(use.node.ctx, ast.Load):
                    value = here.get((use.owner, use.node.id))
                    if value is None and use.owner is module.scope:
                        value = values.get((module.name, use.node.id))
                    if value is not None:
                        become(use.node, _literal(value))
            module.uses = [u for u in module.uses if not isinstance(u.node, _LITERAL)]
        for module, node, symbol in attributes:
            # By now it may be a literal.
            loaded = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
            if symbol in values and loaded:
                inlined[module.name].add(node.value.id)  # type: ignore[attr-defined]
                become(node, _literal(values[symbol]))
    for module in program.modules.values():
        gone = {alias for alias, s in imported[module.name].values() if s in values}
        _without_imports(program, module, gone, inlined[module.name])
    needed = {s for m in program.modules.values() for s in _symbols_imported(program, m)}
    for module in program.modules.values():
        module.tree.body = [
            statement
            for statement in module.tree.body
            if not (
                isinstance(statement, ast.Assign)
                and isinstance(statement.targets[0], ast.Name)
                and (module.name, statement.targets[0].id) in set(values) - needed
                and module.name not in whole
                and statement.targets[0].id not in fixed
            )
        ]


_LITERAL = (ast.Constant, ast.UnaryOp)


def _assigned(module: Module) -> dict[Symbol, int]:
    """Names a module sets to a small integer once, and to nothing else ever."""
    found = {}
    for statement in module.tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if module.stores[name] == 1:
                number = _number(value)
                if number is not None and abs(number) < SMALL_INT:
                    found[module.name, name] = number
    return found


def _imported(program: Program) -> dict[str, dict[tuple[Scope, str], tuple[ast.alias, Symbol]]]:
    """Module -> what names come from other modules, and nowhere else."""
    found: dict = {}
    for module in program.modules.values():
        count = Counter((use.owner, use.get()) for use in module.uses if use.stores)
        found[module.name] = here = {}
        for node, alias in program.imports(module):
            meant = program.meant(module, node, alias)
            name = alias.asname or alias.name
            key = (module.scope_of[node].of(name), name)
            if isinstance(meant, tuple) and count[key] == 1:
                here[key] = (alias, meant)
    return found


def _symbols_imported(program: Program, module: Module) -> Iterator[Symbol]:
    for node, alias in program.imports(module):
        meant = program.meant(module, node, alias)
        if isinstance(meant, tuple) and alias in node.names:
            yield meant


def _without_imports(
    program: Program, module: Module, gone: set[ast.alias], inlined: set[str]
) -> None:
    """Takes out imports of what is a number now, and of modules that only had such numbers."""
    module.analyse()
    loaded = {use.get() for use in module.uses if not isinstance(use.node, ast.alias)}

    def stays(node: ast.ImportFrom, alias: ast.alias) -> bool:
        name = alias.asname or alias.name
        is_module = isinstance(program.meant(module, node, alias), str)
        return alias not in gone and not (is_module and name in inlined - loaded)

    class Without(ast.NodeTransformer):
        def generic_visit(self, node: ast.AST) -> ast.AST:
            super().generic_visit(node)
            if getattr(node, "body", None) == [] and not isinstance(node, ast.Module):
                node.body.append(ast.Pass())  # type: ignore[attr-defined]
            return node

        def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
            node.names = [alias for alias in node.names if stays(node, alias)]
            return node if node.names else None

    Without().visit(module.tree)
    module.analyse()


_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
}


def _number(node: ast.expr) -> int | None:
    """The value of a constant integer expression."""
    match node:
        case ast.Constant(value=value) if type(value) is int:
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            number = _number(operand)
            return None if number is None else -number
        case ast.Call(func=ast.Name(id="const"), args=[argument], keywords=[]):
            return _number(argument)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            one, other = _number(left), _number(right)
            if one is None or other is None or (isinstance(op, ast.LShift) and other > 64):
                return None
            try:
                return int(_OPERATORS[type(op)](one, other))
            except (ValueError, ZeroDivisionError):
                return None
    return None


def _literal(value: int) -> ast.expr:
    literal = ast.Constant(abs(value))
    return ast.UnaryOp(ast.USub(), literal) if value < 0 else literal
