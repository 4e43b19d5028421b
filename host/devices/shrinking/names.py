"""New names for what a program calls its own."""

from __future__ import annotations

import ast
import builtins
import itertools
import keyword
import string
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator

from host.devices.shrinking.interned import ATTRIBUTES, VARIABLES
from host.devices.shrinking.program import Module, Program, Symbol
from host.devices.shrinking.scopes import Scope, Use


def lengthen_locals(module: Module, fixed: set[str]) -> None:
    """Leaves short names to others: a .mpy has none of a function's variables."""
    found: dict[tuple[Scope, str], list[Use]] = defaultdict(list)
    for use in module.uses:
        if use.owner.kind not in ("module", "class") and use.get() not in fixed:
            found[use.owner, use.get()].append(use)
    for (_, name), uses in found.items():
        if all(isinstance(use.node, ast.Name | ast.alias) for use in uses):
            for use in uses:
                use.put(f"{name}_")
    module.analyse()


class Renaming:
    """fixed: names that stay; asked: those of them that the program itself asks for by name."""

    def __init__(self, program: Program, fixed: set[str], asked: set[str]) -> None:
        self.program = program
        self.fixed = fixed
        self.asked = asked
        self.modules = list(program.modules.values())
        self.meaning = {
            alias: (module, program.meant(module, node, alias))
            for module in self.modules
            for node, alias in program.imports(module)
        }
        found = {m.name: program.attributes(m) for m in self.modules}
        self.of_modules = [pair for nodes, _ in found.values() for pair in nodes]
        self.whole = set().union(*(names for _, names in found.values()))
        self.symbols: dict[Symbol, str] = {}

    def apply(self) -> None:
        self._attributes()
        for module in self.modules:
            if module.name not in self.whole:
                self._module(module)
        for node, symbol in self.of_modules:
            node.attr = self.symbols.get(symbol, symbol[1])
        for alias, (_, meant) in self.meaning.items():
            if isinstance(meant, tuple) and meant in self.symbols:
                bound = alias.asname or alias.name
                alias.name = self.symbols[meant]
                alias.asname = None if bound == alias.name else bound
        for module in self.modules:
            self._parameters(module)

    def _attributes(self) -> None:
        """Methods and attributes. What only a class's own methods use, as `self.name`, is named
        for that class alone; all else has one new name in the whole program.
        """
        resolved: dict[ast.AST, Symbol] = dict(self.of_modules)
        families = _Families(self.program, resolved)
        places: dict[str, list[tuple[int | None, ast.Attribute | Use]]] = defaultdict(list)
        files: dict[str, set[str]] = defaultdict(set)
        stored: set[str] = set()  # by others than the class's own methods
        own: set[str] = set()
        in_classes = set(self.asked)  # a class's own names hide others where it is made
        for module in self.modules:
            for node in module.scope_of:
                if isinstance(node, ast.Attribute) and node not in resolved:
                    family = families.of_self(module, node.value)
                    places[node.attr].append((family, node))
                    files[node.attr].add(module.name)
                    if not isinstance(node.ctx, ast.Load):
                        own.add(node.attr)
                        if family is None:
                            stored.add(node.attr)
            for use in module.uses:
                if use.owner.kind == "class":
                    places[use.get()].append((families.of_class(use.owner.node), use))
                    files[use.get()].add(module.name)
                    own.add(use.get())
                elif use.scope.kind == "class":
                    in_classes.add(use.get())
        own -= self.fixed
        private = {n for n in own if all(family is not None for family, _ in places[n])}
        # A file spells out each name once.
        public = sorted(
            own - private, key=lambda name: (-len(files[name]), -len(places[name]), name)
        )
        taken = in_classes | set(places) - own
        new = dict(zip(public, _short(taken, self.fixed, ATTRIBUTES), strict=False))
        of_family: dict[int | None, set[str]] = defaultdict(set)
        for name, found in places.items():
            for family, _ in found:
                of_family[family].add(name)
        for name in public:
            for _, place in places[name]:
                _call(place, new[name])
        for family in families.numbers:
            mine = sorted(of_family[family] & private)
            others = (of_family[family] | stored) - private
            taken = {new.get(name, name) for name in others} | in_classes
            names = _short(taken, self.fixed, ATTRIBUTES)
            for name, short in zip(mine, names, strict=False):
                for number, place in places[name]:
                    if number == family:
                        _call(place, short)

    def _module(self, module: Module) -> None:
        foreign = {
            use.get()
            for use in module.uses
            if isinstance(use.node, ast.alias)
            and not isinstance(self.meaning.get(use.node, (module, None))[1], tuple)
        }
        mine = [u for u in module.uses if u.owner is module.scope]
        names = Counter(use.get() for use in mine if use.get() in module.scope.bound)
        order = sorted(set(names) - self.fixed - foreign, key=lambda name: (-names[name], name))
        others = {use.get() for use in module.uses} - set(order)
        locals_too = {use.get() for use in module.uses if use.owner is not module.scope}
        taken = self.asked | others | locals_too
        new = dict(zip(order, _short(taken, self.fixed, VARIABLES), strict=False))
        for use in mine:
            name = use.get()
            if name in new:
                use.put(new[name])
        self.symbols |= {(module.name, old): name for old, name in new.items()}

    def _parameters(self, module: Module) -> None:
        within: dict[Scope, list[Use]] = defaultdict(list)
        of: dict[Scope, list[Use]] = defaultdict(list)
        for use in module.uses:
            of[use.owner].append(use)
            for scope in use.scope.around():
                within[scope].append(use)
        for scope, uses in of.items():
            own = {use.get() for use in uses if isinstance(use.node, ast.arg)} - self.asked
            taken = {use.get() for use in within[scope]} | scope.bound | _KEYWORDS
            order = [u.get() for u in uses if isinstance(u.node, ast.arg) and u.get() in own]
            new = dict(zip(order, _short(taken, (), VARIABLES), strict=False))
            for use in uses:
                use.put(new.get(use.get(), use.get()))


