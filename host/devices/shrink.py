"""Makes board code take less heap, without changing what it does.

MicroPython keeps every name it meets in RAM for ever, and the agent has about a thousand of its
own. Of those, the ones that are nobody else's business need not be long, nor different from file
to file:

- private names (`_like_this`) become `_a`, `_b`, ... per file. Files whose classes inherit from
  each other share one set, since they share instances; a name that occurs in several such groups
  is shortened the same way in all of them;
- integer constants of a module that no other file mentions become `const()`: the compiler puts in
  the number and the name is gone.

A name that also stands in a string (`getattr`, `__slots__`) is left as it is.
"""

from __future__ import annotations

import ast
import io
import itertools
import re
import string
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator

PRIVATE = re.compile(r"_[A-Za-z]\w*\Z")
WORD = re.compile(r"\w+")
Tokens = list[tokenize.TokenInfo]


def shrink(sources: dict[str, str]) -> dict[str, str]:
    """The same files (path -> text) with shorter names. Raises SyntaxError for broken ones."""
    tokens = {
        path: list(tokenize.generate_tokens(io.StringIO(t).readline)) for path, t in sources.items()
    }
    trees = {path: ast.parse(text, path) for path, text in sources.items()}
    names = {path: {t.string for t in tokens[path] if t.type == tokenize.NAME} for path in sources}
    files_with = Counter(itertools.chain.from_iterable(names.values()))
    fixed = _fixed(tokens.values(), trees.values())
    constants = {
        path: {name for name in _integers(tree) if files_with[name] == 1 and name not in fixed}
        for path, tree in trees.items()
    }
    groups = _groups(trees)
    new = _renaming(names, constants, groups, fixed)
    return {path: _write(tokens[path], new[path], constants[path]) for path in sources}


def _fixed(tokens: object, trees: object) -> set[str]:
    """Names that must stay: those inside strings, and names of modules."""
    kept: set[str] = set()
    for each in tokens:  # type: ignore[attr-defined]
        for token in each:
            if token.type == tokenize.STRING and not token.string.startswith(('"""', "'''")):
                kept.update(WORD.findall(token.string))
    for tree in trees:  # type: ignore[attr-defined]
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                kept.update(WORD.findall(" ".join(alias.name for alias in node.names)))
            elif isinstance(node, ast.ImportFrom):
                kept.update(WORD.findall(node.module or ""))
    return kept


def _integers(tree: ast.Module) -> set[str]:
    """Names a module assigns an integer literal once, and nothing else ever."""
    stored = Counter(
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    )
    parameters = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg | ast.keyword)}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found = set()
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if stored[name] == 1:
                if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
                    value = value.operand
                whole = isinstance(value, ast.Constant) and type(value.value) is int
                if whole and name not in parameters | attributes:
                    found.add(name)
    return found


def _groups(trees: dict[str, ast.Module]) -> dict[str, str]:
    """Path -> the name of its group: files connected by inheritance are one."""
    group = {path: path for path in trees}
    defined = defaultdict(set)
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                defined[node.name].add(path)
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ClassDef):
                continue
            for base in node.bases:
                name = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
                for other in defined[name]:
                    old, kept = group[other], group[path]
                    group = {p: kept if g == old else g for p, g in group.items()}
    return group


def _renaming(
    names: dict[str, set[str]],
    constants: dict[str, set[str]],
    groups: dict[str, str],
    fixed: set[str],
) -> dict[str, dict[str, str]]:
    """Path -> {old name: new name}."""
    used_in: dict[str, set[str]] = defaultdict(set)
    for path, each in names.items():
        for name in each | constants[path]:
            if (PRIVATE.match(name) and name not in fixed) or name in constants[path]:
                used_in[name].add(groups[path])
    taken = set().union(*names.values(), fixed)
    shared = dict(
        zip(sorted(n for n in used_in if len(used_in[n]) > 1), _short("_", taken), strict=False)
    )
    taken |= set(shared.values())
    local: dict[str, dict[str, str]] = defaultdict(dict)
    for group in sorted(set(groups.values())):
        own = sorted(name for name, where in used_in.items() if where == {group})
        local[group] = dict(zip(own, _short("_", taken), strict=False))
    return {path: {**shared, **local[groups[path]]} for path in names}


def _short(prefix: str, taken: set[str]) -> Iterator[str]:
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_lowercase, repeat=length):
            name = prefix + "".join(letters)
            if name not in taken:
                yield name


def _write(tokens: Tokens, new: dict[str, str], constants: set[str]) -> str:
    """The text with names replaced and the constants' values in `const()`."""
    written: list[tuple[int, str]] = []
    depth = 0
    constant = False
    for index, token in enumerate(tokens):
        text = token.string
        if token.type == tokenize.NAME:
            starts = index == 0 or tokens[index - 1].type in (
                tokenize.NEWLINE,
                tokenize.NL,
                tokenize.ENCODING,
                tokenize.COMMENT,
                tokenize.DEDENT,
            )
            constant = constant or (starts and token.start[1] == 0 and text in constants)
            text = new.get(text, text)
        if constant and token.type == tokenize.OP and text == "=" and depth == 0:
            written += [(token.type, text), (tokenize.NAME, "const"), (tokenize.OP, "(")]
            depth = 1
            continue
        if constant and token.type in (tokenize.NEWLINE, tokenize.COMMENT) and depth == 1:
            written.append((tokenize.OP, ")"))
            depth, constant = 0, False
        if token.type != tokenize.COMMENT:
            written.append((token.type, text))
    return tokenize.untokenize(written)
