"""Makes one module of several: what names mean, what they become, where they come from then."""

from __future__ import annotations

import ast
from collections import defaultdict

from host.devices.errors import BuildError
from host.devices.shrinking.program import Module, Program, Symbol, become
from host.devices.shrinking.scopes import Scope, Use


class Merger:
    def __init__(self, program: Program, target_of: dict[str, str], kept: set[Symbol]) -> None:
        self.program = program
        self.target_of = target_of
        self.kept = kept
        # A symbol's name in its merged file, and all places where it stands.
        self.new: dict[Symbol, str] = {}
        self.places: dict[Symbol, list[Use]] = defaultdict(list)
        # Attributes of modules; what imports mean; those that are not needed any more.
        self.attributes: list[tuple[Module, ast.Attribute, Symbol]] = []
        self.meaning: dict[ast.alias, Symbol | str] = {}
        self.dropped: set[ast.alias] = set()
        self._roots: dict[Symbol, Symbol] = {}
        self._look()

    def merged(self, members: dict[str, list[str]]) -> dict[str, list[ast.stmt]]:
        """Module -> its statements."""
        order = {target: self._order(names) for target, names in members.items()}
        for target, names in order.items():
            self._name(target, names)
        self._rename()
        for module in self.program.modules.values():
            _Imports(self, module).visit(module.tree)
        result = {
            module.name: module.tree.body
            for module in self.program.modules.values()
            if module.name not in self.target_of
        }
        for target, names in order.items():
            result[target] = [s for name in names for s in self.program.modules[name].tree.body]
        return result

    def together(self, one: str, other: str) -> bool:
        return one in self.target_of and self.target_of[one] == self.target_of.get(other)

    # What everything means.

    def _look(self) -> None:
        for module in self.program.modules.values():
            for node, alias in self.program.imports(module):
                meant = self.program.meant(module, node, alias)
                if meant is not None:
                    self.meaning[alias] = meant
            attributes, whole = self.program.attributes(module)
            self.attributes += [(module, node, symbol) for node, symbol in attributes]
            for name in sorted(whole & set(self.target_of)):
                raise BuildError(
                    f"{module.path} uses the module {name} as a value; do not merge it"
                )
            for each in module.scope_of:
                for alias in each.names if isinstance(each, ast.Import) else ():
                    if alias.name in self.target_of:
                        raise BuildError(f"{module.path}: write import {alias.name} with from")
        for meant in self.meaning.values():
            if isinstance(meant, tuple):
                self.root(meant)  # found now, while names are what they were
        for _, _, symbol in self.attributes:
            self.root(symbol)
        unbound = []
        self._imported: set[Use] = set()  # by a function, from its own merged file
        for module in self.program.modules.values():
            local = self._local_imports(module)
            for use in module.uses:
                owner, name = use.owner, use.get()
                if (owner, name) in local:
                    self.places[local[owner, name]].append(use)
                    self._imported.add(use)
                elif owner is module.scope and name in owner.bound:
                    self.places[self.root((module.name, name))].append(use)
            unbound += list(local)
        for owner, name in unbound:
            owner.bound.discard(name)

    def root(self, symbol: Symbol) -> Symbol:
        """Where a symbol comes from, as far as it is in the same merged file."""
        if symbol not in self._roots:
            self._roots[symbol] = self._root(symbol)
        return self._roots[symbol]

    def _root(self, symbol: Symbol) -> Symbol:
        while symbol[0] in self.program.modules:
            alias = self._plain_import(self.program.modules[symbol[0]], symbol[1])
            meant = self.meaning.get(alias) if alias else None
            if not isinstance(meant, tuple) or not self.together(symbol[0], meant[0]):
                break
            symbol = meant
        return symbol

    def _plain_import(self, module: Module, name: str) -> ast.alias | None:
        """The import that is all that ever sets a name of a module."""
        if module.stores[name] != 1:
            return None
        for node in module.tree.body:
            for alias in node.names if isinstance(node, ast.ImportFrom | ast.Import) else ():
                if (alias.asname or alias.name) == name:
                    return alias
        return None

    def _local_imports(self, module: Module) -> dict[tuple[Scope, str], Symbol]:
        """Names that a function imports from its own merged file, and sets in no other way."""
        count: dict[tuple[Scope, str], int] = defaultdict(int)
        for use in module.uses:
            if use.stores:
                count[use.owner, use.get()] += 1
        found: dict[tuple[Scope, str], Symbol] = {}
        for node, alias in self.program.imports(module):
            meant = self.meaning.get(alias)
            name = alias.asname or alias.name
            owner = module.scope_of[node].of(name)
            if owner is module.scope or owner.kind == "class" or not isinstance(meant, tuple):
                continue
            if self.together(module.name, meant[0]) and count[owner, name] == 1:
                found[owner, name] = self.root(meant)
                self.dropped.add(alias)
        return found

    def _order(self, names: list[str]) -> list[str]:
        """Modules of a group so that each comes after those it imports when it is loaded."""
        done: list[str] = []
        path: list[str] = []

        def visit(name: str) -> None:
            if name in done:
                return
            if name in path:
                raise BuildError(f"{' imports '.join([*path, name])}: import inside a function")
            path.append(name)
            module = self.program.modules[name]
            for node, alias in self.program.imports(module):
                if module.scope_of[node] is module.scope and alias in self.meaning:
                    meant = self.meaning[alias]
                    other = meant if isinstance(meant, str) else meant[0]
                    if other in names and other != name:
                        visit(other)
            path.pop()
            done.append(name)

        for name in names:
            visit(name)
        return done

    # New names.

    def _name(self, target: str, names: list[str]) -> None:
        """Gives every symbol of a merged file a name that means nothing else anywhere in it."""
        modules = [self.program.modules[name] for name in names]
        hidden = self._hidden()
        builtin = {
            use.get()
            for module in modules
            for use in module.uses
            if use.owner is module.scope and use.get() not in module.scope.bound
            if use not in self._imported
        }
        everything = builtin.union(*(m.scope.bound for m in modules), *hidden.values())
        taken: dict[str, object] = {}
        for module in sorted(modules, key=lambda module: module.name != target):
            for name in sorted(module.scope.bound):
                symbol = (module.name, name)
                if self.root(symbol) != symbol or self._is_merged_module(module, name):
                    continue
                origin = self._origin(module, name)
                new = name
                hides = name in hidden[symbol] or name in builtin
                if hides or taken.get(name, origin) != origin:
                    if symbol in self.kept:
                        raise BuildError(f"{module.path}: {name} means something else elsewhere")
                    new = f"{name}_{module.name.rpartition('.')[2]}"
                    while new in everything or new in taken:
                        new += "_"
                taken[new] = origin
                self.new[symbol] = new
        brought = set()
        for module in modules:
            for name in sorted(module.scope.bound):
                alias = self._plain_import(module, name)
                new = self.new.get((module.name, name), "")
                if alias and new:
                    if new in brought:
                        self.dropped.add(alias)
                    brought.add(new)

    def _hidden(self) -> dict[Symbol, set[str]]:
        """Names that mean something local in a place where a symbol is used."""
        hidden: dict[Symbol, set[str]] = defaultdict(set)
        places = [(symbol, use.scope) for symbol, uses in self.places.items() for use in uses]
        for module, node, symbol in self.attributes:
            if self.together(module.name, symbol[0]):
                places.append((self.root(symbol), module.scope_of[node]))
        for symbol, scope in places:
            for around in scope.around():
                if around.kind != "class" or around is scope:
                    hidden[symbol] |= around.bound
        return hidden

    def _is_merged_module(self, module: Module, name: str) -> bool:
        alias = self._plain_import(module, name)
        meant = self.meaning.get(alias) if alias else None
        return isinstance(meant, str) and self.together(module.name, meant)

    def _origin(self, module: Module, name: str) -> object:
        """What a name is; equal for the same plain import from outside in several members."""
        alias = self._plain_import(module, name)
        for node in module.tree.body:
            if isinstance(node, ast.ImportFrom | ast.Import) and alias in node.names and alias:
                base = module.base(node) if isinstance(node, ast.ImportFrom) else None
                return base, alias.name
        return module.name, name, "own"

    # The new text.

    def _rename(self) -> None:
        for module in self.program.modules.values():
            apart = self.target_of.get(module.name, module.name) != module.name
            for use in module.uses if apart else ():
                if use.get() == "__name__" and use.owner is module.scope:
                    become(use.node, ast.Constant(module.name))
        for symbol, new in self.new.items():
            for use in self.places[symbol]:
                use.put(new)
        for module, node, symbol in self.attributes:
            new = self.new.get(self.root(symbol), symbol[1])
            if self.together(module.name, symbol[0]):
                become(node, ast.Name(new, node.ctx))
            else:
                node.attr = new


