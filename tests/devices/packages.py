"""Runs a program given as {path: text}, in which a module `main` sets `result`."""

import importlib
import sys
import textwrap


def written(files):
    """The files as a program writes them down, for tables that are indented."""
    return {path: textwrap.dedent(text).strip() + "\n" for path, text in files.items()}


def result_of(folder, files, main):
    """What main.py makes of the files, imported afresh."""
    for path, text in {**files, "main.py": main}.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        scope: dict = {}
        exec(compile(main, "main.py", "exec"), scope)
        return scope["result"]
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            del sys.modules[name]
