"""Packs the texts of exceptions, as MicroPython packs those of its own.

Phrases that come again become one control character each, and a module of its own that is imported
where an exception is made, and spells them out. Texts are objects on a board's heap as long as
their module is loaded: packed they take less there, too.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from host.devices.shrinking.program import Program

# What a text may be packed with: no % directive is part of a phrase, texts are packed before they
# are formatted.
_CODES = [chr(code) for code in range(1, 32)]
_BREAK = re.compile(r"(%[-\d.]*[a-z])")
_TOKEN = re.compile(r"\w+\W?|\W")
_MOST_TOKENS = 10
# MicroPython keeps shorter strings for ever.
_SHORTEST = 11
_SEPARATOR = "|"

_MODULE = "phrases"
_INIT = f"""
def __init__(self, text):
    from .{_MODULE} import spelled
    super().__init__(spelled(text))
"""
_SPELLED = """
def spelled(text):
    code = {first}
    for phrase in {phrases!r}.split({separator!r}):
        code -= 1
        text = text.replace(chr(code), phrase)
    return text
"""


def pack(program: Program, root: str, callers: tuple[str, ...]) -> None:
    """Packs the texts of the exception class `root` and of those derived from it.

    callers: methods that raise one with the text they are given. Does nothing without the class.
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
    found = list(_texts(program, family, callers))
    if len(roots) != 1 or not found:
        return
    phrases, packed = _packed([str(constant.value) for constant in found])
    for constant, text in zip(found, packed, strict=True):
        constant.value = text
    roots[0].body[:] = ast.parse(_INIT).body
    folder = PurePosixPath(classes[roots[0]].path).parent
    program.add(
        f"{folder}/{_MODULE}.py",
        _SPELLED.format(
            first=len(phrases) + 1, phrases=_SEPARATOR.join(reversed(phrases)), separator=_SEPARATOR
        ),
    )
    for module in program.modules.values():
        module.analyse()


def _texts(program: Program, family: set[str], callers: tuple[str, ...]) -> Iterator[ast.Constant]:
    for module in program.modules.values():
        for node in module.scope_of:
            if isinstance(node, ast.Call) and len(node.args) == 1:
                function, text = node.func, node.args[0]
                name = getattr(function, "attr", getattr(function, "id", ""))
                if name in (callers if isinstance(function, ast.Attribute) else family):
                    if isinstance(text, ast.BinOp) and isinstance(text.op, ast.Mod):
                        text = text.left
                    if isinstance(text, ast.Constant) and isinstance(text.value, str):
                        yield text


def _packed(texts: list[str]) -> tuple[list[str], list[str]]:
    """(phrases, the first for code 1; the texts packed with them)."""
    pieces = [_BREAK.split(text) for text in texts]
    phrases: list[str] = []
    for code in _CODES:
        count: Counter[str] = Counter()
        for piece in pieces:
            for part in piece[::2]:
                tokens = _TOKEN.findall(part)
                for start in range(len(tokens)):
                    for end in range(start + 1, min(len(tokens), start + _MOST_TOKENS) + 1):
                        count["".join(tokens[start:end])] += 1
        gains = [((n - 1) * (len(t) - 1) - 2, t) for t, n in count.items() if _SEPARATOR not in t]
        gain, phrase = max(gains, default=(0, ""))
        if gain <= 0:
            break
        phrases.append(phrase)
        for piece in pieces:
            piece[::2] = [part.replace(phrase, code) for part in piece[::2]]
    packed = []
    for piece in pieces:
        text = "".join(piece)
        for code, phrase in reversed(list(zip(_CODES, phrases, strict=False))):
            if len(text) < _SHORTEST:
                text = text.replace(code, phrase)
        packed.append(text)
    return phrases, packed
