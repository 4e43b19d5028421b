"""Texts of names: a module's RUN, which says what of it is kept once models are loaded."""

from __future__ import annotations

import ast
from collections.abc import Collection

from host.devices.shrinking.program import Module, Program

RUN = "RUN"


def find(module: Module) -> ast.Assign | None:
    """The assignment of a module's RUN, a text of names."""
    for node in module.tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(str())) if name == RUN:
                return node
    return None


def names(assignment: ast.Assign) -> list[str]:
    return str(ast.literal_eval(assignment.value)).split()


def assignment(names: Collection[str]) -> ast.Assign:
    return ast.Assign([ast.Name(RUN, ast.Store())], _text(names))


def _text(names: Collection[str]) -> ast.Constant:
    return ast.Constant(" ".join(sorted(names)))


class RunNames:
    """What the names in every RUN stand for, so that they can follow when names change."""

    def __init__(self, program: Program) -> None:
        self._meant: list[tuple[ast.Assign, dict[str, list[ast.AST]]]] = []
        for module in program.modules.values():
            found = find(module)
            if found is None:
                continue
            meant: dict[str, list[ast.AST]] = {name: [] for name in names(found)}
            for use in module.uses:
                local = use.owner is not module.scope and use.owner.kind != "class"
                if use.stores and not local and use.get() in meant:
                    meant[use.get()].append(use.node)
            self._meant.append((found, meant))
        self.strings = {node for found, _ in self._meant for node in ast.walk(found.value)}

    def follow(self) -> None:
        for found, meant in self._meant:
            found.value = _text({_name(node) for nodes in meant.values() for node in nodes})


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.alias):
        return node.asname or node.name
    return str(getattr(node, "id", "") or getattr(node, "name", ""))
