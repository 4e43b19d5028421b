"""Puts modules that always live together into one, which costs a board less heap.

On a board every module has an object, a table of its names, a second entry for each name it imports
from another, and three strings that are never freed. What is loaded together and stays together can
as well be one module; what start-up drops again, or loads by a name made up at run time, cannot.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch

from host.devices.errors import BuildError
from host.devices.shrinking import run_names
from host.devices.shrinking.merging import Merger
from host.devices.shrinking.program import Program, Symbol, module_name

Groups = Mapping[str, Sequence[str]]

# Merged file: patterns of the files that become part of it. The file itself may exist, too.
# Each is dropped as a whole or never: not listed are what start.py unloads, the engine's operators
# and kernels, which are loaded by name, and what those use long after the loader has gone.
GROUPS: Groups = {
    # Loaded first, by main.py.
    "agent/health.py": ("agent/version.py", "agent/plain.py", "agent/clock.py"),
    # Needed to check models, before the loop's own code is loaded.
    "agent/cognition/__init__.py": (
        "agent/cognition/anomaly.py",
        "agent/cognition/cooling.py",
        "agent/cognition/explainer.py",
        "agent/cognition/features.py",
        "agent/cognition/mind.py",
        "agent/cognition/shapley.py",
    ),
    "agent/cognition/engine/__init__.py": (
        "agent/cognition/engine/errors.py",
        "agent/cognition/engine/model.py",
        "agent/cognition/engine/views.py",
    ),
    # Dropped when all models are loaded (forget_loader).
    "agent/cognition/engine/loader.py": (
        "agent/cognition/engine/flatbuffer.py",
        "agent/cognition/engine/graph.py",
        "agent/cognition/engine/planner.py",
        "agent/cognition/engine/schema.py",
    ),
    # Whoever needs the second needs the first, or little is lost.
    "agent/cognition/engine/fixed_point.py": ("agent/cognition/engine/exponential.py",),
    "agent/cognition/engine/kernels/choice.py": ("agent/cognition/engine/kernels/check.py",),
    "agent/cognition/engine/ops/activations.py": ("agent/cognition/engine/ops/lookup.py",),
    "agent/cognition/engine/ops/conv.py": ("agent/cognition/engine/ops/windows.py",),
    "agent/cognition/engine/ops/fully_connected.py": ("agent/cognition/engine/ops/scaling.py",),
    "agent/cognition/engine/ops/lstm.py": ("agent/cognition/engine/ops/int16.py",),
    "agent/cognition/engine/ops/walk.py": ("agent/cognition/engine/ops/small_ints.py",),
    # Loaded by boards whose link it is.
    "agent/communication/mqtt/__init__.py": ("agent/communication/mqtt/*.py",),
    # Until there is a session.
    "agent/rare/dial.py": ("agent/rare/names.py",),
    # The loop and all it uses.
    "agent/app.py": (
        "agent/action/*.py",
        "agent/communication/*.py",
        "agent/decision/*.py",
        "agent/perception/*.py",
    ),
}


def merge(
    sources: dict[str, str], groups: Groups = GROUPS, outside: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The same program (path -> text) in fewer files; groups of fewer than two are left out.

    outside: files that use the program and stay as they are. Raises SyntaxError for broken files,
    and BuildError where something cannot be merged, such as modules that import each other as they
    are loaded.
    """
    program = Program(sources)
    target_of: dict[str, str] = {}
    members: dict[str, list[str]] = {}
    for path, patterns in groups.items():
        found = [p for p in sources if p == path or fits(p, patterns)]
        if len(found) > 1:
            members[module_name(path)] = [module_name(p) for p in found]
            target_of |= {module_name(p): module_name(path) for p in found}
    kept = _asked_for(outside or {}, target_of)
    running = {target: _taken_out(program, names) for target, names in members.items()}
    merger = Merger(program, target_of, kept)
    bodies = merger.merged(members)
    for target, symbols in running.items():
        if symbols:
            names = {merger.new.get(merger.root(symbol), symbol[1]) for symbol in symbols}
            bodies[target].append(run_names.assignment(names))
    paths = {module_name(path): path for path in [*groups, *sources]}
    return {
        paths[name]: ast.unparse(ast.fix_missing_locations(ast.Module(body, []))) + "\n"
        for name, body in sorted(bodies.items())
    }


def _taken_out(program: Program, names: Sequence[str]) -> set[Symbol]:
    """What the members' RUN tuples name, which are taken out of them. Raises BuildError."""
    symbols: set[Symbol] = set()
    modules = [program.modules[name] for name in names]
    found = [run_names.find(module) for module in modules]
    for module, assignment in zip(modules, found, strict=True):
        if assignment is not None:
            symbols |= {(module.name, name) for name in run_names.names(assignment)}
            module.tree.body.remove(assignment)
            module.analyse()
        elif any(found):
            raise BuildError(f"{module.path} has no RUN, others it is merged with have")
    return symbols


def fits(path: str, patterns: Sequence[str]) -> bool:
    """Whether a path fits one of the patterns; a * stays in its folder, and is no package."""
    if path.endswith("__init__.py"):
        return path in patterns
    return any(
        fnmatch(path, pattern) and path.count("/") == pattern.count("/") for pattern in patterns
    )


def _asked_for(outside: Mapping[str, str], target_of: dict[str, str]) -> set[Symbol]:
    """What files outside import. Raises BuildError where it is no module of its own any more."""
    found = set()
    for path, text in outside.items():
        for node in ast.walk(ast.parse(text, path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
                found |= {(node.module, alias.name) for alias in node.names}
            for name in names:
                if target_of.get(name, name) != name:
                    raise BuildError(f"{path} imports {name}, which is now in {target_of[name]}")
    return found
