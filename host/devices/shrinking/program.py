"""The modules of a program as syntax trees, and what every name in them stands for.

A name of a module can be reached from others: by `from module import name`, or as an attribute of
an imported module.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from host.devices.errors import BuildError
from host.devices.shrinking.scopes import Analysis, Scope, Use, all_arguments


@dataclass
class Module:
    """One source file. `uses`: every name in it; `scope_of`: where each node stands."""

    path: str
    tree: ast.Module
    uses: list[Use] = field(default_factory=list)
    scope_of: dict[ast.AST, Scope] = field(default_factory=dict)
    scope: Scope = field(default_factory=lambda: Scope("module", None))

    def __post_init__(self) -> None:
        self.analyse()

    def analyse(self) -> None:
        analysis = Analysis()
        analysis.visit(self.tree)
        self.scope, self.uses, self.scope_of = analysis.scope, analysis.uses, analysis.scope_of
        self.stores: dict[str, int] = defaultdict(int)
        self._stored: dict[Scope, set[str]] = defaultdict(set)
        for use in self.uses:
            if use.stores and not isinstance(use.node, ast.Global | ast.Nonlocal | ast.arg):
                owner, name = use.owner, use.get()
                self._stored[owner].add(name)
                if owner is self.scope:
                    self.stores[name] += 1

    def stored_in(self, scope: Scope) -> set[str]:
        """Names of a function that something is assigned to."""
        return self._stored[scope]

    @property
    def name(self) -> str:
        return module_name(self.path)

    @property
    def package(self) -> str:
        is_package = PurePosixPath(self.path).stem == "__init__"
        return self.name if is_package else self.name.rpartition(".")[0]

    def base(self, node: ast.ImportFrom) -> str:
        """The module that `from ... import` names, in full."""
        package = self.package.split(".") if self.package else []
        if not node.level:
            return node.module or ""
        above = package[: len(package) - node.level + 1]
        return ".".join([*above, *([node.module] if node.module else [])])


def module_name(path: str) -> str:
    """The dotted name of the module in a file."""
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


Symbol = tuple[str, str]  # a module's full name and a name of its own


class Program:
    """Modules that refer to each other. Raises SyntaxError for broken ones, BuildError."""

    def __init__(self, sources: dict[str, str]) -> None:
        self.modules: dict[str, Module] = {}
        for path, text in sources.items():
            self.add(path, text)

    def add(self, path: str, text: str) -> None:
        try:
            module = Module(path, _Bare().visit(ast.parse(text, path)))
        except SyntaxError as error:
            error.filename = path
            raise
        self.modules[module.name] = module

    def meant(self, module: Module, node: ast.ImportFrom, alias: ast.alias) -> Symbol | str | None:
        """What an import's name is: a Symbol, a module's full name, or None: not this program's."""
        base = module.base(node)
        known = self.modules.get(base)
        if known and alias.name in known.scope.bound:
            return base, alias.name
        full = base + "." + alias.name
        if full in self.modules:
            return full
        return (base, alias.name) if known else None

    def base_known(self, node: ast.ImportFrom) -> bool:
        """Whether an import is from this program, by its full name."""
        base = node.module or ""
        return not node.level and any(
            name == base or name.startswith(base + ".") for name in self.modules
        )

    def origin(self, symbol: Symbol) -> Symbol:
        """Where a symbol was made that modules may have imported from each other."""
        while symbol[0] in self.modules:
            module = self.modules[symbol[0]]
            for node, alias in self.imports(module):
                meant = self.meant(module, node, alias)
                bound = (alias.asname or alias.name) == symbol[1]
                if bound and module.scope_of[node] is module.scope and isinstance(meant, tuple):
                    symbol = meant
                    break
            else:
                break
        return symbol

    def imports(self, module: Module) -> Iterator[tuple[ast.ImportFrom, ast.alias]]:
        for node in module.scope_of:
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    if alias.name == "*":
                        raise BuildError(f"{module.path}: import * hides what is meant; name it")
                    yield node, alias

    def attributes(self, module: Module) -> tuple[list[tuple[ast.Attribute, Symbol]], set[str]]:
        """Attributes of this program's modules, and the full names of modules used otherwise."""
        variables: dict[tuple[Scope, str], str] = {}
        for node, alias in self.imports(module):
            meant = self.meant(module, node, alias)
            if isinstance(meant, str):
                name = alias.asname or alias.name
                variables[module.scope_of[node].of(name), name] = meant
        for other, scope in module.scope_of.items():
            for alias in other.names if isinstance(other, ast.Import) else ():
                if alias.asname and alias.name in self.modules:
                    variables[scope.of(alias.asname), alias.asname] = alias.name
        found = []
        plain: dict[ast.AST, str] = {}
        for use in module.uses:
            if isinstance(use.node, ast.Name):
                target = variables.get((use.owner, use.node.id))
                if target:
                    plain[use.node] = target
        for each in module.scope_of:
            if isinstance(each, ast.Attribute) and each.value in plain:
                found.append((each, (plain.pop(each.value), each.attr)))
        return found, set(plain.values())

    def sources(self) -> dict[str, str]:
        """path -> text."""
        return {module.path: text_of(module.tree) for module in self.modules.values()}


def text_of(tree: ast.Module) -> str:
    """A module's text. In `a, b = c, d` without the brackets that ast.unparse puts on the right:
    with them MicroPython makes a tuple, which allocates.
    """
    lines = ast.unparse(ast.fix_missing_locations(tree)).split("\n")
    for i, line in enumerate(lines):
        left, equals, right = line.partition(" = (")
        if equals and right.endswith(")"):
            bare = f"{left} = {right[:-1]}"
            try:
                if ast.dump(ast.parse(bare.strip())) == ast.dump(ast.parse(line.strip())):
                    lines[i] = bare
            except SyntaxError:
                continue
    return "\n".join(lines) + "\n"


def become(node: ast.AST, other: ast.AST) -> None:
    """Makes a node another one, wherever it hangs in its tree."""
    node.__class__ = other.__class__
    vars(node).update(vars(other))


def is_native(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether the compiler makes machine code of it: annotations mean something there."""
    return any("micropython" in ast.unparse(each) for each in node.decorator_list)


class _Bare(ast.NodeTransformer):
    """Takes off what a board does not need: docstrings, annotations, __all__."""

    def _block(self, node):  # type: ignore[no-untyped-def]
        first = node.body[0] if node.body else None
        value = first.value if isinstance(first, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            del node.body[0]
        self.generic_visit(node)
        if not node.body and not isinstance(node, ast.Module):
            node.body.append(ast.Pass())
        return node

    visit_ClassDef = _block

    def visit_Module(self, node: ast.Module) -> ast.AST:
        node.body = [
            statement
            for statement in node.body
            if not (
                isinstance(statement, ast.Assign)
                and any(isinstance(t, ast.Name) and t.id == "__all__" for t in statement.targets)
            )
        ]
        return self._block(node)

    def visit_FunctionDef(self, node):  # type: ignore[no-untyped-def]
        if not is_native(node):
            node.returns = None
            for arg in all_arguments(node.args):
                arg.annotation = None
        return self._block(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return ast.Pass()
        return ast.copy_location(ast.Assign([node.target], node.value), node)