class _Imports(ast.NodeTransformer):
    """Makes one module's imports come from where things are now."""

    def __init__(self, merger: Merger, module: Module) -> None:
        self.merger = merger
        self.module = module

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if getattr(node, "body", None) == [] and not isinstance(node, ast.Module):
            node.body.append(ast.Pass())  # type: ignore[attr-defined]
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> list[ast.stmt]:
        made: list[ast.stmt] = []
        for alias in node.names:
            statement = self._one(node, alias)
            match [*made[-1:], statement]:
                case [ast.ImportFrom() as last, ast.ImportFrom() as new] if (
                    last.module == new.module
                ):
                    last.names += new.names
                case [*_, ast.stmt() as new]:
                    made.append(new)
        return made

    def visit_Import(self, node: ast.Import) -> ast.Import | None:
        node.names = [alias for alias in node.names if alias not in self.merger.dropped]
        return node if node.names else None

    def _one(self, node: ast.ImportFrom, alias: ast.alias) -> ast.stmt | None:
        merger, module = self.merger, self.module
        if alias in merger.dropped:
            return None
        bound = alias.asname or alias.name
        meant = merger.meaning.get(alias)
        if isinstance(meant, str):
            if merger.together(module.name, meant):
                return None
            parent, _, tail = merger.target_of.get(meant, meant).rpartition(".")
            return _import_from(parent, tail, bound)
        if meant is None:
            return _import_from(module.base(node), alias.name, bound)
        root = merger.root(meant)
        new = merger.new.get(root, root[1])
        if not merger.together(module.name, meant[0]):
            return _import_from(merger.target_of.get(root[0], root[0]), new, bound)
        if bound == new:
            return None
        return ast.Assign([ast.Name(bound, ast.Store())], ast.Name(new, ast.Load()))


def _import_from(module: str, name: str, bound: str) -> ast.stmt:
    alias = ast.alias(name, None if bound == name else bound)
    return ast.ImportFrom(module, [alias], 0) if module else ast.Import([alias])