class _Families:
    """Classes by number; those that may inherit from each other have the same."""

    def __init__(self, program: Program, resolved: dict[ast.AST, Symbol]) -> None:
        classes = {
            node: (module, module.scope_of[node])
            for module in program.modules.values()
            for node in module.scope_of
            if isinstance(node, ast.ClassDef)
        }
        self._number = {node: number for number, node in enumerate(classes)}
        made: dict[Symbol, list[ast.ClassDef]] = defaultdict(list)
        for node, (module, _) in classes.items():
            made[module.name, node.name].append(node)
        for node, (module, scope) in classes.items():
            for base in [*node.bases, *node.decorator_list]:
                if isinstance(base, ast.Name) and scope.of(base.id) is module.scope:
                    symbol = program.origin((module.name, base.id))
                else:
                    symbol = resolved.get(base, ("", ""))
                name = symbol[1]
                if symbol in made:
                    self._join([node, *made[symbol]])
                elif not isinstance(getattr(builtins, name, None), type):
                    self._join(list(classes))  # it may be any of them
        self.numbers = sorted(set(self._number.values()))

    def _join(self, nodes: list[ast.ClassDef]) -> None:
        joined = {self._number[node] for node in nodes}
        for node, number in self._number.items():
            if number in joined:
                self._number[node] = min(joined)

    def of_class(self, node: ast.AST | None) -> int | None:
        return self._number.get(node) if isinstance(node, ast.ClassDef) else None

    def of_self(self, module: Module, node: ast.expr) -> int | None:
        """The family of the class in whose method `node` is `self`."""
        if not isinstance(node, ast.Name):
            return None
        method = module.scope_of[node].of(node.id)
        if method.kind != "function" or not method.parent or method.parent.kind != "class":
            return None
        function = method.node
        if not isinstance(function, ast.FunctionDef) or _is_static(function):
            return None
        first = function.args.args[0].arg if function.args.args else ""
        if node.id != first or node.id in module.stored_in(method):
            return None
        return self.of_class(method.parent.node)


def _is_static(function: ast.FunctionDef) -> bool:
    names = {getattr(each, "id", "") for each in function.decorator_list}
    return bool(names - {"property"})


def _call(place: ast.Attribute | Use, name: str) -> None:
    if isinstance(place, Use):
        place.put(name)
    else:
        place.attr = name


_KEYWORDS = frozenset(keyword.kwlist)


def _short(taken: Collection[str], fixed: Collection[str], known: Collection[str]) -> Iterator[str]:
    """Names that cost little: known ones, then letters, which must not be fixed either."""
    yield from (name for name in known if name not in taken)
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_letters, repeat=length):
            name = "".join(letters)
            if name not in taken and name not in fixed:
                yield name
