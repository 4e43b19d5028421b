"""Which scope each name in a file belongs to: module, class, function or comprehension."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass


class Scope:
    """Names bound in one stretch of code; `parent` is the scope around it."""

    def __init__(self, kind: str, parent: Scope | None, node: ast.AST | None = None) -> None:
        self.kind = kind
        self.parent = parent
        self.node = node
        self.bound: set[str] = set()
        self.elsewhere: dict[str, str] = {}  # name -> "global" or "nonlocal"

    @property
    def module(self) -> Scope:
        scope = self
        while scope.parent:
            scope = scope.parent
        return scope

    def of(self, name: str) -> Scope:
        """The scope whose name this is, seen from here; the module's where none binds it."""
        scope = self
        while scope.parent:
            if scope.elsewhere.get(name) == "global":
                break
            visible = scope.kind != "class" or scope is self
            if visible and name in scope.bound and name not in scope.elsewhere:
                return scope
            scope = scope.parent
        return self.module

    def around(self) -> Iterator[Scope]:
        """This scope and those around it, without the module's."""
        scope = self
        while scope.parent:
            yield scope
            scope = scope.parent


@dataclass(eq=False)
class Use:
    """One place where a name stands: `node`'s `field`, which `get` and `put` read and change."""

    scope: Scope
    node: ast.AST
    field: str
    index: int | None = None

    def get(self) -> str:
        value = getattr(self.node, self.field)
        if isinstance(self.node, ast.alias):
            return self.node.asname or self.node.name.partition(".")[0]
        return value if self.index is None else value[self.index]

    def put(self, name: str) -> None:
        if isinstance(self.node, ast.alias):
            self.node.asname = None if name == self.node.name else name
        elif self.index is None:
            setattr(self.node, self.field, name)
        else:
            getattr(self.node, self.field)[self.index] = name

    @property
    def stores(self) -> bool:
        """Whether the name gets its meaning here, or may."""
        return not (isinstance(self.node, ast.Name) and isinstance(self.node.ctx, ast.Load))

    @property
    def owner(self) -> Scope:
        return self.scope.of(self.get())


class Analysis(ast.NodeVisitor):
    def __init__(self) -> None:
        self.scope = Scope("module", None)
        self.uses: list[Use] = []
        self.scope_of: dict[ast.AST, Scope] = {}

    def use(self, node: ast.AST, field: str, index: int | None = None, *, bind: bool) -> None:
        found = Use(self.scope, node, field, index)
        self.uses.append(found)
        if bind:
            self.scope.bound.add(found.get())

    def generic_visit(self, node: ast.AST) -> None:
        self.scope_of[node] = self.scope
        super().generic_visit(node)

    def each(self, nodes: list) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def inside(self, kind: str, owner: ast.AST, nodes: list) -> None:
        outer = self.scope
        self.scope = Scope(kind, outer, owner)
        arguments = getattr(owner, "args", None)
        for arg in all_arguments(arguments) if arguments else ():
            self.use(arg, "arg", bind=True)
        self.each(nodes)
        self.scope = outer

    def visit_Name(self, node: ast.Name) -> None:
        self.scope_of[node] = self.scope
        self.use(node, "id", bind=not isinstance(node.ctx, ast.Load))

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        outer = self.scope
        while self.scope.kind == "comprehension" and self.scope.parent:
            self.scope = self.scope.parent
        self.scope.bound.add(node.target.id)
        self.scope = outer
        self.uses.append(Use(outer, node.target, "id"))
        self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.scope_of[node] = self.scope
        self.use(node, "name", bind=True)
        self.each([*node.decorator_list, *node.args.defaults, *node.args.kw_defaults])
        self.each([arg.annotation for arg in all_arguments(node.args)] + [node.returns])
        self.inside("function", node, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.scope_of[node] = self.scope
        self.each([*node.args.defaults, *node.args.kw_defaults])
        self.inside("function", node, [node.body])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.scope_of[node] = self.scope
        self.use(node, "name", bind=True)
        self.each([*node.decorator_list, *node.bases, *node.keywords])
        self.inside("class", node, node.body)

    def _comprehension(self, node: ast.AST) -> None:
        self.scope_of[node] = self.scope
        generators = node.generators  # type: ignore[attr-defined]
        self.visit(generators[0].iter)
        parts: list = []
        for index, generator in enumerate(generators):
            parts += [generator.target] + ([generator.iter] if index else []) + generator.ifs
        for name in ("elt", "key", "value"):
            parts.append(getattr(node, name, None))
        self.inside("comprehension", node, parts)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> None:
        for index, name in enumerate(node.names):
            self.use(node, "names", index, bind=False)
            if isinstance(node, ast.Global):
                self.scope.elsewhere[name] = "global"
                self.scope.module.bound.add(name)
            else:
                self.scope.elsewhere[name] = "nonlocal"

    visit_Nonlocal = visit_Global

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.use(node, "name", bind=True)
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.scope_of[node] = self.scope
        for alias in node.names:
            if alias.name != "*":
                self.use(alias, "name", bind=True)

    visit_ImportFrom = visit_Import


def all_arguments(arguments: ast.arguments) -> list[ast.arg]:
    found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return found + [arg for arg in (arguments.vararg, arguments.kwarg) if arg]
