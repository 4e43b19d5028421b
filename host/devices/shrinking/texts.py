"""Puts the texts of exceptions into a file of their own, as data.

Most errors are never met, but as code their texts take memory with every module. A line of the
file is read where an exception is made; calls give its number and what belongs into it. A text
given by its number is spelled out by `str()` of the exception. Without the file, number and values
are the message.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from host.devices.shrinking.program import Program

_MODULE = "texts"
_SUFFIX = "txt"
_INIT = f"""
def __init__(self, *text):
    from .{_MODULE} import spelled
    super().__init__(spelled(*text))
"""
_SPELLED = f"""
def spelled(text, *values):
    if isinstance(text, str):
        return text
    try:
        with open(__file__.rsplit(".", 1)[0] + ".{_SUFFIX}") as lines:
            for _ in range(text):
                lines.readline()
            text = lines.readline()[:-1]
    except OSError:
        values = (text,) + values
        text = "%s" + " %s" * (len(values) - 1)
    return text % values if values else text
"""


def take_out(program: Program, root: str, callers: tuple[str, ...]) -> dict[str, str]:
    """Takes out the texts of the exception class `root` and of those derived from it.

    callers: methods that raise one with the text, and the values for it, that they are given.
    Returns the file {path: text}; nothing without the class, or without a text.
    """
    classes = {
        node: module
        for module in program.modules.values()
        for node in module.tree.body
        if isinstance(node, ast.ClassDef)
    }
    family = {root}
    for node in classes:  # in the order they are made
        if any(isinstance(base, ast.Name) and base.id in family for base in node.bases):
            family.add(node.name)
    roots = [node for node in classes if node.name == root]
    calls = list(_calls(program, family, callers))
    if len(roots) != 1 or not calls:
        return {}
    count = Counter(text for _, text, _ in calls)
    lines = sorted(count, key=lambda text: (-count[text], text))  # small numbers are short
    for call, text, values in calls:
        call.args = [ast.Constant(lines.index(text)), *values]
    roots[0].body[:] = ast.parse(_INIT).body
    folder = PurePosixPath(classes[roots[0]].path).parent
    program.add(f"{folder}/{_MODULE}.py", _SPELLED)
    for module in program.modules.values():
        module.analyse()
    return {f"{folder}/{_MODULE}.{_SUFFIX}": "".join(f"{line}\n" for line in lines)}


def _calls(
    program: Program, family: set[str], callers: tuple[str, ...]
) -> Iterator[tuple[ast.Call, str, list[ast.expr]]]:
    """(call, text, what the text is formatted with)."""
    for module in program.modules.values():
        for node in module.scope_of:
            if isinstance(node, ast.Call) and node.args:
                function = node.func
                name = getattr(function, "attr", getattr(function, "id", ""))
                if name in (callers if isinstance(function, ast.Attribute) else family):
                    match node.args:
                        case [ast.Constant(value=str(text)), *values]:
                            pass
                        case [ast.BinOp(ast.Constant(value=str(text)), ast.Mod(), value)]:
                            values = value.elts if isinstance(value, ast.Tuple) else [value]
                        case _:
                            continue
                    if "\n" not in text:
                        yield node, text, values
