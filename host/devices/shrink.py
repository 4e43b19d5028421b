"""Makes board code take less heap, without changing what it does.

MicroPython keeps every name it meets in RAM for ever, and the agent has about a thousand of its
own. What is nobody else's business need not be long, nor different from place to place:

- integer constants of a module become the number wherever they are used;
- texts of the engine's exceptions become lines of a file, read where one is raised;
- imports are relative: a .mpy spells out each module's name, a dotted one in full;
- names of modules, classes, methods, attributes and parameters become `a`, `b`, ...; the same few
  for all of them, as each kind lives in a place of its own.

Names stay that stand in a string (`getattr`), in files outside, or after `__import__`; those that
start like a string that ends in an underscore; keyword arguments; those the interpreter or its
modules know; and exceptions, whose names people read.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Collection, Iterator, Mapping

from host.devices.shrinking.constants import inline
from host.devices.shrinking.external import EXTERNAL
from host.devices.shrinking.names import Renaming, lengthen_locals
from host.devices.shrinking.program import Module, Program, is_native
from host.devices.shrinking.run_names import RunNames
from host.devices.shrinking.texts import take_out

# The engine's exceptions, and what raises them with a text: most texts on a board are theirs.
TAKEN_OUT = ("ModelError", ("refuse",))

# What the engine asks modules of operators for, by name, and what that becomes.
ASKED_OF_MODULES = {"prepare": "exec"}

WORD = re.compile(r"[A-Za-z_]\w*")
NAMES = re.compile(r"[\w.]+")


def shrink(
    sources: dict[str, str],
    outside: Mapping[str, str] | None = None,
    kept: Collection[str] = (),
) -> dict[str, str]:
    """The same files (path -> text) with shorter names, and one of texts. Raises SyntaxError.

    outside: files that use these and stay as they are. kept: further names that must not change.
    """
    program = Program(sources)
    texts = take_out(program, *TAKEN_OUT)
    for module in program.modules.values():
        _rename_asked_of(module)
    asked = _asked(program, (outside or {}).values(), RunNames(program).strings) | set(kept)
    fixed = asked | EXTERNAL
    inline(program, fixed)
    for module in program.modules.values():
        module.analyse()
        lengthen_locals(module, fixed)
    running = RunNames(program)
    Renaming(program, fixed, asked).apply()
    running.follow()
    for module in program.modules.values():
        _import_from_nearby(program, module)
    return program.sources() | texts


def _rename_asked_of(module: Module) -> None:
    """Renames functions that others find by name in a module made by __import__."""
    imported = {
        node.targets[0].id
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        if isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "__import__"
    }
    for node in module.tree.body:
        if isinstance(node, ast.FunctionDef) and not imported:
            node.name = ASKED_OF_MODULES.get(node.name, node.name)
    for each in ast.walk(module.tree):
        if isinstance(each, ast.Attribute) and getattr(each.value, "id", "") in imported:
            each.attr = ASKED_OF_MODULES.get(each.attr, each.attr)
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and imported:
            each.value = ASKED_OF_MODULES.get(each.value, each.value)
    module.analyse()


def _import_from_nearby(program: Program, module: Module) -> None:
    """Imports by a relative name of one word, where that is enough: a file spells names out."""
    package = module.package.split(".")
    for node in module.scope_of:
        if isinstance(node, ast.ImportFrom) and program.base_known(node):
            wanted = (node.module or "").split(".")
            common = 0
            while package[common : common + 1] == wanted[common : common + 1] != []:
                common += 1
            if common and len(wanted) <= common + 1:
                node.level = len(package) - common + 1
                node.module = ".".join(wanted[common:]) or None


def _asked(program: Program, outside: Collection[str], renamed: Collection[ast.AST]) -> set[str]:
    """Names that somebody may ask for by name. renamed: strings that follow when names change."""
    found: set[str] = set()
    for text in outside:
        found.update(WORD.findall(text))
    prefixes = set()
    names = set()
    for module in program.modules.values():
        found.update(itertools.chain.from_iterable(WORD.findall(m) for m in program.modules))
        dynamic = set()
        foreign = {
            alias.asname or alias.name
            for node in module.scope_of
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        for node in ast.walk(module.tree):
            match node:
                case ast.Constant(value=str(text)) if node not in renamed:
                    if NAMES.fullmatch(text):
                        found.update(WORD.findall(text))
                    if WORD.fullmatch(text) and text.endswith("_"):
                        prefixes.add(text)
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id=f))):
                    if f == "__import__":
                        dynamic.add(name)
                case ast.keyword(arg=str(name)):
                    found.add(name)
                case ast.Attribute(value=ast.Name(id=holder), attr=name) if holder in foreign:
                    found.add(name)
                case ast.Attribute(attr=name) | ast.Name(id=name):
                    names.add(name)
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    names.add(name)
                    if isinstance(node, ast.ClassDef) and _is_exception(node):
                        found.add(name)
                    if isinstance(node, ast.FunctionDef) and is_native(node):
                        found |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
                        found |= {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
                        found |= {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
                case ast.Import() | ast.ImportFrom():
                    found.update(_foreign(program, module, node))
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in dynamic:
                found.add(node.attr)
    found |= {name for name in names if name.startswith(("__", *prefixes))}
    return found


def _foreign(program: Program, module: Module, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Names in an import that are not the program's own."""
    for alias in node.names:
        if isinstance(node, ast.Import):
            yield from alias.name.split(".")
        elif not isinstance(program.meant(module, node, alias), tuple):
            yield alias.name
    if isinstance(node, ast.ImportFrom):
        yield from (node.module or "").split(".")


def _is_exception(node: ast.ClassDef) -> bool:
    bases = [getattr(base, "id", getattr(base, "attr", "")) for base in node.bases]
    return any(name.endswith(("Error", "Exception")) for name in [node.name, *bases])
